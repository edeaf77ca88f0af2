/** Exact fractions of bigints, rounded to float64 once (nearest, ties to even). */
import { powerOfTwo } from './float_bits.ts';

/** numerator · 2^exponent / denominator; the denominator is positive. Zero is +0. */
export function quotient(numerator: bigint, denominator: bigint, exponent = 0): number {
  if (numerator === 0n) return 0;
  const negative = numerator < 0n;
  const size = negative ? -numerator : numerator;
  // So many bits that the whole part has 64 or 65: float64's 53, and enough to see on which side of a tie it lies.
  const shift = 64 - (bitLength(size) - bitLength(denominator));
  const scaled = shift >= 0 ? size << BigInt(shift) : size;
  const divisor = shift >= 0 ? denominator : denominator << BigInt(-shift);
  const whole = scaled / divisor;
  const rounded = roundBits(whole, whole * divisor !== scaled, exponent - shift);
  // What is too small for a float64 is zero, and zero has no sign.
  return negative && rounded !== 0 ? -rounded : rounded;
}

/** The square root of numerator · 2^exponent / denominator; both are positive, the exponent is even. */
export function rootOfQuotient(numerator: bigint, denominator: bigint, exponent = 0): number {
  // An even shift that leaves 128 to 130 bits: a root of 64 or 65.
  let shift = 128 - (bitLength(numerator) - bitLength(denominator));
  shift += shift & 1;
  const scaled = shift >= 0 ? numerator << BigInt(shift) : numerator;
  const divisor = shift >= 0 ? denominator : denominator << BigInt(-shift);
  const square = scaled / divisor;
  const root = integerRoot(square);
  const inexact = root * root !== square || square * divisor !== scaled;
  return roundBits(root, inexact, (exponent - shift) / 2);
}

/** The greatest integer whose square is at most n; n has about 128 bits. */
function integerRoot(n: bigint): bigint {
  // 53 bits are right to begin with; one step of Newton's doubles them.
  let root = BigInt(Math.floor(Math.sqrt(Number(n))));
  root = (root + n / root) >> 1n;
  while (root * root > n) root--;
  while ((root + 1n) * (root + 1n) <= n) root++;
  return root;
}

/** whole · 2^exponent, or a little more if `inexact`, to the nearest float64; whole is positive and has at least 56 bits. */
function roundBits(whole: bigint, inexact: boolean, exponent: number): number {
  const bits = bitLength(whole);
  // Subnormal numbers have fewer than 53 bits: their last bit is 2^-1074.
  const drop = Math.max(bits - 53, -1074 - exponent);
  if (drop > bits) return 0;
  const rest = BigInt.asUintN(drop, whole);
  const half = 1n << BigInt(drop - 1);
  let kept = whole >> BigInt(drop);
  if (rest > half || (rest === half && (inexact || (kept & 1n) === 1n))) kept++;
  return timesPowerOfTwo(Number(kept), exponent + drop);
}

/** x · 2^exponent, for a result that float64 holds exactly or that overflows. */
function timesPowerOfTwo(x: number, exponent: number): number {
  let value = x;
  let rest = exponent;
  for (; rest > 1000; rest -= 1000) value *= 2 ** 1000;
  for (; rest < -1000; rest += 1000) value *= 2 ** -1000;
  return value * powerOfTwo(rest);
}

/** Bits of a positive integer. */
function bitLength(n: bigint): number {
  const hex = n.toString(16);
  return 4 * (hex.length - 1) + (32 - Math.clz32(Number.parseInt(hex[0]!, 16)));
}
