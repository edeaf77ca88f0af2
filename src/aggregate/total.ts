/** A count and an exact sum: the state of sum and avg. */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { Column, ColumnBuilder } from '../types/column.ts';
import { ExactSum } from './exact_sum.ts';
import { int64Halves, numericData } from './rows.ts';

export interface Total {
  /** Values added; null rows are none. */
  n: number;
  readonly sum: ExactSum;
}

export function createTotal(): Total {
  return { n: 0, sum: new ExactSum() };
}

export function clearTotal(state: Total): void {
  state.n = 0;
  state.sum.clear();
}

export function addTotal(state: Total, input: Column | null, lo: number, hi: number): void {
  state.n += change(state.sum, input!, lo, hi, 1);
}

export function removeTotal(state: Total, input: Column | null, lo: number, hi: number): void {
  state.n -= change(state.sum, input!, lo, hi, -1);
}

function change(sum: ExactSum, input: Column, lo: number, hi: number, sign: 1 | -1): number {
  return input.kind === 'int64'
    ? sum.addInt64Range(int64Halves(input.data), input.validity, lo, hi, sign)
    : sum.addRange(numericData(input), input.validity, lo, hi, sign);
}

export function absorbTotal(state: Total, other: Total): void {
  state.n += other.n;
  state.sum.merge(other.sum);
}

export function encodeTotal(state: Total, writer: ByteWriter): void {
  writer.varint(state.n);
  if (state.n > 0) state.sum.encode(writer);
}

export function absorbTotalEncoded(state: Total, reader: ByteReader): void {
  const n = reader.varint();
  state.n += n;
  if (n > 0) state.sum.mergeEncoded(reader);
}

export function decodeTotal(reader: ByteReader): Total {
  const state = createTotal();
  absorbTotalEncoded(state, reader);
  return state;
}

/** The sweep of sum and avg: slides where that touches fewer rows than adding anew, which costs nothing in exactness. */
export function sweepTotals(
  state: Total,
  input: Column,
  lo: Int32Array,
  hi: Int32Array,
  n: number,
  out: ColumnBuilder,
  emit: (state: Total, out: ColumnBuilder) => void,
): void {
  clearTotal(state);
  let left = 0;
  let right = 0;
  for (let i = 0; i < n; i++) {
    const l = lo[i]!;
    const r = hi[i]!;
    if (l - left + (r - right) < r - l) {
      if (l > left) removeTotal(state, input, left, l);
      if (r > right) addTotal(state, input, right, r);
    } else {
      clearTotal(state);
      addTotal(state, input, l, r);
    }
    left = l;
    right = r;
    emit(state, out);
  }
}
