/**
 * One page's answer against history: whether what was served is, bit for bit, what comes of the events that the page had absorbed;
 * which events make the difference if not; and which events it did not have yet.
 *
 * What a page had absorbed is nearly known. Of the key's own events of the stream, all up to the logged position of each partition, but
 * for those that were late, which are history's alone until a repair. A page that was built from history (`materialize`, a repair)
 * may have more: what history had by then. And of the batch location it has what was there when it was built. Where that leaves
 * several states, a page is right that answered as one of them.
 */
import { windowEnd, windowReach, windowStart } from '../aggregate/window.ts';
import type { InstantUs } from '../base/time.ts';
import type { StoredStatus, ViewProgram } from '../model/index.ts';
import type { Delivery } from '../offline/contract.ts';
import type { LoggedPage, LoggedVector } from '../offline/feature_log_contract.ts';
import { type Events, type Layout, sweep } from '../timeline/index.ts';
import { ColumnBuilder, scalarAt } from '../types/column.ts';
import type { Dtype } from '../types/dtype.ts';
import { type Scalar, sameScalar, scalarToJsonText } from '../types/scalar.ts';
import type { DeliveredRows } from './prove_rows.ts';

/** When pages of the view were made from history. */
export interface Built {
  readonly startedUs: InstantUs;
  /** Null: it may still go on, or ended without a word. */
  readonly finishedUs: InstantUs | null;
  /** It came to its end, for all keys. */
  readonly whole: boolean;
}

/**
 * Why a page may rightly have, or lack, an event beside what its positions say: it was `late`; history had it when the page was `built`;
 * of the batch location, it may not have been `materialized` yet.
 */
export type Explained = 'late' | 'built' | 'materialized';

/** An event that makes a difference. */
export interface ToldEvent {
  readonly id: bigint;
  readonly timeUs: InstantUs;
  readonly arrivalUs: InstantUs;
  /** Of its delivery in the log; null: it is of the batch location. */
  readonly place: { readonly partition: string; readonly position: string } | null;
  /** What was served is as if the event were there (`has`), or not (`lacks`), and history says otherwise. */
  readonly served: 'has' | 'lacks';
  /** It came too late for pages. */
  readonly late: boolean;
}

export interface ValueDifference {
  readonly feature: string;
  /** JSON texts, with the status if that is what differs. */
  readonly served: string;
  readonly expected: string;
}

export interface PageProof {
  /** None: what was served is right. */
  readonly differences: readonly ValueDifference[];
  /** Single events, any of which explains the differences, the likeliest first; none may. */
  readonly suspects: readonly ToldEvent[];
  /** Which of its liberties the page had to take. */
  readonly explained: readonly Explained[];
  /** What the features were before defaults, as recomputed. */
  readonly values: readonly (Scalar | null)[];
  /** Null: it is what history says now. */
  readonly stale: {
    /** What had arrived before the read makes a difference already. */
    readonly behind: boolean;
    /** The newest of them. */
    readonly events: readonly ToldEvent[];
  } | null;
}

/** States that are tried before a page is said to be wrong, and single events after that. */
const MAX_STATES = 200;
const MAX_SUSPECTS = 2_000;
/** Events that are told of one page. */
const MAX_TOLD = 10;

/**
 * From which event time on a page's answer needs deliveries: what its windows reach, if the newest event that it names lies there too;
 * −∞: all. Rows of a table may have come from anywhere.
 */
export function neededFrom(program: ViewProgram, page: LoggedPage, readUs: InstantUs): number {
  if (program.layout.mutable) return Number.NEGATIVE_INFINITY;
  const [fromUs] = readerOf(program, page.features).reach(readUs);
  const { positions, eventTimeUs } = page;
  const newestUs = eventTimeUs ?? Number.NEGATIVE_INFINITY;
  return positions === null || newestUs >= fromUs ? fromUs : Number.NEGATIVE_INFINITY;
}

