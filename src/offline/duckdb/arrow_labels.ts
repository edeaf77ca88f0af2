/**
 * Labels that came as an Arrow IPC stream, kept as Parquet: every column in DuckDB's own type for it, value for value.
 * A record batch at a time; what does not fit into our columns on its way travels as the nearest that does and is cast back.
 */
import { isUtf8 } from 'node:buffer';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import {
  type Data,
  DataType,
  DateUnit,
  type Dictionary,
  type Field,
  Precision,
  RecordBatchReader,
  TimeUnit,
  util,
} from 'apache-arrow';
import { SamewiseError } from '../../base/errors.ts';
import { ArrowMessages, badArrow } from '../../types/arrow_check.ts';
import { type Column, ColumnBuilder } from '../../types/column.ts';
import type { Dtype } from '../../types/dtype.ts';
import { type Engine, name, withConnection } from './engine.ts';
import type { Feeds } from './feed.ts';
import type { FileLocation } from './files.ts';
import { writeQuery } from './write.ts';

/** Bytes of one message, which is in memory at once. */
const MAX_MESSAGE_BYTES = 256 * 2 ** 20;
const MAX_ROWS = 2 ** 31;
const CONTINUATION = 0xffffffff;

/** How a column of an Arrow type travels. */
interface Way {
  /** What it is on its way. */
  readonly dtype: Dtype;
  /** What it becomes in DuckDB. */
  readonly type: string;
  /** SQL of that, from what came. */
  sql(value: string): string;
  column(data: Data): Column;
}

/** Keeps the rows of an Arrow stream (or file) as a Parquet file. What is wrong with it is `offline/bad-labels` with the column. */
export async function keepArrow(
  { engine, feeds }: { readonly engine: Engine; readonly feeds: Feeds },
  arrow: string,
  signal: AbortSignal | undefined,
  path: string,
): Promise<FileLocation> {
  const file = openSync(arrow, 'r');
  try {
    const reader = reading(() => RecordBatchReader.from(messages(file)).open());
    const { fields } = reader.schema;
    checkNames(fields);
    const ways = fields.map(wayOf);
    const schema = ways.map(({ dtype }, i) => ({ name: `c${i}`, dtype }));
    const columns = ways.map((way, i) => `${way.sql(`c${i}`)} AS ${name(fields[i]!.name)}`);
    const pieces = function* (): Generator<Column[]> {
      for (;;) {
        const next = reading(() => reader.next());
        if (next.done === true) return;
        signal?.throwIfAborted();
        const { data } = next.value;
        yield ways.map((way, i) => columnOf(way, data.children[i]!, data.length, fields[i]!));
      }
    };
    await withConnection(engine, signal, (connection) =>
      feeds.use(connection, { schema, pieces: pieces() }, (from) =>
        writeQuery(connection, `SELECT ${columns.join(', ')} FROM ${from}`, {
          format: 'parquet',
          path,
        }),
      ),
    );
  } finally {
    closeSync(file);
  }
  return { type: 'parquet', path, hivePartitioned: false };
}

function columnOf(way: Way, data: Data, rows: number, field: Field): Column {
  return reading(() => {
    if (data === undefined || data.length !== rows) throw badArrow('a column has not all rows');
    return way.column(data);
  }, field.name);
}

/** Says of what the library or the check refuses that it is the labels. */
function reading<T>(body: () => T, column?: string): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof SamewiseError && error.code.startsWith('offline/')) throw error;
    const { message } = error as Error;
    throw badLabels(
      error instanceof SamewiseError ? message : `the labels are not Arrow: ${message}`,
      column,
    );
  }
}

function badLabels(message: string, column?: string, hint?: string): SamewiseError {
  return new SamewiseError('offline/bad-labels', message, {
    where: column === undefined ? {} : { column },
    hint,
  });
}

function checkNames(fields: readonly Field[]): void {
  if (fields.length === 0) throw badLabels('the labels have no columns');
  const names = new Set<string>();
  for (const field of fields) {
    // Arrow may leave a name out, which the library gives as null.
    if (!field.name) throw badLabels('a column has no name');
    // DuckDB's names do not differ by case alone.
    const folded = field.name.toLowerCase();
    if (names.has(folded)) throw badLabels(`two columns are called ${field.name}`, field.name);
    names.add(folded);
  }
}

