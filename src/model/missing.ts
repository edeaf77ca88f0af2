/** Why a value is what it is. */
import { MAX_FALLBACKS } from './limits.ts';

/** What is known of a value that is stored, before anything stands in for it. */
export const STORED_STATUSES = ['PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE'] as const;

/**
 * PRESENT: a value. NULL_VALUE: the entity is known, the value is null. NOT_FOUND: no event of the entity lies before T.
 * OUTSIDE_MAX_AGE: the newest row is older than the feature's ttl.
 */
export type StoredStatus = (typeof STORED_STATUSES)[number];

/** The value is that of the fallback of this number, counted from 1. */
export type FallbackStatus = `FALLBACK_${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8}`;

/**
 * What is known of a value that is answered: as of a stored one, and DEFAULTED: the feature's default stands in.
 * FALLBACK_n: its n-th fallback does. STALE: it is withheld, because its view is behind what it promises.
 * TIMED_OUT: it did not come in the time that the request gave.
 */
export type Status = StoredStatus | 'DEFAULTED' | FallbackStatus | 'STALE' | 'TIMED_OUT';

const FALLBACK_STATUSES = Array.from({ length: MAX_FALLBACKS }, (_, i) => fallbackStatus(i + 1));

/** Every status that an answer may have. */
export const STATUSES: readonly Status[] = [
  ...STORED_STATUSES,
  'DEFAULTED',
  ...FALLBACK_STATUSES,
  'STALE',
  'TIMED_OUT',
];

/** The status of a value that comes from the fallback of this number, counted from 1. */
export function fallbackStatus(level: number): FallbackStatus {
  return `FALLBACK_${level}` as FallbackStatus;
}
