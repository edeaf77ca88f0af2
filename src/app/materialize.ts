/**
 * Materialisation: history into the online store, view by view. Everything here may be killed at any moment and run again:
 * pages are replaced by compare-and-set, and shards that are done are remembered until the run is.
 */
import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';
import type { ViewProgram } from '../model/index.ts';
import type { OfflineStore } from '../offline/contract.ts';
import type { HistoryLog } from '../offline/history_contract.ts';
import type { OnlineStore } from '../online/contract.ts';
import type { Registry } from '../registry/contract.ts';
import { handOver, lacksHistory, readHandOver } from '../stream/checkpoint.ts';
import { addCounts, buildKeys, type Counts, noCounts, settleKeys } from '../stream/page_builder.ts';
import { encodeKey } from '../types/key.ts';
import { coerce } from '../types/scalar.ts';
import type { Config } from './config.ts';
import { markOrphans, runJob } from './jobs.ts';
import { lookedUpViews } from './live_sources.ts';
import { type LiveView, liveViews } from './live_views.ts';
import {
  type Estimate,
  keepRun,
  readWatermark,
  sameEstimate,
  takeUpRun,
  writeWatermark,
} from './materialize_state.ts';
import { type ShardWorker, startWorkers } from './materialize_workers.ts';
import { dropRetired, retiredViews } from './retired_views.ts';
import { removeVanished } from './vanished.ts';

/** Source rows that one shard holds about; a shard is what is done again after a kill. */
const ROWS_A_SHARD = 3_000_000;
const MAX_SHARDS = 256;
/** What a row of a text file takes about; it only decides in how many shards it is read. */
const TEXT_BYTES_A_ROW = 64;

export interface MaterializeRequest {
  /** Names of views; null: all. Older versions that a service names come along. */
  readonly views?: readonly string[] | null;
  /** Only these entities, each by its key columns; null: all. */
  readonly entities?: readonly Readonly<Record<string, unknown>>[] | null;
  /** All of history; otherwise only keys with events since the last run, where there was one. */
  readonly full?: boolean;
  /** Threads that read history; by default two, or one on a machine with one core. */
  readonly workers?: number;
  readonly rowsPerShard?: number;
  readonly onProgress?: (progress: MaterializeProgress) => void;
  readonly signal?: AbortSignal;
}

export interface MaterializeProgress {
  readonly view: string;
  readonly version: number;
  /** Events in pages so far. */
  readonly rows: number;
  /** Events in all, where that is known. */
  readonly totalRows: number | null;
  readonly keys: number;
}

export interface MaterializedView extends Omit<Counts, 'newestUs'> {
  readonly view: string;
  readonly version: number;
  readonly job: string;
  /** `current`: nothing new was there. `dropped`: the version is retired, its pages were removed. */
  readonly mode: 'full' | 'incremental' | 'entities' | 'current' | 'dropped';
  /** Events up to this arrival are in; null: none are. */
  readonly newestUs: InstantUs | null;
  readonly ms: number;
}

/** What materialisation works with: an app, or a test's own stores (without `config` it stays in one thread). */
export interface Materializing {
  readonly registry: Registry;
  readonly online: OnlineStore;
  readonly offline: OfflineStore;
  /** Of streams. */
  readonly history: Pick<HistoryLog, 'state'>;
  readonly clock: Clock;
  readonly config?: Config;
}

/**
 * Brings every live version of the views up to date, one after the other, each as a job. Then, unless only some entities are
 * asked for, the pages of retired versions go, each as a job of kind `drop`; they come last in what is returned.
 * Throws `app/unknown-view`, `app/nothing-registered`, `app/bad-entity`, `offline/…`, `online/…`.
 */
