/**
 * Readers of Protobuf's wire format (protobuf.dev, «Encoding»), made once for a message type: of the wanted columns, each as `coerce`
 * reads it into the column's type. Ours rather than a library's for the reasons that Avro's are.
 */
import type { Enum, Field, Type } from 'protobufjs';
import { SamewiseError } from '../../base/errors.ts';
import type { Dtype } from '../../types/dtype.ts';
import type { Cursor } from './cursor.ts';
import { MAX_DEPTH } from './limits.ts';
import { bigEndian, decimalFor, instantFor } from './typed_values.ts';

type Read = (cursor: Cursor) => unknown;

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;

interface Scalar {
  readonly wire: number;
  readonly read: Read;
  readonly fits: readonly Dtype['kind'][];
  /** Of a field without presence that is not written. */
  readonly zero: unknown;
}

const int32 = (n: number | bigint): number =>
  typeof n === 'number' ? n | 0 : Number(BigInt.asIntN(32, n));
const uint32 = (n: number | bigint): number => int32(n) >>> 0;
const int64 = (n: number | bigint) => (typeof n === 'number' ? n : BigInt.asIntN(64, n));
const zigzag32 = (n: number) => (n >>> 1) ^ -(n & 1);
const zigzag64 = (n: number | bigint) =>
  typeof n === 'bigint' ? (n >> 1n) ^ -(n & 1n) : n % 2 === 0 ? n / 2 : -(n + 1) / 2;

const SIGNED32: Scalar['fits'] = ['int32', 'int64', 'float64'];
const WIDE: Scalar['fits'] = ['int64', 'float64'];

const SCALARS: Readonly<Record<string, Scalar>> = {
  int32: { wire: VARINT, read: (c) => int32(c.varint()), fits: SIGNED32, zero: 0 },
  sint32: { wire: VARINT, read: (c) => zigzag32(uint32(c.varint())), fits: SIGNED32, zero: 0 },
  sfixed32: { wire: FIXED32, read: (c) => c.u32() | 0, fits: SIGNED32, zero: 0 },
  uint32: { wire: VARINT, read: (c) => uint32(c.varint()), fits: WIDE, zero: 0 },
  fixed32: { wire: FIXED32, read: (c) => c.u32(), fits: WIDE, zero: 0 },
  int64: { wire: VARINT, read: (c) => int64(c.varint()), fits: WIDE, zero: 0 },
  sint64: { wire: VARINT, read: (c) => zigzag64(c.varint()), fits: WIDE, zero: 0 },
  sfixed64: { wire: FIXED64, read: (c) => int64(c.u64()), fits: WIDE, zero: 0 },
  uint64: { wire: VARINT, read: (c) => c.varint(), fits: WIDE, zero: 0 },
  fixed64: { wire: FIXED64, read: (c) => c.u64(), fits: WIDE, zero: 0 },
  float: { wire: FIXED32, read: (c) => c.f32(), fits: ['float32', 'float64'], zero: 0 },
  double: { wire: FIXED64, read: (c) => c.f64(), fits: ['float64'], zero: 0 },
  bool: { wire: VARINT, read: (c) => Number(c.varint()) !== 0, fits: ['bool'], zero: false },
  string: {
    wire: LENGTH,
    read: (c) => c.text(c.length()),
    fits: ['string', 'timestamp', 'date'],
    zero: '',
  },
  bytes: {
    wire: LENGTH,
    read: (c) => c.bytes(c.length()),
    fits: ['bytes'],
    zero: new Uint8Array(),
  },
};

const WRAPPERS: readonly string[] = [
  'Double',
  'Float',
  'Int64',
  'UInt64',
  'Int32',
  'UInt32',
  'Bool',
  'String',
  'Bytes',
].map((name) => `.google.protobuf.${name}Value`);

/** How values of one field are read. */
interface FieldReader {
  readonly wire: number;
  readonly read: Read;
  /** Of a field that is not written; null where its being unset is known. */
  readonly zero: unknown;
}

function bad(why: string): SamewiseError {
  return new SamewiseError('stream/bad-protobuf', `the record does not follow its schema: ${why}`);
}

/** A field's type in few words. */
export function printField(field: Field): string {
  const type = field.resolvedType?.fullName.slice(1) ?? field.type;
  return isMap(field) ? `map of ${type}` : field.repeated ? `repeated ${type}` : type;
}

function isMap(field: Field): boolean {
  return 'keyType' in field;
}

/** How one value of a field is read for `dtype`; null: none is a value of it. */
function valueReader(field: Field, dtype: Dtype): FieldReader | null {
  const type = field.resolvedType;
  if (type === null) {
    const scalar = SCALARS[field.type];
    return scalar?.fits.includes(dtype.kind) ? scalar : null;
  }
  if ('valuesById' in type) return dtype.kind === 'string' ? enumReader(type as Enum) : null;
  const read = messageReader(type as Type, dtype);
  return read === null
    ? null
    : { wire: LENGTH, read: (cursor) => within(cursor, read), zero: null };
}

function enumReader({ valuesById, name }: Enum): FieldReader {
  const named = (n: number) => {
    const symbol = valuesById[n];
    if (symbol === undefined) throw bad(`enum ${name} has no name for ${n}`);
    return symbol;
  };
  return {
    wire: VARINT,
    read: (cursor) => named(int32(cursor.varint())),
    zero: valuesById[0] ?? null,
  };
}

