/**
 * Checks the messages of an Arrow IPC stream before the library reads them: it believes every length that they claim, so that
 * a few damaged bytes would cost gigabytes. Walks the flatbuffers of each message (Schema.fbs, Message.fbs) within their bounds.
 */
import { SamewiseError } from '../base/errors.ts';

/** How many rows all record batches may hold together, and what is thrown otherwise. */
export interface RowLimit {
  readonly rows: number;
  readonly tooMany: () => SamewiseError;
}

/** Tables and items of all messages of a body together. */
const MAX_PARTS = 1_000_000;
/** How deep types may be nested. */
const MAX_DEPTH = 64;
/** What a file begins and ends with. */
const MAGIC = 'ARROW1';
const CONTINUATION = 0xffffffff;

const SCHEMA = 1;
const DICTIONARY_BATCH = 2;
const RECORD_BATCH = 3;

export function badArrow(why: string): SamewiseError {
  return new SamewiseError('stream/bad-arrow', `the body is not Arrow IPC: ${why}`);
}

/** The body, a stream or a file, as the library may read it. Throws `stream/bad-arrow` and what the limit says. */
export function checkedArrow(body: Uint8Array, limit: RowLimit): Uint8Array {
  // The library reads numbers in place, which asks for a buffer that begins where a number may.
  const bytes = body.byteOffset % 8 === 0 ? body : body.slice();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const check: Check = { parts: 0, rows: 0, limit };
  /** Checks the message at a place; gives where the next one begins, or 0 at the end. */
  const message = (at: number): number => {
    let start = at + 4;
    let length = start > bytes.length ? 0 : view.getUint32(at, true);
    if (length === CONTINUATION) {
      if (start + 4 > bytes.length) throw badArrow('it ends within a message');
      length = view.getUint32(start, true);
      start += 4;
    }
    if (length === 0) return 0;
    const end = start + length;
    if (end > bytes.length) throw badArrow('it ends within a message');
    return end + new Flatbuffer(bytes.subarray(start, end), check).message(bytes.length - end);
  };
  if (!isMagic(bytes, 0)) {
    for (let at = 0; ; ) {
      const next = message(at);
      if (next === 0 && at === 0) throw badArrow('it has no schema');
      if (next === 0) return bytes;
      at = next;
    }
  }
  const footerEnd = bytes.length - MAGIC.length - 4;
  if (footerEnd < 8 || !isMagic(bytes, footerEnd + 4)) throw badArrow('the file is cut off');
  const footerStart = footerEnd - view.getInt32(footerEnd, true);
  if (footerStart < 8 || footerStart > footerEnd) throw badArrow('the file has no footer');
  const footer = new Flatbuffer(bytes.subarray(footerStart, footerEnd), check);
  for (const at of footer.blocks())
    if (at > bytes.length || message(at) === 0) throw badArrow('the file lacks a message');
  return bytes;
}

function isMagic(bytes: Uint8Array, at: number): boolean {
  return MAGIC.split('').every((letter, i) => bytes[at + i] === letter.charCodeAt(0));
}

/** What was seen so far. */
interface Check {
  parts: number;
  rows: number;
  readonly limit: RowLimit;
}

/** Checks the metadata of the messages of a stream one after the other. */
export class ArrowMessages {
  readonly #check: Check;

  constructor(limit: RowLimit) {
    this.#check = { parts: 0, rows: 0, limit };
  }

  /** The bytes of the body that follows a message's metadata, of which `left` are there. Throws as `checkedArrow`. */
  bodyBytes(metadata: Uint8Array, left: number): number {
    // Parts are bounded for each message: a long stream has many, and they are not in memory together.
    this.#check.parts = 0;
    return new Flatbuffer(metadata, this.#check).message(left);
  }
}

/** A table of a flatbuffer: where it begins, its fields' table, and how long both are. */
interface TableAt {
  readonly at: number;
  readonly size: number;
  readonly fields: number;
  readonly fieldsSize: number;
}

class Flatbuffer {
  readonly #view: DataView;
  readonly #size: number;
  readonly #check: Check;

  constructor(bytes: Uint8Array, check: Check) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#size = bytes.length;
    this.#check = check;
  }

  /** Checks a file's footer; gives where its messages begin. */
  blocks(): number[] {
    const footer = this.#table(this.#target(0));
    const schema = this.#child(footer, 1);
    if (schema === null) throw badArrow('the file has no schema');
    this.#schema(schema);
    this.#pairs(footer, 4);
    return [2, 3].flatMap((field) => {
      const [start, count] = this.#vector(footer, field, 24);
      return Array.from({ length: count }, (_, i) => this.#longAt(start + 24 * i));
    });
  }

  /** Checks a message; gives the bytes of its body, of which `left` are there. */
  message(left: number): number {
    const message = this.#table(this.#target(0));
    const body = this.#long(message, 3);
    if (body > left) throw badArrow('it ends within a body');
    const kind = this.#byte(message, 1);
    const header = this.#child(message, 2);
    if (header === null) throw badArrow('a message has no header');
    this.#pairs(message, 4);
    if (kind === SCHEMA) this.#schema(header);
    else if (kind === RECORD_BATCH) this.#batch(header, body, true);
    else if (kind === DICTIONARY_BATCH) {
      const batch = this.#child(header, 1);
      if (batch === null) throw badArrow('a dictionary has no values');
      this.#batch(batch, body, false);
    } else throw badArrow('a message is of no known kind');
    return body;
  }

  #schema(schema: TableAt): void {
    this.#tables(schema, 1, (field) => this.#field(field, 0));
    this.#pairs(schema, 2);
    this.#vector(schema, 3, 8);
  }

