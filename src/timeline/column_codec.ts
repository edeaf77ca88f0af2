/**
 * Columns as bytes of a page, each beginning at a multiple of 8: a bitmap where there are nulls, then the values that
 * are not null, raw and little-endian.
 *
 * | dtype | values |
 * |---|---|
 * | float64, timestamp, int64 | 8 bytes each |
 * | int32, date, float32 | 4 bytes each |
 * | bool | one bit each |
 * | string, bytes | u32 total, u32 width, lengths of that width (1, 2 or 4), then all bytes |
 * | list(T) | u32 items, u32 nulls of the items, lengths (u32), aligned, then the items as a column |
 * | vector(n) | n × 4 bytes each |
 */
import { assert } from '../base/errors.ts';
import { type Column, ColumnBuilder, type ListColumn } from '../types/column.ts';
import type { Dtype } from '../types/dtype.ts';
import type { Scalar } from '../types/scalar.ts';
import type { PageBuffer } from './page_buffer.ts';

/** How nulls are kept: none there, a bitmap, or nothing but nulls. */
export const NO_NULLS = 0;
export const SOME_NULLS = 1;
export const ALL_NULLS = 2;

const utf8 = new TextEncoder();
const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Aligned bytes of a page under which columns may be viewed in place. */
export interface PageBytes {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Writes rows lo…hi at an aligned place; returns how nulls are kept, which `readColumn` must be told. */
export function writeColumn(out: PageBuffer, column: Column, lo: number, hi: number): number {
  const { validity } = column;
  let nulls = 0;
  if (validity !== null) for (let i = lo; i < hi; i++) if (validity[i] === 0) nulls++;
  if (nulls > 0 && nulls === hi - lo) return ALL_NULLS;
  if (nulls > 0) {
    const at = out.zeros(Math.ceil((hi - lo) / 64) * 8);
    for (let i = lo; i < hi; i++)
      if (validity![i] !== 0) out.bytes[at + ((i - lo) >> 3)]! |= 1 << ((i - lo) & 7);
  }
  writeValues(out, column, lo, hi, nulls === 0 ? null : validity);
  out.align();
  return nulls === 0 ? NO_NULLS : SOME_NULLS;
}

function writeValues(
  out: PageBuffer,
  column: Column,
  lo: number,
  hi: number,
  validity: Uint8Array | null,
): void {
  switch (column.kind) {
    case 'float64':
    case 'timestamp':
      return writeRaw(out, column.data, 1, lo, hi, validity);
    case 'int64':
      return writeRaw(out, column.data, 1, lo, hi, validity);
    case 'float32':
    case 'int32':
    case 'date':
      return writeRaw(out, column.data, 1, lo, hi, validity);
    case 'vector':
      return writeRaw(out, column.data, column.dtype.size, lo, hi, validity);
    case 'bool': {
      const at = out.zeros((hi - lo + 7) >> 3);
      let bit = 0;
      for (let i = lo; i < hi; i++) {
        if (validity !== null && validity[i] === 0) continue;
        if (column.data[i] === 1) out.bytes[at + (bit >> 3)]! |= 1 << (bit & 7);
        bit++;
      }
      return;
    }
    case 'string':
    case 'bytes': {
      const values: Uint8Array[] = [];
      for (let i = lo; i < hi; i++) {
        if (validity !== null && validity[i] === 0) continue;
        values.push(column.kind === 'string' ? utf8.encode(column.data[i]!) : column.data[i]!);
      }
      return writeBlobs(out, values);
    }
    case 'list':
      return writeLists(out, column, lo, hi, validity);
  }
}

type RawData = Float64Array | Float32Array | Int32Array | BigInt64Array;

/** Values of a fixed number of bytes, `size` numbers each: one copy for each run without nulls. */
function writeRaw(
  out: PageBuffer,
  data: RawData,
  size: number,
  lo: number,
  hi: number,
  validity: Uint8Array | null,
): void {
  const width = data.BYTES_PER_ELEMENT * size;
  const source = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  for (let i = lo; i < hi; i++) {
    if (validity !== null && validity[i] === 0) continue;
    const run = i;
    if (validity === null) i = hi - 1;
    else while (i + 1 < hi && validity[i + 1] !== 0) i++;
    const at = out.take((i + 1 - run) * width);
    out.bytes.set(source.subarray(run * width, (i + 1) * width), at);
  }
}

function writeBlobs(out: PageBuffer, values: readonly Uint8Array[]): void {
  let total = 0;
  let longest = 0;
  for (const value of values) {
    total += value.length;
    longest = Math.max(longest, value.length);
  }
  const width = longest < 0x100 ? 1 : longest < 0x10000 ? 2 : 4;
  let at = out.take(8 + width * values.length + total);
  out.view.setUint32(at, total, true);
  out.view.setUint32(at + 4, width, true);
  at += 8;
  for (const value of values) {
    if (width === 1) out.bytes[at] = value.length;
    else if (width === 2) out.view.setUint16(at, value.length, true);
    else out.view.setUint32(at, value.length, true);
    at += width;
  }
  for (const value of values) {
    out.bytes.set(value, at);
    at += value.length;
  }
}

function writeLists(
  out: PageBuffer,
  column: ListColumn,
  lo: number,
  hi: number,
  validity: Uint8Array | null,
): void {
  const { offsets, data } = column;
  const head = out.take(8);
  // A null list holds no items, so the items of all rows lie together.
  for (let i = lo; i < hi; i++) {
    if (validity !== null && validity[i] === 0) continue;
    out.view.setUint32(out.take(4), offsets[i + 1]! - offsets[i]!, true);
  }
  out.align();
  const nulls = writeColumn(out, data, offsets[lo]!, offsets[hi]!);
  out.view.setUint32(head, offsets[hi]! - offsets[lo]!, true);
  out.view.setUint32(head + 4, nulls, true);
}

/**
 * The column of `length` rows that `writeColumn` wrote at `at`. Numbers without nulls are a view of the page, so the
 * column lives as long as the page's buffer is left alone.
 */
export function readColumn(
  page: PageBytes,
  at: number,
  dtype: Dtype,
  length: number,
  nulls: number,
): Column {
  if (nulls === NO_NULLS && dtype.kind === 'float64') {
    const data = new Float64Array(page.bytes.buffer, page.bytes.byteOffset + at, length);
    return { kind: 'float64', dtype, length, validity: null, data };
  }
  if (nulls === ALL_NULLS) return nullsOnly(dtype, length);
  let validity: Uint8Array | null = null;
  let present = length;
  let from = at;
  if (nulls !== NO_NULLS) {
    validity = new Uint8Array(length);
    present = 0;
    for (let i = 0; i < length; i++)
      present += validity[i] = (page.bytes[at + (i >> 3)]! >> (i & 7)) & 1;
    from = at + Math.ceil(length / 64) * 8;
  }
  const data = readValues(page, from, dtype, length, validity, present);
  return { kind: dtype.kind, dtype, length, validity, ...data } as Column;
}

/** Of a column of nothing but nulls the page holds no byte. */
function nullsOnly(dtype: Dtype, length: number): Column {
  const builder = new ColumnBuilder(dtype, length);
  for (let i = 0; i < length; i++) builder.pushNull();
  return builder.finish();
}

function readValues(
  page: PageBytes,
  at: number,
  dtype: Dtype,
  length: number,
  validity: Uint8Array | null,
  present: number,
): { data: unknown; offsets?: Int32Array } {
  const { buffer } = page.bytes;
  const from = page.bytes.byteOffset + at;
  switch (dtype.kind) {
    case 'float64':
    case 'timestamp':
      return { data: spread(new Float64Array(buffer, from, present), 1, length, validity) };
    case 'int64':
      return { data: spread(new BigInt64Array(buffer, from, present), 1, length, validity) };
    case 'int32':
    case 'date':
      return { data: spread(new Int32Array(buffer, from, present), 1, length, validity) };
    case 'float32':
      return { data: spread(new Float32Array(buffer, from, present), 1, length, validity) };
    case 'vector': {
      const values = new Float32Array(buffer, from, present * dtype.size);
      return { data: spread(values, dtype.size, length, validity) };
    }
    case 'bool': {
      const data = new Uint8Array(length);
      for (let i = 0, bit = 0; i < length; i++) {
        if (validity !== null && validity[i] === 0) continue;
        data[i] = (page.bytes[at + (bit >> 3)]! >> (bit & 7)) & 1;
        bit++;
      }
      return { data };
    }
    case 'string':
      return { data: readStrings(page, at, length, validity, present) };
    case 'bytes': {
      const { ends, blob } = readBlobs(page, at, present);
      const data: Uint8Array[] = [];
      for (let i = 0, k = 0; i < length; i++) {
        if (validity !== null && validity[i] === 0) data.push(new Uint8Array(0));
        else data.push(blob.slice(k === 0 ? 0 : ends[k - 1]!, ends[k++]!));
      }
      return { data };
    }
    case 'list': {
      const items = page.view.getUint32(at, true);
      const nulls = page.view.getUint32(at + 4, true);
      const offsets = new Int32Array(length + 1);
      for (let i = 0, k = 0; i < length; i++) {
        const has = validity === null || validity[i] === 1;
        offsets[i + 1] = offsets[i]! + (has ? page.view.getUint32(at + 8 + 4 * k++, true) : 0);
      }
      const child = Math.ceil((at + 8 + 4 * present) / 8) * 8;
      return { data: readColumn(page, child, dtype.of, items, nulls), offsets };
    }
  }
}

/** Puts the values that are there at their rows, zeros elsewhere. */
function spread<A extends RawData>(
  values: A,
  size: number,
  length: number,
  validity: Uint8Array | null,
): A {
  if (validity === null) return values;
  const out = new (values.constructor as new (length: number) => A)(length * size);
  for (let i = 0, k = 0; i < length; i++) {
    if (validity[i] === 0) continue;
    for (let j = 0; j < size; j++) out[i * size + j] = values[k++]!;
  }
  return out;
}

function readBlobs(
  page: PageBytes,
  at: number,
  present: number,
): { ends: Int32Array; blob: Uint8Array } {
  const total = page.view.getUint32(at, true);
  const width = page.view.getUint32(at + 4, true);
  const ends = new Int32Array(present);
  let end = 0;
  for (let k = 0; k < present; k++) {
    end += lengthAt(page, at + 8 + k * width, width);
    ends[k] = end;
  }
  const start = at + 8 + present * width;
  assert(end === total, 'lengths of strings add up');
  return { ends, blob: page.bytes.subarray(start, start + total) };
}

/**
 * The value in one row of a column that `writeColumn` wrote at `at`, where it lies at a place of its own; undefined for what only
 * decoding the column tells.
 */
export function readValue(
  { view, bytes }: PageBytes,
  at: number,
  { kind }: Dtype,
  nulls: number,
  row: number,
): Scalar | null | undefined {
  if (nulls === ALL_NULLS) return null;
  if (nulls !== NO_NULLS) return undefined;
  switch (kind) {
    case 'float64':
    case 'timestamp':
      return view.getFloat64(at + 8 * row, true);
    case 'int64':
      return view.getBigInt64(at + 8 * row, true);
    case 'int32':
    case 'date':
      return view.getInt32(at + 4 * row, true);
    case 'float32':
      return view.getFloat32(at + 4 * row, true);
    case 'bool':
      return ((bytes[at + (row >> 3)]! >> (row & 7)) & 1) === 1;
    default:
      return undefined;
  }
}

/** The text in one row of a string column that `writeColumn` wrote at `at`; the text of other rows is not decoded. */
export function readText(
  page: PageBytes,
  at: number,
  length: number,
  nulls: number,
  row: number,
): string | null {
  if (nulls === ALL_NULLS) return null;
  let present = length;
  let index = row;
  let from = at;
  if (nulls === SOME_NULLS) {
    present = 0;
    for (let i = 0; i < length; i++) {
      const bit = (page.bytes[at + (i >> 3)]! >> (i & 7)) & 1;
      if (i === row && bit === 0) return null;
      if (i === row) index = present;
      present += bit;
    }
    from = at + Math.ceil(length / 64) * 8;
  }
  const width = page.view.getUint32(from + 4, true);
  const lengths = from + 8;
  let start = lengths + present * width;
  for (let k = 0; k < index; k++) start += lengthAt(page, lengths + k * width, width);
  const end = start + lengthAt(page, lengths + index * width, width);
  return utf8Decoder.decode(page.bytes.subarray(start, end));
}

function lengthAt(page: PageBytes, at: number, width: number): number {
  if (width === 1) return page.bytes[at]!;
  return width === 2 ? page.view.getUint16(at, true) : page.view.getUint32(at, true);
}

function readStrings(
  page: PageBytes,
  at: number,
  length: number,
  validity: Uint8Array | null,
  present: number,
): string[] {
  const { ends, blob } = readBlobs(page, at, present);
  // One decoding for all, which is then cut. Bytes and characters are the same places where all is ASCII; elsewhere
  // every byte that begins a character stands for one UTF-16 unit, or for two where four bytes make it.
  const all = utf8Decoder.decode(blob);
  const ascii = all.length === blob.length;
  const out: string[] = [];
  for (let i = 0, k = 0, byte = 0, start = 0; i < length; i++) {
    if (validity !== null && validity[i] === 0) {
      out.push('');
      continue;
    }
    const endByte = ends[k++]!;
    let end = ascii ? endByte : start;
    if (!ascii)
      for (; byte < endByte; byte++) {
        const b = blob[byte]!;
        if ((b & 0xc0) !== 0x80) end += b >= 0xf0 ? 2 : 1;
      }
    out.push(all.slice(start, end));
    start = end;
  }
  return out;
}
