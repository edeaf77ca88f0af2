/**
 * Sums of float64 and int64 over the real numbers, rounded once. A number is held as digits to the base 2^32: digit i
 * of `digits` weighs 2^(32·(base+i)). Digits are signed integers in float64 and may grow to 2^52 before a carry, so adding
 * is a few additions without a branch on size. Every operation is exact, so neither the order of additions nor how they
 * were split matters, and what was added can be taken away.
 *
 * NaN and the infinities are counted apart: taking them away again brings the finite sum back.
 */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { readSigned, writeSigned } from './codec.ts';
import { quotient } from './rational.ts';
import { roundDigits, type TwoFloats, usualQuotient } from './rounding.ts';

const RADIX = 4294967296;
const HALF_RADIX = RADIX / 2;
/** Additions of at most RADIX a digit before a carry: half of what float64 holds exactly. */
const MAX_LOAD = 1 << 20;
/** The digits that money and counts touch: 2^-96 to 2^96. */
const USUAL_BASE = -3;
const USUAL_DIGITS = 6;
const scratch = new Float64Array(1);
const scratchWords = new Uint32Array(scratch.buffer);

/** The finite part, when it has been rounded. */
const parts: TwoFloats = { high: 0, low: 0 };

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

  /**
   * Adds whole numbers to the five digits from `place` (a power of 2^32) on; none is greater in size than `load` times 2^32,
   * and `load` is at most 2^19.
   */
  addDigits(
    place: number,
    load: number,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
  ): void {
    if (this.#load + load > MAX_LOAD) this.#carry();
    this.#load += load;
    const at = this.#reach(place, 5);
    const { digits } = this;
    digits[at]! += a;
    digits[at + 1]! += b;
    digits[at + 2]! += c;
    digits[at + 3]! += d;
    digits[at + 4]! += e;
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
    this.twoFloats(parts);
    return parts.high;
  }

  #specialValue(): number {
    if (this.nan > 0 || (this.positiveInfinities > 0 && this.negativeInfinities > 0))
      return Number.NaN;
    return this.positiveInfinities > 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  }

  /** The finite part as its rounded value and the rest; see `roundDigits`. */
  twoFloats(into: TwoFloats): void {
    this.#carry();
    roundDigits(this.digits, this.base, into);
  }

  /** The sum over `count` (a positive whole number), rounded once. ±Infinity or NaN as `rounded`. */
  dividedBy(count: number): number {
    if (!this.finite) return this.#specialValue();
    this.twoFloats(parts);
    const { high, low } = parts;
    if (high === 0) return 0;
    const certain = usualQuotient(high, low, count);
    if (!Number.isNaN(certain)) return certain;
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