/** The messages of a stream, each checked before it is given: the metadata, then the body in a buffer of its own. */
function* messages(file: number): Generator<Uint8Array> {
  const { size } = fstatSync(file);
  const check = new ArrowMessages({
    rows: MAX_ROWS,
    tooMany: () => badLabels(`labels have at most ${MAX_ROWS} rows`),
  });
  const read = (at: number, bytes: number): Uint8Array => {
    if (bytes > MAX_MESSAGE_BYTES) {
      throw badLabels(
        'a record batch of the labels is too large',
        undefined,
        'send batches of some ten thousand rows',
      );
    }
    if (at + bytes > size) throw badArrow('it ends within a message');
    const buffer = new Uint8Array(bytes);
    for (let got = 0; got < bytes; )
      got += readSync(file, buffer, got, bytes - got, at + got) || fail();
    return buffer;
  };
  const long = (at: number) => new DataView(read(at, 4).buffer).getUint32(0, true);
  // A file holds a stream, too: between eight bytes and a footer.
  let at = size >= 8 && Buffer.from(read(0, 6)).toString('latin1') === 'ARROW1' ? 8 : 0;
  for (let first = true; ; first = false) {
    if (at === size && !first) return;
    let prefix = 4;
    let length = long(at);
    if (length === CONTINUATION) {
      length = long(at + 4);
      prefix = 8;
    }
    if (length === 0 && first) throw badArrow('it has no schema');
    if (length === 0) return;
    const head = read(at, prefix + length);
    at += head.length;
    const body = check.bodyBytes(head.subarray(prefix), size - at);
    yield head;
    if (body > 0) yield read(at, body);
    at += body;
  }
}

function fail(): never {
  throw badArrow('it ends within a message');
}

const same = (value: string) => value;

/** The column as it came: values in a typed array that is ours as well. */
function plain(dtype: Dtype, type: string, convert: (data: Data) => unknown = values): Way {
  return { dtype, type, sql: same, column: (data) => made(dtype, data, convert(data)) };
}

/** Travels as `dtype`, and is cast back. */
function cast(dtype: Dtype, type: string, convert: (data: Data) => unknown): Way {
  return { ...plain(dtype, type, convert), sql: (value) => `CAST(${value} AS ${type})` };
}

function made(dtype: Dtype, data: Data, content: unknown): Column {
  const { length } = data;
  return { kind: dtype.kind, dtype, length, validity: validity(data), data: content } as Column;
}

function validity(data: Data): Uint8Array | null {
  if (data.nullCount === 0) return null;
  const { nullBitmap: bits, length } = data;
  if (bits === null || bits.length * 8 < length) throw badArrow('a bitmap of nulls is too short');
  const valid = new Uint8Array(length);
  for (let i = 0; i < length; i++) valid[i] = (bits[i >> 3]! >> (i & 7)) & 1;
  return valid;
}

type Numbers = ArrayLike<number> & Iterable<number>;
type Longs = ArrayLike<bigint> & Iterable<bigint>;

/** The values of a chunk, of which there are enough. */
function values(data: Data, count: number = data.length): never {
  const array = data.values as { length: number; subarray(a: number, b: number): unknown } | null;
  if (array === null || array === undefined || array.length < count)
    throw badArrow('a buffer is too short');
  return array.subarray(0, count) as never;
}

const INT32: Dtype = { kind: 'int32' };
const INT64: Dtype = { kind: 'int64' };
const FLOAT32: Dtype = { kind: 'float32' };
const FLOAT64: Dtype = { kind: 'float64' };
const STRING: Dtype = { kind: 'string' };