/** Proves one logged page. `delivered` has all deliveries of its key that history has, from `neededFrom` on. */
export function provePage(
  delivered: DeliveredRows,
  page: LoggedPage,
  at: Pick<LoggedVector, 'readUs' | 'servedUs'>,
  built: readonly Built[],
): PageProof {
  const reader = readerOf(delivered.program, page.features);
  const key = page.key === null ? new Uint8Array(0) : Uint8Array.fromHex(page.key);
  const fromUs = neededFrom(delivered.program, page, at.readUs);
  // Of a table a change that is after the read may have taken away what was before it.
  const toUs = delivered.program.layout.mutable ? Number.POSITIVE_INFINITY : at.readUs;
  const rows =
    page.key === null
      ? []
      : delivered.rowsOf(key).filter((row) => {
          const { timeUs } = delivered.deliveries[row]!;
          return timeUs >= fromUs && timeUs < toUs;
        });
  const answerOf = (some: readonly number[]) =>
    reader.read(delivered.eventsOf(key, some), at.readUs);
  const { sure, open } = split(delivered.deliveries, rows, page, at.servedUs, built);
  const usual = [...sure, ...open.flatMap(({ row, usually }) => (usually ? [row] : []))];
  const expected = answerOf(usual);
  let state: readonly number[] = usual;
  let answer = expected;
  let explained: readonly Explained[] = [];
  if (!isSame(expected, page)) {
    const found = otherState(sure, open, (some) => isSame(answerOf(some), page));
    if (found !== null) {
      ({ state, explained } = found);
      answer = answerOf(state);
    }
  }
  const differences = differencesOf(answer, page);
  const suspects =
    differences.length === 0
      ? []
      : suspectsOf(delivered.deliveries, rows, usual, at.readUs, (some) =>
          isSame(answerOf(some), page),
        );
  const { values } = answer;
  const stale =
    differences.length === 0 ? staleness(delivered, key, rows, state, page, at, reader) : null;
  return { differences, suspects, explained, values, stale };
}

interface Open {
  readonly row: number;
  readonly why: Explained;
  /** Whether a page has it as a rule. */
  readonly usually: boolean;
}

/** Rows that the page must have had, and those that it may have had, the latter by arrival. */
function split(
  deliveries: readonly Delivery[],
  rows: readonly number[],
  { positions }: LoggedPage,
  servedUs: InstantUs,
  built: readonly Built[],
): { sure: number[]; open: Open[] } {
  const sure: number[] = [];
  const open: Open[] = [];
  // What is not there holds nothing, whatever history has.
  if (positions === null) return { sure, open };
  const before = built.filter(({ startedUs }) => startedUs < servedUs);
  const isRebuilt = built.length > before.length;
  for (const row of rows) {
    const { place, arrivalUs, late } = deliveries[row]!;
    if (place === null) {
      const there = before.some(
        ({ startedUs, finishedUs, whole }) =>
          whole && finishedUs! < servedUs && arrivalUs < startedUs,
      );
      if (there && !isRebuilt) sure.push(row);
      else open.push({ row, why: 'materialized', usually: true });
    } else if (place.position <= BigInt(positions[place.partition] ?? -1)) {
      if (late) open.push({ row, why: 'late', usually: false });
      else sure.push(row);
    } else if (
      before.some(({ finishedUs }) => arrivalUs < Math.min(servedUs, finishedUs ?? servedUs))
    )
      open.push({ row, why: 'built', usually: false });
  }
  open.sort((a, b) => deliveries[a.row]!.arrivalUs - deliveries[b.row]!.arrivalUs);
  return { sure, open };
}

/** Another state that the page may have been in and that `fits`: kinds as a whole first, then what was there at one time, then one by one. */
function otherState(
  sure: readonly number[],
  open: readonly Open[],
  fits: (rows: readonly number[]) => boolean,
): { state: readonly number[]; explained: readonly Explained[] } | null {
  const tried = new Set<string>();
  for (const has of choices(open)) {
    const taken = open.filter((_, i) => has[i]);
    const name = taken.map(({ row }) => row).join();
    if (tried.has(name)) continue;
    if (tried.add(name).size > MAX_STATES) return null;
    const state = [...sure, ...taken.map(({ row }) => row)];
    if (!fits(state)) continue;
    const odd = open.filter(({ usually }, i) => usually !== has[i]);
    return { state, explained: [...new Set(odd.map(({ why }) => why))] };
  }
  return null;
}

