/**
 * Rows of a column added to an exact sum at a few nanoseconds each: numbers of usual size are cut into digits to the base
 * 2^32 by roundings in registers, and the digits are summed there. Others take the long way, one by one.
 *
 * Adding C = 1.5·2^(52+e) to a number below 2^(51+e) rounds it to a multiple of 2^e; subtracting C again is exact,
 * and so is what the number then lacks.
 */
import { twoProductError } from './certain.ts';
import type { ExactSum } from './exact_sum.ts';
import { exactFloat } from './float_bits.ts';
import type { NumericData } from './rows.ts';

const RADIX = 4294967296;
/** Multiples of 2^32, of 1, of 2^-32, of 2^-64 and of 2^-96. */
const TO_UPPER = 1.5 * 2 ** 84;
const TO_WHOLE = 1.5 * 2 ** 52;
const TO_SECOND = 1.5 * 2 ** 20;
const TO_THIRD = 1.5 * 2 ** -12;
const TO_FOURTH = 1.5 * 2 ** -44;
/** Rows summed in registers at a time: no digit grows beyond 2^51. */
const CHUNK = 1 << 18;

/** Adds (`sign` 1) or takes away (−1) rows lo to hi that are not null; gives how many those are. */
export function addRange(
  sum: ExactSum,
  data: NumericData,
  validity: Uint8Array | null,
  lo: number,
  hi: number,
  sign: 1 | -1,
): number {
  let count = 0;
  for (let from = lo; from < hi; from += CHUNK)
    count += addChunk(sum, data, validity, from, Math.min(hi, from + CHUNK), sign);
  return count;
}

/** Numbers between 2^-12 and 2^32 have a last bit of at least 2^-64: three digits. */
function addChunk(
  sum: ExactSum,
  data: NumericData,
  validity: Uint8Array | null,
  lo: number,
  hi: number,
  sign: 1 | -1,
): number {
  let wholes = 0;
  let seconds = 0;
  let thirds = 0;
  let nulls = 0;
  for (let i = lo; i < hi; i++) {
    if (validity !== null && validity[i] === 0) {
      nulls++;
      continue;
    }
    const value = data[i]!;
    const size = Math.abs(value);
    if (size < RADIX && size >= 2 ** -12) {
      const whole = value + TO_WHOLE - TO_WHOLE;
      const fraction = value - whole;
      const second = fraction + TO_SECOND - TO_SECOND;
      wholes += whole;
      seconds += second;
      thirds += fraction - second;
    } else if (value !== 0) sum.add(value, sign);
  }
  sum.addDigits(-3, hi - lo, 0, sign * thirds * 2 ** 64, sign * seconds * RADIX, sign * wholes, 0);
  return hi - lo - nulls;
}

/** `addRange` for int64, given as pairs of 32-bit halves, the lower first. */
export function addInt64Range(
  sum: ExactSum,
  halves: Int32Array,
  validity: Uint8Array | null,
  lo: number,
  hi: number,
  sign: 1 | -1,
): number {
  let count = 0;
  for (let from = lo; from < hi; from += CHUNK) {
    const to = Math.min(hi, from + CHUNK);
    let lows = 0;
    let highs = 0;
    for (let i = from; i < to; i++) {
      if (validity !== null && validity[i] === 0) continue;
      lows += halves[2 * i]! >>> 0;
      highs += halves[2 * i + 1]!;
      count++;
    }
    sum.addDigits(-3, to - from, 0, 0, 0, sign * lows, sign * highs);
  }
  return count;
}

/** Adds or takes away the squares of rows lo to hi that are not null. */
export function addSquares(
  sum: ExactSum,
  data: NumericData,
  validity: Uint8Array | null,
  lo: number,
  hi: number,
  sign: 1 | -1,
): void {
  for (let from = lo; from < hi; from += CHUNK)
    addSquaresChunk(sum, data, validity, from, Math.min(hi, from + CHUNK), sign);
}

/**
 * The square of a number between 2^-6 and 2^26 is a product below 2^52 and its error, at most 1/4: together five digits
 * and a rest of at most 2^-97, a multiple of 2^-116, whose sums are exact.
 */
function addSquaresChunk(
  sum: ExactSum,
  data: NumericData,
  validity: Uint8Array | null,
  lo: number,
  hi: number,
  sign: 1 | -1,
): void {
  let uppers = 0;
  let wholes = 0;
  let seconds = 0;
  let thirds = 0;
  let fourths = 0;
  let rests = 0;
  for (let i = lo; i < hi; i++) {
    if (validity !== null && validity[i] === 0) continue;
    const x = data[i]!;
    const size = Math.abs(x);
    if (size < 2 ** 26 && size >= 2 ** -6) {
      const product = x * x;
      const upper = product + TO_UPPER - TO_UPPER;
      const lower = product - upper;
      const whole = lower + TO_WHOLE - TO_WHOLE;
      const fraction = lower - whole;
      const second = fraction + TO_SECOND - TO_SECOND;
      const error = twoProductError(x, x, product);
      const errorSecond = error + TO_SECOND - TO_SECOND;
      const afterSecond = error - errorSecond;
      const errorThird = afterSecond + TO_THIRD - TO_THIRD;
      const afterThird = afterSecond - errorThird;
      const fourth = afterThird + TO_FOURTH - TO_FOURTH;
      uppers += upper;
      wholes += whole;
      seconds += second + errorSecond;
      thirds += fraction - second + errorThird;
      fourths += fourth;
      rests += afterThird - fourth;
    } else if (x !== 0) addSquare(sum, x, sign);
  }
  sum.addDigits(
    -3,
    2 * (hi - lo),
    sign * fourths * 2 ** 96,
    sign * thirds * 2 ** 64,
    sign * seconds * RADIX,
    sign * wholes,
    (sign * uppers) / RADIX,
  );
  sum.add(rests, sign);
}

/** Adds or takes away one square; nothing for what is not finite. */
export function addSquare(sum: ExactSum, x: number, sign: 1 | -1): void {
  const size = Math.abs(x);
  if (size >= 2 ** -200 && size < 2 ** 200) {
    const product = x * x;
    sum.add(product, sign);
    sum.add(twoProductError(x, x, product), sign);
  } else if (x !== 0 && Number.isFinite(x)) {
    const { integer, exponent } = exactFloat(x);
    sum.addBigint(integer * integer, 2 * exponent, sign);
  }
}