function wayOf({ name: column, type }: Field): Way {
  if (DataType.isNull(type)) {
    return {
      dtype: STRING,
      type: 'VARCHAR',
      sql: same,
      column: ({ length }) => ({
        kind: 'string',
        dtype: { kind: 'string' },
        length,
        validity: new Uint8Array(length),
        data: new Array<string>(length).fill(''),
      }),
    };
  }
  if (DataType.isBool(type)) return plain({ kind: 'bool' }, 'BOOLEAN', bools);
  if (DataType.isInt(type)) return wayOfInt(type);
  if (DataType.isFloat(type)) {
    if (type.precision === Precision.DOUBLE) return plain(FLOAT64, 'DOUBLE');
    return plain(FLOAT32, 'FLOAT', (data) =>
      type.precision === Precision.SINGLE
        ? values(data)
        : Float32Array.from(values(data) as Numbers, (half) => util.uint16ToFloat64(half)),
    );
  }
  if (DataType.isDecimal(type) && type.bitWidth === 128) {
    const { precision, scale } = type;
    return cast(STRING, `DECIMAL(${precision},${scale})`, (data) => decimals(data, scale));
  }
  if (DataType.isTimestamp(type)) return wayOfTimestamp(type.unit, type.timezone, column);
  if (DataType.isDate(type)) {
    return plain({ kind: 'date' }, 'DATE', (data) =>
      type.unit === DateUnit.DAY
        ? values(data)
        : Int32Array.from(values(data) as Longs, (ms) => Number(ms / 86_400_000n)),
    );
  }
  if (DataType.isTime(type) && type.unit !== TimeUnit.NANOSECOND) {
    const micros = BigInt(1_000_000 / PER_SECOND[type.unit]);
    return {
      ...plain(INT64, 'TIME', (data) =>
        BigInt64Array.from(values(data) as Numbers, (v) => BigInt(v) * micros),
      ),
      sql: (value) => `TIME '00:00:00' + to_microseconds(${value})`,
    };
  }
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) return plain(STRING, 'VARCHAR', texts);
  if (DataType.isBinary(type) || DataType.isLargeBinary(type))
    return plain({ kind: 'bytes' }, 'BLOB', (data) => slices(data, values(data, bytesOf(data))));
  if (DataType.isFixedSizeBinary(type)) {
    const width = type.byteWidth;
    return plain({ kind: 'bytes' }, 'BLOB', (data) => {
      const bytes = values(data, data.length * width) as Uint8Array;
      return Array.from({ length: data.length }, (_, i) => bytes.slice(i * width, (i + 1) * width));
    });
  }
  if (DataType.isDictionary(type)) return wayOfDictionary(type, column);
  if (DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type)) {
    const size = DataType.isFixedSizeList(type) ? type.listSize : null;
    return wayOfList(wayOf(type.children[0] as Field), size);
  }
  throw badLabels(
    `the column is Arrow's ${type}, which labels cannot hold`,
    column,
    'leave it out, or make it a column for each of its parts',
  );
}

const PER_SECOND: Readonly<Record<TimeUnit, number>> = {
  [TimeUnit.SECOND]: 1,
  [TimeUnit.MILLISECOND]: 1_000,
  [TimeUnit.MICROSECOND]: 1_000_000,
  [TimeUnit.NANOSECOND]: 1_000_000_000,
};

function wayOfInt({ bitWidth, isSigned }: { bitWidth: number; isSigned: boolean }): Way {
  if (isSigned && bitWidth === 64) return plain(INT64, 'BIGINT');
  if (isSigned && bitWidth === 32) return plain(INT32, 'INTEGER');
  if (bitWidth === 64)
    return cast(STRING, 'UBIGINT', (data) => Array.from(values(data) as Longs, String));
  if (bitWidth === 32)
    return cast(INT64, 'UINTEGER', (data) => BigInt64Array.from(values(data) as Numbers, BigInt));
  const type = `${isSigned ? '' : 'U'}${bitWidth === 8 ? 'TINYINT' : 'SMALLINT'}`;
  return cast(INT32, type, (data) => Int32Array.from(values(data) as Numbers));
}

/** Nanoseconds stay, everything coarser becomes microseconds: Parquet as DuckDB reads it has no others. */
function wayOfTimestamp(unit: TimeUnit, timezone: string | null | undefined, column: string): Way {
  const zoned = timezone !== null && timezone !== undefined && timezone !== '';
  if (unit === TimeUnit.NANOSECOND && !zoned)
    return { ...plain(INT64, 'TIMESTAMP_NS'), sql: (value) => `make_timestamp_ns(${value})` };
  const micros = (data: Data): BigInt64Array => {
    const given = values(data) as BigInt64Array;
    if (unit === TimeUnit.MICROSECOND) return given;
    if (unit !== TimeUnit.NANOSECOND) {
      const factor = BigInt(1_000_000 / PER_SECOND[unit]);
      return BigInt64Array.from(given, (v) => v * factor);
    }
    const valid = validity(data);
    return given.map((v, row) => {
      if (v % 1000n !== 0n && valid?.[row] !== 0)
        throw badLabels(
          'a time with a zone is finer than microseconds',
          column,
          'round it to microseconds',
        );
      return v / 1000n;
    });
  };
  return zoned
    ? { ...plain(INT64, 'TIMESTAMPTZ', micros), sql: (value) => `make_timestamptz(${value})` }
    : { ...plain(INT64, 'TIMESTAMP', micros), sql: (value) => `make_timestamp(${value})` };
}

