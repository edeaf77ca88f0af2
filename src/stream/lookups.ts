/**
 * Columns that a source looks up in other views: for each delivery the feature as it was at the event's own time t, out of what had
 * arrived before the delivery did, at a. That is a function of history alone (see docs/decisions/0015-enrichment.md), so nothing is read
 * before all that arrived before a is there to be read; and of what a page holds by now, what came later is left out. Where a page
 * cannot tell any more, history does.
 */
import type { Clock } from '../base/clock.ts';
import { SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';
import {
  type Catalog,
  type ColumnLookup,
  catalogOf,
  type Source,
  type ViewProgram,
} from '../model/index.ts';
import type { OfflineStore } from '../offline/contract.ts';
import type { Checkpoint, HistoryLog } from '../offline/history_contract.ts';
import type { Head, OnlineStore } from '../online/contract.ts';
import {
  type BlockSource,
  dumpEvents,
  type Events,
  type Layout,
  newestArrival,
  OpenedPages,
  readTimeline,
  type Stored,
  sweepAsServed,
  tailOf,
} from '../timeline/index.ts';
import { isLifetime } from '../timeline/prepare.ts';
import type { Batch } from '../types/batch.ts';
import { type Column, ColumnBuilder, columnOf, scalarAt } from '../types/column.ts';
import type { Dtype } from '../types/dtype.ts';
import { encodeKey } from '../types/key.ts';
import type { Scalar } from '../types/scalar.ts';
import { readBuilt } from './built.ts';
import { readCheckpoint, readHandOver } from './checkpoint.ts';
import type { EventLog, PartitionEnds } from './contract.ts';
import { readControl, topicOf } from './control.ts';
import { nameOfKey } from './evaluate.ts';

/** Keys whose pages are in memory together. */
const KEYS_AT_ONCE = 1_000;

export interface LookUpSetup {
  readonly online: OnlineStore;
  readonly offline: Pick<OfflineStore, 'history'>;
  readonly history: Pick<HistoryLog, 'state'>;
  readonly log: EventLog;
  readonly clock: Clock;
}

/** A point of time as logs see it. */
export interface Moment {
  /** What arrived before this is to be there. */
  readonly beforeUs: InstantUs;
  /** By the monotonic clock, when a record with that arrival was in the log. */
  readonly inLogMs: number;
}

/** Rows with the time and the arrival of each. */
export interface Deliveries {
  readonly rows: Batch;
  readonly timeUs: Float64Array;
  readonly arrivalUs: Float64Array;
}

/** `unbuilt`: its pages lack what only `materialize` brings. `behind`: they will have it. */
export type Readiness = 'ready' | 'behind' | 'unbuilt';

/** The rows of one key: numbers of deliveries. */
interface RowsOfKey {
  readonly key: Uint8Array;
  readonly rows: number[];
}

/** Features of one view under one key. */
interface Question {
  readonly program: ViewProgram;
  readonly keys: readonly string[];
  readonly columns: ColumnLookup[];
}

export class LookUps {
  readonly #setup: LookUpSetup;
  /** By topic: its ends, and when they were asked for. */
  readonly #ends = new Map<
    string,
    { readonly askedMs: number; readonly ends: ReadonlyMap<string, PartitionEnds> }
  >();

  constructor(setup: LookUpSetup) {
    this.#setup = setup;
  }

  /** Whether the pages of all views that `program` looks up have what arrived before a moment. */
  async pagesAreReady({ lookups }: ViewProgram, moment: Moment): Promise<Readiness> {
    let worst: Readiness = 'ready';
    for (const program of new Set(lookups.map((lookup) => lookup.program))) {
      const ready = await this.#pagesHave(program, moment);
      if (ready === 'unbuilt') return ready;
      if (ready === 'behind') worst = ready;
    }
    return worst;
  }

  /** Whether the pages of a view have all that its log has now. */
  readinessOf(program: ViewProgram): Promise<Readiness> {
    const { log, clock } = this.#setup;
    const inLogMs = clock.monotonicMs() - log.stampSlackMs;
    return this.#pagesHave(program, { beforeUs: Number.POSITIVE_INFINITY, inLogMs });
  }

  /** Whether history has all events of the sources that arrived before a moment. */
  async historyIsReady(sources: Iterable<Source>, moment: Moment): Promise<boolean> {
    for (const source of sources) {
      const ends = await this.#endsAfter(source, moment);
      if (ends === null) return false;
      const { partitions } = await this.#setup.history.state(source.name);
      for (const [partition, end] of ends)
        if (!hasCome(partitions.get(partition) ?? null, end, moment)) return false;
    }
    return true;
  }

  async #pagesHave({ source, id }: ViewProgram, moment: Moment): Promise<Readiness> {
    const { online } = this.#setup;
    const ends = await this.#endsAfter(source, moment);
    if (ends === null) return 'behind';
    // What lies in files comes by materialisation alone.
    if (source.batch !== null && (await readHandOver(online, source.name, id)) === null)
      return 'unbuilt';
    const control = await readControl(online, source.name);
    let ready: Readiness = 'ready';
    for (const [partition, end] of ends) {
      const place = { source: source.name, partition, viewId: id };
      const progress = await readCheckpoint(online, place, control);
      if (progress !== null && !progress.whole) return 'unbuilt';
      // Of a partition in which there never was anything nobody keeps a checkpoint; of others a worker is about to.
      const come = progress === null ? end.next === 0n : hasCome(progress.at, end, moment);
      if (!come) ready = 'behind';
    }
    return ready;
  }

  /** Ends of a source's partitions since when nothing can come that would have arrived before the moment; null: it is too early. */
  async #endsAfter(
    source: Source,
    { inLogMs }: Moment,
  ): Promise<ReadonlyMap<string, PartitionEnds> | null> {
    const { log, clock } = this.#setup;
    const topic = topicOf(source);
    const known = this.#ends.get(topic);
    if (known !== undefined && known.askedMs >= inLogMs + log.stampSlackMs) return known.ends;
    const askedMs = clock.monotonicMs();
    if (askedMs < inLogMs + log.stampSlackMs) return null;
    let ends: ReadonlyMap<string, PartitionEnds> = new Map();
    try {
      ends = await log.ends(topic);
    } catch (error) {
      // A source that is not streamed yet.
      if (!(error instanceof SamewiseError) || error.code !== 'stream/no-topic') throw error;
    }
    this.#ends.set(topic, { askedMs, ends });
    return ends;
  }

  /**
   * The columns that `program` looks up, for the rows from number `first` on (before them: nulls). The pages have to be ready for
   * the latest arrival. Null: history has to be asked, and is not ready for `moment`.
   */
  async columns(
    { lookups }: ViewProgram,
    deliveries: Deliveries,
    first: number,
    moment: Moment,
  ): Promise<Record<string, Column> | null> {
    const questions = new Map<string, Question>();
    for (const lookup of lookups) {
      const { program, keys } = lookup;
      const name = JSON.stringify([program.id, keys]);
      const question = questions.get(name);
      if (question === undefined) questions.set(name, { program, keys, columns: [lookup] });
      else question.columns.push(lookup);
    }
    const out: Record<string, Column> = {};
    for (const question of questions.values()) {
      const answers = new Answers(question, deliveries.rows.length);
      if (!(await this.#answer(question, deliveries, first, moment, answers))) return null;
      Object.assign(out, answers.columns());
    }
    return out;
  }

  async #answer(
    { program, keys }: Question,
    deliveries: Deliveries,
    first: number,
    moment: Moment,
    answers: Answers,
  ): Promise<boolean> {
    const { nobody, byKey } = rowsOfKeys(program, keys, deliveries.rows, first);
    answers.nothing(nobody);
    const forHistory: RowsOfKey[] = [];
    for (let from = 0; from < byKey.length; from += KEYS_AT_ONCE)
      forHistory.push(
        ...(await this.#readPages(program, byKey.slice(from, from + KEYS_AT_ONCE), {
          deliveries,
          answers,
        })),
      );
    if (forHistory.length === 0) return true;
    if (!(await this.historyIsReady([program.source], moment))) return false;
    for (let from = 0; from < forHistory.length; from += KEYS_AT_ONCE)
      await this.#readHistory(program, forHistory.slice(from, from + KEYS_AT_ONCE), {
        deliveries,
        answers,
      });
    return true;
  }

  /** Answers what pages can tell; gives what only history can. */
  async #readPages(program: ViewProgram, some: readonly RowsOfKey[], to: To): Promise<RowsOfKey[]> {
    const { online } = this.#setup;
    const heads = await online.heads(some.map(({ key }) => ({ view: program.id, key })));
    // After the heads: what they were built from is then told, too.
    const builtUs = program.source.mutable
      ? await readBuilt(online, program)
      : Number.NEGATIVE_INFINITY;
    const left: RowsOfKey[] = [];
    for (const [i, asked] of some.entries()) {
      const rows = await this.#readPage(program, asked, heads[i], builtUs, to);
      if (rows.length > 0) left.push({ key: asked.key, rows });
    }
    return left;
  }

  /** The rows that the page cannot answer. */
  async #readPage(
    program: ViewProgram,
    { key, rows }: RowsOfKey,
    head: Head | undefined,
    builtUs: InstantUs,
    to: To,
  ): Promise<number[]> {
    try {
      const blocks = new Map<number, Uint8Array>();
      for (;;) {
        const missing: number[] = [];
        const block = (number: number) => {
          const found = blocks.get(number);
          if (found === undefined) missing.push(number);
          return found;
        };
        try {
          return answerFrom(program, head, block, rows, builtUs, to);
        } catch (error) {
          if (missing.length === 0) throw error;
        }
        const fetched = await this.#setup.online.blocks({ view: program.id, key }, missing);
        // The page has changed meanwhile. It has so much to tell that history is not slower.
        if (fetched.includes(undefined)) return rows;
        missing.forEach((number, i) => {
          blocks.set(number, fetched[i]!);
        });
      }
    } catch (error) {
      // A page that is damaged, or no longer has what is asked for.
      if (error instanceof SamewiseError && error.code.startsWith('timeline/')) return rows;
      throw error;
    }
  }

  async #readHistory(
    program: ViewProgram,
    some: readonly RowsOfKey[],
    { deliveries, answers }: To,
  ): Promise<void> {
    const left = new Map(some.map((asked) => [nameOfKey(asked.key), asked.rows]));
    for await (const batch of this.#setup.offline.history({
      catalog: catalogFor(program),
      view: program.view.name,
      shard: null,
      changedSinceUs: null,
      keys: some.map(({ key }) => key),
      knowledge: 'as-served',
    }))
      for (const [i, key] of batch.keys.entries()) {
        const rows = left.get(nameOfKey(key));
        if (rows === undefined) continue;
        left.delete(nameOfKey(key));
        const { events, visibleFrom, visibleTo } = batch;
        const versions = {
          events,
          visibleFrom: visibleFrom!,
          visibleTo: visibleTo!,
          from: batch.starts[i]!,
          to: batch.starts[i + 1]!,
        };
        answers.fromVersions(versions, rows, deliveries);
      }
    answers.nothing([...left.values()].flat());
  }
}

