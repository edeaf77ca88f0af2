/** Rows of an Arrow IPC stream or file. What a column holds is read from its own buffers, exactly: the library's getters round instants to milliseconds. */
import {
  type Data,
  DataType,
  DateUnit,
  type Dictionary,
  Precision,
  type Table,
  TimeUnit,
  tableFromIPC,
  util,
  type Vector,
} from 'apache-arrow';
import { inContext, SamewiseError } from '../../base/errors.ts';
import type { Source } from '../../model/definitions.ts';
import { badArrow, checkedArrow } from '../../types/arrow_check.ts';
import type { Dtype } from '../../types/dtype.ts';
import type { JsonObject } from './json_values.ts';
import { type BodyLimits, tooManyRows } from './limits.ts';
import { OP_FIELD, textOf } from './records.ts';
import { bigEndian, dayFor, decimalFor, instantFor, type PerSecond } from './typed_values.ts';

/** Reads the value at an index of a chunk; the value is there. */
type Read = (index: number) => unknown;

const PER_SECOND: Readonly<Record<TimeUnit, PerSecond>> = {
  [TimeUnit.SECOND]: 1,
  [TimeUnit.MILLISECOND]: 1_000,
  [TimeUnit.MICROSECOND]: 1_000_000,
  [TimeUnit.NANOSECOND]: 1_000_000_000,
};
const MS_PER_DAY = 86_400_000;

/** Throws `stream/bad-arrow`, `stream/too-many-rows`, and `types/…` with row and column. */
export function rowsOfArrow(source: Source, body: Uint8Array, limits: BodyLimits): JsonObject[] {
  const table = tableOf(checkedArrow(body, { ...limits, tooMany: () => tooManyRows(limits) }));
  const rows: Record<string, unknown>[] = Array.from({ length: table.numRows }, () => ({}));
  for (const [i, field] of table.schema.fields.entries()) {
    const dtype = source.columns.find(({ name }) => name === field.name)?.dtype;
    if (dtype !== undefined || field.name === OP_FIELD)
      fill(rows, field.name, dtype ?? { kind: 'string' }, table.getChildAt(i)!);
    // Not a column: it is there to be refused by its name.
    else for (const row of rows) row[field.name] = null;
  }
  return rows;
}

function tableOf(bytes: Uint8Array): Table {
  try {
    return tableFromIPC(bytes);
  } catch (error) {
    throw badArrow((error as Error).message);
  }
}

function fill(rows: Record<string, unknown>[], column: string, dtype: Dtype, vector: Vector): void {
  let row = 0;
  for (const chunk of vector.data) {
    const read = inContext({ column }, () => readerOf(chunk, dtype));
    for (let i = 0; i < chunk.length; i++, row++)
      rows[row]![column] = inContext({ row, column }, () => valueAt(chunk, read, i));
  }
}

function valueAt(chunk: Data, read: Read, index: number): unknown {
  return chunk.getValid(index) ? read(index) : null;
}

