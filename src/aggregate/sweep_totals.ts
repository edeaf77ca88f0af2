/** The sweep of sums and means: each window's sum comes from the one before it, in two floats as long as these hold it. */
import type { Column, ColumnBuilder } from '../types/column.ts';
import type { TwoFloats } from './rounding.ts';
import { int64Halves, numericData } from './rows.ts';
import { TwoFloatSum } from './two_float_sum.ts';

const total = new TwoFloatSum();
const parts: TwoFloats = { high: 0, low: 0 };

/** Appends the value of `count` > 0 rows whose exact sum is high + low, where high is its rounding. */
export type EmitTotal = (high: number, low: number, count: number, out: ColumnBuilder) => void;

/**
 * Appends the values of windows lo[i] to hi[i], null for those without values, until the first whose sum two floats do not hold.
 * Gives how many those are.
 */
export function sweepTotals(
  input: Column,
  lo: Int32Array,
  hi: Int32Array,
  n: number,
  emit: EmitTotal,
  out: ColumnBuilder,
): number {
  let left = 0;
  let right = 0;
  total.clear();
  for (let i = 0; i < n; i++) {
    const l = lo[i]!;
    const r = hi[i]!;
    if (l - left + (r - right) >= r - l) {
      // To begin anew takes no more.
      total.clear();
      left = right = l;
    }
    if (l > left && !change(input, left, l, -1)) return i;
    if (r > right && !change(input, right, r, 1)) return i;
    left = l;
    right = r;
    if (!total.parts(parts)) return i;
    if (total.count === 0) out.pushNull();
    else emit(parts.high, parts.low, total.count, out);
  }
  return n;
}

function change(input: Column, lo: number, hi: number, sign: 1 | -1): boolean {
  return input.kind === 'int64'
    ? total.changeInt64(int64Halves(input.data), input.validity, lo, hi, sign)
    : total.change(numericData(input), input.validity, lo, hi, sign);
}
