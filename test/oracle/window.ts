/** The windows, straight from the semantics table: does a read at T see an event at t? Dates by Date, times by bigint. */
import type { Window } from '../../src/aggregate/window.ts';

export function sees(window: Window, readUs: number, eventUs: number): boolean {
  const hop = BigInt(window.hopUs ?? 1);
  const at = BigInt(readUs);
  const floored = at - (((at % hop) + hop) % hop);
  const end = floored - BigInt(window.delayUs);
  const t = BigInt(eventUs);
  if (t >= end) return false;
  if (window.sizeUs !== null) return t >= end - BigInt(window.sizeUs);
  return window.sinceStartOf === null || t >= startOf(window.sinceStartOf, end);
}

/** Which of the events (ascending) a read sees, with `last` applied. */
export function seen(window: Window, readUs: number, eventsUs: readonly number[]): number[] {
  const rows = eventsUs.map((_, row) => row).filter((row) => sees(window, readUs, eventsUs[row]!));
  return window.last === null ? rows : rows.slice(-window.last);
}

function startOf(unit: NonNullable<Window['sinceStartOf']>, us: bigint): bigint {
  const date = new Date(Number((us - (((us % 1000n) + 1000n) % 1000n)) / 1000n));
  if (unit === 'hour') date.setUTCMinutes(0, 0, 0);
  else date.setUTCHours(0, 0, 0, 0);
  if (unit === 'week') date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
  if (unit === 'month' || unit === 'year') date.setUTCDate(1);
  if (unit === 'year') date.setUTCMonth(0);
  return BigInt(date.getTime()) * 1000n;
}
