/**
 * Sums of float64 and int64 over the real numbers, rounded once. A number is held as digits to the base 2^32: digit i
 * of `digits` weighs 2^(32·(base+i)). Digits are signed integers in float64 and may grow to 2^52 before a carry, so adding
 * is a few additions without a branch on size. Every operation is exact, so neither the order of additions nor how they
 * were split matters, and what was added can be taken away.
 *
 * NaN and the infinities are counted apart: taking them away again brings the finite sum back.
 */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { certainQuotient, twoProductError } from './certain.ts';
import { readSigned, writeSigned } from './codec.ts';
import { exactFloat, powerOfTwo } from './float_bits.ts';
import { quotient } from './rational.ts';

const RADIX = 4294967296;
const HALF_RADIX = RADIX / 2;
/** Additions of at most RADIX a digit before a carry: half of what float64 holds exactly. */
const MAX_LOAD = 1 << 20;
/** Rows summed in lanes at a time. */
const CHUNK = 1 << 19;
/** The digits that money and counts touch: 2^-96 to 2^96. */
const USUAL_BASE = -3;
const USUAL_DIGITS = 6;
/** Adding and subtracting it rounds |x| < 2^51 to a multiple of 1. */
const TO_WHOLE = 1.5 * 2 ** 52;
/** The same to a multiple of 2^-32, for |x| ≤ 1/2. */
const TO_DIGIT = 1.5 * 2 ** 20;

/** The same to multiples of 2^32, of 2^-64 and of 2^-96, of what the one before leaves. */
const TO_UPPER = 1.5 * 2 ** 84;
const TO_THIRD = 1.5 * 2 ** -12;
const TO_FOURTH = 1.5 * 2 ** -44;
/** Squares summed in lanes at a time. */
const SQUARES_CHUNK = 1 << 18;

const scratch = new Float64Array(1);
const scratchWords = new Uint32Array(scratch.buffer);

/** A float64 and what it lacks. */
export interface TwoFloats {
  high: number;
  low: number;
}

/** What `#split` found. */
const parts: TwoFloats = { high: 0, low: 0 };

type FloatData = Float64Array | Float32Array | Int32Array;

export class ExactSum {
  base = USUAL_BASE;
  digits = new Float64Array(USUAL_DIGITS);
  nan = 0;
  positiveInfinities = 0;
  negativeInfinities = 0;
  /** Additions since the last carry. */
  #load = 0;

  clear(): void {
    if (this.digits.length > 2 * USUAL_DIGITS) {
      this.base = USUAL_BASE;
      this.digits = new Float64Array(USUAL_DIGITS);
    } else this.digits.fill(0);
    this.#load = 0;
    this.nan = this.positiveInfinities = this.negativeInfinities = 0;
  }

  /** Whether the sum is of finite numbers only. */
  get finite(): boolean {
    return this.nan + this.positiveInfinities + this.negativeInfinities === 0;
  }

  /** Adds (`sign` 1) or takes away (−1) one number. */
  add(value: number, sign: 1 | -1 = 1): void {
    scratch[0] = value;
    const low = scratchWords[0]!;
    const high = scratchWords[1]!;
    const exponent = (high >>> 20) & 0x7ff;
    if (exponent === 0x7ff) return this.#addSpecial(value, sign);
    const top = exponent === 0 ? high & 0xfffff : (high & 0xfffff) | 0x100000;
    if ((top | low) === 0) return;
    // value = ±(top·2^32 + low) · 2^position; the 53 bits lie across at most three digits.
    const position = (exponent === 0 ? 1 : exponent) - 1075;
    const shift = position & 31;
    const at = this.#reach(position >> 5, 3);
    const { digits } = this;
    const direction = high >>> 31 === 0 ? sign : -sign;
    digits[at]! += direction * ((low << shift) >>> 0);
    digits[at + 1]! += direction * (((top << shift) | ((low >>> 1) >>> (31 - shift))) >>> 0);
    digits[at + 2]! += direction * ((top >>> 1) >>> (31 - shift));
    if (++this.#load >= MAX_LOAD) this.#carry();
  }

  #addSpecial(value: number, sign: 1 | -1): void {
    if (Number.isNaN(value)) this.nan += sign;
    else if (value > 0) this.positiveInfinities += sign;
    else this.negativeInfinities += sign;
  }

