/** What the registry keeps of how views are served, beside how far they are now. */
import { type InstantUs, US_PER_DAY } from '../base/time.ts';
import type { Registered } from '../registry/contract.ts';
import type { ComparedBy, LevelState } from '../registry/health_contract.ts';
import { mismatchRatio } from './mismatches.ts';
import { lookAt, promisesOf, staleness } from './sla.ts';
import { type SourceStatus, streamStatus, type ViewStatus } from './stream_status.ts';
import type { Streaming } from './streaming.ts';

/** How often and how long promises were broken is told of so long back. */
export const LOOK_BACK_US = 7 * US_PER_DAY;

export interface SourceHealth extends Omit<SourceStatus, 'views'> {
  readonly views: readonly ViewHealth[];
}

export interface ViewHealth extends ViewStatus {
  readonly mismatches: readonly MismatchRate[];
  /** Of the view and of its features. */
  readonly promises: readonly PromiseHealth[];
}

/** How much of what was compared with history differs from it. */
export interface MismatchRate {
  readonly by: ComparedBy;
  readonly ratio: number;
  readonly compared: number;
  readonly different: number;
  readonly causes: Readonly<Record<string, number>>;
  readonly atUs: InstantUs;
}

/** A promise of freshness, and how it is kept. */
export interface PromiseHealth {
  /** Null: the view's own. */
  readonly feature: string | null;
  readonly within_ms: number;
  readonly state: LevelState;
  /** Since when; null: it has changed since it was last looked at, or was never looked at. */
  readonly sinceUs: InstantUs | null;
  readonly lookedUs: InstantUs | null;
  /** Of the last seven days: how often it was broken, and for how long. */
  readonly times_stale_7d: number;
  readonly stale_ms_7d: number;
}

/** The status of sources with the health of their views; as `streamStatus`. */
export async function sourceHealth(
  app: Streaming,
  names: readonly string[] | null,
): Promise<SourceHealth[]> {
  const sources = await streamStatus(app, names);
  const registered = await app.registry.load();
  const comparisons = await app.registry.comparisons();
  const health = await promiseHealth(app, registered, sources);
  return sources.map((source) => ({
    ...source,
    views: source.views.map((view) => ({
      ...view,
      mismatches: comparisons
        .filter((one) => one.view === view.view && one.version === view.version)
        .map((one) => ({
          by: one.by,
          ratio: mismatchRatio(one),
          compared: one.compared,
          different: one.different,
          causes: one.causes,
          atUs: one.atUs,
        })),
      promises: health(source.source, view),
    })),
  }));
}

async function promiseHealth(
  { registry, clock }: Pick<Streaming, 'registry' | 'clock'>,
  registered: readonly Registered[],
  sources: readonly SourceStatus[],
): Promise<(source: string, view: ViewStatus) => PromiseHealth[]> {
  const promises = new Map(
    sources.map(({ source }) => [source, promisesOf(registered, source)] as const),
  );
  if ([...promises.values()].every((of) => of.length === 0)) return () => [];
  const [levels, changes] = await Promise.all([
    registry.serviceLevels(),
    registry.levelChanges(null),
  ]);
  const nowUs = clock.nowUs();
  return (source, status) =>
    promises
      .get(source)!
      .filter(({ view, version }) => view === status.view && version === status.version)
      .map((promised) => {
        const { view, version, feature, within_ms } = promised;
        const kept = levels.find(
          (one) => one.view === view && one.version === version && one.feature === feature,
        );
        const { state } = lookAt(promised, status.behind_ms);
        const { times, stale_ms } = staleness(changes, promised, nowUs - LOOK_BACK_US, nowUs);
        return {
          feature,
          within_ms,
          state,
          sinceUs: kept?.state === state ? kept.sinceUs : null,
          lookedUs: kept?.lookedUs ?? null,
          times_stale_7d: times,
          stale_ms_7d: stale_ms,
        };
      });
}
