/**
 * DuckDB results as columns: raw vectors of data chunks copied into typed arrays, no value boxed on the way.
 *
 * What arrives must already have the wire type of its dtype (see `wireExpression`): BOOLEAN, INTEGER, BIGINT, FLOAT, DOUBLE,
 * VARCHAR, BLOB, DATE, a list or FLOAT[n] of those, and a DOUBLE of microseconds for an instant. NaN is refused
 * here (`types/nan`) and −0 becomes +0, so nothing behind this file meets either.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import { assert, SamewiseError } from '../../base/errors.ts';
import { MAX_INSTANT_US } from '../../base/time.ts';
import type { Batch, Schema } from '../../types/batch.ts';
import { type Column, ColumnBuilder } from '../../types/column.ts';
import type { Dtype } from '../../types/dtype.ts';
import { CHUNK_ROWS } from './chunks.ts';
import { BATCH_ROWS, emptyBatch } from './columns.ts';

/** The SQL of a value of DuckDB's own type for `dtype` in the form that `readBatches` expects. */
export function wireExpression(sql: string, dtype: Dtype): string {
  if (dtype.kind === 'timestamp') return `epoch_us(${sql})::DOUBLE`;
  if (dtype.kind === 'list' && holdsInstants(dtype.of))
    return `list_transform(${sql}, lambda e: ${wireExpression('e', dtype.of)})`;
  return sql;
}

function holdsInstants(dtype: Dtype): boolean {
  return dtype.kind === 'timestamp' || (dtype.kind === 'list' && holdsInstants(dtype.of));
}

/**
 * Streams the result of `sql`, whose columns are `schema` in order and in wire form. Batches hold at least `batchRows`
 * rows but for the last, which may be short (never empty). The connection must not be used otherwise meanwhile.
 */
export async function* readBatches(
  connection: DuckDBConnection,
  sql: string,
  schema: Schema,
  batchRows = BATCH_ROWS,
): AsyncGenerator<Batch> {
  yield* readInto(
    schema.map((field) => new Sink(field.name, field.dtype, batchRows + CHUNK_ROWS)),
    connection,
    sql,
    schema,
    batchRows,
  );
}

/**
 * A result of about `rows` rows in one piece, in memory that threads can share (texts and lists are copied to them). Room for so many is
 * taken at once; what is not filled costs nothing.
 */
export async function readShared(
  connection: DuckDBConnection,
  sql: string,
  schema: Schema,
  rows: number,
): Promise<Batch> {
  const sinks = schema.map((field) => new Sink(field.name, field.dtype, rows, rows));
  const all = Number.MAX_SAFE_INTEGER;
  for await (const batch of readInto(sinks, connection, sql, schema, all, true)) return batch;
  return emptyBatch(schema);
}

/** `ahead`: DuckDB makes the next chunk while this thread copies one, which in many streams at once takes memory. */
async function* readInto(
  sinks: readonly Sink[],
  connection: DuckDBConnection,
  sql: string,
  schema: Schema,
  batchRows: number,
  ahead = false,
): AsyncGenerator<Batch> {
  const result = await connection.stream(sql);
  assert(result.columnCount === schema.length, 'the query gives the columns of the schema');
  let rows = 0;
  let whole = false;
  const take = (): Batch => {
    const columns = Object.fromEntries(schema.map((f, i) => [f.name, sinks[i]!.finish()]));
    const batch = { length: rows, columns };
    rows = 0;
    return batch;
  };
  const fetch = () => {
    const chunk = result.fetchChunk();
    // Its failure is met when it is awaited, which may be long after.
    chunk.catch(() => undefined);
    return chunk;
  };
  let next: ReturnType<typeof fetch> | null = null;
  try {
    for (;;) {
      const chunk = await (next ?? fetch());
      if (chunk === null || chunk.rowCount === 0) break;
      next = ahead ? fetch() : null;
      const count = chunk.rowCount;
      for (let i = 0; i < sinks.length; i++)
        sinks[i]!.append(duckdb.data_chunk_get_vector(chunk.chunk, i), count);
      rows += count;
      if (rows >= batchRows) yield take();
    }
    whole = true;
    if (rows > 0) yield take();
  } finally {
    // Told to whoever reads on; nobody does.
    await next?.catch(() => undefined);
    // An unread stream keeps its sort in memory until the connection runs something else.
    if (!whole) await connection.run('SELECT 1').catch(() => undefined);
  }
}

