/** Why a value is what it is. The status speaks of the stored value; a feature's default may still stand in for a null. */
export const STATUSES = [
  'PRESENT',
  'NULL_VALUE',
  'NOT_FOUND',
  'OUTSIDE_MAX_AGE',
  'TIMED_OUT',
] as const;

/**
 * PRESENT: a value. NULL_VALUE: the entity is known, the value is null. NOT_FOUND: no event of the entity lies before T.
 * OUTSIDE_MAX_AGE: the newest row is older than the feature's ttl. TIMED_OUT: it did not come in the time that the request gave.
 */
export type Status = (typeof STATUSES)[number];
