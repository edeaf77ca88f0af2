/**
 * JSON objects straight into columns, for what most records are: flat objects of plain text, numbers, booleans and nulls. A record that
 * is anything else, or whose value for a column is not simply of its type, is left to the general way (json.ts and rows.ts): so nothing
 * here knows an error, and what is read here is read there to the same values.
 */
import type { Source } from '../../model/definitions.ts';
import { type Column, ColumnBuilder } from '../../types/column.ts';
import type { Dtype } from '../../types/dtype.ts';
import { coerce } from '../../types/scalar.ts';
import type { LogRecord } from '../contract.ts';
import { OP_FIELD } from './records.ts';

/** Columns with a row for each record. */
export interface PlainColumns {
  readonly columns: Readonly<Record<string, Column>>;
  /** Numbers of the records that are left, in order: what the columns hold in their rows means nothing. */
  readonly left: readonly number[];
}

export type PlainReader = (records: readonly LogRecord[]) => PlainColumns;

const KINDS: ReadonlySet<Dtype['kind']> = new Set([
  'int64',
  'int32',
  'float64',
  'timestamp',
  'bool',
  'string',
]);
/** Names that are the same bytes in JSON, and that no object has by itself. */
const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_ .-]*$/;

/** The reader of a source's records; null where some column is of a kind that is not read here. */
export function plainReader(source: Source, maxBytes: number): PlainReader | null {
  const { columns, op, arrivalTime } = source;
  if (op !== null || arrivalTime !== null) return null;
  const known = columns.every(
    ({ name, dtype }) =>
      KINDS.has(dtype.kind) && PLAIN_NAME.test(name) && !(name in Object.prototype),
  );
  if (!known || columns.some(({ name }) => name === OP_FIELD)) return null;
  return (records) => {
    const rows = new RowsReader(source, records.length);
    const left: number[] = [];
    records.forEach((record, i) => {
      if (readRecord(rows, record)) return;
      rows.skip();
      left.push(i);
    });
    return { columns: rows.finish(), left };
  };

  function readRecord(rows: RowsReader, record: LogRecord): boolean {
    if (record.headers.size > 0) return false;
    const { placed } = record;
    if (placed) {
      const { bytes, from, to } = placed;
      return to - from <= maxBytes && rows.read(bytes, from, to);
    }
    const { value } = record;
    return value !== null && value.length <= maxBytes && rows.read(value, 0, value.length);
  }
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const TRUE = tokenOf('true');
const FALSE = tokenOf('false');
const NULL = tokenOf('null');
const OP = tokenOf(`"${OP_FIELD}"`);

function tokenOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Powers of ten that a float64 holds exactly. */
const POWERS = Array.from({ length: 23 }, (_, power) => Number(`1e${power}`));

/** Where something ends that is not what it should be. */
const NOT_PLAIN = -1;

class RowsReader {
  readonly #names: readonly string[];
  readonly #dtypes: readonly Dtype[];
  /** Names in quotes. */
  readonly #tokens: readonly Uint8Array[];
  readonly #builders: readonly ColumnBuilder[];
  /** Columns without which a row is not a row. */
  readonly #needed: readonly boolean[];
  /** By place in the record, which column was there in the record before; −1: none. */
  readonly #order: number[];
  /** The row in which each column was seen last. */
  readonly #seen: Int32Array;
  /** Values of the row that is being read: whole rows only go into the columns. */
  readonly #numbers: Float64Array;
  readonly #texts: string[];
  readonly #nulls: Uint8Array;
  #row = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  /** Where the record begins and ends in them. */
  #from = 0;
  #end = 0;
  /** The same memory as the record's, for text. */
  #buffer = Buffer.alloc(0);
  /** What `#scanNumber` read. */
  #number = 0;

  constructor({ columns, eventId, eventTime }: Source, rows: number) {
    this.#names = columns.map(({ name }) => name);
    this.#dtypes = columns.map(({ dtype }) => dtype);
    this.#tokens = this.#names.map((name) => tokenOf(`"${name}"`));
    this.#builders = this.#dtypes.map((dtype) => new ColumnBuilder(dtype, rows));
    this.#needed = this.#names.map((name) => name === eventId || name === eventTime);
    this.#order = columns.map((_, c) => c);
    this.#seen = new Int32Array(columns.length).fill(-1);
    this.#numbers = new Float64Array(columns.length);
    this.#texts = columns.map(() => '');
    this.#nulls = new Uint8Array(columns.length);
  }

  /** A row that means nothing. */
  skip(): void {
    for (const builder of this.#builders) builder.pushNull();
    this.#row++;
  }

  finish(): Record<string, Column> {
    return Object.fromEntries(this.#names.map((name, c) => [name, this.#builders[c]!.finish()]));
  }

  /** Adds the row of the record at from…end; false, and nothing is added, if it is not plain. */
  read(bytes: Uint8Array, from: number, end: number): boolean {
    this.#bytes = bytes;
    this.#from = from;
    this.#end = end;
    if (!this.#readObject()) return false;
    for (let c = 0; c < this.#builders.length; c++) {
      const builder = this.#builders[c]!;
      const { kind } = this.#dtypes[c]!;
      if (this.#nulls[c] === 1) builder.pushNull();
      else if (kind === 'string') builder.push(this.#texts[c]!);
      else builder.pushNumber(this.#numbers[c]!);
    }
    this.#row++;
    return true;
  }

  #readObject(): boolean {
    const bytes = this.#bytes;
    let at = this.#blank(this.#from);
    if (bytes[at] !== OPEN) return false;
    let found = 0;
    for (let place = 0; ; place++) {
      at = this.#blank(at + 1);
      const column = this.#columnAt(at, place);
      if (column >= 0) {
        // Of a name that comes twice the last one counts: that is for the general way.
        if (this.#seen[column] === this.#row) return false;
        this.#seen[column] = this.#row;
        found++;
        at += this.#tokens[column]!.length;
      } else if (this.#is(OP, at)) return false;
      else at = this.#textEnd(at);
      if (at === NOT_PLAIN) return false;
      at = this.#blank(at);
      if (bytes[at] !== COLON) return false;
      at = this.#blank(at + 1);
      at = column >= 0 ? this.#value(column, at) : this.#passBy(at);
      if (at === NOT_PLAIN) return false;
      at = this.#blank(at);
      if (bytes[at] === COMMA) continue;
      // What was taken for a part of it beyond its end ends here.
      if (bytes[at] !== CLOSE || this.#blank(at + 1) !== this.#end) return false;
      return found === this.#names.length;
    }
  }

  /** Where the next is that is not blank. */
  #blank(from: number): number {
    const bytes = this.#bytes;
    if (bytes[from]! > 0x20) return from;
    let at = from;
    for (; at < this.#end; at++) {
      const byte = bytes[at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    }
    return at;
  }

  #is(token: Uint8Array, at: number): boolean {
    const bytes = this.#bytes;
    for (let i = 0; i < token.length; i++) if (bytes[at + i] !== token[i]) return false;
    return true;
  }

  /** The column whose name is here; −1: none. Most records have their fields in one order. */
  #columnAt(at: number, place: number): number {
    const before = this.#order[place] ?? -1;
    if (before >= 0 && this.#is(this.#tokens[before]!, at)) return before;
    const column = this.#tokens.findIndex((token) => this.#is(token, at));
    this.#order[place] = column;
    return column;
  }

  /** Behind the plain text that begins here. */
  #textEnd(from: number): number {
    const bytes = this.#bytes;
    if (bytes[from] !== QUOTE) return NOT_PLAIN;
    for (let at = from + 1; at < this.#end; at++) {
      const byte = bytes[at]!;
      if (byte === QUOTE) return at + 1;
      if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) return NOT_PLAIN;
    }
    return NOT_PLAIN;
  }

  #textOf(from: number, to: number): string {
    const { buffer, byteOffset } = this.#bytes;
    if (this.#buffer.buffer !== buffer) this.#buffer = Buffer.from(buffer as ArrayBuffer);
    return this.#buffer.toString('latin1', byteOffset + from, byteOffset + to);
  }

  /** Takes a column's value; gives what is behind it. */
  #value(column: number, at: number): number {
    const { kind } = this.#dtypes[column]!;
    this.#nulls[column] = 0;
    switch (this.#bytes[at]) {
      case 0x6e: // n
        if (this.#needed[column] || !this.#is(NULL, at)) return NOT_PLAIN;
        this.#nulls[column] = 1;
        return at + 4;
      case 0x74: // t
        if (kind !== 'bool' || !this.#is(TRUE, at)) return NOT_PLAIN;
        this.#numbers[column] = 1;
        return at + 4;
      case 0x66: // f
        if (kind !== 'bool' || !this.#is(FALSE, at)) return NOT_PLAIN;
        this.#numbers[column] = 0;
        return at + 5;
      case QUOTE:
        return this.#text(column, at);
      default: {
        if (kind === 'bool' || kind === 'string') return NOT_PLAIN;
        const end = this.#scanNumber(at, kind === 'float64');
        if (end === NOT_PLAIN) return NOT_PLAIN;
        if (kind === 'int32' && this.#number !== (this.#number | 0)) return NOT_PLAIN;
        // Zero has no sign.
        this.#numbers[column] = this.#number + 0;
        return end;
      }
    }
  }

  #text(column: number, at: number): number {
    const dtype = this.#dtypes[column]!;
    const end = this.#textEnd(at);
    if (end === NOT_PLAIN) return NOT_PLAIN;
    if (dtype.kind === 'string') this.#texts[column] = this.#textOf(at + 1, end - 1);
    else if (dtype.kind === 'timestamp') {
      try {
        this.#numbers[column] = coerce(this.#textOf(at + 1, end - 1), dtype, {}) as number;
      } catch {
        return NOT_PLAIN;
      }
    } else return NOT_PLAIN;
    return end;
  }

  /** Behind a value that is no column's. */
  #passBy(at: number): number {
    if (this.#bytes[at] === QUOTE) return this.#textEnd(at);
    for (const token of [NULL, TRUE, FALSE]) if (this.#is(token, at)) return at + token.length;
    return this.#scanNumber(at, true);
  }

  /** Behind the number that begins here; `float`: it may be any, else a whole one that a float64 holds exactly. */
  #scanNumber(from: number, float: boolean): number {
    const bytes = this.#bytes;
    const end = this.#end;
    const negative = bytes[from] === MINUS;
    const first = negative ? from + 1 : from;
    let at = first;
    let point = end;
    // Nine digits at a time fit into 32 bits.
    let digits = 0;
    let some = 0;
    let count = 0;
    for (; at < end; at++) {
      const digit = bytes[at]! - ZERO;
      if (digit >= 0 && digit <= 9) {
        some = (some * 10 + digit) | 0;
        if (++count === 9) {
          digits = digits * 1e9 + some;
          some = count = 0;
        }
      } else if (digit === DOT - ZERO && point === end && at > first) point = at;
      else break;
    }
    digits = digits * POWERS[count]! + some;
    const whole = Math.min(at, point) - first;
    const decimals = Math.max(0, at - point - 1);
    // At least one digit before and behind the point, and none behind a zero in front.
    if (whole === 0 || (bytes[first] === ZERO && whole > 1) || at === point + 1) return NOT_PLAIN;
    // e or E
    const power = ((bytes[at] ?? 0) | 0x20) === 0x65;
    if (power) {
      at++;
      // + or −
      if (bytes[at] === 0x2b || bytes[at] === MINUS) at++;
      const digitsAt = at;
      while (isDigit(bytes[at])) at++;
      if (at === digitsAt) return NOT_PLAIN;
    }
    const exact = !power && digits <= Number.MAX_SAFE_INTEGER;
    if (!float && (decimals > 0 || !exact)) return NOT_PLAIN;
    // A quotient of two numbers that are exact is the nearest to what is written.
    if (exact && decimals < POWERS.length) {
      const size = digits / POWERS[decimals]!;
      this.#number = negative ? -size : size;
      return at;
    }
    this.#number = Number(this.#textOf(from, at));
    return Number.isFinite(this.#number) ? at : NOT_PLAIN;
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= 0x39;
}
