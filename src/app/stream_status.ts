/**
 * How far the streams are: read from what workers, materialisation and history keep, so that any process can tell, also when no
 * worker runs.
 */
import type { InstantUs } from '../base/time.ts';
import type { ViewProgram } from '../model/index.ts';
import type { Checkpoint } from '../offline/history_contract.ts';
import { readCheckpoint } from '../stream/checkpoint.ts';
import { type Control, readControl, topicOf } from '../stream/control.ts';
import { LookUps } from '../stream/lookups.ts';
import { liveSources, viewsOfSource } from './live_sources.ts';
import type { LiveView } from './live_views.ts';
import type { Streaming } from './streaming.ts';

export interface SourceStatus {
  readonly source: string;
  readonly topic: string;
  readonly paused: boolean;
  readonly partitions: readonly PartitionStatus[];
  readonly views: readonly ViewStatus[];
}

export interface PartitionStatus {
  readonly partition: string;
  /** First position that the log keeps, and the one after its last. */
  readonly first: bigint;
  readonly next: bigint;
  /** How far history is; null: it has nothing. */
  readonly history: {
    readonly position: bigint;
    readonly rows: number;
    readonly late: number;
    readonly deadLetters: number;
  } | null;
  /** Positions that history has not taken. */
  readonly historyLag: bigint;
}

/** Whether a view is as fresh as it promises. */
export type Freshness = 'fresh' | 'stale' | 'no promise';

export interface ViewStatus {
  readonly view: string;
  readonly version: number;
  /** Positions of all partitions that its pages have not absorbed. */
  readonly lag: bigint;
  /** When the newest event in its pages happened, and when the last one arrived; null before any. */
  readonly newestEventUs: InstantUs | null;
  readonly arrivedUs: InstantUs | null;
  /** For how long what is not in its pages may have been waiting; 0 when nothing is. */
  readonly behind_ms: number;
  /** What the view promises; null: nothing. */
  readonly freshness_ms: number | null;
  readonly state: Freshness;
  /** The views that it looks up and that lack what it has to see before it goes on. */
  readonly waitsFor: readonly WaitsFor[];
}

/** `behind`: the view will have it once its own source's events are applied. `unbuilt`: it has to be materialised. */
export interface WaitsFor {
  readonly view: string;
  readonly source: string;
  readonly why: 'behind' | 'unbuilt';
}

/** The status of sources, by name; null: of all. Throws `app/unknown-source`, and what the log and the stores throw. */
export async function streamStatus(
  app: Streaming,
  names: readonly string[] | null,
): Promise<SourceStatus[]> {
  const registered = await app.registry.load();
  const statuses: SourceStatus[] = [];
  for (const source of liveSources(registered, names)) {
    const topic = topicOf(source);
    const [control, ends, state] = await Promise.all([
      readControl(app.online, source.name),
      app.log.ends(topic),
      app.history.state(source.name),
    ]);
    const partitions = [...ends].map(([partition, { first, next }]): PartitionStatus => {
      const history = state.partitions.get(partition) ?? null;
      return {
        partition,
        first,
        next,
        history: history && {
          position: history.position,
          rows: history.rows,
          late: history.late,
          deadLetters: history.deadLetters,
        },
        historyLag: lagOf(history, first, next),
      };
    });
    const views: ViewStatus[] = [];
    for (const view of viewsOfSource(registered, source.name))
      views.push(await viewStatus(app, view, partitions, control));
    statuses.push({ source: source.name, topic, paused: control.paused, partitions, views });
  }
  return statuses;
}

/** Whether history and all pages have everything that the log has, save what waits for a materialisation. */
export function isCaughtUp({ partitions, views }: SourceStatus): boolean {
  return (
    partitions.every(({ historyLag }) => historyLag === 0n) &&
    views.every(({ lag, waitsFor }) => lag === 0n || waitsFor.some(({ why }) => why === 'unbuilt'))
  );
}

async function viewStatus(
  app: Streaming,
  { name, version, program }: LiveView,
  partitions: readonly PartitionStatus[],
  control: Control,
): Promise<ViewStatus> {
  const { online, clock } = app;
  let lag = 0n;
  let newestEventUs: InstantUs | null = null;
  let arrivedUs: InstantUs | null = null;
  let waitingSinceUs = Number.POSITIVE_INFINITY;
  for (const { partition, first, next } of partitions) {
    const place = { source: program.source.name, partition, viewId: program.id };
    const at = (await readCheckpoint(online, place, control))?.at ?? null;
    const behind = lagOf(at, first, next);
    lag += behind;
    if (behind > 0n) waitingSinceUs = Math.min(waitingSinceUs, at?.arrivalUs ?? 0);
    if (at === null) continue;
    arrivedUs = Math.max(arrivedUs ?? at.arrivalUs, at.arrivalUs);
    if (at.newestUs !== null) newestEventUs = Math.max(newestEventUs ?? at.newestUs, at.newestUs);
  }
  const behindMs = lag === 0n ? 0 : Math.max(0, (clock.nowUs() - waitingSinceUs) / 1000);
  const promisedUs = program.view.freshnessUs;
  return {
    view: name,
    version,
    lag,
    newestEventUs,
    arrivedUs,
    behind_ms: Math.round(behindMs),
    freshness_ms: promisedUs === null ? null : promisedUs / 1000,
    state: promisedUs === null ? 'no promise' : behindMs * 1000 > promisedUs ? 'stale' : 'fresh',
    waitsFor: lag === 0n ? [] : await waitsFor(app, program),
  };
}

async function waitsFor(app: Streaming, { lookups }: ViewProgram): Promise<WaitsFor[]> {
  const lookUps = new LookUps(app);
  const found: WaitsFor[] = [];
  for (const program of new Set(lookups.map((lookup) => lookup.program))) {
    const why = await lookUps.readinessOf(program);
    if (why !== 'ready') found.push({ view: program.view.name, source: program.source.name, why });
  }
  return found;
}

function lagOf(at: Checkpoint | null, first: bigint, next: bigint): bigint {
  const from = at === null || at.position + 1n < first ? first : at.position + 1n;
  return next > from ? next - from : 0n;
}
