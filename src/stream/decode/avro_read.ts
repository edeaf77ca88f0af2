/**
 * Readers of Avro's binary encoding (specification 1.12, «Binary Encoding»), made once for a schema: of the wanted columns, each as
 * `coerce` reads it into the column's type; what is not wanted is passed by. Ours rather than a library's, because every long must be
 * exact, text must be UTF-8, and bytes that lie must not cost more memory than they have.
 */
import { SamewiseError } from '../../base/errors.ts';
import { type Dtype, isNumeric } from '../../types/dtype.ts';
import type { AvroRecord, AvroType } from './avro_schema.ts';
import type { Cursor } from './cursor.ts';
import { type Meaning, meaningFits, meantFor } from './meaning.ts';
import { numberOfText } from './typed_values.ts';

export type Reader<T = unknown> = (cursor: Cursor) => T;

const nothing: Reader = () => null;
const readLong: Reader<number | bigint> = (cursor) => {
  const n = cursor.varint();
  if (typeof n === 'number') return n % 2 === 0 ? n / 2 : -(n + 1) / 2;
  return (n >> 1n) ^ -(n & 1n);
};
const readInt: Reader<number> = (cursor) => Number(readLong(cursor));
const readBoolean: Reader = (cursor) => {
  const byte = cursor.u8();
  if (byte > 1) throw bad(`${byte} is no boolean`);
  return byte === 1;
};
const readFloat: Reader = (cursor) => cursor.f32();
const readDouble: Reader = (cursor) => cursor.f64();
const readLength: Reader<number> = (cursor) => Number(readLong(cursor));
const readBytes: Reader = (cursor) => cursor.bytes(readLength(cursor));
const readString: Reader = (cursor) => cursor.text(readLength(cursor));

function bad(why: string): SamewiseError {
  return new SamewiseError('stream/bad-avro', `the record does not follow its schema: ${why}`);
}

/** What values of a bare type may become, as for columns of files. */
const FITS: Readonly<Record<string, readonly Dtype['kind'][]>> = {
  boolean: ['bool'],
  int: ['int32', 'int64', 'float64'],
  long: ['int64', 'float64'],
  float: ['float32', 'float64'],
  double: ['float64'],
  bytes: ['bytes'],
  fixed: ['bytes'],
  string: ['string', 'timestamp', 'date'],
  enum: ['string'],
};

/**
 * Reads a value of `type` for a column of `dtype`; null if no value of the type, or of any of its branches, is one of the
 * column's. With `textNumbers` a text may be a number, as tables under change data capture write their decimals.
 */
export function avroReader(type: AvroType, dtype: Dtype, textNumbers = false): Reader | null {
  switch (type.type) {
    case 'null':
      return nothing;
    case 'union':
      return unionReader(type.branches, dtype, textNumbers);
    case 'array': {
      const of: Dtype | null =
        dtype.kind === 'list' ? dtype.of : dtype.kind === 'vector' ? { kind: 'float32' } : null;
      // The numbers of a vector come as doubles where a language has no others.
      const item =
        of === null
          ? null
          : (avroReader(type.items, of, textNumbers) ?? vectorItem(type.items, dtype));
      return item === null ? null : arrayReader(item);
    }
    case 'map':
      return null;
    case 'record':
      return type.meaning?.kind === 'scaled' && meaningFits(type.meaning, dtype)
        ? meantReader(anyReader(type), type.meaning, dtype)
        : null;
    case 'enum':
      return dtype.kind === 'string' ? anyReader(type) : null;
    default: {
      if (textNumbers && type.type === 'string' && isNumeric(dtype))
        return (cursor) => numberOfText(dtype, readString(cursor) as string);
      const fits =
        type.meaning === null
          ? FITS[type.type]!.includes(dtype.kind)
          : meaningFits(type.meaning, dtype);
      if (!fits) return null;
      const read = anyReader(type);
      return type.meaning === null ? read : meantReader(read, type.meaning, dtype);
    }
  }
}

function vectorItem(items: AvroType, dtype: Dtype): Reader | null {
  return dtype.kind === 'vector' && items.type === 'double' ? readDouble : null;
}

function meantReader(read: Reader, meaning: Meaning, dtype: Dtype): Reader {
  return (cursor) => meantFor(dtype, meaning, read(cursor));
}

