/** Slicing, joining, comparing and picking of columns in bulk. */
import { assert } from '../../base/errors.ts';
import type { Batch, Schema } from '../../types/batch.ts';
import {
  type BytesColumn,
  type Column,
  ColumnBuilder,
  gather,
  type StringColumn,
} from '../../types/column.ts';
import { joinColumns, sliceColumn } from '../../types/column_parts.ts';
import type { Dtype } from '../../types/dtype.ts';
import { compareBytes, compareUtf8 } from '../../types/scalar.ts';

/** Rows that a batch of a longer result holds about. */
export const BATCH_ROWS = 65_536;

type Typed = Float64Array;

/** No rows. */
export function emptyBatch(schema: Schema): Batch {
  const columns = Object.fromEntries(
    schema.map((f) => [f.name, new ColumnBuilder(f.dtype).finish()]),
  );
  return { length: 0, columns };
}

export function sliceBatch(batch: Batch, from: number, to: number): Batch {
  if (from === 0 && to === batch.length) return batch;
  return mapBatch(batch, to - from, (column) => sliceColumn(column, from, to));
}

/** One after the other; all have the same columns. */
export function joinBatches(batches: readonly Batch[]): Batch {
  assert(batches.length > 0, 'there is something to join');
  if (batches.length === 1) return batches[0]!;
  const length = batches.reduce((sum, batch) => sum + batch.length, 0);
  const columns: Record<string, Column> = {};
  for (const [name, { dtype }] of Object.entries(batches[0]!.columns))
    columns[name] = joinColumns(
      dtype,
      batches.map((batch) => batch.columns[name]!),
    );
  return { length, columns };
}

/** What a row of columns of these types takes in memory, about. */
export function rowBytes(dtypes: readonly Dtype[]): number {
  return dtypes.reduce((sum, dtype) => sum + widthOf(dtype), 0);
}

function widthOf(dtype: Dtype): number {
  if (dtype.kind === 'vector') return dtype.size * 4;
  return dtype.kind === 'list' ? 64 : dtype.kind === 'string' || dtype.kind === 'bytes' ? 40 : 8;
}

/** 64-bit values as two words each: copied so, no bigint is made. */
export function wordsOf(data: BigInt64Array): Int32Array {
  return new Int32Array(data.buffer, data.byteOffset, data.length * 2);
}

/** The rows named by `rows`, in that order. */
export function takeRows(column: Column, rows: Int32Array): Column {
  if (column.kind === 'list' || column.kind === 'vector') return gather(column, rows);
  const { kind, dtype } = column;
  const validity = column.validity === null ? null : takeBytes(column.validity, rows);
  return { kind, dtype, length: rows.length, validity, data: takeData(column, rows) } as Column;
}

// One loop a type: each is then as fast as the memory.

function takeData(column: Column, rows: Int32Array): Column['data'] {
  switch (column.kind) {
    case 'int64':
      return takeLongs(column.data, rows);
    case 'float64':
    case 'timestamp':
      return takeFloats(column.data, rows);
    case 'bool':
      return takeBytes(column.data, rows);
    default: {
      const from = column.data as readonly unknown[];
      const out: unknown[] = new (column.data.constructor as ArrayConstructor)(rows.length);
      for (let i = 0; i < rows.length; i++) out[i] = from[rows[i]!];
      return out as unknown as Column['data'];
    }
  }
}

function takeLongs(data: BigInt64Array, rows: Int32Array): BigInt64Array {
  const out = new BigInt64Array(rows.length);
  const to = wordsOf(out);
  const from = wordsOf(data);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    to[2 * i] = from[2 * row]!;
    to[2 * i + 1] = from[2 * row + 1]!;
  }
  return out;
}

function takeFloats(data: Float64Array, rows: Int32Array): Float64Array {
  const out = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) out[i] = data[rows[i]!]!;
  return out;
}

function takeBytes(data: Uint8Array, rows: Int32Array): Uint8Array {
  const out = new Uint8Array(rows.length);
  for (let i = 0; i < rows.length; i++) out[i] = data[rows[i]!]!;
  return out;
}

export function mapBatch(batch: Batch, length: number, each: (column: Column) => Column): Batch {
  const columns: Record<string, Column> = {};
  for (const [name, column] of Object.entries(batch.columns)) columns[name] = each(column);
  return { length, columns };
}

/** Where the rows of a sorted key start: the first row of each run of equal keys, and the length at the end. */
export function runStarts(keys: readonly Column[], length: number): Int32Array {
  const [only] = keys;
  if (keys.length === 1 && only!.kind === 'int64' && only!.validity === null)
    return longStarts(wordsOf(only!.data), length);
  let starts: Int32Array = new Int32Array(Math.min(length + 1, 1024));
  let count = 0;
  if (length > 0) count = 1;
  const differ = keys.map(differs);
  for (let row = 1; row < length; row++)
    for (const other of differ)
      if (other(row)) {
        // One is left for the end.
        if (count + 1 === starts.length) starts = grown(starts, length + 1);
        starts[count++] = row;
        break;
      }
  starts[count] = length;
  return starts.subarray(0, count + 1);
}

/** Of the usual key: one loop without a call a row. */
function longStarts(words: Int32Array, length: number): Int32Array {
  let starts: Int32Array = new Int32Array(Math.min(length + 1, 1024));
  let count = length > 0 ? 1 : 0;
  let low = words[0];
  let high = words[1];
  for (let row = 1; row < length; row++) {
    if (words[2 * row] === low && words[2 * row + 1] === high) continue;
    low = words[2 * row];
    high = words[2 * row + 1];
    if (count + 1 === starts.length) starts = grown(starts, length + 1);
    starts[count++] = row;
  }
  starts[count] = length;
  return starts.subarray(0, count + 1);
}

function grown(starts: Int32Array, most: number): Int32Array {
  const more = new Int32Array(Math.min(most, 4 * starts.length));
  more.set(starts);
  return more;
}

/** Whether a row differs from the one before it. */
function differs(column: Column): (row: number) => boolean {
  const { validity } = column;
  if (validity !== null) {
    const other = differs({ ...column, validity: null } as Column);
    return (row) => validity[row] !== validity[row - 1] || other(row);
  }
  switch (column.kind) {
    case 'int64': {
      const words = wordsOf(column.data);
      return (row) =>
        words[2 * row] !== words[2 * row - 2] || words[2 * row + 1] !== words[2 * row - 1];
    }
    case 'bytes':
      return (row) => compareBytes(column.data[row]!, column.data[row - 1]!) !== 0;
    default: {
      const data = column.data as Typed;
      return (row) => data[row] !== data[row - 1];
    }
  }
}

/** Order of two keys without nulls, as DuckDB orders them. */
export function compareKeys(
  x: readonly Column[],
  xRow: number,
  y: readonly Column[],
  yRow: number,
): number {
  for (let i = 0; i < x.length; i++) {
    const order = compareCells(x[i]!, xRow, y[i]!, yRow);
    if (order !== 0) return order;
  }
  return 0;
}

function compareCells(x: Column, xRow: number, y: Column, yRow: number): number {
  if (x.kind === 'string') return compareUtf8(x.data[xRow]!, (y as StringColumn).data[yRow]!);
  if (x.kind === 'bytes') return compareBytes(x.data[xRow]!, (y as BytesColumn).data[yRow]!);
  const a = (x.data as unknown as Typed)[xRow]!;
  const b = (y.data as unknown as Typed)[yRow]!;
  return a < b ? -1 : a > b ? 1 : 0;
}
