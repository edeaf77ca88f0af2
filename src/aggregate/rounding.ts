/** Rounding of numbers written to the base 2^32 (see exact_sum.ts) to float64. */
import { certainQuotient, exactQuotient } from './certain.ts';
import { powerOfTwo } from './float_bits.ts';

const RADIX = 4294967296;

/** A float64 and what it lacks to a number. */
export interface TwoFloats {
  high: number;
  low: number;
}

/**
 * The number whose digit i, in [−2^31, 2^31), weighs 2^(32·(base+i)): `high` is the nearest float64 (ties to even, zero is
 * +0), high + low the number within 2^-100 of `low` and 2^-128 of `high`, if `high` is of usual size.
 */
export function roundDigits(digits: Float64Array, base: number, into: TwoFloats): void {
  let top = digits.length - 1;
  while (top >= 0 && digits[top] === 0) top--;
  if (top < 0) {
    into.high = into.low = 0;
    return;
  }
  // The two top digits and their rounding error, in units of the second; then that error with the third digit, in units of
  // the third: all exactly.
  const first = digits[top]! * RADIX;
  const second = top >= 1 ? digits[top - 1]! : 0;
  const sum = first + second;
  const error = second - (sum - first);
  const third = error * RADIX + (top >= 2 ? digits[top - 2]! : 0);
  let below = top - 3;
  while (below >= 0 && digits[below] === 0) below--;
  // What lies below can only break a tie, which lies at a whole number of those; its sign is that of its first digit.
  const tieBreak = below < 0 ? 0 : digits[below]! > 0 ? 0.25 : -0.25;
  const tail = (third + tieBreak) / RADIX;
  const high = sum + tail;
  const fifth = top >= 4 ? digits[top - 4]! / RADIX : 0;
  const rest = top >= 3 ? (digits[top - 3]! + fifth) / RADIX : 0;
  const low = tail - (high - sum) + (rest - tieBreak) / RADIX;
  const exponent = 32 * (base + top - 1);
  into.high = scale(high, exponent);
  into.low = scale(low, exponent);
}

/** Whether it is far enough from over- and underflow for arithmetic with its parts; or zero. */
export function isOfUsualSize(x: number): boolean {
  const size = Math.abs(x);
  return (size > 2 ** -400 && size < 2 ** 400) || size === 0;
}

/**
 * (high + low) / divisor, rounded once, where high is the nearest float64 to the dividend (as `roundDigits` gives them) and
 * the divisor a positive whole number; NaN where only exact arithmetic can tell.
 */
export function usualQuotient(high: number, low: number, divisor: number): number {
  if (!isOfUsualSize(high)) return Number.NaN;
  // Halving commutes with rounding. Half of two numbers is often a tie, which the way below leaves open.
  if (divisor <= 2 ** 30 && (divisor & (divisor - 1)) === 0) return high / divisor;
  return certainQuotient(high, low, 0, divisor);
}

/** As `usualQuotient` of two numbers that are the dividend exactly, which leaves nothing open but what is too great or too small. */
export function usualExactQuotient(high: number, low: number, divisor: number): number {
  if (!isOfUsualSize(high) || divisor > 2 ** 30) return usualQuotient(high, low, divisor);
  return exactQuotient(high, low, divisor);
}

/** 2^(32·k) for k from −31 to 31. */
const POWERS = Float64Array.from({ length: 63 }, (_, i) => powerOfTwo(32 * (i - 31)));

/** x · 2^exponent for a multiple of 32 whose power alone may be out of range. Exact unless the result is. */
function scale(x: number, exponent: number): number {
  const power = exponent / 32;
  if (power >= -31 && power <= 31) return x * POWERS[power + 31]!;
  const half = power >> 1;
  return x * POWERS[half + 31]! * POWERS[power - half + 31]!;
}
