/** min and max: one fold with a direction, and its sweep by a queue of rows that can still win. */
import type { ByteReader } from '../base/bytes.ts';
import type { Column, ColumnBuilder } from '../types/column.ts';
import { scalarAt } from '../types/column.ts';
import type { Dtype } from '../types/dtype.ts';
import { compareScalars, type Scalar } from '../types/scalar.ts';
import type { Aggregate } from './aggregate.ts';
import { readNullable, writeNullable } from './codec.ts';

/** The value that is ahead so far; null: none. */
interface State {
  best: Scalar | null;
}

/** `direction` 1 for max, −1 for min. */
export function extremum(fn: string, dtype: Dtype, direction: 1 | -1): Aggregate<State> {
  const row = bestRowOf(dtype, direction);
  const beats = beatsOf(dtype, direction);
  const offer = (state: State, value: Scalar | null): void => {
    if (
      value !== null &&
      (state.best === null || compareScalars(value, state.best) * direction > 0)
    )
      state.best = value;
  };
  return {
    fn,
    output: dtype,
    create: () => ({ best: null }),
    clear: (state) => {
      state.best = null;
    },
    add: (state, input, lo, hi) => {
      const best = row(input!, lo, hi);
      if (best >= 0) offer(state, scalarAt(input!, best));
    },
    absorb: (state, other) => offer(state, other.best),
    absorbEncoded: (state, reader: ByteReader) => offer(state, readNullable(reader, dtype)),
    result: (state) => state.best,
    emit: (state, out) => out.push(state.best),
    encode: (state, writer) => writeNullable(writer, state.best, dtype),
    decode: (reader) => ({ best: readNullable(reader, dtype) }),
    sweep: (input, lo, hi, n, out) => sweep(input!, lo, hi, n, out, beats),
  };
}

/** Row of the first best value of rows lo to hi; −1 if all are null. */
type BestRow = (column: Column, lo: number, hi: number) => number;
/** Whether row a's value beats row b's; neither is null. */
type Beats = (column: Column, a: number, b: number) => boolean;

function bestRowOf(dtype: Dtype, direction: 1 | -1): BestRow {
  if (isHeldAsNumbers(dtype)) return direction === 1 ? greatestNumber : leastNumber;
  const beats = beatsOf(dtype, direction);
  return (column, lo, hi) => {
    let best = -1;
    for (let i = lo; i < hi; i++) {
      if (column.validity !== null && column.validity[i] === 0) continue;
      if (best < 0 || beats(column, i, best)) best = i;
    }
    return best;
  };
}

/** Of the typed arrays, only those of int64 do not hold numbers. */
function isHeldAsNumbers(dtype: Dtype): boolean {
  return dtype.kind !== 'int64' && dtype.kind !== 'string' && dtype.kind !== 'bytes';
}

function greatestNumber(column: Column, lo: number, hi: number): number {
  const { validity } = column;
  const data = column.data as Float64Array;
  let best = -1;
  let greatest = Number.NEGATIVE_INFINITY;
  for (let i = lo; i < hi; i++) {
    if (validity !== null && validity[i] === 0) continue;
    if (data[i]! > greatest || best < 0) greatest = data[(best = i)]!;
  }
  return best;
}

function leastNumber(column: Column, lo: number, hi: number): number {
  const { validity } = column;
  const data = column.data as Float64Array;
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let i = lo; i < hi; i++) {
    if (validity !== null && validity[i] === 0) continue;
    if (data[i]! < least || best < 0) least = data[(best = i)]!;
  }
  return best;
}

function beatsOf(dtype: Dtype, direction: 1 | -1): Beats {
  if (dtype.kind === 'string' || dtype.kind === 'bytes')
    return (column, a, b) =>
      compareScalars((column.data as string[])[a]!, (column.data as string[])[b]!) * direction > 0;
  return direction === 1
    ? (column, a, b) => (column.data as Float64Array)[a]! > (column.data as Float64Array)[b]!
    : (column, a, b) => (column.data as Float64Array)[a]! < (column.data as Float64Array)[b]!;
}

let queue = new Int32Array(1024);

/**
 * The queue holds, oldest first, the rows of the window that no newer row of it beats or equals:
 * the oldest is the answer. Every row enters and leaves once.
 */
function sweep(
  column: Column,
  lo: Int32Array,
  hi: Int32Array,
  n: number,
  out: ColumnBuilder,
  beats: Beats,
): void {
  if (n === 0) return;
  const rows = hi[n - 1]! - lo[0]!;
  if (queue.length < rows) queue = new Int32Array(2 * rows);
  const { validity } = column;
  let head = 0;
  let tail = 0;
  let right = 0;
  for (let i = 0; i < n; i++) {
    if (lo[i]! >= right) {
      head = tail = 0;
      right = lo[i]!;
    }
    for (; right < hi[i]!; right++) {
      if (validity !== null && validity[right] === 0) continue;
      while (tail > head && !beats(column, queue[tail - 1]!, right)) tail--;
      queue[tail++] = right;
    }
    while (head < tail && queue[head]! < lo[i]!) head++;
    out.pushFrom(column, head < tail ? queue[head]! : -1);
  }
}