function wayOfDictionary(type: Dictionary, column: string): Way {
  const way = wayOf({ name: column, type: type.dictionary } as Field);
  return {
    ...way,
    column: (data) => {
      const known = (data.dictionary?.data ?? []).map((chunk) => way.column(chunk));
      const indices = values(data) as ArrayLike<number | bigint>;
      const valid = validity(data);
      const out = new ColumnBuilder(way.dtype, data.length);
      for (let row = 0; row < data.length; row++) {
        if (valid?.[row] === 0) {
          out.push(null);
          continue;
        }
        let index = Number(indices[row]);
        const chunk = known.find(({ length }) => {
          if (index < length) return true;
          index -= length;
          return false;
        });
        if (chunk === undefined || index < 0) throw badArrow('a dictionary has no such value');
        out.pushFrom(chunk, index);
      }
      return out.finish();
    },
  };
}

function wayOfList(item: Way, size: number | null): Way {
  const dtype: Dtype = { kind: 'list', of: item.dtype };
  const type = `${item.type}[${size ?? ''}]`;
  const whole = item.sql('x') === 'x';
  return {
    dtype,
    type,
    sql: (value) => {
      const items = whole ? value : `list_transform(${value}, lambda x: ${item.sql('x')})`;
      return size === null ? items : `CAST(${items} AS ${type})`;
    },
    column: (data) => {
      const child = data.children[0];
      if (child === undefined) throw badArrow('a list has no values');
      const offsets =
        size === null
          ? Int32Array.from(offsetsOf(data, child.length), Number)
          : Int32Array.from({ length: data.length + 1 }, (_, i) => i * size);
      if (offsets[data.length]! > child.length) throw badArrow('a list is too short');
      const { length } = data;
      return {
        kind: 'list',
        dtype,
        length,
        validity: validity(data),
        offsets,
        data: item.column(child),
      };
    },
  };
}

function bools(data: Data): Uint8Array {
  const bits = values(data, Math.ceil(data.length / 8)) as Uint8Array;
  return Uint8Array.from({ length: data.length }, (_, i) => (bits[i >> 3]! >> (i & 7)) & 1);
}

/** Where values of changing length lie: each within `size`, none before the one before it. */
function offsetsOf(data: Data, size: number): (number | bigint)[] {
  const { valueOffsets, length } = data;
  if (length === 0) return [0];
  if (valueOffsets === undefined || valueOffsets.length <= length)
    throw badArrow('offsets are missing');
  let before = 0;
  return Array.from({ length: length + 1 }, (_, i) => {
    const offset = Number(valueOffsets[i]);
    if (offset < before || offset > size) throw badArrow('an offset is out of range');
    before = offset;
    return offset;
  });
}

function bytesOf({ values: bytes }: Data): number {
  return (bytes as Uint8Array | undefined)?.length ?? 0;
}

function slices(data: Data, bytes: Uint8Array): Uint8Array[] {
  const offsets = offsetsOf(data, bytes.length) as number[];
  return Array.from({ length: data.length }, (_, i) => bytes.slice(offsets[i], offsets[i + 1]));
}

function texts(data: Data): string[] {
  const bytes: Uint8Array = values(data, bytesOf(data));
  const offsets = offsetsOf(data, bytes.length) as number[];
  if (!isUtf8(bytes)) throw badArrow('a text is not UTF-8');
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: data.length }, (_, i) =>
    all.toString('utf8', offsets[i], offsets[i + 1]),
  );
}

/** The digits of decimals of 128 bits. */
function decimals(data: Data, scale: number): string[] {
  const words: Uint32Array = values(data, data.length * 4);
  return Array.from({ length: data.length }, (_, i) => {
    const [a, b, c, d] = words.subarray(i * 4, i * 4 + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    const unsigned = (BigInt(d) << 96n) | (BigInt(c) << 64n) | (BigInt(b) << 32n) | BigInt(a);
    return printed(BigInt.asIntN(128, unsigned), scale);
  });
}

function printed(value: bigint, scale: number): string {
  const sign = value < 0n ? '-' : '';
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
