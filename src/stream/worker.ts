/**
 * The worker: reads the partitions that it is assigned, and feeds the pages of every live view and history with what they say.
 *
 * It keeps nothing that it cannot read again. Killed at any instruction, or taken for dead while it still runs, it leaves pages
 * and history right: both take each event once, and what a checkpoint promises was durable before it was written. While the
 * stores are busy with one batch the next is decoded; beyond that and what history collects, nothing is held.
 */
import type { Clock } from '../base/clock.ts';
import type { Source } from '../model/index.ts';
import type { OfflineStore } from '../offline/contract.ts';
import type { HistoryLog } from '../offline/history_contract.ts';
import type { OnlineStore } from '../online/contract.ts';
import { lesser } from './checkpoint.ts';
import type { Consumer, ConsumerEvent, EventLog, RecordPlace } from './contract.ts';
import { type Control, readControl, topicOf } from './control.ts';
import type { Decoded, DecodedColumns, Decoder } from './decode/contract.ts';
import { LookUps } from './lookups.ts';
import type { StreamObserver } from './observer.ts';
import {
  type LiveViews,
  PartitionReader,
  type PartitionSetup,
  type ReaderBatch,
} from './partition.ts';
import { readBatch } from './read_batch.ts';
import { isGone, retrying, type Waiting } from './retry.ts';

export interface WorkerLimits {
  /** Records and bytes that are decoded at once. */
  readonly batchRecords: number;
  readonly batchBytes: number;
  /** While the log has more, so many records are gathered and applied at once: a page is then written once for several of them. */
  readonly applyRecords: number;
  /**
   * After the last records of a partition, if they are fewer than these, more are let come for `gatherMs`, unless somebody waits for
   * them: a page is then written once for several of its events.
   */
  readonly gatherRecords: number;
  readonly gatherMs: number;
  /** Records of a partition that make a commit into history; twice as many hold up reading. */
  readonly commitRecords: number;
  /** How long a record may wait for its commit into history. */
  readonly commitMs: number;
  /** How often checkpoints are kept: what comes after them is read again after a kill. */
  readonly checkpointMs: number;
  /** How often live views and what people command are looked at. */
  readonly lookMs: number;
  /** How long a batch waits for what it looks up, before the views that look nothing up go on alone. */
  readonly patienceMs: number;
}

export const WORKER_LIMITS: WorkerLimits = {
  batchRecords: 8_192,
  batchBytes: 8 << 20,
  applyRecords: 32_768,
  gatherRecords: 4_096,
  gatherMs: 50,
  commitRecords: 100_000,
  commitMs: 5_000,
  checkpointMs: 1_000,
  lookMs: 1_000,
  patienceMs: 2_000,
};

export interface WorkerSetup extends Waiting {
  readonly source: Source;
  readonly log: EventLog;
  readonly decoder: Decoder;
  readonly online: OnlineStore;
  readonly history: HistoryLog;
  /** Where what pages cannot tell is looked up. */
  readonly offline: Pick<OfflineStore, 'history'>;
  /** The live views of the source, now: asked every `lookMs`. */
  readonly views: () => Promise<LiveViews>;
  readonly clock: Clock;
  /** Workers of one group share the partitions. */
  readonly group: string;
  readonly observer?: StreamObserver;
  /** What reaches the log's end goes into history at once: somebody waits for it. */
  readonly catchesUp?: boolean;
  readonly limits?: Partial<WorkerLimits>;
}

/** What is awaited: until pages, and history too if asked for, have the records at some places. */
interface Waiter {
  readonly places: readonly RecordPlace[];
  readonly history: boolean;
  resolve(): void;
  reject(error: unknown): void;
}

