/** Parts and joins of columns, which share buffers where they can. */
import { type Column, ColumnBuilder } from './column.ts';
import type { Dtype } from './dtype.ts';

/** Rows from…to as a column; over the same buffers where these are typed. */
export function sliceColumn(column: Column, from: number, to: number): Column {
  const common = {
    ...column,
    length: to - from,
    validity: column.validity?.subarray(from, to) ?? null,
  };
  switch (column.kind) {
    case 'string':
    case 'bytes':
      return { ...common, data: column.data.slice(from, to) } as Column;
    case 'list':
      return { ...common, offsets: column.offsets.subarray(from, to + 1) } as Column;
    case 'vector': {
      const { size } = column.dtype;
      return { ...common, data: column.data.subarray(from * size, to * size) } as Column;
    }
    default:
      return { ...common, data: (column.data as Float64Array).subarray(from, to) } as Column;
  }
}

/** The rows of all columns, which are of `dtype`, one after the other; a single one is given back as it is. */
export function joinColumns(dtype: Dtype, columns: readonly Column[]): Column {
  const [first] = columns;
  if (columns.length === 1) return first!;
  const length = columns.reduce((sum, column) => sum + column.length, 0);
  if (first === undefined || first.kind === 'list') {
    const builder = new ColumnBuilder(dtype, length);
    for (const column of columns)
      for (let row = 0; row < column.length; row++) builder.pushFrom(column, row);
    return builder.finish();
  }
  const common = { kind: dtype.kind, dtype, length, validity: joinValidity(columns, length) };
  if (first.kind === 'string' || first.kind === 'bytes')
    return { ...common, data: columns.flatMap(({ data }) => data as string[]) } as Column;
  const width = dtype.kind === 'vector' ? dtype.size : 1;
  const make = (first.data as Float64Array).constructor as Float64ArrayConstructor;
  const data = new make(length * width);
  let at = 0;
  for (const column of columns) {
    data.set(column.data as Float64Array, at * width);
    at += column.length;
  }
  return { ...common, data } as Column;
}

function joinValidity(columns: readonly Column[], length: number): Uint8Array | null {
  if (columns.every(({ validity }) => validity === null)) return null;
  const joined = new Uint8Array(length).fill(1);
  let at = 0;
  for (const { validity, length: rows } of columns) {
    if (validity !== null) joined.set(validity, at);
    at += rows;
  }
  return joined;
}
