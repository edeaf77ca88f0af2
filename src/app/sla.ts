/**
 * Service levels: whether views, and features with a promise of their own, are as fresh as they promise. Processes that apply events look
 * every few seconds, one at a time, and keep in the registry how things stand and every change, so that it can be told afterwards for
 * how long a promise was broken.
 */
import { SamewiseError } from '../base/errors.ts';
import { US_PER_DAY, US_PER_MINUTE } from '../base/time.ts';
import type { Registered } from '../registry/contract.ts';
import type {
  LevelChange,
  LevelOf,
  LevelState,
  ServiceLevel,
} from '../registry/health_contract.ts';
import { UNSEEN_AFTER_US } from '../serving/kept_promise.ts';
import { liveSources } from './live_sources.ts';
import { streamStatus } from './stream_status.ts';
import { type Streaming, sleep } from './streaming.ts';

const LOOK_MS = 5_000;
/** Where nothing changes it is written so often that somebody looked. */
const WRITE_US = US_PER_MINUTE;
/** How far back changes are kept. */
const KEEP_US = 90 * US_PER_DAY;
const TURN = 'look at service levels';

/** A promise of freshness. */
export interface Promised extends LevelOf {
  readonly within_ms: number;
}

/** How a promise was found to be. */
export interface Look extends LevelOf {
  readonly state: LevelState;
  readonly lag_ms: number | null;
}

/** What live views of a source promise: each view, and each feature that says so itself. */
export function promisesOf(registered: readonly Registered[], source: string): Promised[] {
  return registered.flatMap(({ name, version, state, definition }) => {
    if (definition.kind !== 'featureView' || state === 'retired') return [];
    if (definition.source !== source) return [];
    const own = { name: null, freshnessUs: definition.freshnessUs };
    return [own, ...definition.features].flatMap((of) =>
      of.freshnessUs === null
        ? []
        : [{ view: name, version, feature: of.name, within_ms: of.freshnessUs / 1000 }],
    );
  });
}

/** Whether a promise is kept when what is not in the pages has been waiting for so long. */
export function lookAt({ within_ms, ...of }: Promised, lagMs: number | null): Look {
  const state = lagMs === null ? 'unknown' : lagMs > within_ms ? 'stale' : 'fresh';
  return { view: of.view, version: of.version, feature: of.feature, state, lag_ms: lagMs };
}

/** What to keep after a look: levels that are to be written, and what changed. */
export function nextLevels(
  before: readonly ServiceLevel[],
  looks: readonly Look[],
  nowUs: number,
): { readonly levels: ServiceLevel[]; readonly changes: LevelChange[] } {
  const known = new Map(before.map((level) => [levelName(level), level]));
  const levels: ServiceLevel[] = [];
  const changes: LevelChange[] = [];
  for (const look of looks) {
    const { view, version, feature, state, lag_ms } = look;
    const of = { view, version, feature };
    const was = known.get(levelName(look));
    const unseen = was !== undefined && nowUs - was.lookedUs > UNSEEN_AFTER_US;
    if (unseen && was.state !== 'unknown')
      changes.push({ ...of, atUs: was.lookedUs, state: 'unknown', lag_ms: null });
    const stateBefore = unseen ? 'unknown' : was?.state;
    const changed = state !== stateBefore;
    if (changed) changes.push({ ...of, atUs: nowUs, state, lag_ms });
    if (!changed && !unseen && nowUs - was!.lookedUs < WRITE_US) continue;
    const sinceUs = changed
      ? nowUs
      : unseen && was!.state !== 'unknown'
        ? was!.lookedUs
        : was!.sinceUs;
    levels.push({ ...of, state, sinceUs, lag_ms, lookedUs: nowUs });
  }
  return { levels, changes };
}

/** How often, and for how long, a promise was broken between two instants. */
export function staleness(
  changes: readonly LevelChange[],
  of: LevelOf,
  fromUs: number,
  toUs: number,
): { readonly times: number; readonly stale_ms: number } {
  const own = changes.filter((change) => levelName(change) === levelName(of));
  let times = 0;
  let staleUs = 0;
  own.forEach(({ atUs, state }, i) => {
    const endUs = Math.min(own[i + 1]?.atUs ?? toUs, toUs);
    if (state !== 'stale' || endUs <= fromUs || atUs > toUs) return;
    times++;
    staleUs += endUs - Math.max(atUs, fromUs);
  });
  return { times, stale_ms: Math.round(staleUs / 1000) };
}

/** Looks until the signal aborts. What fails is told, and tried again with the next look. */
export async function watchLevels(
  app: Streaming,
  onFailure: (error: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await sleep(LOOK_MS, signal);
    if (signal.aborted) return;
    try {
      await lookAtLevels(app, LOOK_MS);
    } catch (error) {
      if (signal.aborted) return;
      onFailure(error);
    }
  }
}

/** One look, if it is this process's turn; turns are `everyMs` apart. */
export async function lookAtLevels(app: Streaming, everyMs: number): Promise<void> {
  const { registry, clock } = app;
  const nowUs = clock.nowUs();
  const turn = {
    name: TURN,
    nowUs,
    // A little less, so that whoever took the last one is not a moment too early for the next.
    nextUs: nowUs + Math.floor(everyMs * 900),
    furthestUs: nowUs + US_PER_DAY,
  };
  if (!(await registry.takeTurn(turn))) return;
  const registered = await registry.load();
  const promises = new Map(
    liveSources(registered, null)
      .map(({ name }) => [name, promisesOf(registered, name)] as const)
      .filter(([, of]) => of.length > 0),
  );
  if (promises.size === 0) return;
  const lags = await lagsOf(app, [...promises.keys()]);
  const looks = [...promises.values()]
    .flat()
    .map((promised) => lookAt(promised, lags.get(`${promised.view}@${promised.version}`) ?? null));
  const { levels, changes } = nextLevels(await registry.serviceLevels(), looks, nowUs);
  if (levels.length > 0) await registry.putServiceLevels(levels, changes, nowUs - KEEP_US);
}

/** By view and version, in milliseconds; without those of sources of which the log or a store did not tell. */
async function lagsOf(app: Streaming, sources: readonly string[]): Promise<Map<string, number>> {
  try {
    const statuses = await streamStatus(app, sources);
    return new Map(
      statuses.flatMap(({ views }) =>
        views.map(({ view, version, behind_ms }) => [`${view}@${version}`, behind_ms] as const),
      ),
    );
  } catch (error) {
    if (!(error instanceof SamewiseError)) throw error;
    // One of them fails: the others are asked by themselves.
    if (sources.length < 2) return new Map();
    const each = await Promise.all(sources.map((source) => lagsOf(app, [source])));
    return new Map(each.flatMap((lags) => [...lags]));
  }
}

function levelName({ view, version, feature }: LevelOf): string {
  return `${view}@${version}:${feature ?? ''}`;
}