/** A small result in one piece. */
export async function readAll(
  connection: DuckDBConnection,
  sql: string,
  schema: Schema,
): Promise<Batch> {
  for await (const batch of readBatches(connection, sql, schema, Number.MAX_SAFE_INTEGER))
    return batch;
  return emptyBatch(schema);
}

type TypedData = Uint8Array | Int32Array | BigInt64Array | Float32Array | Float64Array;
type TypedConstructor = {
  new (buffer: ArrayBufferLike, offset: number, length: number): TypedData;
  new (length: number): TypedData;
  readonly BYTES_PER_ELEMENT: number;
};

const TYPED: Partial<Record<Dtype['kind'], TypedConstructor>> = {
  bool: Uint8Array as TypedConstructor,
  int32: Int32Array as TypedConstructor,
  date: Int32Array as TypedConstructor,
  int64: BigInt64Array as TypedConstructor,
  float32: Float32Array as TypedConstructor,
  float64: Float64Array as TypedConstructor,
  timestamp: Float64Array as TypedConstructor,
  vector: Float32Array as TypedConstructor,
};

const FIRST_ROWS = 4096;

/** Gathers vectors of one column. */
class Sink {
  readonly #name: string;
  readonly #dtype: Dtype;
  readonly #width: number;
  readonly #most: number;
  /** Rows to make room for at once, in memory that threads share; null: as they come, in memory of this thread. */
  readonly #shared: number | null;
  #capacity = 0;
  #length = 0;
  #typed: TypedData | null = null;
  #validity: Uint8Array | null = null;
  #texts: string[] = [];
  #bytes: Uint8Array[] = [];
  #lists: ColumnBuilder | null = null;
  #offsets: number[] = [0];

  constructor(name: string, dtype: Dtype, most: number, shared: number | null = null) {
    this.#shared = shared;
    this.#name = name;
    this.#dtype = dtype;
    this.#width = dtype.kind === 'vector' ? dtype.size : 1;
    this.#most = most;
  }

  /** Adds the first `count` rows of a vector. */
  append(vector: Parameters<typeof duckdb.vector_get_data>[0], count: number): void {
    this.#room(count);
    const at = this.#length;
    const valid = this.#readValidity(vector, count);
    this.#length += count;
    switch (this.#dtype.kind) {
      case 'string':
        return this.#readTexts(vector, count, valid);
      case 'bytes':
        return this.#readBytes(vector, count, valid);
      case 'list':
        return this.#readLists(vector, count, valid);
      case 'vector':
        return this.#readArrays(vector, at, count, valid);
      default:
        this.#readTyped(vector, at * this.#width, count, valid);
    }
  }

