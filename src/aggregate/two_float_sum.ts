/** Exact sums of a few numbers in two registers: no state to clear, to carry or to round. */
import type { TwoFloats } from './rounding.ts';
import type { NumericData } from './rows.ts';

/**
 * The sum of rows lo to hi that are not null as its nearest float64 and the rest, both exact; zero is +0. Gives how many rows
 * those are, −1 where two numbers cannot hold the sum or some row is not finite.
 *
 * Additions keep their errors (the two-sum of D. E. Knuth), which are summed the same way; an error of
 * theirs would be lost, so there the caller must go another way. Numbers of like size, such as money, have none.
 */
export function twoFloatSum(
  data: NumericData,
  validity: Uint8Array | null,
  lo: number,
  hi: number,
  into: TwoFloats,
): number {
  let sum = 0;
  let rest = 0;
  let count = 0;
  for (let i = lo; i < hi; i++) {
    if (validity !== null && validity[i] === 0) continue;
    const x = data[i]!;
    const next = sum + x;
    const added = next - sum;
    const error = sum - (next - added) + (x - added);
    const nextRest = rest + error;
    const addedError = nextRest - rest;
    // Not a number where x, or the sum, is not finite.
    if (rest - (nextRest - addedError) + (error - addedError) !== 0) return -1;
    sum = next;
    rest = nextRest;
    count++;
  }
  const high = sum + rest;
  const added = high - sum;
  into.high = high;
  into.low = sum - (high - added) + (rest - added);
  return Number.isFinite(high) ? count : -1;
}
