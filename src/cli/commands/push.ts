import type { Command } from 'commander';
import type { PushResult } from '../../app/push.ts';
import { formatCount } from '../../base/numbers.ts';
import { command, withApp } from '../command.ts';

/** `samewise push`: events of a file into history and online pages; the same file again changes nothing. */
export function push(program: Command): void {
  program.addCommand(
    command(
      'push',
      'append events of a file to a source: to history and to the online store, once',
      ['push transactions new.csv', 'push transactions corrections.parquet --batch-id 2024-03-20'],
    )
      .argument('<source>')
      .argument('<file>', 'Parquet, CSV or JSON lines with the columns of the source')
      .option('--batch-id <id>', 'what makes it the same push (default: its content)')
      .action((source: string, path: string, options: { batchId?: string }, self: Command) =>
        withApp(self, async ({ app, out }) => {
          const { pushFile } = await import('../../app/push_file.ts');
          const pushed = await pushFile(app, { source, path, batchId: options.batchId });
          out.result(pushed, () => printPushed(pushed));
        }),
      ),
  );
}

function printPushed({ source, rows, fresh, views }: PushResult): string {
  if (!fresh) return `${formatCount(rows)} rows of ${source} were pushed before: nothing changed.`;
  const lines = views.map(({ view, version, keys, keyless }) => {
    const lost = keyless === 0 ? '' : `, ${formatCount(keyless)} rows without a key left out`;
    return `  ${view}@${version}: ${formatCount(keys)} pages changed${lost}`;
  });
  return [`${formatCount(rows)} rows pushed to ${source}.`, ...lines].join('\n');
}
