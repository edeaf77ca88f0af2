/**
 * Which events are too late and which too early for pages. Both are decided by the records of the partition in their order and
 * nothing else, so that whoever reads them again decides the same.
 */
import type { InstantUs } from '../base/time.ts';
import type { Source } from '../model/index.ts';

/**
 * Whether an event is before the watermark: history alone takes it. `newestUs` is the greatest event time before it. A row of a
 * table under change is never late: it is what the table says now, however old it is.
 */
export function isLate(
  { mutable, latenessUs }: Source,
  timeUs: InstantUs,
  newestUs: InstantUs | null,
): boolean {
  return !mutable && newestUs !== null && timeUs < newestUs - latenessUs;
}

/** Whether an event claims to happen further after its arrival than its source allows: a clock is wrong, and would move the watermark. */
export function isTooFarAhead(
  { stream }: Source,
  timeUs: InstantUs,
  arrivalUs: InstantUs,
): boolean {
  return timeUs > arrivalUs + stream.maxAheadUs;
}