/** Which of the open rows are there. */
function* choices(open: readonly Open[]): Generator<readonly boolean[]> {
  const kinds: readonly Explained[] = ['late', 'built', 'materialized'];
  for (let flipped = 0; flipped < 1 << kinds.length; flipped++)
    yield open.map(({ why, usually }) => usually !== (((flipped >> kinds.indexOf(why)) & 1) === 1));
  for (let there = open.length - 1; there > 0; there--) yield open.map((_, i) => i < there);
  for (let one = 0; one < open.length; one++)
    yield open.map(({ usually }, i) => usually !== (i === one));
}

/** Single rows without which, or with which, the page would say what it said; the newest first. */
function suspectsOf(
  deliveries: readonly Delivery[],
  rows: readonly number[],
  usual: readonly number[],
  readUs: InstantUs,
  fits: (rows: readonly number[]) => boolean,
): ToldEvent[] {
  const there = new Set(usual);
  const found: ToldEvent[] = [];
  const seen = rows.filter((row) => deliveries[row]!.timeUs < readUs).slice(-MAX_SUSPECTS);
  for (const row of seen.toReversed()) {
    const has = there.has(row);
    const other = has ? usual.filter((one) => one !== row) : [...usual, row];
    if (!fits(other)) continue;
    if (found.push(tell(deliveries[row]!, has ? 'lacks' : 'has')) === MAX_TOLD) break;
  }
  return found;
}

/** What history now says beyond what the page knew, event by event. */
function staleness(
  delivered: DeliveredRows,
  key: Uint8Array,
  rows: readonly number[],
  state: readonly number[],
  page: LoggedPage,
  { readUs, servedUs }: Pick<LoggedVector, 'readUs' | 'servedUs'>,
  reader: Reader,
): PageProof['stale'] {
  if (rows.length === state.length) return null;
  const { deliveries } = delivered;
  const now = delivered.eventsOf(key, rows);
  if (isSame(reader.read(now, readUs), page)) return null;
  const arrived = rows.filter((row) => deliveries[row]!.arrivalUs < servedUs);
  const behind = !isSame(reader.read(delivered.eventsOf(key, arrived), readUs), page);
  const then = delivered.eventsOf(key, state);
  const known = new Set(state);
  const [fromUs, toUs] = reader.reach(readUs);
  const matters = (timeUs: number) => timeUs >= fromUs && timeUs < toUs;
  const events: ToldEvent[] = [];
  // What is not among the unseen, both have alike.
  const unseen = new Set(rows.flatMap((row) => (known.has(row) ? [] : [deliveries[row]!.id])));
  const before = indexOf(then, unseen);
  const after = indexOf(now, unseen);
  for (const [name, row] of after) {
    const old = before.get(name);
    if (!matters(now.timeUs[row]!)) continue;
    if (old !== undefined && sameEvent(now, row, then, old)) continue;
    const from = rows.find((each) => {
      const { id, arrivalUs } = deliveries[each]!;
      return id === now.id[row] && arrivalUs === now.arrivalUs![row];
    });
    events.push(tell(deliveries[from!]!, 'lacks'));
  }
  for (const [name, row] of before) {
    if (after.has(name) || !matters(then.timeUs[row]!)) continue;
    // What took it away.
    const by = rows
      .filter((each) => !known.has(each) && deliveries[each]!.id === then.id[row])
      .map((each) => deliveries[each]!)
      .sort((a, b) => b.arrivalUs - a.arrivalUs)[0];
    if (by !== undefined) events.push(tell(by, 'has'));
  }
  const newest = events.sort((a, b) => b.arrivalUs - a.arrivalUs).slice(0, MAX_TOLD);
  return { behind, events: newest };
}

function tell(
  { id, timeUs, arrivalUs, place, late }: Delivery,
  served: ToldEvent['served'],
): ToldEvent {
  const where = place && { partition: place.partition, position: String(place.position) };
  return { id, timeUs, arrivalUs, place: where, served, late };
}

/** Rows of these ids, by event. */
function indexOf({ timeUs, id, length }: Events, ids: ReadonlySet<bigint>): Map<string, number> {
  const index = new Map<string, number>();
  for (let row = 0; row < length; row++)
    if (ids.has(id[row]!)) index.set(`${timeUs[row]} ${id[row]}`, row);
  return index;
}

function sameEvent(a: Events, x: number, b: Events, y: number): boolean {
  return a.columns.every((column, i) =>
    sameScalar(scalarAt(column, x), scalarAt(b.columns[i]!, y)),
  );
}

