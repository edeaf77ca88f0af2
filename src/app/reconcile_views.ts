/** Reconciliation of a project's views: pages against history, all of them or a sample. */
import { murmur3Words } from '../base/hash.ts';
import type { InstantUs } from '../base/time.ts';
import type { ViewProgram } from '../model/index.ts';
import type { OnlineStore } from '../online/contract.ts';
import { type Cause, type Difference, reconcile } from '../stream/reconcile.ts';
import { decodeKey, printKey } from '../types/key.ts';
import { runJob } from './jobs.ts';
import { liveViews } from './live_views.ts';
import type { App } from './open.ts';

/** Differences that are told one by one. */
const MAX_TOLD = 1_000;

export interface ReconcileViewsRequest {
  /** Names of views; null: all. */
  readonly views: readonly string[] | null;
  /** About how many keys of each view to compare; null: all. */
  readonly sample: number | null;
  readonly repair: boolean;
  readonly onProgress?: (progress: { view: string; version: number; rows: number }) => void;
  readonly signal?: AbortSignal;
}

export interface ReconciledView {
  readonly view: string;
  readonly version: number;
  readonly keys: number;
  readonly events: number;
  readonly differentKeys: number;
  readonly differences: Readonly<Record<Cause, number>>;
  readonly repaired: number;
  /** The first thousand. */
  readonly told: readonly ToldDifference[];
}

export interface ToldDifference {
  /** A printed entity key, such as `customer_id=7`. */
  readonly key: string;
  readonly cause: Cause;
  readonly event: {
    readonly id: bigint;
    readonly timeUs: InstantUs;
    readonly arrivalUs: InstantUs;
  } | null;
}

/** Compares, and if asked to repairs, one view after the other, each as a job. Throws `app/unknown-view`, `offline/…`, `online/…`. */
export async function reconcileViews(
  app: App,
  request: ReconcileViewsRequest,
): Promise<ReconciledView[]> {
  const { sample, repair, signal } = request;
  const { online, offline, history } = app;
  const results: ReconciledView[] = [];
  for (const { name, version, catalog, program } of liveViews(
    await app.registry.load(),
    request.views,
  )) {
    // What pages have after a repair is another question than what they were found to have: `prove` asks it.
    const job = { kind: repair ? 'repair' : 'reconcile', view: name, version };
    const made = await runJob({ ...app, signal }, job, async () => {
      const told: ToldDifference[] = [];
      let wrong = 0;
      let lastWrong = '';
      if (await hasNothing(app, program)) return { view: name, version, ...NOTHING, told };
      const found = await reconcile({
        online,
        offline,
        log: history,
        catalog,
        program,
        keys: sample === null ? null : await sampleOf(online, program, sample),
        repair,
        signal,
        onDifference: (difference) => {
          // Differences of a key come together.
          const key = difference.key.toBase64();
          if (isMismatch(difference) && key !== lastWrong) {
            wrong++;
            lastWrong = key;
          }
          if (told.length < MAX_TOLD) told.push(tellDifference(program, difference));
        },
        onProgress: ({ rows }) => request.onProgress?.({ view: name, version, rows }),
      });
      if (sample === null) {
        await app.registry.putComparison({
          view: name,
          version,
          by: 'reconcile',
          atUs: app.clock.nowUs(),
          compared: found.keys,
          different: repair ? 0 : wrong,
          causes: repair ? {} : nonZero(found.differences),
          notes: '',
        });
      }
      return { view: name, version, ...found, told, rows: found.events, bytes: 0 };
    });
    const { rows: _, bytes: __, ...result } = made;
    results.push(result);
  }
  return results;
}

/** Nothing was ever pushed into its source: neither pages nor history have anything. */
async function hasNothing({ online, history }: App, { id, source }: ViewProgram): Promise<boolean> {
  if (source.batch !== null || (await history.state(source.name)).partitions.size > 0) return false;
  return (await online.size(id)).keys === 0;
}

const NOTHING = {
  keys: 0,
  events: 0,
  differentKeys: 0,
  differences: { missing: 0, late: 0, extra: 0, other: 0, damaged: 0 },
  repaired: 0,
  rows: 0,
  bytes: 0,
};

/** What came later than its source allows is history's alone until somebody repairs: that is as it should be. */
export function isMismatch({ cause }: Difference): boolean {
  return cause !== 'late';
}

function nonZero(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

/** Keys whose hash is small: the same ones each time, spread evenly over whatever order the store has. */
async function sampleOf(
  online: OnlineStore,
  { id }: ViewProgram,
  count: number,
): Promise<Uint8Array[]> {
  const { keys } = await online.size(id);
  const bound = keys === 0 ? 0 : Math.min(1, count / keys) * 2 ** 32;
  const chosen: Uint8Array[] = [];
  for await (const key of online.scan(id)) if (murmur3Words(key)[0] < bound) chosen.push(key);
  return chosen;
}

/** A difference as people read it. */
export function tellDifference(
  { entity, keyDtypes }: ViewProgram,
  { key, cause, event }: Difference,
): ToldDifference {
  const names = entity.key.map(({ name }) => name);
  return { key: printKey(names, decodeKey(key, keyDtypes), keyDtypes), cause, event };
}
