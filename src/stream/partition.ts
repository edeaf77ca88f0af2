/** A partition that a worker reads: how far it has read, and how far each sink is. */
import type { Clock } from '../base/clock.ts';
import type { Source, ViewProgram } from '../model/index.ts';
import type { Checkpoint, HistoryLog } from '../offline/history_contract.ts';
import type { OnlineStore } from '../online/contract.ts';
import type { Breathe } from './apply.ts';
import { applyRows } from './apply_rows.ts';
import {
  addMark,
  type HandOver,
  lesser,
  type Progress,
  readCheckpoint,
  readHandOver,
  setBack,
  writeCheckpoint,
} from './checkpoint.ts';
import type { Control } from './control.ts';
import { continues, firstAfter, HistoryBuffer } from './history_buffer.ts';
import type { LookUps, Moment } from './lookups.ts';
import type { StreamObserver } from './observer.ts';
import type { ReadBatch } from './read_batch.ts';
import { enriched } from './read_batch.ts';

/** How often it is looked whether what is waited for has come: at first, and at most. */
const FIRST_PAUSE_MS = 5;
const MOST_PAUSE_MS = 100;
/** How long pages are worked on at a stretch. */
const TURN_MS = 25;

/** The live views of a source, and what belongs to them. */
export interface LiveViews {
  readonly programs: readonly ViewProgram[];
  /** Ids of those that other sources look up: their pages take late events, too, and say at once how far they are. */
  readonly lookedUp: ReadonlySet<string>;
  /** The sources of what the source itself looks up. */
  readonly sources: readonly Source[];
}

/** What a partition works with. */
export interface PartitionSetup {
  readonly source: Source;
  readonly online: OnlineStore;
  readonly history: HistoryLog;
  readonly observer: StreamObserver;
  readonly clock: Clock;
  readonly lookUps: LookUps;
  /** How long a batch waits for what it looks up, before the other views go on without those that wait. */
  readonly patienceMs: number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Aborts when the worker is to end: nothing is waited for then. */
  readonly stopping: AbortSignal;
  /** Runs what may fail, again and again for a while. */
  readonly retry: <T>(what: string, body: () => T | Promise<T>) => Promise<T>;
}

/** The pages of one view. */
interface PageSink {
  readonly program: ViewProgram;
  /** All up to here is in the pages. */
  at: Checkpoint | null;
  /** See `Progress`. */
  whole: boolean;
  /** See `LiveViews`. */
  lookedUp: boolean;
  /** What it looks up is not there yet: it goes on from `at` when it is. Null: it does not wait. */
  waits: Waits | null;
  /** The number of the last hand-over that it has followed. */
  handed: number;
}

/** A batch of a partition, which follows what its reader was given before. */
export interface ReaderBatch {
  readonly reader: PartitionReader;
  readonly batch: ReadBatch;
}

/** What a sink has to take of a batch: the rows from number `first` on. */
interface SinkBatch extends ReaderBatch {
  readonly sink: PageSink;
  readonly first: number;
}

interface Waits {
  /** It does not count as behind: what it looks up is not built yet, and may not be for long. */
  readonly unbuilt: boolean;
  /** Whether it may go on. */
  readonly isOver: () => Promise<boolean>;
}

