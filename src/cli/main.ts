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
  // Usage errors are printed like all others.
  .configureOutput({ outputError: () => {} })
  .exitOverride();

for (const add of COMMANDS) add(program);
inherit(program);

const controller = new AbortController();
let interrupts = 0;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // A service manager's SIGTERM is how a server is meant to end; Ctrl-C is always an interruption.
    if (signal === 'SIGINT') process.exitCode = 130;
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

/** Settings are not inherited by commands that were made with new Command(). */
function inherit(parent: Command): void {
  for (const child of parent.commands) {
    child.copyInheritedSettings(parent);
    inherit(child);
  }
}

function report(thrown: unknown): number {
  if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
  // Help was printed, as no command was given.
  if (thrown instanceof CommanderError && thrown.code === 'commander.help') return 2;
  const error = thrown instanceof CommanderError ? usageError(thrown) : thrown;
  if (error instanceof SamewiseError) {
    if (program.opts().json === true) process.stdout.write(`${toJson({ error })}\n`);
    else createOutput(false).note(printError(error));
    if (error.code === 'cli/interrupted') return 130;
    return thrown === error && error.code !== 'cli/bad-option' ? 1 : 2;
  }
  process.stderr.write('This is a bug in Samewise. Please report it with the lines below.\n');
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return 70;
}

/** `commander.unknownOption` with `error: unknown option '--kye'\n(Did you mean --key?)` in the form of our own errors. */
function usageError({ code, message }: CommanderError): SamewiseError {
  const what = code.slice('commander.'.length).replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
  const [text, suggestion] = message.replace(/^error: /, '').split('\n');
  return new SamewiseError(`cli/${what}`, text!, {
    hint:
      suggestion?.replace(/^\(Did/, 'did').replace(/\)$/, '') ??
      'add --help for usage and examples',
  });
}