function unionReader(
  branches: readonly AvroType[],
  dtype: Dtype,
  textNumbers: boolean,
): Reader | null {
  const readers = branches.map((branch) => avroReader(branch, dtype, textNumbers));
  const some = branches.some((branch, i) => branch.type !== 'null' && readers[i] !== null);
  if (!some && branches.some((branch) => branch.type !== 'null')) return null;
  return (cursor) => {
    const branch = readLength(cursor);
    const read = readers[branch];
    if (read === undefined) throw bad(`a union has no branch ${branch}`);
    if (read === null) {
      throw new SamewiseError(
        'types/wrong-type',
        'the value is of a type that the column does not take',
      );
    }
    return read(cursor);
  };
}

function arrayReader(item: Reader): Reader {
  return (cursor) => {
    const items: unknown[] = [];
    for (let left = blockOf(cursor); left > 0; left = blockOf(cursor))
      for (; left > 0; left--) items.push(item(cursor));
    return items;
  };
}

/** How many items come next; 0 at the end. A negative count is followed by the block's size in bytes. */
function blockOf(cursor: Cursor): number {
  let count = readLength(cursor);
  if (count < 0) {
    readLength(cursor);
    count = -count;
  }
  cursor.expectItems(count);
  return count;
}

/** Reads any value as plain data: records as objects, enums as their symbols. Also passes by what nobody wants. */
export function anyReader(type: AvroType): Reader {
  switch (type.type) {
    case 'null':
      return nothing;
    case 'boolean':
      return readBoolean;
    case 'int':
      return readInt;
    case 'long':
      return readLong;
    case 'float':
      return readFloat;
    case 'double':
      return readDouble;
    case 'bytes':
      return readBytes;
    case 'string':
      return readString;
    case 'fixed':
      return (cursor) => cursor.bytes(type.size);
    case 'enum':
      return (cursor) => {
        const symbol = type.symbols[readLength(cursor)];
        if (symbol === undefined) throw bad(`enum ${type.name} has no such symbol`);
        return symbol;
      };
    case 'array':
      return nested(() => arrayReader(anyReader(type.items)));
    case 'map':
      return nested(() => mapReader(anyReader(type.values)));
    case 'union':
      return nested(() => {
        const readers = type.branches.map(anyReader);
        return (cursor) => {
          const branch = readLength(cursor);
          const read = readers[branch];
          if (read === undefined) throw bad(`a union has no branch ${branch}`);
          return read(cursor);
        };
      });
    case 'record':
      return nested(() => recordReader(type, new Map()));
  }
}

/** A reader that is made when it is first used, since a type may lie within itself, and that counts how deep it is. */
function nested(make: () => Reader): Reader {
  let made: Reader | undefined;
  return (cursor) => {
    made ??= make();
    const read = made;
    return cursor.deeper(() => read(cursor));
  };
}

function mapReader(value: Reader): Reader {
  return (cursor) => {
    const entries: [string, unknown][] = [];
    for (let left = blockOf(cursor); left > 0; left = blockOf(cursor))
      for (; left > 0; left--) entries.push([readString(cursor) as string, value(cursor)]);
    return Object.fromEntries(entries);
  };
}

/**
 * Reads a record's fields as an object: each by its reader in `readers` where it has one (null: passed by), else as plain data.
 * What a field's reader throws says the column.
 */
export function recordReader(
  record: AvroRecord,
  readers: ReadonlyMap<string, Reader | null>,
): Reader<Record<string, unknown>> {
  const names = record.fields.map(({ name }) => name);
  const reads = record.fields.map(({ name, type }) => {
    const read = readers.get(name);
    return read === null ? skipper(type) : (read ?? anyReader(type));
  });
  const kept = record.fields.map(({ name }) => readers.get(name) !== null);
  return (cursor) => {
    const values: Record<string, unknown> = {};
    let i = 0;
    try {
      for (; i < reads.length; i++) {
        const value = reads[i]!(cursor);
        if (kept[i]) values[names[i]!] = value;
      }
    } catch (error) {
      throw error instanceof SamewiseError ? error.at({ column: names[i] }) : error;
    }
    return values;
  };
}

/** Passes by a value, without making it where that is simple. */
function skipper(type: AvroType): Reader {
  switch (type.type) {
    case 'bytes':
    case 'string':
      return (cursor) => cursor.take(readLength(cursor));
    case 'fixed':
      return (cursor) => cursor.take(type.size);
    default:
      return anyReader(type);
  }
}
