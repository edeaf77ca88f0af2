/** A partition that a worker reads: how far it has read, and how far each sink is. */
import type { Clock } from '../base/clock.ts';
import type { Source, ViewProgram } from '../model/index.ts';
import type { Checkpoint, HistoryLog } from '../offline/history_contract.ts';
import type { OnlineStore } from '../online/contract.ts';
import { applyRows } from './apply_rows.ts';
import {
  addMark,
  type HandOver,
  lesser,
  readCheckpoint,
  readHandOver,
  setBack,
  writeCheckpoint,
} from './checkpoint.ts';
import type { Control } from './control.ts';
import { continues, firstAfter, HistoryBuffer } from './history_buffer.ts';
import type { StreamObserver } from './observer.ts';
import type { ReadBatch } from './read_batch.ts';

/** What a partition works with. */
export interface PartitionSetup {
  readonly source: Source;
  readonly online: OnlineStore;
  readonly history: HistoryLog;
  readonly observer: StreamObserver;
  readonly clock: Clock;
  /** Runs what may fail, again and again for a while. */
  readonly retry: <T>(what: string, body: () => T | Promise<T>) => Promise<T>;
}

/** The pages of one view. */
interface PageSink {
  readonly program: ViewProgram;
  /** All up to here is in the pages. */
  at: Checkpoint | null;
  /** The number of the last hand-over that it has followed. */
  handed: number;
}

export class PartitionReader {
  readonly partition: string;
  /** After the last record that was read. */
  at: Checkpoint | null = null;
  /** Another worker was faster with history: reading has to begin anew, behind the least of the sinks. */
  overtaken = false;
  /** Calls of the consumer's `next` up to this number may bring what lay before a seek. */
  staleCall = 0;
  /** When the oldest record in the history buffer was put there, by the monotonic clock. */
  bufferedSinceMs: number | null = null;
  readonly #setup: PartitionSetup;
  readonly #views = new Map<string, PageSink>();
  #buffer: HistoryBuffer;
  /** The number of the last rewind that the views have followed. */
  #generation: number;
  #committing: Promise<void> = Promise.resolve();

  private constructor(
    setup: PartitionSetup,
    partition: string,
    durable: Checkpoint | null,
    generation: number,
  ) {
    this.#setup = setup;
    this.partition = partition;
    this.#buffer = new HistoryBuffer(setup.source, partition, durable);
    this.#generation = generation;
  }

  /** Reads how far each sink is. Reading begins behind the least of them: `at`. */
  static async open(
    setup: PartitionSetup,
    partition: string,
    views: readonly ViewProgram[],
    control: Control,
  ): Promise<PartitionReader> {
    const durable = await historyOf(setup, partition);
    const reader = new PartitionReader(setup, partition, durable, control.generation);
    await reader.follow(views, control);
    reader.beginAnew();
    return reader;
  }

  /** Reading goes on behind the least of the sinks. */
  beginAnew(): void {
    this.at = this.#least();
    this.overtaken = false;
  }

