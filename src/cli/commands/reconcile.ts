import type { Command } from 'commander';
import type { ReconciledView } from '../../app/reconcile_views.ts';
import { formatCount } from '../../base/numbers.ts';
import { formatInstant } from '../../base/time.ts';
import { command, whole, withApp } from '../command.ts';
import { duration, table } from '../output.ts';

/** Differences that are printed for people; --json has more. */
const SHOWN = 20;

/** `samewise reconcile`: pages against history, event by event. */
export function reconcile(program: Command): void {
  program.addCommand(
    command(
      'reconcile',
      'compare the online store with history event by event, say why they differ, and repair',
      ['reconcile', 'reconcile customer_spending --sample 1000', 'reconcile --repair'],
    )
      .argument('[views...]', 'only these (default: all)')
      .option('--sample <n>', 'only about so many keys of each view', whole)
      .option('--repair', 'make the pages what history says')
      .action((views: string[], options: { sample?: number; repair?: boolean }, self: Command) =>
        withApp(self, async ({ app, out, signal }) => {
          const { reconcileViews } = await import('../../app/reconcile_views.ts');
          const progress = out.progress('reconcile');
          const found = await reconcileViews(app, {
            views: views.length === 0 ? null : views,
            sample: options.sample ?? null,
            repair: options.repair === true,
            signal,
            onProgress: ({ view, version, rows }) =>
              progress.update(rows, null, `${view}@${version}`),
          });
          progress.done();
          out.result(found, () => printReconciled(found));
          const left = found.some(({ differentKeys }) => differentKeys > 0);
          if (left && options.repair !== true) process.exitCode = 3;
        }),
      ),
  );
}

function printReconciled(views: readonly ReconciledView[]): string {
  const rows = views.map(
    ({ view, version, keys, events, differentKeys, differences, repaired }) => [
      `${view}@${version}`,
      formatCount(keys),
      formatCount(events),
      formatCount(differentKeys),
      ...Object.values(differences).map(formatCount),
      formatCount(repaired),
    ],
  );
  const causes = Object.keys(views[0]?.differences ?? {});
  const summary = table(['view', 'keys', 'events', 'differ', ...causes, 'repaired'], rows);
  const told = views.flatMap(({ view, told: all }) =>
    all
      .slice(0, SHOWN)
      .map(({ key, cause, event }) => [
        view,
        key,
        cause,
        event === null ? '' : event.id,
        event === null ? '' : formatInstant(event.timeUs),
        event === null
          ? ''
          : `${duration(Math.max(0, (event.arrivalUs - event.timeUs) / 1000))} later`,
      ]),
  );
  if (told.length === 0) return `${summary}\n\nThe online store holds what history holds.`;
  return `${summary}\n\n${table(['view', 'key', 'why', 'event', 'happened', 'arrived'], told)}`;
}