/** How values of a chunk are read for a column of `dtype`. Throws `types/wrong-type`, and `stream/bad-arrow` if a buffer is too short. */
function readerOf(chunk: Data, dtype: Dtype): Read {
  const { type, stride } = chunk;
  if (DataType.isNull(type)) return () => null;
  if (chunk.nullCount > 0 && (chunk.nullBitmap?.length ?? 0) * 8 < chunk.offset + chunk.length)
    throw badArrow('a bitmap of nulls is too short');
  if (DataType.isBool(type)) {
    const bits = atLeast(chunk, Math.ceil((chunk.offset + chunk.length) / 8)) as Uint8Array;
    return (i) => ((bits[(chunk.offset + i) >> 3]! >> ((chunk.offset + i) & 7)) & 1) === 1;
  }
  if (DataType.isInt(type)) {
    const values = atLeast(chunk);
    return (i) => values[i];
  }
  if (DataType.isFloat(type)) {
    const values = atLeast(chunk) as Float64Array;
    return type.precision === Precision.HALF
      ? (i) => util.uint16ToFloat64(values[i]!)
      : (i) => values[i];
  }
  if (DataType.isDecimal(type)) {
    const bytes = bytesOf(atLeast(chunk, chunk.length * stride));
    const width = type.bitWidth / 8;
    return (i) =>
      decimalFor(dtype, bigEndian(bytes.slice(i * width, (i + 1) * width).reverse()), type.scale);
  }
  if (DataType.isTimestamp(type)) {
    const values = atLeast(chunk) as BigInt64Array;
    return (i) => instantFor(dtype, values[i]!, PER_SECOND[type.unit]);
  }
  if (DataType.isDate(type)) {
    const values = atLeast(chunk);
    return type.unit === DateUnit.DAY
      ? (i) => dayFor(dtype, Number(values[i]))
      : (i) => dayFor(dtype, Number(values[i]) / MS_PER_DAY);
  }
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) {
    const at = bytesAt(chunk);
    return (i) => textOf(at(i));
  }
  if (DataType.isBinary(type) || DataType.isLargeBinary(type)) return bytesAt(chunk);
  if (DataType.isFixedSizeBinary(type)) {
    const bytes = atLeast(chunk, chunk.length * type.byteWidth) as Uint8Array;
    return (i) => bytes.slice(i * type.byteWidth, (i + 1) * type.byteWidth);
  }
  if (DataType.isDictionary(type)) return dictionaryAt(chunk as Data<Dictionary>, dtype);
  if (DataType.isList(type) || DataType.isFixedSizeList(type)) return listAt(chunk, dtype);
  throw new SamewiseError('types/wrong-type', `Arrow's ${type} is not read`);
}

/** The values of a chunk, of which there are enough. */
function atLeast(chunk: Data, count = chunk.length): ArrayLike<unknown> & ArrayBufferView {
  const values = chunk.values as (ArrayLike<unknown> & ArrayBufferView) | undefined;
  if (values === undefined || values.length < count) throw badArrow('a buffer is too short');
  return values;
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** From where to where the value at an index lies. */
function rangeAt(chunk: Data, size: number): (index: number) => readonly [number, number] {
  const { valueOffsets } = chunk;
  if (valueOffsets === undefined || valueOffsets.length <= chunk.length)
    throw badArrow('offsets are missing');
  return (i) => {
    const from = Number(valueOffsets[i]);
    const to = Number(valueOffsets[i + 1]);
    if (from < 0 || to < from || to > size) throw badArrow('an offset is out of range');
    return [from, to];
  };
}

function bytesAt(chunk: Data): (index: number) => Uint8Array {
  const bytes = atLeast(chunk, 0) as Uint8Array;
  const range = rangeAt(chunk, bytes.length);
  return (i) => bytes.slice(...range(i));
}

function dictionaryAt(chunk: Data<Dictionary>, dtype: Dtype): Read {
  const indices = atLeast(chunk);
  const found = (chunk.dictionary?.data ?? []).map((data) => ({
    data,
    read: readerOf(data, dtype),
  }));
  return (i) => {
    let index = Number(indices[i]);
    for (const { data, read } of found) {
      if (index < data.length) return valueAt(data, read, index);
      index -= data.length;
    }
    throw badArrow('a dictionary has no such value');
  };
}

function listAt(chunk: Data, dtype: Dtype): Read {
  const items = chunk.children[0];
  if (items === undefined) throw badArrow('a list has no values');
  const of: Dtype =
    dtype.kind === 'list' ? dtype.of : dtype.kind === 'vector' ? { kind: 'float32' } : dtype;
  const read = readerOf(items, of);
  const size = DataType.isFixedSizeList(chunk.type) ? chunk.type.listSize : null;
  const range =
    size === null
      ? rangeAt(chunk, items.length)
      : (i: number) => [i * size, (i + 1) * size] as const;
  return (i) => {
    const [from, to] = range(i);
    if (to > items.length) throw badArrow('a list is too short');
    return Array.from({ length: to - from }, (_, k) => valueAt(items, read, from + k));
  };
}
