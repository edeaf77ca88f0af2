/** DuckDB results as an Arrow IPC file, every type of a label column exactly as it is. */
import { closeSync, openSync, writeSync } from 'node:fs';
import {
  type DuckDBArrayType,
  type DuckDBConnection,
  type DuckDBDecimalType,
  type DuckDBListType,
  type DuckDBType,
  DuckDBTypeId,
} from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import {
  AsyncByteQueue,
  Binary,
  Bool,
  type Data,
  type DataType,
  DateDay,
  Decimal,
  Field,
  FixedSizeList,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  List,
  Message,
  makeData,
  RecordBatch,
  RecordBatchFileWriter,
  Schema,
  Struct,
  TimeMicrosecond,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from 'apache-arrow';
import { SamewiseError } from '../../base/errors.ts';

type Vector = Parameters<typeof duckdb.vector_get_data>[0];

/** Types whose bytes are the same in DuckDB and Arrow, with their width. */
const PLAIN = new Map<DuckDBTypeId, readonly [() => DataType, number]>([
  [DuckDBTypeId.TINYINT, [() => new Int8(), 1]],
  [DuckDBTypeId.SMALLINT, [() => new Int16(), 2]],
  [DuckDBTypeId.INTEGER, [() => new Int32(), 4]],
  [DuckDBTypeId.BIGINT, [() => new Int64(), 8]],
  [DuckDBTypeId.UTINYINT, [() => new Uint8(), 1]],
  [DuckDBTypeId.USMALLINT, [() => new Uint16(), 2]],
  [DuckDBTypeId.UINTEGER, [() => new Uint32(), 4]],
  [DuckDBTypeId.UBIGINT, [() => new Uint64(), 8]],
  [DuckDBTypeId.FLOAT, [() => new Float32(), 4]],
  [DuckDBTypeId.DOUBLE, [() => new Float64(), 8]],
  [DuckDBTypeId.DATE, [() => new DateDay(), 4]],
  [DuckDBTypeId.TIME, [() => new TimeMicrosecond(), 8]],
  [DuckDBTypeId.TIMESTAMP, [() => new TimestampMicrosecond(), 8]],
  [DuckDBTypeId.TIMESTAMP_S, [() => new TimestampSecond(), 8]],
  [DuckDBTypeId.TIMESTAMP_MS, [() => new TimestampMillisecond(), 8]],
  [DuckDBTypeId.TIMESTAMP_NS, [() => new TimestampNanosecond(), 8]],
  [DuckDBTypeId.TIMESTAMP_TZ, [() => new TimestampMicrosecond('UTC'), 8]],
]);

/** Bytes of a decimal in DuckDB by its precision; Arrow's have 16. */
function decimalBytes({ width }: DuckDBDecimalType): number {
  return width <= 4 ? 2 : width <= 9 ? 4 : width <= 18 ? 8 : 16;
}

function arrowType(type: DuckDBType, column: string): DataType {
  const plain = PLAIN.get(type.typeId);
  if (plain !== undefined) return plain[0]();
  switch (type.typeId) {
    case DuckDBTypeId.BOOLEAN:
      return new Bool();
    case DuckDBTypeId.VARCHAR:
      return new Utf8();
    case DuckDBTypeId.BLOB:
      return new Binary();
    case DuckDBTypeId.DECIMAL: {
      const { width, scale } = type as DuckDBDecimalType;
      return new Decimal(scale, width, 128);
    }
    case DuckDBTypeId.LIST: {
      const { valueType } = type as DuckDBListType;
      return new List(new Field('item', arrowType(valueType, column), true));
    }
    case DuckDBTypeId.ARRAY: {
      const { valueType, length } = type as DuckDBArrayType;
      return new FixedSizeList(length, new Field('item', arrowType(valueType, column), true));
    }
    default:
      throw new SamewiseError(
        'offline/arrow-type',
        `the column ${column} is ${type}, which Samewise does not write as Arrow`,
        { where: { column }, hint: 'write Parquet, or cast the column in a query' },
      );
  }
}

/** Streams the rows of `sql` into an Arrow file, a record batch for each of DuckDB's chunks. */
export async function writeArrow(
  connection: DuckDBConnection,
  sql: string,
  path: string,
): Promise<void> {
  const result = await connection.stream(sql);
  const names = result.columnNames();
  const types = result.columnTypes();
  const fields = names.map((name, i) => new Field(name, arrowType(types[i]!, name), true));
  const schema = new Schema(fields);
  const file = openSync(path, 'w');
  try {
    const writer = new FileWriter();
    writer.reset(new FileSink(file), schema);
    for (;;) {
      const chunk = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) break;
      const length = chunk.rowCount;
      const children = types.map((type, i) =>
        arrowData(type, fields[i]!.type, duckdb.data_chunk_get_vector(chunk.chunk, i), length),
      );
      const data = makeData({ type: new Struct(fields), length, nullCount: 0, children });
      writer.write(new RecordBatch(schema, data));
    }
    writer.finish();
  } finally {
    closeSync(file);
  }
}

/** The library leaves the schema to the footer. The format has it before the batches, too, so that a file can be read as a stream. */
class FileWriter extends RecordBatchFileWriter {
  protected override _writeSchema(schema: Schema): this {
    return super._writeSchema(schema)._writeMessage(Message.from(schema));
  }
}

