import type { Command } from 'commander';
import type { PushResult } from '../../app/push.ts';
import { formatCount } from '../../base/numbers.ts';
import { command, withApp } from '../command.ts';

/** `samewise push`: events of a file into the log, and from there into pages and history; the same events again change nothing. */
export function push(program: Command): void {
  program.addCommand(
    command(
      'push',
      'append events of a file to a source: they are durable, and applied to history and the online store',
      ['push transactions new.csv', 'push transactions corrections.parquet --no-wait'],
    )
      .argument('<source>')
      .argument('<file>', 'Parquet, CSV or JSON lines with the columns of the source')
      .option('--no-wait', 'come back as soon as the events cannot be lost; workers apply them')
      .action((source: string, path: string, options: { wait: boolean }, self: Command) =>
        withApp(self, async ({ app, out }) => {
          const { pushFile } = await import('../../app/push_file.ts');
          const wait = options.wait ? 'applied' : 'durable';
          const streaming = { ...(await app.streaming()), offline: app.offline };
          const pushed = await pushFile(streaming, { source, path, wait });
          out.result(pushed, () => printPushed(pushed));
        }),
      ),
  );
}

function printPushed({ source, rows, state }: PushResult): string {
  const how = state === 'applied' ? 'reads and training see them' : 'they are in the log';
  return `${formatCount(rows)} events pushed to ${source}: ${how}.`;
}
