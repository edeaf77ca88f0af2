/** Columns into DuckDB: rows of our columns copied into the vectors of a data chunk. */
import {
  ARRAY,
  BIGINT,
  BLOB,
  BOOLEAN,
  DuckDBDataChunk as Chunk,
  DATE,
  DOUBLE,
  type DuckDBDataChunk,
  type DuckDBType,
  FLOAT,
  INTEGER,
  LIST,
  TIMESTAMP,
  VARCHAR,
} from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import { type Column, ColumnBuilder } from '../../types/column.ts';
import type { Dtype } from '../../types/dtype.ts';

/** Rows of a data chunk at most. */
export const CHUNK_ROWS = 2048;

type Vector = Parameters<typeof duckdb.vector_get_data>[0];

const utf8 = new TextEncoder();

/** DuckDB's own type of a dtype. */
export function duckdbType(dtype: Dtype): DuckDBType {
  switch (dtype.kind) {
    case 'bool':
      return BOOLEAN;
    case 'int32':
      return INTEGER;
    case 'int64':
      return BIGINT;
    case 'float32':
      return FLOAT;
    case 'float64':
      return DOUBLE;
    case 'string':
      return VARCHAR;
    case 'bytes':
      return BLOB;
    case 'timestamp':
      return TIMESTAMP;
    case 'date':
      return DATE;
    case 'list':
      return LIST(duckdbType(dtype.of));
    case 'vector':
      return ARRAY(FLOAT, dtype.size);
  }
}

/** A new chunk for columns of these types. */
export function newChunk(dtypes: readonly Dtype[]): DuckDBDataChunk {
  return Chunk.create(dtypes.map(duckdbType));
}

/** Fills a chunk with rows from…from + count of each column (count ≤ CHUNK_ROWS). */
export function fillChunk(
  chunk: DuckDBDataChunk,
  columns: readonly Column[],
  from: number,
  count: number,
): void {
  duckdb.data_chunk_set_size(chunk.chunk, count);
  if (count === 0) return;
  for (let i = 0; i < columns.length; i++)
    fillVector(duckdb.data_chunk_get_vector(chunk.chunk, i), columns[i]!, from, count);
}

/** Fills a vector of structs, whose fields are the columns, with rows from…from + count. */
export function fillStruct(
  vector: Vector,
  columns: readonly Column[],
  from: number,
  count: number,
): void {
  for (let i = 0; i < columns.length; i++)
    fillVector(duckdb.struct_vector_get_child(vector, i), columns[i]!, from, count);
}

function fillVector(vector: Vector, column: Column, from: number, count: number): void {
  fillValidity(vector, column, from, count);
  switch (column.kind) {
    case 'string':
      for (let i = 0; i < count; i++)
        duckdb.vector_assign_string_element_len(vector, i, utf8.encode(column.data[from + i]!));
      return;
    case 'bytes':
      for (let i = 0; i < count; i++)
        duckdb.vector_assign_string_element_len(vector, i, column.data[from + i]!);
      return;
    case 'list':
      return fillLists(vector, column, from, count);
    case 'vector': {
      const { size } = column.dtype;
      const child = duckdb.array_vector_get_child(vector);
      return copy(child, column.data.subarray(from * size, (from + count) * size));
    }
    case 'timestamp': {
      // Whole microseconds as 64-bit integers, in 32-bit halves: no bigint is made.
      const halves = new Int32Array(count * 2);
      for (let i = 0; i < count; i++) {
        const value = column.data[from + i]!;
        halves[2 * i] = value;
        halves[2 * i + 1] = Math.floor(value / 4294967296);
      }
      return copy(vector, halves);
    }
    default:
      copy(vector, column.data.subarray(from, from + count));
  }
}

function fillValidity(vector: Vector, column: Column, from: number, count: number): void {
  const { validity } = column;
  if (validity === null) return;
  const bits = new Uint8Array(Math.ceil(count / 64) * 8).fill(255);
  for (let i = 0; i < count; i++)
    if (validity[from + i] === 0) bits[i >> 3] = bits[i >> 3]! & ~(1 << (i & 7));
  duckdb.vector_ensure_validity_writable(vector);
  duckdb.copy_data_to_vector_validity(vector, 0, bits.buffer, 0, bits.byteLength);
}

function fillLists(
  vector: Vector,
  column: Column & { kind: 'list' },
  from: number,
  count: number,
): void {
  const entries = new Uint32Array(count * 4);
  const elements = new ColumnBuilder(column.dtype.of);
  for (let i = 0; i < count; i++) {
    const start = column.offsets[from + i]!;
    const end = column.offsets[from + i + 1]!;
    entries[4 * i] = elements.length;
    entries[4 * i + 2] = end - start;
    for (let k = start; k < end; k++) elements.pushFrom(column.data, k);
  }
  const child = elements.finish();
  duckdb.list_vector_reserve(vector, child.length);
  duckdb.list_vector_set_size(vector, child.length);
  copy(vector, entries);
  if (child.length > 0) fillVector(duckdb.list_vector_get_child(vector), child, 0, child.length);
}

function copy(vector: Vector, data: ArrayBufferView): void {
  duckdb.copy_data_to_vector(
    vector,
    0,
    data.buffer as ArrayBuffer,
    data.byteOffset,
    data.byteLength,
  );
}
