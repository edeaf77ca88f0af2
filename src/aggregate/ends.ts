/**
 * first, last, first_k, last_k: the k values nearest one end of the window, nulls left out. One fold with a direction.
 * The state holds them in event order, oldest first, whichever end is kept.
 */
import type { ByteReader } from '../base/bytes.ts';
import type { Column, ColumnBuilder } from '../types/column.ts';
import { scalarAt } from '../types/column.ts';
import { type Dtype, list } from '../types/dtype.ts';
import type { Scalar } from '../types/scalar.ts';
import type { Aggregate, Side } from './aggregate.ts';
import { readScalar, writeScalar } from './codec.ts';

export type End = 'first' | 'last';

interface State {
  values: Scalar[];
}

/** The value at one end. */
export function endValue(fn: string, dtype: Dtype, end: End): Aggregate<State> {
  return {
    ...endValues(fn, dtype, end, 1),
    output: dtype,
    result: (state) => state.values[0] ?? null,
    emit: (state, out) => out.push(state.values[0] ?? null),
    sweep: (input, lo, hi, n, out) => {
      sweepRows(input!, lo, hi, n, (rows, from, to) =>
        out.pushFrom(input!, from === to ? -1 : rows[end === 'first' ? from : to - 1]!),
      );
    },
  };
}

/** The list of at most k values at one end, oldest first. */
export function endValues(fn: string, dtype: Dtype, end: End, k: number): Aggregate<State> {
  const combine = (state: State, values: Scalar[], side: Side): void => {
    if (values.length === 0) return;
    const both = side === 'after' ? state.values.concat(values) : values.concat(state.values);
    state.values = both.length <= k ? both : end === 'first' ? both.slice(0, k) : both.slice(-k);
  };
  const read = (reader: ByteReader): Scalar[] => {
    const values: Scalar[] = [];
    for (let n = reader.varint(); n > 0; n--) values.push(readScalar(reader, dtype));
    return values;
  };
  return {
    fn,
    output: list(dtype),
    create: () => ({ values: [] }),
    clear: (state) => {
      state.values = [];
    },
    add: (state, input, lo, hi, side) => {
      // Rows on the far side of a full state change nothing.
      const outer = (end === 'last') === (side === 'after');
      const wanted = outer ? k : k - state.values.length;
      if (wanted > 0) combine(state, nearest(input!, lo, hi, end, wanted), side);
    },
    absorb: (state, other, side) => combine(state, other.values, side),
    absorbEncoded: (state, reader, side) => combine(state, read(reader), side),
    result: (state) => state.values.slice(),
    emit: (state, out) => out.push(state.values),
    encode: (state, writer) => {
      writer.varint(state.values.length);
      for (const value of state.values) writeScalar(writer, value, dtype);
    },
    decode: (reader) => ({ values: read(reader) }),
    sweep: (input, lo, hi, n, out) => sweepLists(input!, lo, hi, n, out, end, k),
  };
}

/** The `wanted` values nearest the end of rows lo to hi, oldest first. */
function nearest(input: Column, lo: number, hi: number, end: End, wanted: number): Scalar[] {
  const found: Scalar[] = [];
  if (end === 'first') {
    for (let i = lo; i < hi && found.length < wanted; i++) {
      const value = scalarAt(input, i);
      if (value !== null) found.push(value);
    }
    return found;
  }
  for (let i = hi - 1; i >= lo && found.length < wanted; i--) {
    const value = scalarAt(input, i);
    if (value !== null) found.push(value);
  }
  return found.reverse();
}

function sweepLists(
  input: Column,
  lo: Int32Array,
  hi: Int32Array,
  n: number,
  out: ColumnBuilder,
  end: End,
  k: number,
): void {
  const values: Scalar[] = [];
  sweepRows(input, lo, hi, n, (rows, from, to) => {
    const start = end === 'first' ? from : Math.max(from, to - k);
    const stop = end === 'first' ? Math.min(to, from + k) : to;
    values.length = stop - start;
    for (let i = start; i < stop; i++) values[i - start] = scalarAt(input, rows[i]!)!;
    out.push(values);
  });
}

let valid = new Int32Array(1024);

/** Calls `use` for each window with the rows that are not null: rows[from] to rows[to], exclusive. */
function sweepRows(
  input: Column,
  lo: Int32Array,
  hi: Int32Array,
  n: number,
  use: (rows: Int32Array, from: number, to: number) => void,
): void {
  if (n === 0) return;
  const { validity } = input;
  const span = hi[n - 1]! - lo[0]!;
  if (valid.length < span) valid = new Int32Array(2 * span);
  let next = lo[0]!;
  let from = 0;
  let to = 0;
  for (let i = 0; i < n; i++) {
    for (; next < hi[i]!; next++) if (validity === null || validity[next] === 1) valid[to++] = next;
    while (from < to && valid[from]! < lo[i]!) from++;
    use(valid, from, to);
  }
}