export class Worker {
  readonly #setup: WorkerSetup;
  readonly #limits: WorkerLimits;
  readonly #observer: StreamObserver;
  readonly #readers = new Map<string, PartitionReader>();
  readonly #lookUps: LookUps;
  readonly #stopping = new AbortController();
  #views: LiveViews = { programs: [], lookedUp: new Set(), sources: [] };
  #control: Control = { paused: false, generation: 0, rewinds: [] };
  #lookedMs = Number.NEGATIVE_INFINITY;
  #keptMs = Number.NEGATIVE_INFINITY;
  /** Batches that wait for more of what the log has. */
  #gathered: ReaderBatch[] = [];
  #gatheredRecords = 0;
  /** The batches that the stores are busy with. */
  #applying: Promise<void> = Promise.resolve();
  /** What ended the worker's background steps. */
  #failure: { readonly error: unknown } | null = null;
  #waiters: Waiter[] = [];
  /** Partitions that were read since more was let come, and until when it is. */
  readonly #round = new Set<string>();
  #gatherUntilMs = Number.NEGATIVE_INFINITY;
  /** Ends that pause. */
  #hurry: (() => void) | null = null;
  /** How often the consumer's `next` was called. */
  #calls = 0;
  #pending: Promise<ConsumerEvent | null> | null = null;

  constructor(setup: WorkerSetup) {
    this.#setup = setup;
    this.#limits = { ...WORKER_LIMITS, ...setup.limits };
    this.#observer = setup.observer ?? {};
    this.#lookUps = new LookUps(setup);
  }