/** Writes at once, so that nothing piles up in memory and the disk's refusal is heard. */
class FileSink extends AsyncByteQueue {
  readonly #file: number;
  constructor(file: number) {
    super();
    this.#file = file;
  }
  override write(value: ArrayBufferLike | ArrayBufferView): void {
    const bytes = ArrayBuffer.isView(value)
      ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      : new Uint8Array(value);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
  }
}

function arrowData(type: DuckDBType, arrow: DataType, vector: Vector, length: number): Data {
  const bits = duckdb.vector_get_validity(vector, Math.ceil(length / 64) * 8) as Uint8Array | null;
  const common = {
    type: arrow as never,
    length,
    nullCount: bits === null ? 0 : -1,
    nullBitmap: bits === null ? null : Uint8Array.from(bits),
  };
  const valid = (row: number): boolean =>
    bits === null || ((bits[row >> 3]! >> (row & 7)) & 1) === 1;
  const plain = PLAIN.get(type.typeId);
  if (plain !== undefined) {
    const raw = copied(vector, length * plain[1]);
    const { ArrayType } = arrow as { ArrayType?: new (buffer: ArrayBuffer) => ArrayBufferView };
    return makeData({
      ...common,
      data: ArrayType === undefined ? raw : new ArrayType(raw.buffer),
    } as never);
  }
  switch (type.typeId) {
    case DuckDBTypeId.BOOLEAN: {
      const raw = duckdb.vector_get_data(vector, length);
      const data = new Uint8Array(Math.ceil(length / 64) * 8);
      for (let row = 0; row < length; row++)
        if (raw[row] === 1) data[row >> 3] = data[row >> 3]! | (1 << (row & 7));
      return makeData({ ...common, data } as never);
    }
    case DuckDBTypeId.VARCHAR:
    case DuckDBTypeId.BLOB:
      return makeData({ ...common, ...textData(vector, length, valid) } as never);
    case DuckDBTypeId.DECIMAL: {
      const data = wideDecimals(vector, length, decimalBytes(type as DuckDBDecimalType));
      return makeData({ ...common, data } as never);
    }
    case DuckDBTypeId.ARRAY: {
      const { valueType, length: size } = type as DuckDBArrayType;
      const child = duckdb.array_vector_get_child(vector);
      const { children } = arrow as FixedSizeList;
      return makeData({
        ...common,
        child: arrowData(valueType, children[0]!.type, child, length * size),
      } as never);
    }
    default:
      return listData(type as DuckDBListType, arrow as List, vector, length, valid, common);
  }
}

/** DuckDB's list entries need not lie one after the other; Arrow's must. */
function listData(
  type: DuckDBListType,
  arrow: List,
  vector: Vector,
  length: number,
  valid: (row: number) => boolean,
  common: object,
): Data {
  const raw = copied(vector, length * 16);
  const entries = new Uint32Array(raw.buffer);
  const valueOffsets = new Int32Array(length + 1);
  let inOrder = true;
  for (let row = 0; row < length; row++) {
    const count = valid(row) ? entries[4 * row + 2]! : 0;
    if (count > 0 && entries[4 * row] !== valueOffsets[row]) inOrder = false;
    valueOffsets[row + 1] = valueOffsets[row]! + count;
  }
  const size = duckdb.list_vector_get_size(vector);
  const whole = arrowData(
    type.valueType,
    arrow.children[0]!.type,
    duckdb.list_vector_get_child(vector),
    size,
  );
  if (!inOrder)
    throw new SamewiseError('offline/arrow-type', 'a list column whose elements are out of order', {
      hint: 'write Parquet',
    });
  return makeData({ ...common, valueOffsets, child: whole } as never);
}

function copied(vector: Vector, bytes: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(duckdb.vector_get_data(vector, bytes));
}

function textData(
  vector: Vector,
  length: number,
  valid: (row: number) => boolean,
): { valueOffsets: Int32Array; data: Uint8Array } {
  const raw = duckdb.vector_get_data(vector, length * 16);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const valueOffsets = new Int32Array(length + 1);
  for (let row = 0; row < length; row++)
    valueOffsets[row + 1] = valueOffsets[row]! + (valid(row) ? view.getUint32(row * 16, true) : 0);
  const data = new Uint8Array(valueOffsets[length]!);
  for (let row = 0; row < length; row++) {
    const size = valueOffsets[row + 1]! - valueOffsets[row]!;
    if (size === 0) continue;
    const value =
      size <= 12
        ? raw.subarray(row * 16 + 4, row * 16 + 4 + size)
        : duckdb.get_data_from_pointer(
            raw.buffer as ArrayBuffer,
            raw.byteOffset + row * 16 + 8,
            size,
          );
    data.set(value, valueOffsets[row]!);
  }
  return { valueOffsets, data };
}

/** Sign-extended to 16 bytes each. */
function wideDecimals(vector: Vector, length: number, width: number): Uint32Array {
  const raw = copied(vector, length * width);
  if (width === 16) return new Uint32Array(raw.buffer);
  const view = new DataView(raw.buffer);
  const out = new Uint32Array(length * 4);
  for (let row = 0; row < length; row++) {
    const low = width === 2 ? view.getInt16(row * 2, true) : view.getInt32(row * width, true);
    const high = width === 8 ? view.getInt32(row * 8 + 4, true) : low >> 31;
    out.set([low, high, high >> 31, high >> 31], row * 4);
  }
  return out;
}
