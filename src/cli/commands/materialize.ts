import type { Command } from 'commander';
import type { MaterializedView } from '../../app/materialize.ts';
import { formatBytes, formatCount } from '../../base/numbers.ts';
import { command, pairs, whole, withApp } from '../command.ts';
import { duration, table } from '../output.ts';

interface Options {
  readonly full?: boolean;
  readonly key?: Record<string, string>;
  readonly workers?: number;
}

/** `samewise materialize`: history into the online store. */
export function materialize(program: Command): void {
  program.addCommand(
    command(
      'materialize',
      'bring the online store up to date from history; may be stopped and run again',
      [
        'materialize',
        'materialize customer_spending --full',
        'materialize customer_spending --key customer_id=7',
      ],
    )
      .argument('[views...]', 'only these views (default: all)')
      .option(
        '--full',
        'all of history (default: what is new since the last run, where there was one)',
      )
      .option(
        '-k, --key <name=value>',
        'only this entity (repeat for the parts of a composite key)',
        pairs,
      )
      .option('--workers <n>', 'threads that read history', whole)
      .action((views: string[], options: Options, self: Command) =>
        withApp(self, async ({ app, out, signal }) => {
          const { materialize: run } = await import('../../app/materialize.ts');
          const progress = out.progress('materialize');
          const done = await run(app, {
            views: views.length > 0 ? views : null,
            entities: options.key === undefined ? null : [options.key],
            full: options.full === true,
            workers: options.workers,
            onProgress: (p) => progress.update(p.rows, p.totalRows, `${p.view}@${p.version}`),
            signal,
          }).finally(() => progress.done());
          out.result(done, () => printViews(done));
        }),
      ),
  );
}

function printViews(views: readonly MaterializedView[]): string {
  return table(
    ['view', 'what', 'events', 'keys', 'written', 'unchanged', 'removed', 'bytes', 'took'],
    views.map((v) => [
      `${v.view}@${v.version}`,
      v.mode,
      formatCount(v.rows),
      formatCount(v.keys),
      formatCount(v.written),
      formatCount(v.unchanged),
      formatCount(v.removed),
      formatBytes(v.bytes),
      duration(v.ms),
    ]),
  );
}
