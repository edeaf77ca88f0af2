/**
 * Arrival: when the store could first know an event. A log stamps with its own precision, often milliseconds, and clocks
 * go back; yet of two changes of one row the later one must win. So within a partition arrivals grow, whatever the stamps say.
 */
import type { InstantUs } from '../base/time.ts';

/** The arrival of a record, given that of the one before it in the partition (null: it is the first). */
export function arrivalOf(timestampUs: InstantUs, lastUs: InstantUs | null): InstantUs {
  return lastUs === null || timestampUs > lastUs ? timestampUs : lastUs + 1;
}
