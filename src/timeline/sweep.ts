/**
 * The offline sweep: values of all of a layout's features at many read times of one key, from its sorted events.
 * Bounds are found once a window by two pointers; then one loop an aggregate. Nothing is allocated a key.
 */
import { type Window, windowEnd, windowStart } from '../aggregate/window.ts';
import type { Column, ColumnBuilder } from '../types/column.ts';
import type { Events, Layout } from './layout.ts';
import { type Prepared, prepare } from './prepare.ts';

/** Bounds of every read time for one window: rows lo[i] to hi[i]. Grown, never shrunk. */
let lo = new Int32Array(1024);
let hi = new Int32Array(1024);

/**
 * Appends to out[r], for each read r of the layout, its value at each of readUs[readFrom…readTo): ascending read times,
 * each seeing what lies strictly before it. Rows from…to of `events` are one key's, resolved and sorted by (t, a, id).
 */
export function sweep(
  layout: Layout,
  events: Events,
  from: number,
  to: number,
  readUs: Float64Array,
  readFrom: number,
  readTo: number,
  out: readonly ColumnBuilder[],
): void {
  const prepared = prepare(layout);
  const n = readTo - readFrom;
  if (lo.length < n) {
    lo = new Int32Array(2 * n);
    hi = new Int32Array(2 * n);
  }
  let ended: Window | null = null;
  for (const { window, reads } of prepared.windows) {
    // Windows that differ in size alone end together.
    if (ended === null || window.delayUs !== ended.delayUs || window.hopUs !== ended.hopUs)
      ends(window, events.timeUs, from, to, readUs, readFrom, readTo);
    ended = window;
    starts(window, events.timeUs, from, readUs, readFrom, readTo);
    for (const read of reads) {
      const which = layout.reads[read]!.aggregate;
      const input = inputOf(prepared, events, which);
      // aggregateFor gives every aggregate a sweep.
      prepared.results[which]!.sweep!(input, lo, hi, n, out[read]!);
    }
  }
}

// Both edges move forward with T, for every kind of window; `last` only moves the left one nearer.

function ends(
  window: Window,
  timeUs: Float64Array,
  from: number,
  to: number,
  readUs: Float64Array,
  readFrom: number,
  readTo: number,
): void {
  const { hopUs, delayUs } = window;
  let right = from;
  for (let i = readFrom; i < readTo; i++) {
    // As `windowEnd`, for the most usual windows without a call a row.
    const end = hopUs === null ? readUs[i]! - delayUs : windowEnd(window, readUs[i]!);
    while (right < to && timeUs[right]! < end) right++;
    hi[i - readFrom] = right;
  }
}

/** Given `hi`. */
function starts(
  window: Window,
  timeUs: Float64Array,
  from: number,
  readUs: Float64Array,
  readFrom: number,
  readTo: number,
): void {
  const { hopUs, sinceStartOf, delayUs, last } = window;
  const size = hopUs === null && sinceStartOf === null ? window.sizeUs : null;
  let left = from;
  for (let i = readFrom; i < readTo; i++) {
    const right = hi[i - readFrom]!;
    const start = size === null ? windowStart(window, readUs[i]!) : readUs[i]! - delayUs - size;
    while (left < right && timeUs[left]! < start) left++;
    lo[i - readFrom] = last === null ? left : Math.max(left, right - last);
  }
}

/** The column that an aggregate of the layout takes; null for count(). */
export function inputOf(prepared: Prepared, events: Events, aggregate: number): Column | null {
  const { input } = prepared.layout.aggregates[aggregate]!;
  return input < 0 ? null : events.columns[input]!;
}