export async function materialize(
  app: Materializing,
  request: MaterializeRequest = {},
): Promise<MaterializedView[]> {
  await markOrphans(app);
  const names = request.views ?? null;
  const retired = request.entities ? [] : await retiredViews(app, names);
  const registered = await app.registry.load();
  const results: MaterializedView[] = [];
  // Where the last view was removed there is nothing to build, but something to drop.
  const anyLive = registered.some(({ kind }) => kind === 'featureView');
  const views = anyLive || retired.length === 0 ? liveViews(registered, names) : [];
  const lookedUp = lookedUpViews(registered);
  for (const view of views) {
    const { name, version } = view;
    // Of some entities alone: whoever asks what pages have must know.
    const job = { kind: request.entities ? 'entities' : 'materialize', view: name, version };
    results.push(
      await runJob({ ...app, signal: request.signal }, job, async (id) => {
        const startedMs = app.clock.monotonicMs();
        const { mode, counts } = await materializeView(app, view, request, lookedUp);
        const ms = app.clock.monotonicMs() - startedMs;
        return { view: name, version, job: id, mode, ...counts, ms };
      }),
    );
  }
  for (const view of retired) {
    const { name, version } = view;
    const job = { kind: 'drop', view: name, version };
    results.push(
      await runJob({ ...app, signal: request.signal }, job, async (id) => {
        const startedMs = app.clock.monotonicMs();
        const removed = await dropRetired(app, view);
        const ms = app.clock.monotonicMs() - startedMs;
        return { view: name, version, job: id, mode: 'dropped', ...noCounts(), removed, ms };
      }),
    );
  }
  return results;
}

interface Done {
  readonly mode: MaterializedView['mode'];
  readonly counts: Counts;
}

async function materializeView(
  app: Materializing,
  view: LiveView,
  request: MaterializeRequest,
  lookedUp: ReadonlySet<string>,
): Promise<Done> {
  const { online, offline, history: log } = app;
  const { program, catalog, name } = view;
  const { signal } = request;
  const history = { catalog, view: name, shard: null, changedSinceUs: null, keys: null, signal };
  const build = { online, offline, log, program, history, turn: () => setImmediate() };
  if (request.entities) {
    const keys = request.entities.map((entity, i) => keyOf(view, entity, i));
    const onCounts = (counts: Counts) => report(request, view, counts, null);
    return { mode: 'entities', counts: await settleKeys({ ...build, onCounts }, keys) };
  }
  const before = await readWatermark(online, program.id);
  // The estimate first: what comes in after it makes the next run look again.
  const source = await offline.estimate(catalog, program.source.name);
  const place = { source: program.source.name, viewId: program.id };
  const state = await log.state(program.source.name);
  // Nothing was ever pushed into a source that has no files.
  if (source.rows === 0 && source.bytes === 0) {
    // Who looks the view up waits until its files are in: so they are.
    if (lookedUp.has(program.id) && (await readHandOver(online, place.source, program.id)) === null)
      await handOver(online, { ...place, first: true }, state);
    return { mode: 'current', counts: noCounts() };
  }
  // Who looks the view up waits for what it lacks.
  const lacks = lookedUp.has(program.id) && (await lacksHistory(online, place, state));
  const sinceUs =
    request.full || lacks || before === null || before.newestUs === null
      ? null
      : before.newestUs - program.source.latenessUs;
  if (sinceUs !== null && source.rows !== null && sameEstimate(before!.source, source))
    return { mode: 'current', counts: { ...noCounts(), newestUs: before!.newestUs } };

  let counts = await runShards(app, view, request, sinceUs, source);
  if (sinceUs === null && (await online.size(program.id)).keys > counts.keys)
    counts = addCounts(counts, await removeVanished(build));
  if (sinceUs !== null) counts = addCounts(counts, { ...noCounts(), newestUs: before!.newestUs });
  const atUs = app.clock.nowUs();
  await writeWatermark(online, program.id, { newestUs: counts.newestUs, source, atUs });
  await keepRun(online, program.id, null);
  // A run that looks at some keys alone does not know that the others have all of it.
  if (sinceUs === null) {
    await handOver(online, { ...place, first: before === null }, state);
  }
  return { mode: sinceUs === null ? 'full' : 'incremental', counts };
}