  /** Takes up new views, lets go of those that live no more, and follows rewinds. True: reading has to begin anew. */
  async follow(views: readonly ViewProgram[], control: Control): Promise<boolean> {
    for (const id of this.#views.keys())
      if (!views.some((view) => view.id === id)) this.#views.delete(id);
    for (const [id, sink] of this.#views) {
      const handOver = await this.#handOverOf(id);
      const seen = { rewind: this.#generation, handed: sink.handed };
      sink.at = setBack(sink.at, seen, this.partition, control, handOver);
      sink.handed = handOver?.number ?? 0;
    }
    for (const program of views) {
      if (this.#views.has(program.id)) continue;
      const handed = (await this.#handOverOf(program.id))?.number ?? 0;
      const found = await this.#setup.retry('read a checkpoint', () =>
        readCheckpoint(this.#setup.online, this.#place(program.id), control),
      );
      // A view of which nothing is said has of history what its materialisation will bring, and of the stream what comes after.
      const at = found === null ? this.#buffer.durable : found.at;
      this.#views.set(program.id, { program, at, handed });
    }
    this.#generation = control.generation;
    // Said at once: once history has more, nobody could tell any more where the view began.
    await this.keepCheckpoints();
    const least = this.#least();
    return this.at !== null && (least === null || least.position < this.at.position);
  }

  #least(): Checkpoint | null {
    let least = this.#buffer.reached;
    for (const { at } of this.#views.values()) least = lesser(least, at);
    return least;
  }

  #handOverOf(viewId: string): Promise<HandOver | null> {
    const { online, retry, source } = this.#setup;
    return retry('read a hand-over', () => readHandOver(online, source.name, viewId));
  }

  #place(viewId: string) {
    return { source: this.#setup.source.name, partition: this.partition, viewId };
  }

  /** How far all pages are. */
  get applied(): Checkpoint | null {
    let least = this.at;
    for (const { at } of this.#views.values()) least = lesser(least, at);
    return least;
  }

  /** How far history is. */
  get committed(): Checkpoint | null {
    return this.#buffer.durable;
  }

  /** Records that wait for their commit into history. */
  get buffered(): number {
    return this.#buffer.records;
  }

  /** Gives each sink what lies behind it; the pages have their part when it resolves, history's is buffered. */
  async apply(batch: ReadBatch): Promise<void> {
    const { online, observer, clock, retry, source } = this.#setup;
    const place = { source: source.name, partition: this.partition };
    for (const sink of this.#views.values()) {
      if (!continues(batch, sink.at)) continue;
      const { program } = sink;
      const first = firstAfter(batch.positions, sink.at);
      if (first < batch.positions.length) {
        const made = await retry(`write pages of ${program.view.name}`, () =>
          applyRows(online, program, batch, first),
        );
        for (const failed of made.failed)
          observer.failed?.({ ...place, view: program.view.name, ...failed });
        const { newestUs, arrivalUs } = batch.to;
        const { rows, keys, keyless } = made;
        const view = { view: program.view.name, viewId: program.id, rows, keys, keyless };
        observer.applied?.({ ...place, ...view, newestUs, arrivalUs, appliedUs: clock.nowUs() });
      }
      sink.at = batch.to;
    }
    this.#buffer.add(batch);
    if (this.#buffer.records > 0) this.bufferedSinceMs ??= clock.monotonicMs();
  }

  /**
   * Keeps how far the pages are; what it says is durable already. Also where nothing is new: a worker that is none any more may
   * have said less since.
   */
  async keepCheckpoints(): Promise<void> {
    const { online, retry } = this.#setup;
    for (const sink of this.#views.values()) {
      const { at, program, handed } = sink;
      const seen = { rewind: this.#generation, handed };
      await retry('keep a checkpoint', () =>
        writeCheckpoint(online, this.#place(program.id), at, seen),
      );
    }
  }

  /**
   * Commits what is buffered, after the commit before. If another worker was faster, the buffer is given up and `overtaken`
   * says so; what the other has committed is then passed by.
   */
  commit(): Promise<void> {
    const done = this.#committing.then(() => this.#commit());
    this.#committing = done.then(
      () => {},
      () => {},
    );
    return done;
  }

  async #commit(): Promise<void> {
    const { history, observer, clock, retry, source, online } = this.#setup;
    if (this.overtaken) return;
    const commit = this.#buffer.take();
    this.bufferedSinceMs = null;
    if (commit === null) return;
    const beganMs = clock.monotonicMs();
    let taken: boolean;
    try {
      taken = await retry('commit history', () => history.commit(commit));
    } catch (error) {
      // A later commit must not pass over what this one held.
      this.#giveUp(commit.after);
      throw error;
    }
    const buffer = this.#buffer;
    if (!taken) {
      // It may also have been this very commit, whose answer was lost.
      const durable = await historyOf(this.#setup, this.partition);
      if (durable !== null && durable.position === commit.to.position) buffer.durable = durable;
      else {
        this.#giveUp(durable);
        return;
      }
    } else buffer.durable = commit.to;
    const { partition } = this;
    await retry('keep a mark', () => addMark(online, source.name, partition, commit.to));
    observer.committed?.({
      source: source.name,
      partition,
      rows: commit.rows.length,
      late: commit.late,
      dead: commit.deadLetters.length,
      ms: clock.monotonicMs() - beganMs,
    });
  }

  /** Lets go of what is buffered; it is read again. */
  #giveUp(durable: Checkpoint | null): void {
    this.#buffer = new HistoryBuffer(this.#setup.source, this.partition, durable);
    this.overtaken = true;
  }

  /**
   * The log keeps nothing before `first`. Sinks that have not read so far pass over the gap, and say so: pages have it once
   * they are materialised, if history has it.
   */
  skipTo(first: bigint): void {
    const { observer, source } = this.#setup;
    const lacks = (at: Checkpoint | null) => at !== null && at.position + 1n < first;
    const lost = (reader: string, at: Checkpoint | null) =>
      observer.lost?.({
        source: source.name,
        partition: this.partition,
        reader,
        from: (at?.position ?? -1n) + 1n,
        first,
      });
    const { durable } = this.#buffer;
    if (lacks(durable)) lost('history', durable);
    for (const sink of this.#views.values()) {
      if (!lacks(sink.at)) continue;
      lost(sink.program.id, sink.at);
      // History's is the only state of arrivals and watermark that is known nearer to the log's beginning.
      if (durable !== null && durable.position > sink.at!.position) sink.at = durable;
    }
    this.beginAnew();
  }
}

async function historyOf(
  { history, source, retry }: PartitionSetup,
  partition: string,
): Promise<Checkpoint | null> {
  const state = await retry('read the state of history', () => history.state(source.name));
  const found = state.partitions.get(partition);
  if (found === undefined) return null;
  const { position, arrivalUs, newestUs } = found;
  return { position, arrivalUs, newestUs };
}