  /** Adds or takes away rows lo to hi that are not null; gives how many those are. */
  addRange(
    data: FloatData,
    validity: Uint8Array | null,
    lo: number,
    hi: number,
    sign: 1 | -1 = 1,
  ): number {
    let count = 0;
    for (let from = lo; from < hi; from += CHUNK)
      count += this.#addChunk(data, validity, from, Math.min(hi, from + CHUNK), sign);
    return count;
  }

  /**
   * Numbers between 2^-12 and 2^32 fall into three digits by two roundings, in registers: whole, then multiples of 2^-32,
   * then of 2^-64. Others take the long way.
   */
  #addChunk(
    data: FloatData,
    validity: Uint8Array | null,
    lo: number,
    hi: number,
    sign: 1 | -1,
  ): number {
    let wholes = 0;
    let middles = 0;
    let rests = 0;
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
        const middle = fraction + TO_DIGIT - TO_DIGIT;
        wholes += whole;
        middles += middle;
        rests += fraction - middle;
      } else this.add(value, sign);
    }
    if (this.#load + (hi - lo) > MAX_LOAD) this.#carry();
    this.#load += hi - lo;
    const at = this.#reach(-2, 3);
    this.digits[at]! += sign * rests * (RADIX * RADIX);
    this.digits[at + 1]! += sign * middles * RADIX;
    this.digits[at + 2]! += sign * wholes;
    return hi - lo - nulls;
  }

  /** Adds or takes away the squares of rows lo to hi that are not null. */
  addSquares(
    data: FloatData,
    validity: Uint8Array | null,
    lo: number,
    hi: number,
    sign: 1 | -1,
  ): void {
    for (let from = lo; from < hi; from += SQUARES_CHUNK)
      this.#addSquaresChunk(data, validity, from, Math.min(hi, from + SQUARES_CHUNK), sign);
  }

  /**
   * As `#addChunk`: the square of a number between 2^-6 and 2^26 is a product below 2^52 and its error, at most 1/4;
   * together they fall into five digits and a rest of at most 2^-97, a multiple of 2^-116, whose sums are exact.
   */
  #addSquaresChunk(
    data: FloatData,
    validity: Uint8Array | null,
    lo: number,
    hi: number,
    sign: 1 | -1,
  ): void {
    let upper = 0;
    let wholes = 0;
    let second = 0;
    let third = 0;
    let fourth = 0;
    let rests = 0;
    for (let i = lo; i < hi; i++) {
      if (validity !== null && validity[i] === 0) continue;
      const x = data[i]!;
      const size = Math.abs(x);
      if (size < 2 ** 26 && size >= 2 ** -6) {
        const product = x * x;
        const error = twoProductError(x, x, product);
        const up = product + TO_UPPER - TO_UPPER;
        const low = product - up;
        const whole = low + TO_WHOLE - TO_WHOLE;
        const fraction = low - whole;
        const middle = fraction + TO_DIGIT - TO_DIGIT;
        upper += up;
        wholes += whole;
        second += middle;
        third += fraction - middle;
        const a = error + TO_DIGIT - TO_DIGIT;
        const b = error - a;
        const c = b + TO_THIRD - TO_THIRD;
        const d = b - c;
        const e = d + TO_FOURTH - TO_FOURTH;
        second += a;
        third += c;
        fourth += e;
        rests += d - e;
      } else this.addSquare(x, sign);
    }
    if (this.#load + 2 * (hi - lo) > MAX_LOAD) this.#carry();
    this.#load += 2 * (hi - lo);
    const at = this.#reach(-3, 5);
    const { digits } = this;
    digits[at]! += sign * fourth * 2 ** 96;
    digits[at + 1]! += sign * third * 2 ** 64;
    digits[at + 2]! += sign * second * RADIX;
    digits[at + 3]! += sign * wholes;
    digits[at + 4]! += (sign * upper) / RADIX;
    this.add(rests, sign);
  }

  /** Adds or takes away one square. */
  addSquare(x: number, sign: 1 | -1): void {
    const size = Math.abs(x);
    if (size >= 2 ** -200 && size < 2 ** 200) {
      const product = x * x;
      this.add(product, sign);
      this.add(twoProductError(x, x, product), sign);
    } else if (x !== 0 && Number.isFinite(x)) {
      const { integer, exponent } = exactFloat(x);
      this.addBigint(integer * integer, 2 * exponent, sign);
    }
  }

  /** `addRange` for int64, given as pairs of 32-bit halves, the lower first. */
  addInt64Range(
    halves: Int32Array,
    validity: Uint8Array | null,
    lo: number,
    hi: number,
    sign: 1 | -1 = 1,
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
      if (this.#load + (to - from) > MAX_LOAD) this.#carry();
      this.#load += to - from;
      const at = this.#reach(0, 2);
      this.digits[at]! += sign * lows;
      this.digits[at + 1]! += sign * highs;
    }
    return count;
  }

  /** Adds or takes away integer · 2^exponent, of any size. */
  addBigint(integer: bigint, exponent: number, sign: 1 | -1 = 1): void {
    const negative = integer < 0n;
    let rest = (negative ? -integer : integer) << BigInt(exponent & 31);
    for (let place = exponent >> 5; rest !== 0n; place++, rest >>= 32n) {
      const digit = Number(rest & 0xffffffffn);
      const at = this.#reach(place, 1);
      this.digits[at]! += negative ? -sign * digit : sign * digit;
    }
    if (++this.#load >= MAX_LOAD) this.#carry();
  }

  /** Adds (1) or takes away (−1) another sum, whose value stays as it is. */
  merge(other: ExactSum, sign: 1 | -1 = 1): void {
    other.#carry();
    const count = other.digits.length;
    const at = this.#reach(other.base, count);
    const { digits } = this;
    for (let i = 0; i < count; i++) digits[at + i]! += sign * other.digits[i]!;
    this.nan += sign * other.nan;
    this.positiveInfinities += sign * other.positiveInfinities;
    this.negativeInfinities += sign * other.negativeInfinities;
    if (++this.#load >= MAX_LOAD) this.#carry();
  }

  /** Makes the digits from `place` on writable; gives the index of the first. */
  #reach(place: number, count: number): number {
    const at = place - this.base;
    if (at >= 0 && at + count <= this.digits.length) return at;
    return this.#grow(place, count);
  }

  #grow(place: number, count: number): number {
    const base = Math.min(place, this.base);
    const end = Math.max(place + count, this.base + this.digits.length);
    const digits = new Float64Array(end - base);
    digits.set(this.digits, this.base - base);
    this.base = base;
    this.digits = digits;
    return place - base;
  }

  /** Brings every digit into [−2^31, 2^31): the one way to write this number. */
  #carry(): void {
    if (this.#load === 0) return;
    this.#load = 0;
    const { digits } = this;
    let carry = 0;
    for (let i = 0; i < digits.length; i++) {
      const digit = digits[i]! + carry;
      carry = Math.floor((digit + HALF_RADIX) / RADIX);
      digits[i] = digit - carry * RADIX;
    }
    // At most 2^22: a balanced digit of its own.
    if (carry === 0) return;
    const at = this.#reach(this.base + digits.length, 1);
    this.digits[at] = carry;
  }

  /** The sum as the nearest float64, ties to even; zero is +0. ±Infinity or NaN where IEEE's sum is. */
  rounded(): number {
    if (!this.finite) return this.#specialValue();
    this.#split();
    return parts.high;
  }

  #specialValue(): number {
    if (this.nan > 0 || (this.positiveInfinities > 0 && this.negativeInfinities > 0))
      return Number.NaN;
    return this.positiveInfinities > 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  }

  /** The finite part as its rounded value and the rest, within 2^-120 of the former unless that is beyond 2^±900. */
  twoFloats(into: TwoFloats): void {
    this.#split();
    into.high = parts.high;
    into.low = parts.low;
  }

  /** Rounds to `parts.high` and leaves the rest, nearly exactly, in `parts.low`. */
  #split(): void {
    this.#carry();
    const { digits } = this;
    let top = digits.length - 1;
    while (top >= 0 && digits[top] === 0) top--;
    if (top < 0) {
      parts.high = parts.low = 0;
      return;
    }
    // In units of the third digit: the two top ones with their rounding error, then the third, all exactly.
    const first = digits[top]! * RADIX;
    const second = top >= 1 ? digits[top - 1]! : 0;
    const sum = first + second;
    const error = second - (sum - first);
    const third = error * RADIX + (top >= 2 ? digits[top - 2]! : 0);
    let below = top - 3;
    while (below >= 0 && digits[below] === 0) below--;
    // What lies below can only break a tie, which lies at a whole number of units; its sign is that of its first digit.
    const tieBreak = below < 0 ? 0 : digits[below]! > 0 ? 0.25 : -0.25;
    const tail = (third + tieBreak) / RADIX;
    const high = sum + tail;
    const fifth = top >= 4 ? digits[top - 4]! / RADIX : 0;
    const rest = top >= 3 ? (digits[top - 3]! + fifth) / RADIX : 0;
    const low = tail - (high - sum) + (rest - tieBreak) / RADIX;
    const exponent = 32 * (this.base + top - 1);
    parts.high = scale(high, exponent);
    parts.low = scale(low, exponent);
  }

  /** The sum over `count` (a positive whole number), rounded once. ±Infinity or NaN as `rounded`. */
  dividedBy(count: number): number {
    if (!this.finite) return this.#specialValue();
    this.#split();
    const { high, low } = parts;
    if (high === 0) return 0;
    if (isOfUsualSize(high)) {
      const certain = certainQuotient(high, low, Math.abs(high) * 2 ** -120, count);
      if (!Number.isNaN(certain)) return certain;
    }
    const { integer, exponent } = this.exact();
    return quotient(integer, BigInt(count), exponent);
  }

  /** The finite part as integer · 2^exponent; the exponent is a multiple of 32, and 0 for zero. */
  exact(): { integer: bigint; exponent: number } {
    this.#carry();
    const { digits } = this;
    let low = 0;
    while (low < digits.length && digits[low] === 0) low++;
    let integer = 0n;
    for (let i = digits.length - 1; i >= low; i--) integer = (integer << 32n) + BigInt(digits[i]!);
    return { integer, exponent: integer === 0n ? 0 : 32 * (this.base + low) };
  }

  /** A sum of whole numbers: as a number if that is exact, else null. */
  safeInteger(): number | null {
    this.#carry();
    const { digits, base } = this;
    for (let i = 2 - base; i < digits.length; i++) if (digits[i] !== 0) return null;
    const high = digits[1 - base]!;
    return Math.abs(high) < 2 ** 20 ? high * RADIX + digits[-base]! : null;
  }

  /**
   * Canonical: digits without zeros at either end. varint 2·count + (1 if there are NaN or infinities);
   * the lowest digit's place (zigzag), the digits (i32); then the three counts.
   */
  encode(writer: ByteWriter): void {
    this.#carry();
    const { digits } = this;
    let low = 0;
    let end = digits.length;
    while (low < end && digits[low] === 0) low++;
    while (end > low && digits[end - 1] === 0) end--;
    writer.varint(2 * (end - low) + (this.finite ? 0 : 1));
    if (end > low) writeSigned(writer, this.base + low);
    for (let i = low; i < end; i++) writer.i32(digits[i]!);
    if (this.finite) return;
    writer.varint(this.nan);
    writer.varint(this.positiveInfinities);
    writer.varint(this.negativeInfinities);
  }

  /** Adds what `encode` wrote. */
  mergeEncoded(reader: ByteReader): void {
    const head = reader.varint();
    const count = Math.floor(head / 2);
    if (count > 0) {
      const at = this.#reach(readSigned(reader), count);
      for (let i = 0; i < count; i++) this.digits[at + i]! += reader.i32();
      if (++this.#load >= MAX_LOAD) this.#carry();
    }
    if (head % 2 === 0) return;
    this.nan += reader.varint();
    this.positiveInfinities += reader.varint();
    this.negativeInfinities += reader.varint();
  }
}

/** Whether it is far enough from over- and underflow for arithmetic with its parts; or zero. */
export function isOfUsualSize(x: number): boolean {
  const size = Math.abs(x);
  return (size > 2 ** -400 && size < 2 ** 400) || size === 0;
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
