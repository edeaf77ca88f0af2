/**
 * From deliveries to events: repeats, corrections and retracts of raw history resolved by the rule of identity.ts.
 * Nothing is copied where there is nothing to resolve, which is the usual case.
 */
import { arrivalsOf, compareContent, compareIds, idWords, precedence } from './identity.ts';
import type { Changes, Events } from './layout.ts';
import { gatherEvents } from './rows.ts';
import type { Tombstone } from './tail.ts';

/** `final`: the events that stand. `as-served`: every version that ever stood, and from when to when. */
export type Knowledge = 'final' | 'as-served';

export interface Resolved {
  /** Sorted by (t, a, id) within each key. */
  readonly events: Events;
  /** Key i has rows starts[i] to starts[i + 1] of `events`; as many keys as were given, some perhaps empty. */
  readonly starts: Int32Array;
  /** A read at T sees row r as served iff visibleFrom[r] < T <= visibleTo[r]. */
  readonly visibleFrom: Float64Array;
  /** Null: every row stays visible. Always null for `final`. */
  readonly visibleTo: Float64Array | null;
  /** What `final` found retracted, by key (none: absent), sorted by (t, id): `buildPages` keeps it. Empty for `as-served`. */
  readonly tombstones: Tombstones;
}

export type Tombstones = ReadonlyMap<number, readonly Tombstone[]>;

/** Nothing was retracted. */
export const NO_TOMBSTONES: Tombstones = new Map();

/**
 * Resolves history in which an event is (key, t, id): any append-only source, or one timeline's changes.
 * Key i has rows starts[i] to starts[i + 1]; by default all rows are of one key. Rows may be in any order within
 * a key; sorted by (t, a, id) they cost least. `columns` are the layout's evaluated columns.
 */
export function resolveHistory(
  mutable: boolean,
  rows: Changes,
  starts: Int32Array = Int32Array.of(0, rows.length),
  knowledge: Knowledge = 'final',
): Resolved {
  if (isPlain(rows, starts))
    return {
      events: rows,
      starts,
      visibleFrom: arrivalsOf(rows),
      visibleTo: null,
      tombstones: NO_TOMBSTONES,
    };
  const resolver = new Resolver(mutable, rows, knowledge);
  const outStarts = new Int32Array(starts.length);
  const tombstones = new Map<number, readonly Tombstone[]>();
  for (let key = 0; key + 1 < starts.length; key++) {
    resolver.key(starts[key]!, starts[key + 1]!);
    outStarts[key + 1] = resolver.kept;
    const buried = resolver.takeBuried();
    if (buried.length > 0) tombstones.set(key, buried.map(resolver.tombstoneOf));
  }
  return resolver.finish(outStarts, tombstones);
}

/**
 * Resolves history of a mutable source, in which an event is its id alone, whichever key or time it moved to.
 * Rows must be sorted by id, with all rows of one id given. Returns the rows that stand (or stood), in the order
 * given: the caller sorts them by (key, t, a, id); and for `final` the rows that took their event away.
 */
export function resolveById(
  rows: Changes,
  knowledge: Knowledge = 'final',
): {
  readonly rows: Int32Array;
  readonly visibleTo: Float64Array | null;
  readonly buried: readonly number[];
} {
  const words = idWords(rows.id);
  const resolver = new Resolver(true, rows, knowledge);
  for (let lo = 0, hi = 0; lo < rows.length; lo = hi) {
    for (hi = lo + 1; hi < rows.length && compareIds(words, lo, words, hi) === 0; ) hi++;
    resolver.deliveries(Array.from({ length: hi - lo }, (_, i) => lo + i));
  }
  return { ...resolver.picked(), buried: resolver.takeBuried() };
}

/** No retracts, each key sorted by (t, a, id), and no id twice at one time. */
function isPlain(rows: Changes, starts: Int32Array): boolean {
  if (rows.retract?.includes(1)) return false;
  const { timeUs } = rows;
  const arrivalUs = arrivalsOf(rows);
  const words = idWords(rows.id);
  for (let key = 0; key + 1 < starts.length; key++) {
    const end = starts[key + 1]!;
    for (let i = starts[key]! + 1, run = i - 1; i < end; i++) {
      if (timeUs[i]! > timeUs[i - 1]!) run = i;
      else if (
        timeUs[i]! < timeUs[i - 1]! ||
        arrivalUs[i]! < arrivalUs[i - 1]! ||
        (arrivalUs[i] === arrivalUs[i - 1] && compareIds(words, i - 1, words, i) >= 0)
      )
        return false;
      else if (rows.arrivalUs !== null) {
        // Long runs with distinct arrivals are left to the general way, which sorts them.
        if (i - run > 16) return false;
        for (let j = run; j < i; j++) if (compareIds(words, j, words, i) === 0) return false;
      }
    }
  }
  return true;
}

class Resolver {
  readonly #mutable: boolean;
  readonly #rows: Changes;
  readonly #asServed: boolean;
  readonly #arrivalUs: Float64Array;
  readonly #words: Int32Array;
  readonly #keep: Int32Array;
  readonly #visibleTo: Float64Array | null;
  /** Rows picked so far. */
  kept = 0;
  /** Retracts that stand, since they were last taken. */
  #buried: number[] = [];

