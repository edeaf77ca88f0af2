/**
 * Rounding of numbers that are known only nearly, as high + low with a bound on the error: given where the bound leaves
 * one float64 to choose, NaN where it does not and exact arithmetic must decide. Correct rounding at the price of a
 * few operations, for all but about one result in thousands (A. Ziv, 1991).
 *
 * |low| is small beside |high|, whose size is between 2^-900 and 2^900 where it is not zero.
 */

/** What a·b lacks to the real product, where nothing over- or underflows (T. J. Dekker, with G. W. Veltkamp's split). */
export function twoProductError(a: number, b: number, product: number): number {
  const as = a * 134217729;
  const ah = as - (as - a);
  const al = a - ah;
  const bs = b * 134217729;
  const bh = bs - (bs - b);
  const bl = b - bh;
  return al * bl - (product - ah * bh - al * bh - ah * bl);
}

/** What `nearQuotient` found besides: how far the result is from it, and within what bound. */
const rest = { correction: 0, bound: 0 };

/** high / divisor, with the rest that (high + low) / divisor has beyond it. */
function nearQuotient(high: number, low: number, error: number, divisor: number): number {
  const near = high / divisor;
  const product = near * divisor;
  // high − near·divisor, exactly.
  const remainder = high - product - twoProductError(near, divisor, product);
  rest.correction = (remainder + low) / divisor;
  rest.bound = (error + (Math.abs(remainder) + Math.abs(low)) * 2 ** -50) / divisor;
  return near;
}

/** (high + low) / divisor, within `error` of it before the division; the divisor is a whole number from 1 to 2^53. */
export function certainQuotient(high: number, low: number, error: number, divisor: number): number {
  return decide(nearQuotient(high, low, error, divisor), rest.correction, rest.bound);
}

/**
 * (high + low) / divisor where the two are the dividend exactly and the divisor is a whole number from 1 to 2^30: also where the quotient
 * lies on the middle between two float64, as that of money by an even count often does, or beside it.
 */
export function exactQuotient(high: number, low: number, divisor: number): number {
  const near = high / divisor;
  const product = near * divisor;
  const remainder = high - product - twoProductError(near, divisor, product);
  const sum = remainder + low;
  // Within 2^-51 of itself: there is one rounding in the sum and one in the quotient.
  const correction = sum / divisor;
  const one = near + correction * (1 - 2 ** -50);
  const other = near + correction * (1 + 2 ** -50);
  if (one === other) return one;
  const below = Math.min(one, other);
  const above = Math.max(one, other);
  const added = sum - remainder;
  const error = remainder - (sum - added) + (low - added);
  // What the dividend would have beyond near · divisor if the quotient were the middle: a few bits by a whole number, exactly.
  const gap = above - below;
  const middle = (below - near + gap / 2) * divisor;
  const side = sum - middle + error;
  if (side !== 0) return side > 0 ? above : below;
  return (below / gap) % 2 === 0 ? below : above;
}

/** The square root of `certainQuotient`'s, which is positive. */
export function certainRootOfQuotient(
  high: number,
  low: number,
  error: number,
  divisor: number,
): number {
  const square = nearQuotient(high, low, error, divisor);
  const near = Math.sqrt(square);
  const product = near * near;
  const remainder = square - product - twoProductError(near, near, product) + rest.correction;
  const correction = remainder / (2 * near);
  // The next term of the series is −correction² / (2·near), far below 2^-100 of near.
  const bound = rest.bound / near + Math.abs(correction) * 2 ** -50 + near * 2 ** -100;
  return decide(near, correction, bound);
}

function decide(near: number, correction: number, bound: number): number {
  const least = near + (correction - bound);
  return least === near + (correction + bound) ? least : Number.NaN;
}
