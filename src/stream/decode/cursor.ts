/** A place in the bytes of one record. Reading beyond their end is a coded error, never garbage. */
import { SamewiseError } from '../../base/errors.ts';
import { MAX_DEPTH } from './limits.ts';
import { textOf } from './records.ts';

/** Items that take no bytes are counted: a few bytes may claim any number of them. */
const MAX_EMPTY_ITEMS = 65_536;
/** Up to here text is put together by hand, which is faster than asking the platform. */
const SHORT_TEXT = 16;

export class Cursor {
  #bytes: Uint8Array = new Uint8Array();
  #view: DataView = new DataView(this.#bytes.buffer);
  #depth = 0;
  #items = 0;
  at = 0;
  end = 0;

  /** Reads `bytes` from now on, from `at` up to `end`. */
  reset(bytes: Uint8Array, at: number, end: number = bytes.length): void {
    if (this.#bytes !== bytes) {
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.at = at;
    this.end = end;
    this.#depth = 0;
    this.#items = 0;
  }

  /** Passes by `count` bytes and gives where they began. */
  take(count: number): number {
    const at = this.at;
    if (!(count >= 0 && count <= this.end - at)) throw truncated();
    this.at = at + count;
    return at;
  }

  u8(): number {
    return this.#bytes[this.take(1)]!;
  }
  f32(): number {
    return this.#view.getFloat32(this.take(4), true);
  }
  f64(): number {
    return this.#view.getFloat64(this.take(8), true);
  }
  u32(): number {
    return this.#view.getUint32(this.take(4), true);
  }
  u64(): bigint {
    return this.#view.getBigUint64(this.take(8), true);
  }

  /** An unsigned number in groups of 7 bits, lowest first: a number while that is exact, else a bigint of 64 bits. */
  varint(): number | bigint {
    const bytes = this.#bytes;
    const { end } = this;
    let at = this.at;
    let value = 0;
    let scale = 1;
    // Seven groups are 49 bits: exact whatever they hold. Of the eighth four bits are left, which instants need.
    for (let i = 0; i < 8 && at < end; i++) {
      const byte = bytes[at++]!;
      if (byte < (i < 7 ? 128 : 16)) {
        this.at = at;
        return value + byte * scale;
      }
      value += (byte & 127) * scale;
      scale *= 128;
    }
    return this.#bigVarint();
  }

  #bigVarint(): number | bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    throw new SamewiseError('stream/bad-number', 'a number has more than 64 bits');
  }

  /** A length: an unsigned number that the bytes that are left can hold. */
  length(): number {
    return Number(this.varint());
  }

  /** Those bytes, in a buffer of their own. */
  bytes(count: number): Uint8Array {
    const at = this.take(count);
    return this.#bytes.slice(at, at + count);
  }

  /** Text of so many bytes. Throws `stream/not-utf8`. */
  text(count: number): string {
    const at = this.take(count);
    const bytes = this.#bytes;
    if (count <= SHORT_TEXT) {
      let text = '';
      let i = at;
      for (; i < at + count && bytes[i]! < 128; i++) text += String.fromCharCode(bytes[i]!);
      if (i === at + count) return text;
    }
    return textOf(bytes.subarray(at, at + count));
  }

  /** Runs `body` one level deeper. Throws `stream/too-deep`. */
  deeper<T>(body: () => T): T {
    if (++this.#depth > MAX_DEPTH)
      throw new SamewiseError('stream/too-deep', `the record is nested over ${MAX_DEPTH} deep`);
    const result = body();
    this.#depth--;
    return result;
  }

  /** Counts items that are to come. Throws where there cannot be so many. */
  expectItems(count: number): void {
    this.#items += count;
    if (this.#items > this.#bytes.length + MAX_EMPTY_ITEMS) throw truncated();
  }
}

function truncated(): SamewiseError {
  return new SamewiseError('stream/truncated', 'the record ends before its last value');
}
