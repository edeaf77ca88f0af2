/**
 * What makes deliveries one event, and which of them stands. The only place that knows the rule; resolving
 * history, building pages and applying changes all ask here.
 *
 * Within a timeline the identity of an event is (t, id). Of an append-only source the earliest arrival stands and a
 * retract removes the event for good, also if it comes first. Of a mutable source the latest arrival stands, on equal
 * arrival a retract before an upsert. What is still undecided goes to the row whose content bytes are the least.
 */
import { ByteWriter } from '../base/bytes.ts';
import { type Column, scalarAt } from '../types/column.ts';
import type { Dtype } from '../types/dtype.ts';
import { compareBytes, type Scalar } from '../types/scalar.ts';
import type { Events } from './layout.ts';

/**
 * Compares two deliveries of one event: positive if x stands, negative if y, 0 if their arrival and operation do
 * not decide (two retracts are then the same, of two upserts `compareContent` decides). Retract flags are 0 or 1.
 */
export function precedence(
  mutable: boolean,
  xArrivalUs: number,
  xRetract: number,
  yArrivalUs: number,
  yRetract: number,
): number {
  if (mutable)
    return xArrivalUs === yArrivalUs ? xRetract - yRetract : xArrivalUs < yArrivalUs ? -1 : 1;
  if (xRetract !== yRetract) return xRetract - yRetract;
  return xArrivalUs === yArrivalUs ? 0 : xArrivalUs < yArrivalUs ? 1 : -1;
}

/** Order of the content of two rows by its bytes; the least stands. 0 only for equal values. */
export function compareContent(
  x: readonly Column[],
  xRow: number,
  y: readonly Column[],
  yRow: number,
): number {
  return compareBytes(contentBytes(x, xRow), contentBytes(y, yRow));
}

/** A row's values in one fixed encoding of its own: page formats may change, this order may not. */
function contentBytes(columns: readonly Column[], row: number): Uint8Array {
  const writer = new ByteWriter(64);
  for (const column of columns) writeValue(writer, scalarAt(column, row), column.dtype);
  return writer.finish();
}

function writeValue(writer: ByteWriter, value: Scalar | null, dtype: Dtype): void {
  writer.u8(value === null ? 0 : 1);
  if (value === null) return;
  switch (dtype.kind) {
    case 'bool':
      return writer.u8(value === true ? 1 : 0);
    case 'int64':
      return writer.i64(value as bigint);
    case 'string':
      return writer.string(value as string);
    case 'bytes':
      return writer.bytes(value as Uint8Array);
    case 'list': {
      const items = value as readonly (Scalar | null)[];
      writer.varint(items.length);
      for (const item of items) writeValue(writer, item, dtype.of);
      return;
    }
    case 'vector':
      for (const x of value as Float32Array) writer.f64(x);
      return;
    default:
      writer.f64(value as number);
  }
}

const few = new BigInt64Array(8);
const fewWords = new Int32Array(few.buffer);

/** The 32-bit halves of event ids, low then high: comparing them makes no bigint. */
export function idWords(id: BigInt64Array): Int32Array {
  // Arrays this small have no buffer until one is asked for, which takes longer than a copy.
  if (id.length <= few.length) {
    few.set(id);
    return fewWords.slice(0, 2 * id.length);
  }
  return new Int32Array(id.buffer, id.byteOffset, id.length * 2);
}

/** Order of two ids, given their words, as signed 64-bit integers. */
export function compareIds(x: Int32Array, xRow: number, y: Int32Array, yRow: number): number {
  const high = x[2 * xRow + 1]! - y[2 * yRow + 1]!;
  return high !== 0 ? high : (x[2 * xRow]! >>> 0) - (y[2 * yRow]! >>> 0);
}

/** The arrival times of events; a = t where they carry none. */
export function arrivalsOf(events: Events): Float64Array {
  return events.arrivalUs ?? events.timeUs;
}