export class PartitionReader {
  readonly partition: string;
  /** After the last record that was read. */
  at: Checkpoint | null = null;
  /** The log had more than what was read last. */
  behind = false;
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
  /** The commit that waits for its turn. */
  #queued: Promise<void> | null = null;
  /** Of what the source itself looks up: see `LiveViews`. */
  #sources: readonly Source[] = [];
  /** Ends of the partition that were seen, and when, by the monotonic clock: until then all before them was in the log. */
  #seen: { readonly next: bigint; readonly ms: number }[] = [];
  /** When all that is in the history buffer was in the log, at the latest. */
  #bufferedInLogMs = Number.NEGATIVE_INFINITY;

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
    views: LiveViews,
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
  async follow(views: LiveViews, control: Control): Promise<boolean> {
    const { programs, lookedUp, sources } = views;
    this.#sources = sources;
    for (const id of this.#views.keys())
      if (!programs.some((view) => view.id === id)) this.#views.delete(id);
    for (const [id, sink] of this.#views) {
      const handOver = await this.#handOverOf(id);
      const seen = { rewind: this.#generation, handed: sink.handed };
      Object.assign(sink, setBack(sink, seen, this.partition, control, handOver));
      sink.handed = handOver?.number ?? 0;
      sink.lookedUp = lookedUp.has(id);
      if (await sink.waits?.isOver()) sink.waits = null;
    }
    for (const program of programs) {
      if (this.#views.has(program.id)) continue;
      const handed = (await this.#handOverOf(program.id))?.number ?? 0;
      const found = await this.#setup.retry('read a checkpoint', () =>
        readCheckpoint(this.#setup.online, this.#place(program.id), control),
      );
      // A view of which nothing is said has of history what its materialisation will bring, and of the stream what comes after.
      const progress = found ?? this.#beginning();
      const state = { handed, lookedUp: lookedUp.has(program.id), waits: null };
      this.#views.set(program.id, { program, ...progress, ...state });
    }
    this.#generation = control.generation;
    // Said at once: once history has more, nobody could tell any more where the view began.
    await this.keepCheckpoints();
    const least = this.#least();
    return this.at !== null && (least === null || least.position < this.at.position);
  }

  /** Of a view of which nobody has said anything. */
  #beginning(): Progress {
    const { durable } = this.#buffer;
    return { at: durable, whole: durable === null && this.#setup.source.batch === null };
  }

  #least(): Checkpoint | null {
    let least = this.#buffer.reached;
    for (const { at, waits } of this.#views.values()) if (waits === null) least = lesser(least, at);
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
    for (const { at, waits } of this.#views.values())
      if (waits === null || !waits.unbuilt) least = lesser(least, at);
    return least;
  }

  /** Takes note of where the partition ends now. */
  see(next: bigint): void {
    const last = this.#seen.at(-1);
    if (last !== undefined && last.next >= next) return;
    this.#seen.push({ next, ms: this.#setup.clock.monotonicMs() });
  }

  /** When all up to here was in the log, at the latest. */
  #momentOf({ position, arrivalUs }: Checkpoint): Moment {
    const inLogMs = this.#seen.find(({ next }) => next > position)?.ms;
    return { beforeUs: arrivalUs, inLogMs: inLogMs ?? this.#setup.clock.monotonicMs() };
  }

  /** How far history is. */
  get committed(): Checkpoint | null {
    return this.#buffer.durable;
  }

  /** Records that wait for their commit into history. */
  get buffered(): number {
    return this.#buffer.records;
  }

  /**
   * Gives the sinks of all parts what lies behind them; the pages have theirs when it resolves, history's is buffered. What views that
   * look nothing up have of several parts goes into a page at once.
   */
  static async apply(parts: readonly ReaderBatch[]): Promise<void> {
    const together = new Map<string, SinkBatch[]>();
    const reached = new Map<PageSink, Checkpoint>();
    for (const { reader, batch } of parts)
      for (const sink of reader.#views.values()) {
        const at = reached.get(sink) ?? sink.at;
        if (sink.program.lookups.length > 0 || sink.waits !== null || !continues(batch, at))
          continue;
        reached.set(sink, batch.to);
        const part = { reader, sink, batch, first: firstAfter(batch.positions, at) };
        const { id } = sink.program;
        const others = together.get(id);
        if (others === undefined) together.set(id, [part]);
        else others.push(part);
      }
    for (const some of together.values()) await PartitionReader.#write(some);
    for (const { reader, batch } of parts) {
      await reader.#applyEnriched(batch);
      reader.#collect(batch);
    }
  }

  /** Writes the parts of one view into its pages. */
  static async #write(parts: readonly SinkBatch[]): Promise<void> {
    const { online, observer, clock, retry, source } = parts[0]!.reader.#setup;
    const { program } = parts[0]!.sink;
    const { name } = program.view;
    const some = parts.filter(({ batch, first }) => first < batch.positions.length);
    const made =
      some.length === 0
        ? []
        : await retry(`write pages of ${name}`, () =>
            applyRows(
              online,
              program,
              some.map(({ sink, batch, first }) => ({ batch: batchFor(sink, batch), first })),
              breather(parts[0]!.reader.#setup),
            ),
          );
    some.forEach(({ reader, sink, batch, first }, i) => {
      const { rows, keys, keyless, failed } = made[i]!;
      const { newestUs, arrivalUs } = batch.to;
      const place = { source: source.name, partition: reader.partition, view: name };
      if (!sink.lookedUp && batch.late?.includes(1, first)) sink.whole = false;
      for (const one of failed) observer.failed?.({ ...place, ...one });
      const done = { viewId: program.id, rows, keys, keyless };
      observer.applied?.({ ...place, ...done, newestUs, arrivalUs, appliedUs: clock.nowUs() });
    });
    for (const { reader, sink, batch } of parts) {
      sink.at = batch.to;
      if (sink.lookedUp) await reader.#keep(sink);
    }
  }

  /** The views that wait for others, each by itself. */
  async #applyEnriched(batch: ReadBatch): Promise<void> {
    const { clock, patienceMs } = this.#setup;
    const untilMs = clock.monotonicMs() + patienceMs;
    for (const sink of this.#views.values()) {
      if (sink.program.lookups.length === 0) continue;
      if (sink.waits !== null || !continues(batch, sink.at)) continue;
      const first = firstAfter(batch.positions, sink.at);
      const whole =
        first < batch.positions.length ? await this.#lookUp(sink, batch, first, untilMs) : batch;
      if (whole === null) continue;
      await PartitionReader.#write([{ reader: this, sink, batch: whole, first }]);
    }
  }

  /** Puts into history's buffer what lies behind it. */
  #collect(batch: ReadBatch): void {
    this.#buffer.add(batch);
    this.#bufferedInLogMs = this.#momentOf(batch.to).inLogMs;
    if (this.#buffer.records > 0) this.bufferedSinceMs ??= this.#setup.clock.monotonicMs();
    const { position } = batch.to;
    this.#seen = this.#seen.filter(({ next }) => next > position);
  }

  /** The batch with what a view looks up; null if it has to wait for that. */
  async #lookUp(
    sink: PageSink,
    batch: ReadBatch,
    first: number,
    untilMs: number,
  ): Promise<ReadBatch | null> {
    const { program } = sink;
    const { lookUps, retry } = this.#setup;
    const moment = this.#momentOf(batch.to);
    const what = `look up columns of ${program.view.name}`;
    const arePagesReady = () => retry(what, () => lookUps.pagesAreReady(program, moment));
    const ready = await this.#await(arePagesReady, (now) => now !== 'behind', untilMs);
    if (ready !== 'ready') {
      const isOver = async () => (await arePagesReady()) === 'ready';
      sink.waits = { unbuilt: ready === 'unbuilt', isOver };
      return null;
    }
    const look = () => retry(what, () => lookUps.columns(program, batch, first, moment));
    const columns = await this.#await(look, (found) => found !== null, untilMs);
    if (columns !== null) return enriched(batch, columns);
    const sources = new Set(program.lookups.map((lookup) => lookup.program.source));
    const isOver = () => retry(what, () => lookUps.historyIsReady(sources, moment));
    sink.waits = { unbuilt: false, isOver };
    return null;
  }

  /** Asks again and again until the answer will do, for a while; the last answer. */
  async #await<T>(
    ask: () => Promise<T>,
    willDo: (answer: T) => boolean,
    untilMs: number,
  ): Promise<T> {
    const { clock, sleep, stopping } = this.#setup;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(MOST_PAUSE_MS, 2 * pauseMs)) {
      const answer = await ask();
      if (willDo(answer) || stopping.aborted || clock.monotonicMs() >= untilMs) return answer;
      await sleep(pauseMs, stopping);
    }
  }

  /**
   * Keeps how far the pages are; what it says is durable already. Also where nothing is new: a worker that is none any more may
   * have said less since.
   */
  async keepCheckpoints(): Promise<void> {
    for (const sink of this.#views.values()) await this.#keep(sink);
  }

  async #keep({ at, whole, program, handed }: PageSink): Promise<void> {
    const { online, retry } = this.#setup;
    const seen = { rewind: this.#generation, handed };
    await retry('keep a checkpoint', () =>
      writeCheckpoint(online, this.#place(program.id), { at, whole }, seen),
    );
  }

  /**
   * Commits what is buffered, after the commit before. If another worker was faster, the buffer is given up and `overtaken`
   * says so; what the other has committed is then passed by. History of what the source looks up comes first: who reads
   * these rows from history finds all that they are to see.
   */
  commit(): Promise<void> {
    if (this.#queued !== null) return this.#queued;
    const done = this.#committing.then(() => {
      this.#queued = null;
      return this.#commit();
    });
    this.#queued = done;
    this.#committing = done.then(
      () => {},
      () => {},
    );
    return done;
  }

  /** Until history has what the rows up to here look up. False: it has not, and the worker is to end. */
  #isLookedUpInHistory(to: Checkpoint): Promise<boolean> {
    const { lookUps, retry } = this.#setup;
    const moment = { beforeUs: to.arrivalUs, inLogMs: this.#bufferedInLogMs };
    const isReady = () =>
      retry('look at the history of what is looked up', () =>
        lookUps.historyIsReady(this.#sources, moment),
      );
    return this.#await(isReady, (ready) => ready, Number.POSITIVE_INFINITY);
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
      if (this.#sources.length > 0 && !(await this.#isLookedUpInHistory(commit.to))) {
        this.#giveUp(commit.after);
        return;
      }
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
      if (durable !== null && durable.position > sink.at!.position) {
        sink.at = durable;
        sink.whole = false;
      }
    }
    this.beginAnew();
  }
}

/** Gives the thread away for a moment after each `TURN_MS`: a server answers requests on the same one. */
function breather({ clock, sleep }: PartitionSetup): Breathe {
  let sinceMs = clock.monotonicMs();
  return () => {
    if (clock.monotonicMs() - sinceMs < TURN_MS) return null;
    return sleep(0).then(() => {
      sinceMs = clock.monotonicMs();
    });
  };
}

/** The batch as a view is to see it: one that is looked up has all that arrived, or it would say what history does not. */
function batchFor({ lookedUp }: PageSink, batch: ReadBatch): ReadBatch {
  return lookedUp && batch.late !== null ? { ...batch, late: null } : batch;
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
