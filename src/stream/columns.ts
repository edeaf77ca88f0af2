/** Parts and joins of columns that share buffers where they can. */
import { type Column, ColumnBuilder } from '../types/column.ts';
import type { Dtype } from '../types/dtype.ts';

/** Rows from…to as a column, over the same buffers where these are typed. */
export function sliceColumn(column: Column, from: number, to: number): Column {
  const length = to - from;
  const validity = column.validity?.subarray(from, to) ?? null;
  switch (column.kind) {
    case 'string':
    case 'bytes':
      return { ...column, length, validity, data: column.data.slice(from, to) } as Column;
    case 'list': {
      const builder = new ColumnBuilder(column.dtype, length);
      for (let row = from; row < to; row++) builder.pushFrom(column, row);
      return builder.finish();
    }
    case 'vector': {
      const { size } = column.dtype;
      return { ...column, length, validity, data: column.data.subarray(from * size, to * size) };
    }
    default:
      return { ...column, length, validity, data: column.data.subarray(from, to) } as Column;
  }
}

/** The rows of all columns, which are of `dtype`, one after the other. */
export function joinColumns(dtype: Dtype, columns: readonly Column[]): Column {
  if (columns.length === 1) return columns[0]!;
  const length = columns.reduce((sum, column) => sum + column.length, 0);
  const typed = joinTyped(dtype, columns, length);
  if (typed !== null) return typed;
  const builder = new ColumnBuilder(dtype, length);
  for (const column of columns)
    for (let row = 0; row < column.length; row++) builder.pushFrom(column, row);
  return builder.finish();
}

type TypedData = Uint8Array | Int32Array | BigInt64Array | Float32Array | Float64Array;

/** As `joinColumns`, by copying buffers; null where values lie in none. */
function joinTyped(dtype: Dtype, columns: readonly Column[], length: number): Column | null {
  const width = dtype.kind === 'vector' ? dtype.size : 1;
  let data: TypedData | null = null;
  let validity: Uint8Array | null = null;
  let at = 0;
  for (const column of columns) {
    if (!ArrayBuffer.isView(column.data)) return null;
    const own = column.data as TypedData;
    data ??= new (own.constructor as Float64ArrayConstructor)(length * width);
    (data as Float64Array).set(own as Float64Array, at * width);
    if (column.validity !== null) {
      validity ??= new Uint8Array(length).fill(1);
      validity.set(column.validity, at);
    }
    at += column.length;
  }
  if (data === null) return null;
  return { kind: dtype.kind, dtype, length, validity, data } as Column;
}