  #room(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#capacity) return;
    // Small results stay small; large ones grow to a batch and are reused at that size.
    const growth = this.#capacity < BATCH_ROWS ? 4 : 2;
    const first = this.#shared ?? FIRST_ROWS;
    this.#capacity = Math.max(
      needed,
      Math.min(this.#most, this.#capacity === 0 ? first : this.#capacity * growth),
    );
    const make = TYPED[this.#dtype.kind];
    if (make !== undefined) {
      const values = this.#capacity * this.#width;
      const grown =
        this.#shared === null
          ? new make(values)
          : new make(new SharedArrayBuffer(values * make.BYTES_PER_ELEMENT), 0, values);
      if (this.#typed !== null) (grown as Float64Array).set(this.#typed as Float64Array);
      this.#typed = grown;
    }
    if (this.#validity !== null) {
      const grown = new Uint8Array(this.#capacity).fill(1, this.#length);
      grown.set(this.#validity.subarray(0, this.#length));
      this.#validity = grown;
    }
  }

  /** One byte a row of the vector (1 = a value), or null if all are; also kept for the column. */
  #readValidity(
    vector: Parameters<typeof duckdb.vector_get_data>[0],
    count: number,
  ): Uint8Array | null {
    const bits = duckdb.vector_get_validity(vector, Math.ceil(count / 64) * 8) as Uint8Array | null;
    if (bits === null) return null;
    const valid = new Uint8Array(count);
    let nulls = 0;
    for (let i = 0; i < count; i++) {
      const bit = (bits[i >> 3]! >> (i & 7)) & 1;
      valid[i] = bit;
      nulls += 1 - bit;
    }
    if (nulls === 0) return null;
    if (this.#validity === null) this.#validity = new Uint8Array(this.#capacity).fill(1);
    this.#validity.set(valid, this.#length);
    return valid;
  }

  #readTyped(
    vector: Parameters<typeof duckdb.vector_get_data>[0],
    at: number,
    values: number,
    valid: Uint8Array | null,
  ): void {
    const make = TYPED[this.#dtype.kind]!;
    const raw = duckdb.vector_get_data(vector, values * make.BYTES_PER_ELEMENT);
    const data = new make(raw.buffer, raw.byteOffset, values);
    const out = this.#typed!;
    if (out instanceof Float64Array || out instanceof Float32Array) {
      this.#copyFloats(data as Float64Array, out as Float64Array, at, values, valid);
      return;
    }
    (out as Int32Array).set(data as Int32Array, at);
    if (valid !== null) {
      const zero = out instanceof BigInt64Array ? 0n : 0;
      for (let i = 0; i < values; i++)
        if (valid[i] === 0) (out as BigInt64Array)[at + i] = zero as bigint;
    }
  }

  #copyFloats(
    data: Float64Array,
    out: Float64Array,
    at: number,
    values: number,
    valid: Uint8Array | null,
  ): void {
    if (!copyNumbers(data, out, at, values, valid)) throw nanError(this.#name);
    if (this.#dtype.kind === 'timestamp')
      for (let i = at; i < at + values; i++)
        if (Math.abs(out[i]!) > MAX_INSTANT_US) throw instantError(this.#name);
  }

  #readTexts(
    vector: Parameters<typeof duckdb.vector_get_data>[0],
    count: number,
    valid: Uint8Array | null,
  ): void {
    const raw = duckdb.vector_get_data(vector, count * 16);
    const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
    const words = new Int32Array(raw.buffer, raw.byteOffset, count * 4);
    const out = this.#texts;
    let previous = -1;
    for (let i = 0; i < count; i++) {
      if (valid !== null && valid[i] === 0) {
        out.push('');
        continue;
      }
      const w = i * 4;
      const length = words[w]!;
      if (length > 12) {
        const data = duckdb.get_data_from_pointer(
          raw.buffer as ArrayBuffer,
          raw.byteOffset + i * 16 + 8,
          length,
        );
        out.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8'));
        continue;
      }
      // Sorted keys and categories repeat: the same 16 bytes are the same text.
      if (
        previous >= 0 &&
        words[previous] === length &&
        words[previous + 1] === words[w + 1] &&
        words[previous + 2] === words[w + 2] &&
        words[previous + 3] === words[w + 3]
      ) {
        out.push(out[out.length - (w - previous) / 4]!);
      } else out.push(bytes.toString('utf8', i * 16 + 4, i * 16 + 4 + length));
      previous = w;
    }
  }

  #readBytes(
    vector: Parameters<typeof duckdb.vector_get_data>[0],
    count: number,
    valid: Uint8Array | null,
  ): void {
    const raw = duckdb.vector_get_data(vector, count * 16);
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    for (let i = 0; i < count; i++) {
      if (valid !== null && valid[i] === 0) {
        this.#bytes.push(new Uint8Array(0));
        continue;
      }
      const length = view.getUint32(i * 16, true);
      const data =
        length <= 12
          ? raw.subarray(i * 16 + 4, i * 16 + 4 + length)
          : duckdb.get_data_from_pointer(
              raw.buffer as ArrayBuffer,
              raw.byteOffset + i * 16 + 8,
              length,
            );
      this.#bytes.push(Uint8Array.from(data));
    }
  }

  #readLists(
    vector: Parameters<typeof duckdb.vector_get_data>[0],
    count: number,
    valid: Uint8Array | null,
  ): void {
    assert(this.#dtype.kind === 'list', 'a list column');
    const raw = duckdb.vector_get_data(vector, count * 16);
    const entries = new Uint32Array(raw.buffer, raw.byteOffset, count * 4);
    const size = duckdb.list_vector_get_size(vector);
    const child = new Sink(this.#name, this.#dtype.of, size);
    if (size > 0) child.append(duckdb.list_vector_get_child(vector), size);
    const elements = child.finish();
    this.#lists ??= new ColumnBuilder(this.#dtype.of);
    for (let i = 0; i < count; i++) {
      if (valid === null || valid[i] === 1) {
        const from = entries[i * 4]! + entries[i * 4 + 1]! * 2 ** 32;
        const to = from + entries[i * 4 + 2]!;
        for (let k = from; k < to; k++) this.#lists.pushFrom(elements, k);
      }
      this.#offsets.push(this.#lists.length);
    }
  }

  #readArrays(
    vector: Parameters<typeof duckdb.vector_get_data>[0],
    at: number,
    count: number,
    valid: Uint8Array | null,
  ): void {
    const width = this.#width;
    const child = duckdb.array_vector_get_child(vector);
    const bits = duckdb.vector_get_validity(
      child,
      Math.ceil((count * width) / 64) * 8,
    ) as Uint8Array | null;
    let elementsValid: Uint8Array | null = null;
    if (valid !== null) {
      elementsValid = new Uint8Array(count * width).fill(1);
      for (let i = 0; i < count; i++)
        if (valid[i] === 0) elementsValid.fill(0, i * width, (i + 1) * width);
    }
    if (bits !== null)
      for (let i = 0; i < count * width; i++)
        if (((bits[i >> 3]! >> (i & 7)) & 1) === 0 && elementsValid?.[i] !== 0)
          throw new SamewiseError('types/wrong-type', 'a vector cannot hold nulls', {
            where: { column: this.#name },
          });
    this.#readTyped(child, at * width, count * width, elementsValid);
  }

  /** The column so far; the sink starts anew. */
  finish(): Column {
    const dtype = this.#dtype;
    const length = this.#length;
    const common = {
      kind: dtype.kind,
      dtype,
      length,
      validity: this.#validity?.subarray(0, length) ?? null,
    };
    let column: unknown;
    if (dtype.kind === 'string') column = { ...common, data: this.#texts };
    else if (dtype.kind === 'bytes') column = { ...common, data: this.#bytes };
    else if (dtype.kind === 'list') {
      const elements = this.#lists ?? new ColumnBuilder(dtype.of);
      column = { ...common, offsets: Int32Array.from(this.#offsets), data: elements.finish() };
    } else {
      const typed = this.#typed ?? new TYPED[dtype.kind]!(0);
      column = { ...common, data: typed.subarray(0, length * this.#width) };
    }
    this.#capacity = 0;
    this.#length = 0;
    this.#typed = null;
    this.#validity = null;
    this.#texts = [];
    this.#bytes = [];
    this.#lists = null;
    this.#offsets = [0];
    return column as Column;
  }
}

/** False if there is a NaN. A function of its own: V8 then keeps its code, where it would throw it away after each loop. */
function copyNumbers(
  data: Float64Array,
  out: Float64Array,
  at: number,
  values: number,
  valid: Uint8Array | null,
): boolean {
  let sound = true;
  for (let i = 0; i < values; i++) {
    if (valid !== null && valid[i] === 0) {
      out[at + i] = 0;
      continue;
    }
    const value = data[i]! + 0;
    out[at + i] = value;
    // False for NaN as well.
    sound = sound && value >= Number.NEGATIVE_INFINITY;
  }
  return sound;
}

function nanError(column: string): SamewiseError {
  return new SamewiseError('types/nan', 'NaN is not a value', {
    where: { column },
    hint: 'use null for what is not known',
  });
}

function instantError(column: string): SamewiseError {
  return new SamewiseError('types/out-of-range', 'a time outside the years 1684 to 2255', {
    where: { column },
  });
}
