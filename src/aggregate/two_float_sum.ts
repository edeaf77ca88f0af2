/** Exact sums of windows of numbers of like size in two registers: no digits to clear, to carry or to round. */
import type { TwoFloats } from './rounding.ts';
import type { NumericData } from './rows.ts';

/**
 * A sum as two float64 that hold it exactly between them. Additions keep their errors (the two-sum of D. E. Knuth), which are
 * summed the same way; an error of theirs would be lost, so there the caller must go another way. Numbers of like size, such
 * as money, have none. Rows that were added can be taken away.
 */
export class TwoFloatSum {
  /** Rows added that are not null. */
  count = 0;
  #sum = 0;
  #rest = 0;

  clear(): void {
    this.count = 0;
    this.#sum = 0;
    this.#rest = 0;
  }

  /**
   * Adds (`sign` 1) or takes away (−1) rows lo to hi that are not null. False, and the sum is lost, where two numbers cannot hold it
   * or a row is not finite.
   */
  change(
    data: NumericData,
    validity: Uint8Array | null,
    lo: number,
    hi: number,
    sign: 1 | -1,
  ): boolean {
    let sum = this.#sum;
    let rest = this.#rest;
    let count = 0;
    for (let i = lo; i < hi; i++) {
      if (validity !== null && validity[i] === 0) continue;
      const x = sign * data[i]!;
      const next = sum + x;
      const added = next - sum;
      const error = sum - (next - added) + (x - added);
      const nextRest = rest + error;
      const addedError = nextRest - rest;
      // Not a number where x, or the sum, is not finite.
      if (rest - (nextRest - addedError) + (error - addedError) !== 0) return false;
      sum = next;
      rest = nextRest;
      count++;
    }
    this.#sum = sum;
    this.#rest = rest;
    this.count += sign * count;
    return true;
  }

  /** `change` for int64, given as pairs of 32-bit halves, the lower first. False also where a float64 cannot hold a value or the sum. */
  changeInt64(
    halves: Int32Array,
    validity: Uint8Array | null,
    lo: number,
    hi: number,
    sign: 1 | -1,
  ): boolean {
    let sum = this.#sum;
    let count = 0;
    for (let i = lo; i < hi; i++) {
      if (validity !== null && validity[i] === 0) continue;
      const high = halves[2 * i + 1]!;
      sum += sign * (high * 4294967296 + (halves[2 * i]! >>> 0));
      // A value and a sum of at most 2^53 each: no rounding so far.
      if (high < -(2 ** 20) || high >= 2 ** 20 || sum < -(2 ** 52) || sum > 2 ** 52) return false;
      count++;
    }
    this.#sum = sum;
    this.count += sign * count;
    return true;
  }

  /** The sum as its nearest float64 and the rest, both exact; zero is +0. False where it is beyond float64. */
  parts(into: TwoFloats): boolean {
    const sum = this.#sum;
    const rest = this.#rest;
    const high = sum + rest;
    const added = high - sum;
    into.high = high;
    into.low = sum - (high - added) + (rest - added);
    return Number.isFinite(high);
  }
}
