/** Small loops over the rows of a column that several aggregates need. */
import type { Column } from '../types/column.ts';

/** How many of rows lo to hi are not null. */
export function countValid(validity: Uint8Array | null, lo: number, hi: number): number {
  if (validity === null) return hi - lo;
  let count = 0;
  for (let i = lo; i < hi; i++) count += validity[i]!;
  return count;
}

const halvesOf = new WeakMap<BigInt64Array, Int32Array>();
let lastData: BigInt64Array | null = null;
let lastHalves: Int32Array | null = null;

/** An int64 column's data as pairs of 32-bit halves, the lower first: sums need no bigint a row. */
export function int64Halves(data: BigInt64Array): Int32Array {
  if (data === lastData) return lastHalves!;
  let halves = halvesOf.get(data);
  if (halves === undefined) {
    halves = new Int32Array(data.buffer, data.byteOffset, 2 * data.length);
    halvesOf.set(data, halves);
  }
  lastData = data;
  lastHalves = halves;
  return halves;
}

/** Rows of a numeric column, as the sums take them. */
export type NumericData = Float64Array | Float32Array | Int32Array;

export function numericData(column: Column): NumericData {
  return column.data as NumericData;
}
