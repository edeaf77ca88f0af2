/** How many bytes rows take in a page, near enough to cut pages by. */
import type { Column } from '../types/column.ts';
import type { Events } from './layout.ts';

/** Bytes of rows lo…hi, which lie in the range given. */
export type RowSizes = (lo: number, hi: number) => number;

/** Sizes within rows from…to. */
export function rowSizes(events: Events, from: number, to: number): RowSizes {
  let fixed = events.arrivalUs === null ? 16 : 24;
  const varying: Column[] = [];
  for (const column of events.columns) {
    const width = fixedWidth(column);
    if (width !== null && column.validity === null) fixed += width;
    else varying.push(column);
  }
  if (varying.length === 0) return (lo, hi) => (hi - lo) * fixed;
  const until = new Float64Array(to - from + 1);
  for (let i = from; i < to; i++) {
    let bytes = fixed;
    for (const column of varying) bytes += valueBytes(column, i);
    until[i - from + 1] = until[i - from]! + bytes;
  }
  return (lo, hi) => until[hi - from]! - until[lo - from]!;
}

function fixedWidth(column: Column): number | null {
  switch (column.kind) {
    case 'float64':
    case 'timestamp':
    case 'int64':
      return 8;
    case 'float32':
    case 'int32':
    case 'date':
      return 4;
    case 'bool':
      return 0.125;
    case 'vector':
      return 4 * column.dtype.size;
    default:
      return null;
  }
}

function valueBytes(column: Column, row: number): number {
  const bitmap = column.validity === null ? 0 : 0.125;
  if (column.validity !== null && column.validity[row] === 0) return bitmap;
  switch (column.kind) {
    case 'string':
      return bitmap + 1 + utf8Length(column.data[row]!);
    case 'bytes':
      return bitmap + 1 + column.data[row]!.length;
    case 'list': {
      let bytes = bitmap + 4;
      for (let i = column.offsets[row]!; i < column.offsets[row + 1]!; i++)
        bytes += valueBytes(column.data, i);
      return bytes;
    }
    default:
      return bitmap + fixedWidth(column)!;
  }
}

function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // Half of a surrogate pair stands for 2 of its 4 bytes.
    if (unit >= 0x80) bytes += unit >= 0x800 && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}
