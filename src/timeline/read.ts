/**
 * Reading a timeline at T. Every edge of every window becomes a rank (how many rows lie before it), which opens at most
 * the blocks on the path to it. Windows that end at one rank are then answered by one walk backwards from it: a state
 * grows from the right edge, by partials where a whole block lies inside and by rows elsewhere, and gives its value
 * at each left edge that it passes.
 */
import { windowEnd, windowStart, windowSteadyUntil } from '../aggregate/window.ts';
import { ByteReader } from '../base/bytes.ts';
import { SamewiseError } from '../base/errors.ts';
import type { InstantUs } from '../base/time.ts';
import { formatInstant } from '../base/time.ts';
import type { Scalar } from '../types/scalar.ts';
import { type HeadView, openHead } from './codec.ts';
import { absorbEncoded } from './entries.ts';
import type { Layout } from './layout.ts';
import type { OpenedPages } from './opened.ts';
import { isLifetime, type Prepared, prepare } from './prepare.ts';
import { type BlockSource, Tree } from './tree.ts';

export type { BlockSource };

export interface Reading {
  /** One for each read asked for, without defaults. */
  readonly values: (Scalar | null)[];
  /** PRESENT, NULL_VALUE, NOT_FOUND or OUTSIDE_MAX_AGE, as model/missing.ts has them. */
  readonly statuses: ('PRESENT' | 'NULL_VALUE' | 'NOT_FOUND' | 'OUTSIDE_MAX_AGE')[];
  /** Time of the newest event before T; null if there is none. */
  readonly eventTimeUs: InstantUs | null;
  /** While the page stays as it is, a read at any time from `readUs` to this one (inclusive) says the same. */
  readonly steadyUntilUs: number;
  /** Blocks to fetch before calling again; where there are any, the rest is meaningless. */
  readonly missing: number[];
}

/**
 * The values at `readUs` of the layout's features (or of those named by `reads`, in that order): events strictly
 * before it count. `head` undefined: no page, so no events. `before`: pages that need not be opened again.
 * Throws `timeline/damaged-page`, `timeline/unknown-format`, or `timeline/beyond-retention` if a window needs rows that
 * retention has dropped.
 */
export function readTimeline(
  layout: Layout,
  head: Uint8Array | undefined,
  block: BlockSource,
  readUs: InstantUs,
  reads?: readonly number[],
  before?: OpenedPages,
): Reading {
  const prepared = prepare(layout);
  if (head === undefined) return nothing(prepared, reads);
  const view = openHead(prepared, head, before);
  return new Reader(prepared, view, new Tree(prepared, view, block, before), readUs).read(reads);
}