  #field(field: TableAt, depth: number): void {
    if (depth === MAX_DEPTH) throw badArrow('its types are nested too deep');
    this.#vector(field, 0, 1);
    this.#child(field, 3);
    const dictionary = this.#child(field, 4);
    if (dictionary !== null) this.#child(dictionary, 1);
    this.#tables(field, 5, (child) => this.#field(child, depth + 1));
    this.#pairs(field, 6);
  }

  #batch(batch: TableAt, body: number, rows: boolean): void {
    const length = this.#long(batch, 0);
    if (rows) {
      this.#check.rows += length;
      if (this.#check.rows > this.#check.limit.rows) throw this.#check.limit.tooMany();
    }
    // Bits are the smallest values; those that take no room at all are as many as there are rows.
    const most = Math.max(body * 8, this.#check.limit.rows);
    this.#structs(batch, 1, (items) => {
      if (items > most) throw badArrow('a column claims more values than there is room for');
    });
    this.#structs(batch, 2, (offset, size) => {
      if (offset + size > body) throw badArrow('a buffer lies outside of its body');
    });
    this.#child(batch, 3);
    this.#vector(batch, 4, 8);
  }

  #pairs(table: TableAt, field: number): void {
    this.#tables(table, field, (pair) => {
      this.#vector(pair, 0, 1);
      this.#vector(pair, 1, 1);
    });
  }

  /** Pairs of longs. */
  #structs(table: TableAt, field: number, each: (first: number, second: number) => void): void {
    const [start, count] = this.#vector(table, field, 16);
    for (let i = 0; i < count; i++)
      each(this.#longAt(start + 16 * i), this.#longAt(start + 16 * i + 8));
  }

  #tables(table: TableAt, field: number, each: (table: TableAt) => void): void {
    const [start, count] = this.#vector(table, field, 4);
    for (let i = 0; i < count; i++) each(this.#table(this.#target(start + 4 * i)));
  }

  /** Where the items of a vector begin, and how many there are; none if the field is not there. */
  #vector(
    table: TableAt,
    field: number,
    itemSize: number,
  ): readonly [start: number, count: number] {
    const at = this.#slot(table, field, 4);
    if (at === null) return [0, 0];
    const vector = this.#target(at);
    const count = this.#view.getUint32(vector, true);
    if (count * itemSize > this.#size - vector - 4)
      throw badArrow('a list is longer than its message');
    if (itemSize > 1) this.#count(count);
    return [vector + 4, count];
  }

  #count(parts: number): void {
    this.#check.parts += parts;
    if (this.#check.parts > MAX_PARTS) throw badArrow('it has too many parts');
  }

  #child(table: TableAt, field: number): TableAt | null {
    const at = this.#slot(table, field, 4);
    return at === null ? null : this.#table(this.#target(at));
  }

  #byte(table: TableAt, field: number): number {
    const at = this.#slot(table, field, 1);
    return at === null ? 0 : this.#view.getUint8(at);
  }

  #long(table: TableAt, field: number): number {
    const at = this.#slot(table, field, 8);
    return at === null ? 0 : this.#longAt(at);
  }

  #longAt(at: number): number {
    const value = Number(this.#view.getBigInt64(at, true));
    if (value < 0 || !Number.isSafeInteger(value)) throw badArrow('a length is out of range');
    return value;
  }

  /** Where a field of a table lies; null: it is not there. */
  #slot({ at, size, fields, fieldsSize }: TableAt, field: number, width: number): number | null {
    const slot = 4 + 2 * field;
    if (slot + 2 > fieldsSize) return null;
    const offset = this.#view.getUint16(fields + slot, true);
    if (offset === 0) return null;
    if (offset + width > size) throw badArrow('a field lies outside of its table');
    return at + offset;
  }

  /** What the offset at a place leads to: at least four bytes. */
  #target(at: number): number {
    if (at + 4 > this.#size) throw badArrow('an offset is out of range');
    const target = at + this.#view.getUint32(at, true);
    if (target + 4 > this.#size) throw badArrow('an offset is out of range');
    return target;
  }

  #table(at: number): TableAt {
    this.#count(1);
    const fields = at - this.#view.getInt32(at, true);
    if (fields < 0 || fields + 4 > this.#size) throw badArrow('a table is out of range');
    const fieldsSize = this.#view.getUint16(fields, true);
    const size = this.#view.getUint16(fields + 2, true);
    if (fields + fieldsSize > this.#size || at + size > this.#size)
      throw badArrow('a table is out of range');
    return { at, size, fields, fieldsSize };
  }
}