/** Builds all shards, those of an earlier run of the same input excepted; several at once in threads of their own. */
async function runShards(
  app: Materializing,
  view: LiveView,
  request: MaterializeRequest,
  sinceUs: InstantUs | null,
  source: Estimate,
): Promise<Counts> {
  const { online, offline, config } = app;
  const { program, catalog, name } = view;
  const count = shardCount(program, source, request);
  const run = await takeUpRun(online, program.id, { sinceUs, source }, count);
  const empty = (await online.size(program.id)).keys === 0;
  const running = new Map<number, Counts>();
  const show = () => {
    const sum = [...run.shards, ...running.values()].reduce<Counts>(
      (all, counts) => (counts === null ? all : addCounts(all, counts)),
      noCounts(),
    );
    report(request, view, sum, sinceUs === null ? source.rows : null);
  };
  const doShard = async (
    shard: number,
    build: (onCounts: (counts: Counts) => void) => Promise<Counts>,
  ) => {
    const counts = await build((soFar) => {
      running.set(shard, { ...soFar });
      show();
    });
    running.delete(shard);
    run.shards[shard] = counts;
    await keepRun(online, program.id, run);
    show();
  };
  const todo = run.shards.flatMap((done, shard) => (done === null ? [shard] : []));
  const history = (shard: number) => ({
    catalog,
    view: name,
    shard: count === 1 ? null : { index: shard, count },
    changedSinceUs: sinceUs,
    keys: null,
  });
  const threads = Math.min(todo.length, request.workers ?? Math.min(2, availableParallelism()));
  if (config === undefined || threads < 2) {
    for (const shard of todo) {
      await doShard(shard, (onCounts) =>
        buildKeys({
          online,
          offline,
          log: app.history,
          turn: () => setImmediate(),
          program,
          history: { ...history(shard), signal: request.signal },
          empty,
          onCounts,
        }),
      );
    }
  } else {
    await inThreads(startWorkers(config, threads), request.signal, async (worker, signal) => {
      for (let shard = todo.shift(); shard !== undefined; shard = todo.shift()) {
        const at = shard;
        await doShard(at, (onCounts) =>
          worker.build({ history: history(at), empty }, onCounts, signal),
        );
      }
    });
  }
  return run.shards.reduce<Counts>((sum, counts) => addCounts(sum, counts!), noCounts());
}

/** Runs `body` on every worker and closes them; when one fails, the others stop before the failure is thrown. */
async function inThreads(
  workers: readonly ShardWorker[],
  signal: AbortSignal | undefined,
  body: (worker: ShardWorker, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const ended = await Promise.allSettled(
    workers.map((worker) =>
      body(worker, both).catch((error) => {
        stop.abort(error);
        throw error;
      }),
    ),
  );
  await Promise.all(workers.map((worker) => worker.close()));
  const failed = ended.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function shardCount(
  { view, lookups }: ViewProgram,
  { rows, bytes }: Estimate,
  request: MaterializeRequest,
): number {
  // Which shard such a row is of, it tells when it has been looked up: each shard would look all of them up.
  if (lookups.some(({ name }) => view.keys.includes(name))) return 1;
  const perShard = request.rowsPerShard ?? ROWS_A_SHARD;
  const about = rows ?? (bytes ?? 0) / TEXT_BYTES_A_ROW;
  return Math.min(MAX_SHARDS, Math.max(1, Math.ceil(about / perShard)));
}

function report(
  request: MaterializeRequest,
  { name, version }: LiveView,
  { rows, keys }: Counts,
  totalRows: number | null,
): void {
  request.onProgress?.({ view: name, version, rows, keys, totalRows });
}

function keyOf(
  { program, name }: LiveView,
  given: Readonly<Record<string, unknown>>,
  row: number,
): Uint8Array {
  const { entity, keyDtypes } = program;
  const names = entity.key.map((field) => field.name);
  const extra = Object.keys(given).find((column) => !names.includes(column));
  const missing = names.find((column) => given[column] === undefined || given[column] === null);
  if (extra !== undefined || missing !== undefined) {
    throw new SamewiseError(
      'app/bad-entity',
      missing === undefined
        ? `${extra} is no part of the key of ${entity.name}`
        : `the key of ${entity.name} lacks ${missing}`,
      {
        where: { view: name, entity: entity.name, row },
        hint: `give ${names.join(', ')}, and only views of this entity`,
      },
    );
  }
  return encodeKey(
    names.map((column, i) => coerce(given[column], keyDtypes[i]!, { row, column })),
    keyDtypes,
  );
}