  constructor(mutable: boolean, rows: Changes, knowledge: Knowledge) {
    this.#mutable = mutable;
    this.#rows = rows;
    this.#asServed = knowledge === 'as-served';
    this.#arrivalUs = arrivalsOf(rows);
    this.#words = idWords(rows.id);
    this.#keep = new Int32Array(rows.length);
    this.#visibleTo = this.#asServed ? new Float64Array(rows.length) : null;
  }

  /** Resolves the rows of one key. */
  key(from: number, to: number): void {
    const { timeUs, retract } = this.#rows;
    let ordered = true;
    for (let i = from + 1; i < to && ordered; i++) ordered = timeUs[i]! >= timeUs[i - 1]!;
    const order = ordered ? null : Array.from({ length: to - from }, (_, i) => from + i);
    order?.sort((x, y) => timeUs[x]! - timeUs[y]!);
    const at = (i: number): number => (order === null ? i : order[i - from]!);
    for (let lo = from, hi = from; lo < to; lo = hi) {
      const first = at(lo);
      for (hi = lo + 1; hi < to && timeUs[at(hi)] === timeUs[first]; ) hi++;
      if (hi === lo + 1 && retract?.[first] !== 1) this.#pick(first, Number.POSITIVE_INFINITY);
      else if (hi === lo + 1) this.deliveries([first]);
      else {
        const run: number[] = [];
        for (let i = lo; i < hi; i++) run.push(at(i));
        this.#sameTime(run);
      }
    }
  }

  /** Rows of one key and time: resolves each id, then puts what stands in order of (a, id). */
  #sameTime(run: number[]): void {
    run.sort((x, y) => compareIds(this.#words, x, this.#words, y));
    const start = this.kept;
    for (let lo = 0, hi = 0; lo < run.length; lo = hi) {
      for (hi = lo + 1; hi < run.length && this.#sameId(run[lo]!, run[hi]!); ) hi++;
      this.deliveries(run.slice(lo, hi));
    }
    const picked = Array.from({ length: this.kept - start }, (_, i) => ({
      row: this.#keep[start + i]!,
      visibleTo: this.#visibleTo?.[start + i] ?? 0,
    }));
    picked.sort(
      (x, y) =>
        this.#arrivalUs[x.row]! - this.#arrivalUs[y.row]! ||
        compareIds(this.#words, x.row, this.#words, y.row),
    );
    this.kept = start;
    for (const { row, visibleTo } of picked) this.#pick(row, visibleTo);
  }

  #sameId(x: number, y: number): boolean {
    return compareIds(this.#words, x, this.#words, y) === 0;
  }

  /** All deliveries of one event: picks what stands, or with `as-served` whatever ever stood. */
  deliveries(rows: number[]): void {
    rows.sort((x, y) => this.#compare(x, y));
    const last = rows.length - 1;
    if (!this.#asServed) {
      if (this.#retracted(rows[last]!) === 0) this.#pick(rows[last]!, Number.POSITIVE_INFINITY);
      else this.#buried.push(rows[last]!);
    } else if (this.#mutable) {
      for (let i = 0; i <= last; i++) {
        const until = i === last ? Number.POSITIVE_INFINITY : this.#arrivalUs[rows[i + 1]!]!;
        if (this.#retracted(rows[i]!) === 0 && this.#arrivalUs[rows[i]!]! < until)
          this.#pick(rows[i]!, until);
      }
    } else {
      // The earliest upsert stood until the earliest retract; in this order each is the last of its kind.
      const upsert = rows.findLast((row) => this.#retracted(row) === 0);
      const until =
        this.#retracted(rows[last]!) === 0
          ? Number.POSITIVE_INFINITY
          : this.#arrivalUs[rows[last]!]!;
      if (upsert !== undefined && this.#arrivalUs[upsert]! < until) this.#pick(upsert, until);
    }
  }

  /** Puts the delivery that stands last. */
  #compare(x: number, y: number): number {
    return (
      precedence(
        this.#mutable,
        this.#arrivalUs[x]!,
        this.#retracted(x),
        this.#arrivalUs[y]!,
        this.#retracted(y),
      ) || compareContent(this.#rows.columns, y, this.#rows.columns, x)
    );
  }

  #retracted(row: number): number {
    return this.#rows.retract === null ? 0 : this.#rows.retract[row]!;
  }

  #pick(row: number, visibleTo: number): void {
    if (this.#visibleTo !== null) this.#visibleTo[this.kept] = visibleTo;
    this.#keep[this.kept++] = row;
  }

  picked(): { rows: Int32Array; visibleTo: Float64Array | null } {
    return {
      rows: this.#keep.subarray(0, this.kept),
      visibleTo: this.#visibleTo?.subarray(0, this.kept) ?? null,
    };
  }

  takeBuried(): readonly number[] {
    const taken = this.#buried;
    if (taken.length > 0) this.#buried = [];
    return taken;
  }

  tombstoneOf = (row: number): Tombstone => ({
    timeUs: this.#rows.timeUs[row]!,
    id: this.#rows.id[row]!,
    arrivalUs: this.#arrivalUs[row]!,
  });

  finish(starts: Int32Array, tombstones: Tombstones): Resolved {
    const { rows, visibleTo } = this.picked();
    const events = gatherEvents(this.#rows, rows);
    return { events, starts, visibleFrom: arrivalsOf(events), visibleTo, tombstones };
  }
}
