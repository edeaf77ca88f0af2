/**
 * A section of rows: u32 count, u32 with bit 0 set if arrival times follow, u32 for each column (its place from the section's
 * start in units of 8 bytes, times 4, plus how nulls are kept), aligned; times (float64), ids (int64), arrival times
 * (only where some a ≠ t), columns.
 */
import { type Column, columnOf, gather, scalarAt } from '../types/column.ts';
import type { Dtype } from '../types/dtype.ts';
import type { Scalar } from '../types/scalar.ts';
import { type PageBytes, readColumn, readText, readValue, writeColumn } from './column_codec.ts';
import type { Events } from './layout.ts';
import type { PageBuffer } from './page_buffer.ts';

/** Writes rows lo…hi. */
export function writeRows(out: PageBuffer, events: Events, lo: number, hi: number): void {
  const n = hi - lo;
  const start = out.length;
  const { timeUs, arrivalUs, id, columns } = events;
  let late = false;
  if (arrivalUs !== null) for (let i = lo; i < hi && !late; i++) late = arrivalUs[i] !== timeUs[i];
  out.take(8 + 4 * columns.length);
  out.view.setUint32(start, n, true);
  out.view.setUint32(start + 4, late ? 1 : 0, true);
  out.align();
  let at = out.take(8 * n);
  out.f64.set(timeUs.subarray(lo, hi), at >> 3);
  at = out.take(8 * n);
  out.i64.set(id.subarray(lo, hi), at >> 3);
  if (late) {
    at = out.take(8 * n);
    out.f64.set(arrivalUs!.subarray(lo, hi), at >> 3);
  }
  for (let c = 0; c < columns.length; c++) {
    const units = (out.length - start) >> 3;
    const nulls = writeColumn(out, columns[c]!, lo, hi);
    out.view.setUint32(start + 8 + 4 * c, (units << 2) | nulls, true);
  }
}

/** A section of rows in a page, read in place: columns are decoded when they are asked for. */
export class RowsView {
  readonly length: number;
  readonly #page: PageBytes;
  readonly #at: number;
  /** Where the times begin in the page. */
  readonly #timesAt: number;
  readonly #late: boolean;
  readonly #dtypes: readonly Dtype[];
  readonly #columns: (Column | undefined)[] = [];

  constructor(page: PageBytes, at: number, dtypes: readonly Dtype[]) {
    this.#page = page;
    this.#at = at;
    this.#dtypes = dtypes;
    this.length = page.view.getUint32(at, true);
    this.#timesAt = Math.ceil((at + 8 + 4 * dtypes.length) / 8) * 8;
    this.#late = page.view.getUint32(at + 4, true) === 1;
  }

  /** Event time of a row. */
  timeUs(row: number): number {
    return this.#page.view.getFloat64(this.#timesAt + 8 * row, true);
  }

  /** Where the k-th column of 8 bytes begins in the buffer: times, ids, arrival times. */
  #times(k: number): number {
    return this.#page.bytes.byteOffset + this.#timesAt + 8 * k * this.length;
  }

  column(c: number): Column {
    return (this.#columns[c] ??= this.#read(c));
  }

  /** One value of a column, of which no more is decoded than it takes. */
  value(c: number, row: number): Scalar | null {
    const dtype = this.#dtypes[c]!;
    const place = this.#page.view.getUint32(this.#at + 8 + 4 * c, true);
    const at = this.#at + (place >>> 2) * 8;
    const value = readValue(this.#page, at, dtype, place & 3, row);
    return value === undefined ? scalarAt(this.cell(c, row), 0) : value;
  }

  /** One row of a column, as a column of its own: for who needs only that row of text. */
  cell(c: number, row: number): Column {
    const dtype = this.#dtypes[c]!;
    const decoded = this.#columns[c];
    if (decoded !== undefined || dtype.kind !== 'string') return gather(this.column(c), [row]);
    const place = this.#page.view.getUint32(this.#at + 8 + 4 * c, true);
    const at = this.#at + (place >>> 2) * 8;
    return columnOf(dtype, [readText(this.#page, at, this.length, place & 3, row)]);
  }

  #read(c: number): Column {
    const place = this.#page.view.getUint32(this.#at + 8 + 4 * c, true);
    const at = this.#at + (place >>> 2) * 8;
    return readColumn(this.#page, at, this.#dtypes[c]!, this.length, place & 3);
  }

  /** All rows; numbers are views of the page. */
  events(): Events {
    const { buffer } = this.#page.bytes;
    return {
      length: this.length,
      timeUs: new Float64Array(buffer, this.#times(0), this.length),
      arrivalUs: this.#late ? new Float64Array(buffer, this.#times(2), this.length) : null,
      id: new BigInt64Array(buffer, this.#times(1), this.length),
      columns: this.#dtypes.map((_, c) => this.column(c)),
    };
  }

  /** The greatest arrival; −∞ without rows. */
  newestArrivalUs(): number {
    let newestUs = Number.NEGATIVE_INFINITY;
    const arrivalUs = new Float64Array(
      this.#page.bytes.buffer,
      this.#times(this.#late ? 2 : 0),
      this.length,
    );
    for (let row = 0; row < arrivalUs.length; row++)
      if (arrivalUs[row]! > newestUs) newestUs = arrivalUs[row]!;
    return newestUs;
  }

  /** How many rows happened before `us`. */
  countBefore(us: number): number {
    let lo = 0;
    let hi = this.length;
    // Most reads come after everything.
    if (hi > 0 && this.timeUs(hi - 1) < us) return hi;
    while (lo < hi) {
      const middle = (lo + hi) >> 1;
      if (this.timeUs(middle) < us) lo = middle + 1;
      else hi = middle;
    }
    return lo;
  }
}
