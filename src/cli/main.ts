/**
 * The command line: parses, calls app/, prints. Exit codes: 0 done; 1 a coded error (the user's input or surroundings);
 * 2 wrong usage; 3 a check that ran and found something (verify, doctor); 70 a bug of ours; 130 interrupted.
 */
import { Command, CommanderError } from 'commander';
import { SamewiseError } from '../base/errors.ts';
import { COMMANDS } from './commands/index.ts';
import { createOutput, printError, toJson } from './output.ts';
import { version } from './version.ts';

const program = new Command('samewise')
  .description('A feature store whose training values and serving values are one computation.')
  .version(version())
  .option('--project <folder>', 'the project: the folder that holds samewise.config.json', '.')
  .option('--json', 'print results as JSON, for scripts')
  .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
  .showHelpAfterError('(add --help for usage and examples)')
  .exitOverride();

for (const add of COMMANDS) add(program);
// exitOverride is not inherited by commands that were made with new Command().
for (const command of program.commands) command.exitOverride().copyInheritedSettings(program);

const controller = new AbortController();
let interrupts = 0;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    controller.abort(new SamewiseError('cli/interrupted', `stopped by ${signal}`));
    // A second one does not wait for anything.
    if (++interrupts > 1) process.exit(130);
  });
}
/** Aborts when the user interrupts; commands hand it to what they call. */
program.setOptionValue('signal', controller.signal);

// A closed pipe (| head) is the reader's choice, not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  await program.parseAsync(process.argv);
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  const json = program.opts().json === true;
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof SamewiseError) {
    if (json) process.stdout.write(`${toJson({ error })}\n`);
    else createOutput(false).note(printError(error));
    return error.code === 'cli/interrupted' ? 130 : 1;
  }
  process.stderr.write('This is a bug in Samewise. Please report it with the lines below.\n');
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return 70;
}
