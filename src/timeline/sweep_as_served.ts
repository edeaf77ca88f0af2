/**
 * The sweep with the knowledge of a time. A read that nothing is hidden from is one of `sweep`; the others, which are few where events
 * come soon after they happen, are folded anew.
 */
import type { Aggregate } from '../aggregate/aggregate.ts';
import { windowEnd, windowStart } from '../aggregate/window.ts';
import { ColumnBuilder } from '../types/column.ts';
import type { Events, Layout } from './layout.ts';
import { prepare } from './prepare.ts';
import { inputOf, sweep } from './sweep.ts';

/**
 * As `sweep`, but the read i sees row r iff visibleFrom[r] < knownUs[i] <= visibleTo[r] as well (null: all rows stay visible). What is known
 * is that of the read time where a value is wanted as it was served; it may also be that of another time, in any order. Rows are every
 * version that ever stood (`resolveHistory` as-served).
 */
export function sweepAsServed(
  layout: Layout,
  events: Events,
  visibleFrom: Float64Array,
  visibleTo: Float64Array | null,
  from: number,
  to: number,
  readUs: Float64Array,
  knownUs: Float64Array,
  readFrom: number,
  readTo: number,
  out: readonly ColumnBuilder[],
): void {
  const seeLess = readsThatSeeLess(
    events.timeUs,
    visibleFrom,
    visibleTo,
    from,
    to,
    readUs,
    knownUs,
    readFrom,
    readTo,
  );
  if (seeLess.length === 0) return sweep(layout, events, from, to, readUs, readFrom, readTo, out);
  const fold = (read: Float64Array, known: Float64Array, i: number, n: number, into: typeof out) =>
    foldEach(layout, events, visibleFrom, visibleTo, from, to, read, known, i, n, into);
  if (2 * seeLess.length > readTo - readFrom) return fold(readUs, knownUs, readFrom, readTo, out);

  const builders = () => out.map(({ dtype }) => new ColumnBuilder(dtype));
  const swept = builders();
  sweep(layout, events, from, to, readUs, readFrom, readTo, swept);
  const folded = builders();
  const some = (of: Float64Array) => Float64Array.from(seeLess, (i) => of[i]!);
  fold(some(readUs), some(knownUs), 0, seeLess.length, folded);
  out.forEach((builder, read) => {
    const all = swept[read]!.finish();
    const others = folded[read]!.finish();
    for (let i = readFrom, next = 0; i < readTo; i++) {
      if (seeLess[next] === i) builder.pushFrom(others, next++);
      else builder.pushFrom(all, i - readFrom);
    }
  });
}

/** The reads that do not see some row before their time, ascending. */
function readsThatSeeLess(
  timeUs: Float64Array,
  visibleFrom: Float64Array,
  visibleTo: Float64Array | null,
  from: number,
  to: number,
  readUs: Float64Array,
  knownUs: Float64Array,
  readFrom: number,
  readTo: number,
): number[] {
  const found: number[] = [];
  let lastFrom = Number.NEGATIVE_INFINITY;
  let firstTo = Number.POSITIVE_INFINITY;
  let right = from;
  for (let i = readFrom; i < readTo; i++) {
    for (; right < to && timeUs[right]! < readUs[i]!; right++) {
      lastFrom = Math.max(lastFrom, visibleFrom[right]!);
      if (visibleTo !== null) firstTo = Math.min(firstTo, visibleTo[right]!);
    }
    if (knownUs[i]! <= lastFrom || knownUs[i]! > firstTo) found.push(i);
  }
  return found;
}

/** Folds anew for each read. */
function foldEach(
  layout: Layout,
  events: Events,
  visibleFrom: Float64Array,
  visibleTo: Float64Array | null,
  from: number,
  to: number,
  readUs: Float64Array,
  knownUs: Float64Array,
  readFrom: number,
  readTo: number,
  out: readonly ColumnBuilder[],
): void {
  const prepared = prepare(layout);
  const { timeUs } = events;
  for (const { window, reads } of prepared.windows) {
    let left = from;
    let right = from;
    for (let i = readFrom; i < readTo; i++) {
      const at = readUs[i]!;
      const known = knownUs[i]!;
      const end = windowEnd(window, at);
      const start = windowStart(window, at);
      while (right < to && timeUs[right]! < end) right++;
      while (left < right && timeUs[left]! < start) left++;
      const seen = (row: number): boolean =>
        visibleFrom[row]! < known && (visibleTo === null || known <= visibleTo[row]!);
      let first = left;
      if (window.last !== null) {
        first = right;
        for (let need = window.last; first > left && need > 0; first--) if (seen(first - 1)) need--;
      }
      for (const read of reads) {
        const which = layout.reads[read]!.aggregate;
        const aggregate = prepared.results[which]!;
        const state = prepared.scratch[prepared.stateOf[which]!];
        const input = inputOf(prepared, events, which);
        aggregate.clear(state);
        // Runs of visible rows, in order.
        for (let row = first; row < right; row++) {
          if (!seen(row)) continue;
          const run = row;
          while (row + 1 < right && seen(row + 1)) row++;
          aggregate.add(state, input, run, row + 1, 'after');
        }
        emit(aggregate, state, out[read]!);
      }
    }
  }
}

function emit(aggregate: Aggregate, state: unknown, out: ColumnBuilder): void {
  if (aggregate.emit !== undefined) aggregate.emit(state, out);
  else out.push(aggregate.result(state));
}
