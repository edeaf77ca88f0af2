/** Protobuf's wire format, as far as answers need it: written straight from values, without a message in between. */

import { Buffer } from 'node:buffer';

const VARINT = 0;
const FIXED_LENGTH = 2;

const halves = new BigInt64Array(1);
const parts = new Int32Array(halves.buffer);
/** Little-endian, as the machines are that this runs on. */
const floats = new Float32Array(1);
const floatBytes = new Uint8Array(floats.buffer);
const doubles = new Float64Array(1);
const doubleBytes = new Uint8Array(doubles.buffer);
const utf8 = new TextEncoder();
/** To copy so many bytes one by one takes less than to ask for it. */
const SHORT = 48;

/** Grows a message by appending fields. Numbers are those of the .proto files. */
export class WireWriter {
  #bytes: Uint8Array;
  #at: number;

  /** `lead` bytes stay free at the beginning. */
  constructor(capacity: number, lead = 0) {
    // Of memory that is at hand: what is not written is never sent.
    this.#bytes = Buffer.allocUnsafe(capacity + lead).fill(0, 0, lead);
    this.#at = lead;
  }

  /** What was written so far. The writer must not be used any more. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  #reserve(count: number): void {
    if (this.#at + count <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#at + count, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }

  /** Bytes as they are: fields that were encoded before. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    if (bytes.length > SHORT) this.#bytes.set(bytes, this.#at);
    else for (let i = 0; i < bytes.length; i++) this.#bytes[this.#at + i] = bytes[i]!;
    this.#at += bytes.length;
  }

  /** A varint: a whole number from 0 to 2^32 - 1. */
  #varint(value: number): void {
    this.#reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
  }

  /** A zigzag varint of 64 bits, given as two halves. */
  #zigzag(low: number, high: number): void {
    const sign = high >> 31;
    let lo = ((low << 1) ^ sign) >>> 0;
    let hi = (((high << 1) | (low >>> 31)) ^ sign) >>> 0;
    this.#reserve(10);
    const bytes = this.#bytes;
    while (hi > 0 || lo > 0x7f) {
      bytes[this.#at++] = (lo & 0x7f) | 0x80;
      lo = ((lo >>> 7) | (hi << 25)) >>> 0;
      hi >>>= 7;
    }
    bytes[this.#at++] = lo;
  }

  /** A field of whole numbers from 0 to 2^32 - 1; 0 is what a field that is left out says. */
  uint32(field: number, value: number): void {
    if (value === 0) return;
    this.#varint((field << 3) | VARINT);
    this.#varint(value);
  }

  bool(field: number, value: boolean): void {
    this.uint32(field, value ? 1 : 0);
  }

  /** A field of safe integers. */
  sint64(field: number, value: number): void {
    this.#varint((field << 3) | VARINT);
    this.sint64Item(value);
  }

  string(field: number, value: string): void {
    if (value !== '') this.stringItem(field, value);
  }

  bytes(field: number, value: Uint8Array): void {
    if (value.length > 0) this.bytesItem(field, value);
  }

  /** One of a repeated field of texts; also an empty one. */
  stringItem(field: number, value: string): void {
    this.#varint((field << 3) | FIXED_LENGTH);
    const most = value.length * 3;
    this.#reserve(most + 5);
    // The length of a short text takes one byte, whatever its characters are.
    const start = this.#at + (most < 0x80 ? 1 : 5);
    const { written } = utf8.encodeInto(value, this.#bytes.subarray(start, start + most));
    this.#varint(written);
    if (this.#at !== start) this.#bytes.copyWithin(this.#at, start, start + written);
    this.#at += written;
  }

  /** One of a repeated field of bytes; also empty ones. */
  bytesItem(field: number, value: Uint8Array): void {
    this.#varint((field << 3) | FIXED_LENGTH);
    this.#varint(value.length);
    this.raw(value);
  }

  /** Begins a message or packed values inside this message; `end` takes what this returns. */
  begin(field: number): number {
    this.#varint((field << 3) | FIXED_LENGTH);
    this.#reserve(1);
    return ++this.#at;
  }

  /** Ends what `begin` began, whose length is known only now. */
  end(start: number): void {
    const length = this.#at - start;
    let more = 0;
    for (let rest = length >>> 7; rest > 0; rest >>>= 7) more++;
    if (more > 0) {
      this.#reserve(more);
      this.#bytes.copyWithin(start + more, start, this.#at);
    }
    this.#at = start - 1;
    this.#varint(length);
    this.#at += length;
  }

  // One of packed values.

  boolItem(value: boolean): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value ? 1 : 0;
  }

  uint32Item(value: number): void {
    this.#varint(value);
  }

  sint32Item(value: number): void {
    this.#varint(((value << 1) ^ (value >> 31)) >>> 0);
  }

  /** A safe integer. */
  sint64Item(value: number): void {
    this.#zigzag(value | 0, Math.floor(value / 4294967296));
  }

  bigItem(value: bigint): void {
    halves[0] = value;
    this.#zigzag(parts[0]!, parts[1]!);
  }

  floatItem(value: number): void {
    floats[0] = value;
    this.raw(floatBytes);
  }

  doubleItem(value: number): void {
    doubles[0] = value;
    this.raw(doubleBytes);
  }
}
