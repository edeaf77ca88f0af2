/** Exact fractions of bigints, rounded to float64 once (nearest, ties to even). */

/** numerator / denominator; the denominator is positive. Zero is +0. */
export function quotient(numerator: bigint, denominator: bigint): number {
  if (numerator === 0n) return 0;
  const negative = numerator < 0n;
  const size = negative ? -numerator : numerator;
  // So many bits that the whole part has 64 or 65: float64's 53, and enough to see on which side of a tie it lies.
  const shift = 64 - (bitLength(size) - bitLength(denominator));
  const scaled = shift >= 0 ? size << BigInt(shift) : size;
  const divisor = shift >= 0 ? denominator : denominator << BigInt(-shift);
  const whole = scaled / divisor;
  const rounded = roundBits(whole, whole * divisor !== scaled, -shift);
  return negative ? -rounded : rounded;
}

/** The square root of numerator / denominator, both positive. */
export function rootOfQuotient(numerator: bigint, denominator: bigint): number {
  // An even shift that leaves 128 or 129 bits: a root of 64 or 65.
  let shift = 128 - (bitLength(numerator) - bitLength(denominator));
  shift += shift & 1;
  const scaled = shift >= 0 ? numerator << BigInt(shift) : numerator;
  const divisor = shift >= 0 ? denominator : denominator << BigInt(-shift);
  const square = scaled / divisor;
  const root = integerRoot(square);
  return roundBits(root, root * root !== square || square * divisor !== scaled, -shift / 2);
}

/** The greatest integer whose square is at most n; n has about 128 bits. */
function integerRoot(n: bigint): bigint {
  let root = BigInt(Math.floor(Math.sqrt(Number(n))));
  for (;;) {
    const next = (root + n / root) >> 1n;
    const change = next - root;
    root = next;
    if (change >= -1n && change <= 1n) break;
  }
  while (root * root > n) root--;
  while ((root + 1n) * (root + 1n) <= n) root++;
  return root;
}

/** whole · 2^exponent (a little more if `inexact`) to the nearest float64; whole is positive and has at least 56 bits. */
function roundBits(whole: bigint, inexact: boolean, exponent: number): number {
  const bits = bitLength(whole);
  // Subnormal numbers have fewer than 53 bits: their last bit is 2^-1074.
  const drop = Math.max(bits - 53, -1074 - exponent);
  if (drop > bits) return 0;
  const unit = 1n << BigInt(drop);
  const rest = whole & (unit - 1n);
  const half = unit >> 1n;
  let kept = whole >> BigInt(drop);
  if (rest > half || (rest === half && (inexact || (kept & 1n) === 1n))) kept++;
  const power = exponent + drop;
  const first = Math.max(-1000, Math.min(900, power));
  return Number(kept) * 2 ** first * 2 ** (power - first);
}

/** Bits of a positive integer. */
function bitLength(n: bigint): number {
  const hex = n.toString(16);
  return 4 * (hex.length - 1) + (32 - Math.clz32(Number.parseInt(hex[0]!, 16)));
}
