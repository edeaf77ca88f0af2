/** The buffer in which pages are put together: 8-byte aligned, so that columns are copied in bulk. */
import { xxh32 } from './checksum.ts';

const CHUNK_BYTES = 1 << 16;

export class PageBuffer {
  bytes = new Uint8Array(1 << 14);
  view = new DataView(this.bytes.buffer);
  f64 = new Float64Array(this.bytes.buffer);
  i64 = new BigInt64Array(this.bytes.buffer);
  i32 = new Int32Array(this.bytes.buffer);
  f32 = new Float32Array(this.bytes.buffer);
  /** Bytes written so far. */
  length = 0;
  /** Where the next small pages go, and how much of it is taken. */
  #chunk = new ArrayBuffer(CHUNK_BYTES);
  #used = 0;

  /** Makes room for `count` bytes, which hold garbage, and returns where they begin. */
  take(count: number): number {
    const at = this.length;
    this.length = at + count;
    if (this.length > this.bytes.length) this.#grow(this.length);
    return at;
  }

  /** Room for `count` bytes that are zero. */
  zeros(count: number): number {
    const at = this.take(count);
    this.bytes.fill(0, at, this.length);
    return at;
  }

  #grow(atLeast: number): void {
    const grown = new Uint8Array(Math.ceil(Math.max(atLeast, this.bytes.length * 2) / 8) * 8);
    grown.set(this.bytes);
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
    this.f64 = new Float64Array(grown.buffer);
    this.i64 = new BigInt64Array(grown.buffer);
    this.i32 = new Int32Array(grown.buffer);
    this.f32 = new Float32Array(grown.buffer);
  }

  align(): void {
    const past = this.length & 7;
    if (past !== 0) this.zeros(8 - past);
  }

  raw(bytes: Uint8Array): void {
    const at = this.take(bytes.length);
    this.bytes.set(bytes, at);
  }

  /**
   * The page, its first four bytes the checksum of the rest. Nothing else writes to its bytes, but small pages lie in one
   * buffer together: one of its own for each would cost more than the page. Starts anew.
   */
  finish(): Uint8Array {
    this.view.setUint32(0, xxh32(this.view, 4, this.length), true);
    const { length } = this;
    this.length = 0;
    if (length > CHUNK_BYTES >> 3) return this.bytes.slice(0, length);
    if (this.#used + length > CHUNK_BYTES) {
      this.#chunk = new ArrayBuffer(CHUNK_BYTES);
      this.#used = 0;
    }
    const page = new Uint8Array(this.#chunk, this.#used, length);
    page.set(this.bytes.subarray(0, length));
    this.#used += Math.ceil(length / 8) * 8;
    return page;
  }
}
