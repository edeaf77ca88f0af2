/**
 * The window predicate: which events a read at T sees. The only place that knows a window's edges;
 * the timeline, the sweep and every engine call it.
 */
import type { CalendarUnit, DurationUs, InstantUs } from '../base/time.ts';
import { endOfUnit, floorInstant } from '../base/time.ts';

export interface Window {
  /** W of `over(W)`; null for a lifetime (or for `sinceStartOf`). */
  readonly sizeUs: DurationUs | null;
  /** d of `delay(d)`, 0 without. */
  readonly delayUs: DurationUs;
  /** h of `hop(h)`: the read time is first floored to a multiple of h. */
  readonly hopUs: DurationUs | null;
  /** `sinceStartOf("day")`: from the start of the calendar unit (UTC) of the read time. */
  readonly sinceStartOf: Exclude<CalendarUnit, 'second' | 'minute' | 'quarter'> | null;
  /** n of `overLast(n)`: of the events above, only the n newest by (t, a, id). */
  readonly last: number | null;
}

export const LIFETIME: Window = Object.freeze({
  sizeUs: null,
  delayUs: 0,
  hopUs: null,
  sinceStartOf: null,
  last: null,
});

/** The first event time inside the window of a read at `readUs` (inclusive); −∞ for a lifetime. */
export function windowStart(window: Window, readUs: InstantUs): number {
  if (window.sinceStartOf !== null)
    return floorInstant(windowEnd(window, readUs), window.sinceStartOf);
  return window.sizeUs === null
    ? Number.NEGATIVE_INFINITY
    : windowEnd(window, readUs) - window.sizeUs;
}

/** The first event time behind the window of a read at `readUs` (exclusive). */
export function windowEnd(window: Window, readUs: InstantUs): number {
  const floored = window.hopUs === null ? readUs : Math.floor(readUs / window.hopUs) * window.hopUs;
  return floored - window.delayUs;
}

/**
 * How long the window of a read at `readUs` sees the same rows: the last read time from then on for which it does.
 * `nextStartUs` and `nextEndUs` are the times of the first rows that are not before its start and not before its end.
 */
export function windowSteadyUntil(
  window: Window,
  readUs: InstantUs,
  nextStartUs: number,
  nextEndUs: number,
): number {
  const { delayUs, hopUs, sinceStartOf, sizeUs } = window;
  // Its edges stand still until the next hop.
  if (hopUs !== null) return Math.floor(readUs / hopUs) * hopUs + hopUs - 1;
  const endUs = windowEnd(window, readUs);
  if (sinceStartOf !== null)
    return Math.min(nextEndUs, endOfUnit(endUs, sinceStartOf) - 1) + delayUs;
  return Math.min(nextEndUs, nextStartUs + (sizeUs ?? Number.POSITIVE_INFINITY)) + delayUs;
}

/** The oldest event time that a read at or after `readUs` may need; −∞ where nothing may ever be dropped. */
export function windowReach(window: Window, readUs: InstantUs): number {
  return window.last !== null && window.sizeUs === null
    ? Number.NEGATIVE_INFINITY
    : windowStart(window, readUs);
}
