import type { Command } from 'commander';
import { SamewiseError } from '../../base/errors.ts';
import { command, whole, withApp } from '../command.ts';
import { healthNotes } from '../health_notes.ts';
import { duration } from '../output.ts';
import { printSchemaChange } from '../schema_change.ts';
import { version } from '../version.ts';

/** `samewise serve`: the features over HTTP until a signal comes; requests in flight are finished. */
export function serve(program: Command): void {
  program.addCommand(
    command('serve', 'serve features over HTTP', ['serve', 'serve --port 7000 --host 0.0.0.0'])
      .option('--port <n>', '0 takes any free one', whole, 7480)
      .option('--host <address>', 'where to listen; there is no authentication yet', '127.0.0.1')
      .option('--no-stream', 'leave applying events to `samewise stream run`')
      .action((options: { port: number; host: string; stream: boolean }, self: Command) =>
        withApp(self, async ({ app, out, signal }) => {
          const { startServer } = await import('../../app/server.ts');
          const server = await startServer(app, {
            ...options,
            version: version(),
            health: healthNotes(out),
            onSchemaChange: (change) => out.note(printSchemaChange(change)),
            onStreamFailure: (source, error, restMs) =>
              out.note(
                `${source}: ${error instanceof Error ? error.message : String(error)}; tried again in ${duration(restMs)}`,
              ),
            onFailure: (error, { method, url }) => out.note(`${method} ${url}: ${told(error)}`),
          });
          out.result(
            { url: server.url },
            () => `Serving on ${server.url} (see ${server.url}/openapi.json). Ctrl-C ends it.`,
          );
          await new Promise<void>((resolve) => {
            if (signal.aborted) resolve();
            else signal.addEventListener('abort', () => resolve(), { once: true });
          });
          await server.close();
        }),
      ),
  );
}

/** An error with a code says what it is about; any other says where it came from. */
function told(error: unknown): string {
  if (error instanceof SamewiseError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? String(error.stack) : String(error);
}
