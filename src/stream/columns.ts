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
  const builder = new ColumnBuilder(dtype, length);
  for (const column of columns)
    for (let row = 0; row < column.length; row++) builder.pushFrom(column, row);
  return builder.finish();
}