/** Where answers go. */
interface To {
  readonly deliveries: Deliveries;
  readonly answers: Answers;
}

/** Versions of one key's events: rows from…to of `events`, each with what has to be known for it to be seen. */
interface Versions {
  readonly events: Events;
  readonly visibleFrom: Float64Array;
  readonly visibleTo: Float64Array | null;
  readonly from: number;
  readonly to: number;
}

/** The looked-up values of a question's rows. */
class Answers {
  readonly #question: Question;
  readonly #layout: Layout;
  /** By column of the question: the values of all rows. */
  readonly #values: (Scalar | null)[][];
  readonly #reads: readonly number[];
  /** What is said of an entity of which there is nothing. */
  readonly #nothing: readonly (Scalar | null)[];
  /** Many rows read one page. */
  readonly #opened = new OpenedPages();

  constructor(question: Question, rows: number) {
    this.#question = question;
    this.#layout = question.program.layout;
    this.#reads = question.columns.map(({ feature }) => feature);
    this.#values = question.columns.map(() => new Array(rows).fill(null));
    this.#nothing = readTimeline(this.#layout, undefined, () => undefined, 0, this.#reads).values;
  }

  /** Whether some feature takes in all that there ever was; the latest value does not where a row before the time is `known`. */
  sumsUp(known: boolean): boolean {
    const { aggregates, reads } = this.#layout;
    return this.#reads.some((read) => {
      const { aggregate, window } = reads[read]!;
      return isLifetime(window) && !(known && aggregates[aggregate]!.spec.fn === 'latest');
    });
  }

  nothing(rows: readonly number[]): void {
    for (const row of rows) this.set(row, this.#nothing);
  }

  /** The page as it is, at the row's time. */
  fromPage(head: Uint8Array | undefined, block: BlockSource, row: number, timeUs: InstantUs): void {
    const { values } = readTimeline(this.#layout, head, block, timeUs, this.#reads, this.#opened);
    this.set(row, values);
  }

  fromVersions(versions: Versions, rows: readonly number[], deliveries: Deliveries): void {
    const { events, visibleFrom, visibleTo, from, to } = versions;
    const order = rows.toSorted((x, y) => deliveries.timeUs[x]! - deliveries.timeUs[y]!);
    const { features } = this.#question.program.view;
    const out = features.map(({ dtype }) => new ColumnBuilder(dtype, rows.length));
    const times = Float64Array.from(order, (row) => deliveries.timeUs[row]!);
    const known = Float64Array.from(order, (row) => deliveries.arrivalUs[row]!);
    sweepAsServed(
      this.#layout,
      events,
      visibleFrom,
      visibleTo,
      from,
      to,
      times,
      known,
      0,
      order.length,
      out,
    );
    const found = out.map((builder) => builder.finish());
    order.forEach((row, i) => {
      this.set(
        row,
        this.#reads.map((read) => scalarAt(found[read]!, i)),
      );
    });
  }

  set(row: number, values: readonly (Scalar | null)[]): void {
    const { defaults } = this.#question.program;
    values.forEach((value, i) => {
      this.#values[i]![row] = value ?? defaults[this.#reads[i]!]!;
    });
  }

  columns(): Record<string, Column> {
    return Object.fromEntries(
      this.#question.columns.map(({ name, dtype }, i) => [name, columnOf(dtype, this.#values[i]!)]),
    );
  }
}

/** Answers the rows for which the page holds all that was known, and no more or so that it can be left out; gives the others. */
function answerFrom(
  { layout, source }: ViewProgram,
  head: Head | undefined,
  block: Stored['block'],
  rows: readonly number[],
  builtUs: InstantUs,
  { deliveries, answers }: To,
): number[] {
  const { timeUs, arrivalUs } = deliveries;
  const stored = { head: head?.bytes, block };
  const newestUs = Math.max(builtUs, newestArrival(layout, stored));
  const { tombstones = [], droppedUs = Number.NEGATIVE_INFINITY } =
    head === undefined ? {} : tailOf(layout, head.bytes);
  const dropped = droppedUs > Number.NEGATIVE_INFINITY;
  const isPlain = rows.every((row) => arrivalUs[row]! > newestUs);
  if (isPlain && !dropped) {
    for (const row of rows) answers.fromPage(head?.bytes, block, row, timeUs[row]!);
    return [];
  }
  const events = dumpEvents(layout, stored);
  const arrivals = events.arrivalUs ?? events.timeUs;
  const firstUs = events.length > 0 ? events.timeUs[0]! : Number.POSITIVE_INFINITY;
  const left: number[] = [];
  const past: number[] = [];
  for (const row of rows) {
    const knownUs = arrivalUs[row]!;
    const gone = () =>
      tombstones.some((grave) => grave.arrivalUs >= knownUs && grave.timeUs < timeUs[row]!);
    // Of what was dropped nobody can tell when it was known.
    if (dropped && answers.sumsUp(firstUs < timeUs[row]!)) left.push(row);
    else if (knownUs > newestUs) answers.fromPage(head?.bytes, block, row, timeUs[row]!);
    else if (source.mutable || dropped || gone()) left.push(row);
    else past.push(row);
  }
  const versions = { events, visibleFrom: arrivals, visibleTo: null, from: 0, to: events.length };
  if (past.length > 0) answers.fromVersions(versions, past, deliveries);
  return left;
}

/** The rows from `first` on by their keys; those without one are `nobody`'s. */
function rowsOfKeys(
  { keyDtypes }: ViewProgram,
  keys: readonly string[],
  { columns, length }: Batch,
  first: number,
): { nobody: number[]; byKey: RowsOfKey[] } {
  const parts = keys.map((name) => columns[name]!);
  const byKey = new Map<string, RowsOfKey>();
  const nobody: number[] = [];
  for (let row = first; row < length; row++) {
    const values = parts.map((part) => scalarAt(part, row));
    const key = values.includes(null) ? null : keyOf(values, keyDtypes);
    if (key === null) {
      nobody.push(row);
      continue;
    }
    const name = nameOfKey(key);
    const known = byKey.get(name);
    if (known === undefined) byKey.set(name, { key, rows: [row] });
    else known.rows.push(row);
  }
  return { nobody, byKey: [...byKey.values()] };
}

/** Null: no page has such a key, for it is too long. */
function keyOf(values: readonly (Scalar | null)[], dtypes: readonly Dtype[]): Uint8Array | null {
  try {
    return encodeKey(values, dtypes);
  } catch (error) {
    if (error instanceof SamewiseError) return null;
    throw error;
  }
}

/** Whether a sink that has come to `at` has what arrived before the moment, given ends behind which nothing did. */
function hasCome(
  at: Checkpoint | null,
  { first, next }: PartitionEnds,
  { beforeUs }: Moment,
): boolean {
  if (first >= next) return true;
  return at !== null && (at.arrivalUs >= beforeUs || at.position + 1n >= next);
}

const catalogs = new WeakMap<ViewProgram, Catalog>();

/** What history needs to know of a view, at the version that was compiled. */
function catalogFor(program: ViewProgram): Catalog {
  let catalog = catalogs.get(program);
  if (catalog === undefined) {
    const { entity, source, view } = program;
    catalogs.set(program, (catalog = catalogOf([entity, source, view])));
  }
  return catalog;
}
