/** What holds of a source's stream where its definition says nothing. */
import { US_PER_DAY } from '../base/time.ts';
import type { StreamLocation } from './definitions.ts';

/** Pushed rows and records of JSON, answered when durable, a day ahead at most. */
export const DEFAULT_STREAM: StreamLocation = Object.freeze({
  topic: null,
  format: 'json',
  message: null,
  maxAheadUs: US_PER_DAY,
  acknowledge: 'durable',
});

/** How late events may be where a source does not say: what comes later is in history alone until it is reconciled. */
export const DEFAULT_LATENESS_US: number = US_PER_DAY;
