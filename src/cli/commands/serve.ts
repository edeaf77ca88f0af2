import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import type { Listening } from '../../app/listening.ts';
import type { Workers } from '../../app/workers.ts';
import { SamewiseError } from '../../base/errors.ts';
import { command, surroundings, whole, withApp } from '../command.ts';
import { duration, type Output } from '../output.ts';
import { serverNotes } from '../server_notes.ts';
import { version } from '../version.ts';

interface ServeOptions {
  readonly port: number;
  readonly host: string;
  readonly stream: boolean;
  readonly workers?: number;
}

/** More than any machine has cores for: a slip of the finger. */
const MOST_WORKERS = 256;

/** `samewise serve`: the features over HTTP until a signal comes; requests in flight are finished. */
export function serve(program: Command): void {
  program.addCommand(
    command('serve', 'serve features over HTTP', [
      'serve',
      'serve --port 7000 --host 0.0.0.0',
      'serve --workers 4',
    ])
      .option('--port <n>', '0 takes any free one', whole, 7480)
      .option('--host <address>', 'where to listen; there is no authentication yet', '127.0.0.1')
      .option('--no-stream', 'leave applying events to `samewise stream run`')
      .option(
        '--workers <n>',
        'so many processes on one port, and one that applies events; SIGHUP replaces them one by one',
        workers,
      )
      .action((options: ServeOptions, self: Command) =>
        options.workers === undefined
          ? serveHere(self, options)
          : serveByWorkers(self, { ...options, workers: options.workers }),
      ),
  );
}

function workers(text: string): number {
  const count = whole(text);
  if (count >= 1 && count <= MOST_WORKERS) return count;
  throw new SamewiseError('cli/bad-option', `${text} is not a number of processes`, {
    hint: `give one from 1 to ${MOST_WORKERS}: as many as there are cores, or one fewer`,
  });
}

function serveHere(self: Command, options: ServeOptions): Promise<void> {
  return withApp(self, async ({ app, out, signal }) => {
    const { startServer } = await import('../../app/server.ts');
    const server = await startServer(app, {
      ...serverNotes(out),
      ...options,
      version: version(),
    });
    await untilAborted(server, out, signal);
  });
}

async function serveByWorkers(
  self: Command,
  options: ServeOptions & { readonly workers: number },
): Promise<void> {
  const { out, signal, project } = surroundings(self);
  const { startWorkers } = await import('../../app/workers.ts');
  const ending = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
  const server = await startWorkers({
    ...options,
    projectDir: project,
    main: fileURLToPath(new URL(`../serve_worker.${ending}`, import.meta.url)),
    onDeath: (worker, why, restMs) =>
      out.note(
        `${nameOf(worker)} ${why}; replaced ${restMs === 0 ? 'at once' : `in ${duration(restMs)}`}`,
      ),
  });
  const restart = () => restartAll(server, out);
  // A terminal that is closed sends it, too, and then it means the end.
  if (!process.stdout.isTTY) process.on('SIGHUP', restart);
  try {
    await untilAborted(server, out, signal);
  } finally {
    process.off('SIGHUP', restart);
  }
}

async function restartAll(server: Workers, out: Output): Promise<void> {
  out.note('Every process is being replaced.');
  try {
    await server.restart();
    out.note('Every process has been replaced.');
  } catch (error) {
    out.note(`A new process did not start, the old ones go on: ${(error as Error).message}`);
  }
}

async function untilAborted(server: Listening, out: Output, signal: AbortSignal): Promise<void> {
  out.result(
    { url: server.url },
    () => `Serving on ${server.url} (see ${server.url}/openapi.json). Ctrl-C ends it.`,
  );
  if (!signal.aborted) await once(signal, 'abort');
  await server.close();
}

function nameOf(worker: string): string {
  return worker === 'duties' ? 'The process that applies events' : `Worker ${worker}`;
}