/** What a page says; values before defaults. */
interface Answer {
  readonly values: readonly (Scalar | null)[];
  readonly texts: readonly string[];
  readonly statuses: readonly StoredStatus[];
  readonly eventTimeUs: InstantUs | null;
}

function isSame(answer: Answer, page: LoggedPage): boolean {
  return (
    answer.eventTimeUs === page.eventTimeUs &&
    answer.texts.every((text, i) => isWithheld(page, i) || text === page.values[i]) &&
    answer.statuses.every((status, i) => isWithheld(page, i) || status === page.statuses[i])
  );
}

/** Because it was stale: the page had a value, and it is not known which. */
function isWithheld({ statuses }: LoggedPage, i: number): boolean {
  return statuses[i] === 'STALE';
}

function differencesOf(answer: Answer, page: LoggedPage): ValueDifference[] {
  const out: ValueDifference[] = [];
  page.features.forEach((feature, i) => {
    if (isWithheld(page, i)) return;
    const [served, expected] = [page.values[i]!, answer.texts[i]!];
    if (served !== expected) out.push({ feature, served, expected });
    else if (page.statuses[i] !== answer.statuses[i])
      out.push({
        feature,
        served: `${served} (${page.statuses[i]})`,
        expected: `${expected} (${answer.statuses[i]})`,
      });
  });
  if (out.length === 0 && answer.eventTimeUs !== page.eventTimeUs)
    out.push({
      feature: 'newest event',
      served: String(page.eventTimeUs),
      expected: String(answer.eventTimeUs),
    });
  return out;
}

/** Computes some features of a view as training does, from events alone. */
class Reader {
  readonly #dtypes: readonly Dtype[];
  readonly #layout: Layout;

  constructor(program: ViewProgram, features: readonly number[]) {
    this.#dtypes = features.map((feature) => program.view.features[feature]!.dtype);
    const reads = features.map((feature) => program.layout.reads[feature]!);
    this.#layout = { ...program.layout, reads };
  }

  read(events: Events, readUs: InstantUs): Answer {
    const { reads, aggregates } = this.#layout;
    const out = this.#dtypes.map((dtype) => new ColumnBuilder(dtype, 1));
    sweep(this.#layout, events, 0, events.length, Float64Array.of(readUs), 0, 1, out);
    const values = out.map((builder) => scalarAt(builder.finish(), 0));
    const texts = values.map((value, i) => scalarToJsonText(value, this.#dtypes[i]!));
    const before = countBefore(events, readUs);
    const statuses = values.map((value, i): StoredStatus => {
      if (before === 0) return 'NOT_FOUND';
      if (value !== null) return 'PRESENT';
      const { aggregate, window } = reads[i]!;
      const isLatest = aggregates[aggregate]!.spec.fn === 'latest' && window.sizeUs !== null;
      const last = countBefore(events, windowEnd(window, readUs));
      const isEmpty = last === 0 || events.timeUs[last - 1]! < windowStart(window, readUs);
      return isLatest && isEmpty ? 'OUTSIDE_MAX_AGE' : 'NULL_VALUE';
    });
    const eventTimeUs = before === 0 ? null : events.timeUs[before - 1]!;
    return { values, texts, statuses, eventTimeUs };
  }

  /** The times of events that any of the features looks at. */
  reach(readUs: InstantUs): [fromUs: number, toUs: number] {
    const windows = this.#layout.reads.map(({ window }) => window);
    return [
      Math.min(...windows.map((window) => windowReach(window, readUs))),
      Math.max(...windows.map((window) => windowEnd(window, readUs))),
    ];
  }
}

/** How many events lie before a time. */
function countBefore({ timeUs, length }: Events, us: InstantUs): number {
  let count = length;
  while (count > 0 && timeUs[count - 1]! >= us) count--;
  return count;
}

const readers = new WeakMap<ViewProgram, Map<string, Reader>>();

/** What reads some features of a view, by name, from bare events. */
export function readerOf(program: ViewProgram, names: readonly string[]): Reader {
  const known = readers.getOrInsertComputed(program, () => new Map());
  return known.getOrInsertComputed(names.join(), () => {
    const { features } = program.view;
    return new Reader(
      program,
      names.map((name) => features.findIndex((feature) => feature.name === name)),
    );
  });
}
