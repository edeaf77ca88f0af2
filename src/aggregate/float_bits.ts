/** A float64 seen as its bits (IEEE 754): no library decides on a value. Every machine that runs us is little-endian. */
const value = new Float64Array(1);
/** The lower word, then sign, exponent and upper 20 bits of the significand. */
const words = new Uint32Array(value.buffer);

/** 2^exponent, for exponents from −1022 to 1023. */
export function powerOfTwo(exponent: number): number {
  words[0] = 0;
  words[1] = (exponent + 1023) << 20;
  return value[0]!;
}

/** A finite number as integer · 2^exponent. */
export function exactFloat(x: number): { integer: bigint; exponent: number } {
  value[0] = x;
  const biased = (words[1]! >>> 20) & 0x7ff;
  const high = (words[1]! & 0xfffff) + (biased === 0 ? 0 : 0x100000);
  const size = (BigInt(high) << 32n) | BigInt(words[0]!);
  return { integer: x < 0 ? -size : size, exponent: Math.max(biased, 1) - 1075 };
}

/** The exponent e of a positive normal number (1 + s)·2^e. */
export function exponentOf(x: number): number {
  value[0] = x;
  return ((words[1]! >>> 20) & 0x7ff) - 1023;
}