function nothing(prepared: Prepared, reads: readonly number[] | undefined): Reading {
  const asked = reads ?? prepared.layout.reads.map((_, read) => read);
  const values = asked.map((read) => {
    const which = prepared.layout.reads[read]!.aggregate;
    const aggregate = prepared.results[which]!;
    return aggregate.result(aggregate.create());
  });
  return {
    values,
    statuses: asked.map(() => 'NOT_FOUND'),
    eventTimeUs: null,
    steadyUntilUs: Number.POSITIVE_INFINITY,
    missing: [],
  };
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

/** Puts a span among others: those that end last come first, then those that begin last, then those without a base. */
function place(span: Span, among: Span[]): void {
  let at = among.length;
  for (; at > 0; at--) {
    const other = among[at - 1]!;
    if ((other.hi - span.hi || other.lo - span.lo || Number(span.base) - Number(other.base)) >= 0)
      break;
  }
  among.splice(at, 0, span);
}

class Reader {
  readonly #prepared: Prepared;
  readonly #head: HeadView;
  readonly #tree: Tree;
  readonly #readUs: InstantUs;
  #steadyUntilUs = Number.POSITIVE_INFINITY;

  constructor(prepared: Prepared, head: HeadView, tree: Tree, readUs: InstantUs) {
    this.#prepared = prepared;
    this.#head = head;
    this.#tree = tree;
    this.#readUs = readUs;
  }

  read(reads: readonly number[] | undefined): Reading {
    const { layout, windows, windowOf, results: aggregates } = this.#prepared;
    const { reads: all } = layout;
    const count = reads === undefined ? all.length : reads.length;
    const before = this.#tree.rank(this.#readUs);
    const newestUs = Math.max(this.#tree.previousUs, this.#droppedBeforeRead());
    // What was dropped, a later read may need.
    this.#steadyUntilUs =
      this.#head.tail.droppedUs === Number.NEGATIVE_INFINITY ? this.#tree.nextUs : this.#readUs;
    const wanted: boolean[] = [];
    const needed: boolean[] = [];
    for (let w = 0; w < windows.length; w++) wanted.push(reads === undefined);
    for (let r = 0; r < all.length; r++) needed.push(reads === undefined);
    if (reads !== undefined)
      for (const read of reads) wanted[windowOf[read]!] = needed[read] = true;
    const spans: Span[] = [];
    for (let w = 0; w < windows.length; w++) if (wanted[w]) place(this.#span(w, before), spans);
    const results: (Scalar | null)[] = [];
    for (let r = 0; r < all.length; r++) results.push(null);
    const folded = this.#newest(spans, needed, results);
    for (let from = 0, to = 0; folded && from < spans.length; from = to) {
      for (to = from + 1; to < spans.length && spans[to]!.hi === spans[from]!.hi; ) to++;
      this.#walk(spans, from, to, needed, results);
    }
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
          spans.some((span) => span.window === windowOf[read] && span.lo === span.hi && !span.base);
        statuses.push(aged ? 'OUTSIDE_MAX_AGE' : 'NULL_VALUE');
      }
    }
    return {
      values,
      statuses,
      eventTimeUs: found ? newestUs : null,
      steadyUntilUs: this.#steadyUntilUs,
      missing: this.#tree.missing,
    };
  }

  /** Answers the reads that are a value of an open row, which are then needed no more. Whether there are others. */
  #newest(spans: readonly Span[], needed: boolean[], results: (Scalar | null)[]): boolean {
    const { windows, newestOf } = this.#prepared;
    const { sealed } = this.#tree;
    let others = false;
    for (let s = 0; s < spans.length; s++) {
      const { lo, hi, window } = spans[s]!;
      const { reads } = windows[window]!;
      const row = hi > lo ? hi - 1 - sealed : -1;
      for (let k = 0; k < reads.length; k++) {
        const read = reads[k]!;
        if (!needed[read]) continue;
        if (row >= 0 && newestOf[read]! >= 0) {
          results[read] = this.#head.open.value(newestOf[read]!, row);
          needed[read] = false;
        } else others = true;
      }
    }
    return others;
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
    const hi = endUs === this.#readUs ? before : this.#tree.rank(endUs);
    const nextEndUs = endUs === this.#readUs ? Number.POSITIVE_INFINITY : this.#tree.nextUs;
    let lo = startUs === Number.NEGATIVE_INFINITY ? 0 : this.#tree.rank(startUs);
    const steadyUntilUs = windowSteadyUntil(window, this.#readUs, this.#tree.nextUs, nextEndUs);
    if (steadyUntilUs < this.#steadyUntilUs) this.#steadyUntilUs = steadyUntilUs;
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
    if (short && this.#tree.missing.length === 0)
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
    needed: readonly boolean[],
    results: (Scalar | null)[],
  ): void {
    const { layout, windows, stateOf, aggregates, scratch, copies, lifetimes } = this.#prepared;
    /** The last span of each aggregate; −1: it has none. */
    const until: number[] = [];
    for (let a = 0; a < aggregates.length; a++) until.push(-1);
    for (let s = from; s < to; s++)
      for (const read of windows[spans[s]!.window]!.reads)
        if (needed[read]) until[stateOf[layout.reads[read]!.aggregate]!] = s;
    for (let a = 0; a < aggregates.length; a++)
      if (until[a]! >= 0) aggregates[a]!.clear(scratch[a]);
    let right = spans[from]!.hi;
    let based = false;
    for (let s = from; s < to; s++) {
      const { lo, window, base } = spans[s]!;
      const whole = Math.min(right, this.#tree.blockFrom(lo));
      if (whole < right) {
        const active: number[] = [];
        for (let a = 0; a < aggregates.length; a++) if (until[a]! >= s) active.push(a);
        this.#tree.add(whole, right, active, scratch);
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
          if (!needed[read] || own.includes(a)) continue;
          own.push(a);
          aggregates[a]!.clear(copies[a]);
          aggregates[a]!.absorb(copies[a], scratch[a], 'after');
        }
        this.#tree.add(lo, right, own, copies);
      }
      if (this.#tree.missing.length > 0) continue;
      for (const read of windows[window]!.reads) {
        if (!needed[read]) continue;
        const { aggregate } = layout.reads[read]!;
        results[read] = this.#prepared.results[aggregate]!.result(states[stateOf[aggregate]!]);
      }
    }
  }
}