/** Messages that are one value. */
function messageReader(type: Type, dtype: Dtype): Read | null {
  const name = type.fullName;
  if (
    name === '.google.protobuf.Timestamp' &&
    ['timestamp', 'date', 'int64'].includes(dtype.kind)
  ) {
    const read = fieldsReader(
      new Map([
        [1, { name: 'seconds', field: SCALARS.int64! }],
        [2, { name: 'nanos', field: SCALARS.int32! }],
      ]),
    );
    return (cursor) => {
      const { seconds = 0, nanos = 0 } = read(cursor) as {
        seconds?: number | bigint;
        nanos?: number;
      };
      return nanos % 1000 === 0 && typeof seconds === 'number' && dtype.kind === 'timestamp'
        ? seconds * 1_000_000 + nanos / 1000
        : instantFor(dtype, BigInt(seconds) * 1_000_000_000n + BigInt(nanos), 1_000_000_000);
    };
  }
  if (
    name === '.confluent.type.Decimal' &&
    ['string', 'float64', 'int32', 'int64'].includes(dtype.kind)
  ) {
    const read = fieldsReader(
      new Map([
        [1, { name: 'value', field: SCALARS.bytes! }],
        [3, { name: 'scale', field: SCALARS.int32! }],
      ]),
    );
    return (cursor) => {
      const { value = new Uint8Array(), scale = 0 } = read(cursor) as {
        value?: Uint8Array;
        scale?: number;
      };
      if (Math.abs(scale) > MAX_SCALE) throw bad(`${scale} is no scale of a decimal`);
      return decimalFor(dtype, bigEndian(value), scale);
    };
  }
  if (WRAPPERS.includes(name)) {
    const field = valueReader(type.fields.value!, dtype);
    if (field === null) return null;
    const read = fieldsReader(new Map([[1, { name: 'value', field }]]));
    return (cursor) => read(cursor).value ?? field.zero;
  }
  return null;
}

const MAX_SCALE = 10_000;

/** Runs `read` over the bytes of a value that begins with its length. */
function within(cursor: Cursor, read: Read): unknown {
  const length = cursor.length();
  const { end } = cursor;
  const start = cursor.take(length);
  cursor.at = start;
  cursor.end = start + length;
  const value = read(cursor);
  cursor.end = end;
  return value;
}

interface Wanted {
  readonly name: string;
  readonly field: FieldReader;
  /** Values are gathered in a list. */
  readonly repeated?: boolean;
}

/** The reader of a column out of a field; null: the field does not fit. */
export function columnReader(field: Field, dtype: Dtype): Wanted | null {
  const { name } = field;
  if (isMap(field)) return null;
  if (field.repeated) {
    if (dtype.kind === 'vector') {
      const read =
        valueReader(field, { kind: 'float32' }) ??
        (field.type === 'double' ? SCALARS.double! : null);
      return read === null ? null : { name, field: read, repeated: true };
    }
    const read = dtype.kind === 'list' ? valueReader(field, dtype.of) : null;
    return read === null ? null : { name, field: read, repeated: true };
  }
  const read = valueReader(field, dtype);
  if (read === null) return null;
  return { name, field: field.hasPresence ? { ...read, zero: null } : read };
}

/** Reads a message: each wanted field by its number. A field that is not written is its type's zero, or null where its being unset is known. */
export function protobufReader(
  wanted: ReadonlyMap<number, Wanted>,
): (cursor: Cursor) => Record<string, unknown> {
  const read = fieldsReader(wanted);
  const columns = [...wanted.values()];
  return (cursor) => {
    const values = read(cursor);
    for (const { name, field, repeated } of columns)
      if (values[name] === undefined) values[name] = repeated ? [] : field.zero;
    return values;
  };
}

/** Reads the wanted fields up to the cursor's end. */
function fieldsReader(
  wanted: ReadonlyMap<number, Wanted>,
): (cursor: Cursor) => Record<string, unknown> {
  const names = Array.from(wanted.values(), ({ name }) => name);
  return (cursor) => {
    // All are there from the start: an object of one shape, and nothing is found that every object has.
    const values: Record<string, unknown> = {};
    for (const name of names) values[name] = undefined;
    while (cursor.at < cursor.end) {
      const tag = Number(cursor.varint());
      const number = Math.floor(tag / 8);
      const wire = tag % 8;
      if (number === 0) throw bad('a field has no number');
      const column = wanted.get(number);
      if (column === undefined) {
        skip(cursor, wire, number);
        continue;
      }
      try {
        readField(cursor, column, wire, values);
      } catch (error) {
        throw error instanceof SamewiseError ? error.at({ column: column.name }) : error;
      }
    }
    return values;
  };
}

function readField(
  cursor: Cursor,
  { name, field, repeated }: Wanted,
  wire: number,
  values: Record<string, unknown>,
): void {
  if (!repeated) {
    if (wire !== field.wire) throw bad(`field ${name} is written as another type`);
    values[name] = field.read(cursor);
    return;
  }
  values[name] ??= [];
  const items = values[name] as unknown[];
  if (wire === field.wire) items.push(field.read(cursor));
  else if (wire === LENGTH) {
    // Packed: the values after each other.
    within(cursor, () => {
      while (cursor.at < cursor.end) items.push(field.read(cursor));
    });
  } else throw bad(`field ${name} is written as another type`);
}

function skip(cursor: Cursor, wire: number, number: number, depth = 0): void {
  switch (wire) {
    case VARINT:
      cursor.varint();
      return;
    case FIXED64:
      cursor.take(8);
      return;
    case FIXED32:
      cursor.take(4);
      return;
    case LENGTH:
      cursor.take(cursor.length());
      return;
    case GROUP:
      if (depth === MAX_DEPTH)
        throw new SamewiseError('stream/too-deep', `the record is nested over ${MAX_DEPTH} deep`);
      for (;;) {
        const tag = Number(cursor.varint());
        if (tag === number * 8 + END_GROUP) return;
        skip(cursor, tag % 8, Math.floor(tag / 8), depth + 1);
      }
    default:
      throw bad(`${wire} is no wire type`);
  }
}
