/**
 * Reading a timeline at T. Every edge of every window becomes a rank (how many rows lie before it), which opens at most
 * the blocks on the path to it. Windows that end at one rank are then answered by one walk backwards from it: a state
 * grows from the right edge, by partials where a whole block lies inside and by rows elsewhere, and gives its value
 * at each left edge that it passes.
 */
import { windowEnd, windowStart } from '../aggregate/window.ts';
import { ByteReader } from '../base/bytes.ts';
import { SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';
import { formatInstant } from '../base/time.ts';
import type { Scalar } from '../types/scalar.ts';
import { type HeadView, openBlock, openHead } from './codec.ts';
import { absorbEncoded, EntriesView } from './entries.ts';
import type { Layout } from './layout.ts';
import { isLifetime, type Prepared, prepare } from './prepare.ts';
import type { RowsView } from './rows_codec.ts';

/** Gives a block's bytes, which must stay as they are until the read returns; undefined if it is not at hand. */
export type BlockSource = (number: number) => Uint8Array | undefined;

export interface Reading {
  /** One for each read asked for, without defaults. */
  readonly values: (Scalar | null)[];
  /** PRESENT, NULL_VALUE, NOT_FOUND or OUTSIDE_MAX_AGE, as model/missing.ts has them. */
  readonly statuses: ('PRESENT' | 'NULL_VALUE' | 'NOT_FOUND' | 'OUTSIDE_MAX_AGE')[];
  /** Time of the newest event before T; null if there is none. */
  readonly eventTimeUs: InstantUs | null;
  /** Blocks to fetch before calling again; where there are any, the rest is meaningless. */
  readonly missing: number[];
}

/**
 * The values at `readUs` of the layout's features (or of those named by `reads`, in that order): events strictly
 * before it count. `head` undefined: no page, so no events.
 * Throws `timeline/damaged-page`, `timeline/unknown-format`, or `timeline/beyond-retention` if a window needs rows that
 * retention has dropped.
 */
export function readTimeline(
  layout: Layout,
  head: Uint8Array | undefined,
  block: BlockSource,
  readUs: InstantUs,
  reads?: readonly number[],
): Reading {
  const prepared = prepare(layout);
  if (head === undefined) return nothing(prepared, reads);
  return new Reader(prepared, openHead(prepared, head), block, readUs).read(reads);
}

function nothing(prepared: Prepared, reads: readonly number[] | undefined): Reading {
  const asked = reads ?? prepared.layout.reads.map((_, read) => read);
  const values = asked.map((read) => {
    const which = prepared.layout.reads[read]!.aggregate;
    const aggregate = prepared.results[which]!;
    return aggregate.result(aggregate.create());
  });
  return { values, statuses: asked.map(() => 'NOT_FOUND'), eventTimeUs: null, missing: [] };
}

/** A window's rows, as ranks. */
interface Span {
  /** Index into the prepared windows. */
  readonly window: number;
  readonly lo: number;
  readonly hi: number;
  /** It takes in what was dropped, too. */
  readonly base: boolean;
}

class Reader {
  readonly #prepared: Prepared;
  readonly #head: HeadView;
  readonly #block: BlockSource;
  readonly #readUs: InstantUs;
  /** Rows in blocks; the open rows have the ranks from here on. */
  readonly #sealed: number;
  readonly #opened = new Map<number, RowsView | EntriesView | null>();
  readonly #missing: number[] = [];
  /** Set by `#rank`: the time of the newest row before it, −∞ if there is none. */
  #previousUs = Number.NEGATIVE_INFINITY;

  constructor(prepared: Prepared, head: HeadView, block: BlockSource, readUs: InstantUs) {
    this.#prepared = prepared;
    this.#head = head;
    this.#block = block;
    this.#readUs = readUs;
    this.#sealed = head.root === null ? 0 : head.root.rows;
  }

  read(reads: readonly number[] | undefined): Reading {
    const { layout, windows, windowOf, results: aggregates } = this.#prepared;
    const { reads: all } = layout;
    const count = reads === undefined ? all.length : reads.length;
    const before = this.#rank(this.#readUs);
    const newestUs = Math.max(this.#previousUs, this.#droppedBeforeRead());
    const wanted = new Uint8Array(windows.length);
    const needed = new Uint8Array(all.length);
    for (let k = 0; k < count; k++) {
      const read = reads === undefined ? k : reads[k]!;
      needed[read] = 1;
      wanted[windowOf[read]!] = 1;
    }
    const spans: Span[] = [];
    for (let w = 0; w < windows.length; w++) if (wanted[w] === 1) spans.push(this.#span(w, before));
    spans.sort((x, y) => y.hi - x.hi || y.lo - x.lo || Number(x.base) - Number(y.base));
    const results: (Scalar | null)[] = new Array(all.length).fill(null);
    for (let from = 0, to = 0; from < spans.length; from = to) {
      for (to = from + 1; to < spans.length && spans[to]!.hi === spans[from]!.hi; ) to++;
      this.#walk(spans, from, to, needed, results);
    }
    const empty = new Uint8Array(windows.length);
    for (const span of spans) empty[span.window] = span.lo === span.hi && !span.base ? 1 : 0;
    const found = newestUs !== Number.NEGATIVE_INFINITY;
    const values: Reading['values'] = [];
    const statuses: Reading['statuses'] = [];
    for (let k = 0; k < count; k++) {
      const read = reads === undefined ? k : reads[k]!;
      const { aggregate, window } = all[read]!;
      const value = results[read]!;
      values.push(value);
      if (!found) statuses.push('NOT_FOUND');
      else if (value !== null) statuses.push('PRESENT');
      else {
        const aged =
          aggregates[aggregate]!.fn === 'latest' &&
          window.sizeUs !== null &&
          empty[windowOf[read]!] === 1;
        statuses.push(aged ? 'OUTSIDE_MAX_AGE' : 'NULL_VALUE');
      }
    }
    return { values, statuses, eventTimeUs: found ? newestUs : null, missing: this.#missing };
  }

  #droppedBeforeRead(): number {
    const { droppedUs } = this.#head.tail;
    return droppedUs < this.#readUs ? droppedUs : Number.NEGATIVE_INFINITY;
  }

  /** `before`: the rank of T itself, where most windows end. */
  #span(index: number, before: number): Span {
    const { window } = this.#prepared.windows[index]!;
    const startUs = windowStart(window, this.#readUs);
    const endUs = windowEnd(window, this.#readUs);
    const hi = endUs === this.#readUs ? before : this.#rank(endUs);
    let lo = startUs === Number.NEGATIVE_INFINITY ? 0 : this.#rank(startUs);
    const { droppedUs } = this.#head.tail;
    const lifetime = isLifetime(window);
    // What the window still needs of the rows that were dropped.
    const dropped = droppedUs !== Number.NEGATIVE_INFINITY;
    let short = dropped && (lifetime ? endUs : startUs) <= droppedUs;
    if (window.last !== null) {
      const newest = Math.max(lo, hi - window.last);
      short &&= hi - lo < window.last;
      lo = newest;
    }
    if (short && this.#missing.length === 0)
      throw new SamewiseError(
        'timeline/beyond-retention',
        `a read at ${formatInstant(this.#readUs)} needs events up to ${formatInstant(droppedUs)}, which are no longer kept`,
        { hint: 'read it from history (a training set or a snapshot), or keep events longer' },
      );
    return { window: index, lo, hi, base: lifetime && dropped };
  }

  /**
   * Answers spans from…to, which end at one rank and are sorted by where they begin, the nearest first. One state an
   * aggregate takes in whole blocks from the right edge on; where a span begins inside a block, a copy
   * takes in that part of it, so that the block's partial serves the spans that reach further back.
   */
  #walk(
    spans: readonly Span[],
    from: number,
    to: number,
    needed: Uint8Array,
    results: (Scalar | null)[],
  ): void {
    const { layout, windows, stateOf, aggregates, scratch, copies, lifetimes } = this.#prepared;
    /** The last span of each aggregate; −1: it has none. */
    const until = new Int32Array(aggregates.length).fill(-1);
    for (let s = from; s < to; s++)
      for (const read of windows[spans[s]!.window]!.reads)
        if (needed[read] === 1) until[stateOf[layout.reads[read]!.aggregate]!] = s;
    for (let a = 0; a < aggregates.length; a++)
      if (until[a]! >= 0) aggregates[a]!.clear(scratch[a]);
    let right = spans[from]!.hi;
    let based = false;
    for (let s = from; s < to; s++) {
      const { lo, window, base } = spans[s]!;
      const whole = Math.min(right, this.#blockFrom(lo));
      if (whole < right) {
        const active: number[] = [];
        for (let a = 0; a < aggregates.length; a++) if (until[a]! >= s) active.push(a);
        this.#add(whole, right, active, scratch);
        right = whole;
      }
      if (base && !based) {
        based = true;
        lifetimes.forEach((a, i) => {
          if (until[a]! < s) return;
          const reader = new ByteReader(this.#head.tail.base[i]!);
          absorbEncoded(aggregates[a]!, scratch[a], reader, 'before');
        });
      }
      let states = scratch;
      if (lo < right) {
        states = copies;
        const own: number[] = [];
        for (const read of windows[window]!.reads) {
          const a = stateOf[layout.reads[read]!.aggregate]!;
          if (needed[read] === 0 || own.includes(a)) continue;
          own.push(a);
          aggregates[a]!.clear(copies[a]);
          aggregates[a]!.absorb(copies[a], scratch[a], 'after');
        }
        this.#add(lo, right, own, copies);
      }
      if (this.#missing.length > 0) continue;
      for (const read of windows[window]!.reads) {
        if (needed[read] === 0) continue;
        const { aggregate } = layout.reads[read]!;
        results[read] = this.#prepared.results[aggregate]!.result(states[stateOf[aggregate]!]);
      }
    }
  }

  /** The first rank from `rank` on where a block of the root begins; any rank of an open row. */
  #blockFrom(rank: number): number {
    if (rank >= this.#sealed) return rank;
    const root = this.#head.root!;
    const entry = root.holding(rank);
    const begins = root.rowsBefore(entry);
    return begins === rank ? rank : root.rowsBefore(entry + 1);
  }

  /** How many rows happened before `us`. */
  #rank(us: number): number {
    const { root, open } = this.#head;
    this.#previousUs = Number.NEGATIVE_INFINITY;
    if (root === null || us > root.maxUs(root.length - 1)) {
      if (root !== null) this.#previousUs = root.maxUs(root.length - 1);
      const rows = open.countBefore(us);
      if (rows > 0) this.#previousUs = open.timeUs[rows - 1]!;
      return this.#sealed + rows;
    }
    let rank = 0;
    for (let node: EntriesView = root; ; ) {
      const i = node.firstReaching(us);
      rank += node.rowsBefore(i);
      if (i > 0) this.#previousUs = node.maxUs(i - 1);
      if (node.minUs(i) >= us) return rank;
      const below = this.#open(node, i);
      if (below === null) return rank;
      if (below instanceof EntriesView) node = below;
      else {
        const rows = below.countBefore(us);
        this.#previousUs = below.timeUs[rows - 1]!;
        return rank + rows;
      }
    }
  }

  /** Adds the rows of ranks lo…hi to the states of the aggregates `active`, before what they hold. */
  #add(lo: number, hi: number, active: readonly number[], states: readonly unknown[]): void {
    const sealed = this.#sealed;
    if (hi > sealed)
      this.#addRows(this.#head.open, Math.max(lo, sealed) - sealed, hi - sealed, active, states);
    if (lo < sealed) this.#addEntries(this.#head.root!, lo, Math.min(hi, sealed), active, states);
  }

  #addRows(
    rows: RowsView,
    lo: number,
    hi: number,
    active: readonly number[],
    states: readonly unknown[],
  ): void {
    const { aggregates, inputs, layout } = this.#prepared;
    for (let k = 0; k < active.length; k++) {
      const a = active[k]!;
      const input = inputs[a]!;
      // Of many rows latest takes one: their text need not be decoded for it.
      if (aggregates[a]!.fn === 'latest' && layout.columns[input]!.kind === 'string' && hi > lo)
        aggregates[a]!.add(states[a], rows.cell(input, hi - 1), 0, 1, 'before');
      else aggregates[a]!.add(states[a], input < 0 ? null : rows.column(input), lo, hi, 'before');
    }
  }

  /** Ranks lo…hi count from the node's first row; they are not empty. */
  #addEntries(
    node: EntriesView,
    lo: number,
    hi: number,
    active: readonly number[],
    states: readonly unknown[],
  ): void {
    const { aggregates } = this.#prepared;
    const first = node.holding(lo);
    const last = node.holding(hi - 1);
    const firstFrom = node.rowsBefore(first);
    const lastTo = node.rowsBefore(last + 1);
    // Entries that lie inside as a whole.
    const from = lo > firstFrom ? first + 1 : first;
    const to = hi < lastTo ? last : last + 1;
    if (to <= last && last >= from)
      this.#descend(node, last, 0, hi - node.rowsBefore(last), active, states);
    for (let k = 0; from < to && k < active.length; k++) {
      const a = active[k]!;
      node.absorb(aggregates[a]!, a, states[a], from, to, (i) =>
        this.#descend(node, i, 0, node.rowsBefore(i + 1) - node.rowsBefore(i), [a], states),
      );
    }
    if (from > first) {
      const end = Math.min(hi, node.rowsBefore(first + 1)) - firstFrom;
      this.#addFrom(node, first, lo - firstFrom, end, active, states);
    }
  }

  /** Adds rows lo…hi of an entry: as its partial less the rows before lo, where those are fewer. */
  #addFrom(
    node: EntriesView,
    entry: number,
    lo: number,
    hi: number,
    active: readonly number[],
    states: readonly unknown[],
  ): void {
    const { aggregates, inputs } = this.#prepared;
    const all = node.rowsBefore(entry + 1) - node.rowsBefore(entry);
    const below = this.#open(node, entry);
    if (below === null) return;
    if (below instanceof EntriesView) return this.#addEntries(below, lo, hi, active, states);
    if (hi < all || lo > hi - lo) return this.#addRows(below, lo, hi, active, states);
    for (const a of active) {
      const aggregate = aggregates[a]!;
      const input = inputs[a]!;
      const column = input < 0 ? null : below.column(input);
      let kept = aggregate.remove !== undefined;
      if (kept)
        node.absorb(aggregate, a, states[a], entry, entry + 1, () => {
          kept = false;
        });
      if (kept) aggregate.remove!(states[a], column, 0, lo);
      else aggregate.add(states[a], column, lo, hi, 'before');
    }
  }

  #descend(
    node: EntriesView,
    entry: number,
    lo: number,
    hi: number,
    active: readonly number[],
    states: readonly unknown[],
  ): void {
    const below = this.#open(node, entry);
    if (below === null) return;
    if (below instanceof EntriesView) this.#addEntries(below, lo, hi, active, states);
    else this.#addRows(below, lo, hi, active, states);
  }

  /** The block below an entry; null if it is not at hand, which is then noted. */
  #open(node: EntriesView, entry: number): RowsView | EntriesView | null {
    const number = node.number(entry);
    let found = this.#opened.get(number);
    if (found === undefined) {
      const page = this.#block(number);
      if (page === undefined) {
        this.#missing.push(number);
        found = null;
      } else
        found = openBlock(this.#prepared, page, number, node.checksum(entry), node.level(entry));
      this.#opened.set(number, found);
    }
    return found;
  }
}
