/** The read time of a request. */
import type { Clock } from '../base/clock.ts';
import type { InstantUs } from '../base/time.ts';
import { timestamp } from '../types/dtype.ts';
import { scalarFromText } from './keys.ts';

/**
 * `at` as ISO 8601 or whole microseconds since 1970; without it, now. `readUs` is what the pages are read at: events
 * strictly before it count, so `through` adds one microsecond.
 */
export function readTime(
  clock: Clock,
  at: string | undefined,
  through: boolean,
): { atUs: InstantUs; readUs: InstantUs } {
  const atUs =
    at === undefined ? clock.nowUs() : (scalarFromText(at, timestamp, { field: 'at' }) as number);
  return { atUs, readUs: through ? atUs + 1 : atUs };
}