  /**
   * Works until the signal aborts; then it finishes what it holds, keeps its checkpoints and leaves the group. Rejects with the
   * coded error of a store or the log that failed ten times in a row: run it again then, nothing is lost.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { source, log, group } = this.#setup;
    const { batchRecords: records, batchBytes: bytes } = this.#limits;
    const stop = () => this.#stopping.abort();
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
    const consumer = await this.#retry('join the group', () =>
      log.consume(topicOf(source), { group, limits: { records, bytes } }),
    );
    try {
      while (!signal.aborted) {
        this.#throwFailure();
        await this.#look(consumer);
        await this.#keep(consumer);
        const event = await this.#next(consumer, signal);
        if (event === null) break;
        if (event === 'nothing') await this.#applyGathered();
        else await this.#handle(consumer, event, this.#calls);
      }
      await this.#drain(consumer);
    } catch (error) {
      for (const { reject } of this.#waiters) reject(error);
      throw error;
    } finally {
      stop();
      signal.removeEventListener('abort', stop);
      await consumer.close();
    }
  }

  /**
   * Resolves when the pages of all live views, and with `history` also history, have the records at these places, which are of
   * this worker's partitions. A signal that aborts ends the waiting, without a word.
   */
  reached(
    places: readonly RecordPlace[],
    { history = false, signal }: { readonly history?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = { places, history, resolve, reject };
      this.#waiters.push(waiter);
      this.#hurry?.();
      signal?.addEventListener('abort', () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
      });
      this.#answerWaiters();
    });
  }

  /** The next event; `nothing` when it is time for something else; null when the consumer is closed. */
  async #next(consumer: Consumer, signal: AbortSignal): Promise<ConsumerEvent | null | 'nothing'> {
    const { sleep } = this.#setup;
    if (this.#control.paused) {
      await sleep(this.#limits.lookMs, signal);
      return 'nothing';
    }
    if (this.#pending === null) {
      await this.#gather(signal);
      this.#calls++;
      this.#pending = this.#retry('read the log', () => consumer.next());
      // Who waits for it is told; until then it is no failure that nobody has heard of.
      this.#pending.catch(() => {});
    }
    const waited = new AbortController();
    // A reason of its own saves the making of an error.
    const stop = () => waited.abort('over');
    signal.addEventListener('abort', stop);
    try {
      const tick = this.#tickMs();
      const first = await Promise.race([
        this.#pending,
        sleep(tick, waited.signal).then(() => 'nothing' as const),
      ]);
      if (first !== 'nothing') this.#pending = null;
      return first;
    } catch (error) {
      this.#pending = null;
      if (!isGone(error)) throw error;
      await this.#reopen(consumer);
      return 'nothing';
    } finally {
      signal.removeEventListener('abort', stop);
      stop();
    }
  }

  /** Takes note of a read; the next one may have to wait. With all partitions read once, or one of them twice, a round is over. */
  #noteRead(partition: string, records: number, lag: bigint): void {
    const { gatherMs, gatherRecords } = this.#limits;
    const again = this.#round.has(partition);
    this.#round.add(partition);
    if (records >= gatherRecords || lag > 0n) return;
    if (!again && this.#round.size < this.#readers.size) return;
    this.#round.clear();
    this.#gatherUntilMs = this.#setup.clock.monotonicMs() + gatherMs;
  }

  /** Lets more come after a small batch, until somebody waits for what is there. */
  async #gather(signal: AbortSignal): Promise<void> {
    const leftMs = this.#gatherUntilMs - this.#setup.clock.monotonicMs();
    if (leftMs <= 0 || signal.aborted) return;
    const over = new AbortController();
    const stop = () => over.abort('over');
    signal.addEventListener('abort', stop);
    this.#hurry = stop;
    if (this.#waiters.length > 0) stop();
    await this.#setup.sleep(leftMs, over.signal);
    this.#hurry = null;
    signal.removeEventListener('abort', stop);
  }

  /** Until something has to be done that no record calls for. */
  #tickMs(): number {
    const { lookMs, checkpointMs, commitMs, gatherMs } = this.#limits;
    // The log has more, and does not bring it.
    const gatheredMs = this.#gathered.length === 0 ? lookMs : gatherMs;
    return Math.max(1, Math.min(lookMs, checkpointMs, commitMs, gatheredMs));
  }

  async #handle(consumer: Consumer, event: ConsumerEvent, call: number): Promise<void> {
    const { source, decoder } = this.#setup;
    const { partition } = event;
    const place = { source: source.name, partition };
    if (event.type === 'revoked') {
      this.#readers.delete(partition);
      this.#observer.revoked?.(place);
      return;
    }
    if (event.type === 'assigned') {
      this.#observer.assigned?.(place);
      return this.#open(consumer, partition);
    }
    const reader = this.#readers.get(partition);
    if (reader === undefined) return;
    // What was on its way when the reader was sent elsewhere is not what it asked for.
    if (call <= reader.staleCall) return this.#seek(consumer, reader);
    if (reader.overtaken) return this.#restart(consumer, reader);
    const { at } = reader;
    const records =
      at === null || event.records[0]!.position > at.position
        ? event.records
        : event.records.filter(({ position }) => position > at.position);
    if (records.length === 0) return;
    reader.see(event.next);
    const decoded = await this.#retry(
      'decode',
      (): Promise<DecodedColumns | Decoded[]> =>
        decoder.columns?.(records) ?? decoder.decode(records),
    );
    const batch = readBatch(source, partition, at, records, decoded);
    reader.at = batch.to;
    const lag = event.next - batch.to.position - 1n;
    reader.behind = lag > 0n;
    this.#noteRead(partition, records.length, lag);
    this.#observer.read?.({
      ...place,
      records: records.length,
      rows: batch.rows.length,
      late: batch.late?.reduce((sum, one) => sum + one, 0) ?? 0,
      dead: batch.deadLetters.length,
      lag,
    });
    this.#gathered.push({ reader, batch });
    this.#gatheredRecords += records.length;
    const waited = this.#waiters.length > 0;
    if (lag > 0n && !waited && this.#gatheredRecords < this.#limits.applyRecords) return;
    await this.#applyGathered();
  }

  /** Gives the stores what was gathered, when they are done with what they had before. */
  async #applyGathered(): Promise<void> {
    const parts = this.#gathered;
    this.#gathered = [];
    this.#gatheredRecords = 0;
    await this.#applying;
    if (parts.length === 0) return;
    this.#applying = this.#inBackground(async () => {
      await PartitionReader.apply(parts);
      this.#answerWaiters();
      for (const reader of new Set(parts.map((part) => part.reader))) {
        const { buffered } = reader;
        const ends = this.#setup.catchesUp === true && !reader.behind;
        if (!ends && buffered < this.#limits.commitRecords) continue;
        const committing = this.#commit(reader, ends);
        if (buffered >= 2 * this.#limits.commitRecords) await committing;
      }
    });
  }

  /** Until the stores have all that was read. */
  async #settled(): Promise<void> {
    await this.#applyGathered();
    await this.#applying;
  }

  /** `ends`: somebody looks for its checkpoints, and does not wait for the next time to keep them. */
  #commit(reader: PartitionReader, ends: boolean): Promise<void> {
    return this.#inBackground(async () => {
      await reader.commit();
      if (ends) await reader.keepCheckpoints();
      this.#answerWaiters();
    });
  }

  /** Takes over a partition: reads how far its sinks are, and where to begin. */
  async #open(consumer: Consumer, partition: string): Promise<void> {
    await this.#settled();
    const reader = await PartitionReader.open(
      this.#partitionSetup(),
      partition,
      this.#views,
      this.#control,
    );
    this.#readers.set(partition, reader);
    await this.#seek(consumer, reader);
  }

  async #reopen(consumer: Consumer): Promise<void> {
    for (const partition of this.#readers.keys()) await this.#open(consumer, partition);
  }

  async #restart(consumer: Consumer, reader: PartitionReader): Promise<void> {
    await this.#settled();
    reader.beginAnew();
    await this.#seek(consumer, reader);
  }

  async #seek(consumer: Consumer, reader: PartitionReader): Promise<void> {
    const { log, source } = this.#setup;
    const topic = topicOf(source);
    const ends = await this.#retry('ask for the log’s ends', () => log.ends(topic));
    const first = ends.get(reader.partition)?.first ?? 0n;
    reader.skipTo(first);
    const next = reader.at === null ? first : reader.at.position + 1n;
    reader.staleCall = this.#pending === null ? 0 : this.#calls;
    consumer.seek(reader.partition, next > first ? next : first);
  }

  /** Looks for commands and for views that have come or gone. */
  async #look(consumer: Consumer): Promise<void> {
    const { clock, online, source, views } = this.#setup;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#lookedMs < this.#limits.lookMs) return;
    this.#lookedMs = nowMs;
    this.#control = await this.#retry('read commands', () => readControl(online, source.name));
    this.#views = await this.#retry('read the views', views);
    for (const reader of this.#readers.values()) {
      await this.#settled();
      if ((await reader.follow(this.#views, this.#control)) || reader.overtaken)
        await this.#restart(consumer, reader);
    }
    this.#answerWaiters();
  }

  /** Commits what has waited long enough, and keeps checkpoints when it is time. */
  async #keep(consumer: Consumer): Promise<void> {
    const nowMs = this.#setup.clock.monotonicMs();
    for (const reader of this.#readers.values()) {
      const since = reader.bufferedSinceMs;
      if (since !== null && nowMs - since >= this.#limits.commitMs)
        void this.#commit(reader, false);
    }
    if (nowMs - this.#keptMs < this.#limits.checkpointMs) return;
    this.#keptMs = nowMs;
    for (const reader of this.#readers.values()) await this.#keepCheckpoints(consumer, reader);
  }

  async #keepCheckpoints(consumer: Consumer, reader: PartitionReader): Promise<void> {
    await reader.keepCheckpoints();
    const done = lesser(reader.applied, reader.committed);
    if (done !== null) await consumer.commit(reader.partition, done.position + 1n).catch(() => {});
  }

  async #drain(consumer: Consumer): Promise<void> {
    await this.#settled();
    for (const reader of this.#readers.values()) {
      await reader.commit();
      await this.#keepCheckpoints(consumer, reader);
    }
    this.#answerWaiters();
    this.#throwFailure();
  }

  #answerWaiters(): void {
    if (this.#waiters.length === 0) return;
    const isThere = ({ places, history }: Waiter) =>
      places.every(({ partition, position }) => {
        const reader = this.#readers.get(partition);
        if (reader === undefined) return false;
        const has = (at: { position: bigint } | null) => at !== null && at.position >= position;
        return has(reader.applied) && (!history || has(reader.committed));
      });
    const there = this.#waiters.filter(isThere);
    if (there.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => !there.includes(waiter));
    for (const { resolve } of there) resolve();
  }

  #partitionSetup(): PartitionSetup {
    const { source, online, history, clock, sleep } = this.#setup;
    return {
      source,
      online,
      history,
      observer: this.#observer,
      clock,
      sleep,
      lookUps: this.#lookUps,
      patienceMs: this.#limits.patienceMs,
      stopping: this.#stopping.signal,
      retry: this.#retry,
    };
  }

  #retry = <T>(what: string, body: () => T | Promise<T>): Promise<T> => {
    const source = this.#setup.source.name;
    return retrying(this.#setup, body, (error, attempt) =>
      this.#observer.retried?.({ source, what, attempt, error }),
    );
  };

  /** Runs a step whose failure ends the worker, without anybody waiting for it. */
  async #inBackground(body: () => Promise<void>): Promise<void> {
    try {
      await body();
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}
