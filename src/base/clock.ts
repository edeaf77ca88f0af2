/** The clock, injected: everything above takes one, only app/ makes the real one. */
import type { InstantUs } from './time.ts';

export interface Clock {
  /** Wall time in microseconds since the epoch. */
  nowUs(): InstantUs;
  /** A monotonic reading in milliseconds, for measuring how long something took. */
  monotonicMs(): number;
}

/** The machine's clock. */
export const systemClock: Clock = {
  nowUs: () => Math.floor((performance.timeOrigin + performance.now()) * 1000),
  monotonicMs: () => performance.now(),
};

/** A clock that stands still until it is moved; for tests. */
export function manualClock(startUs: InstantUs): Clock & { advanceUs(by: number): void } {
  let now = startUs;
  return {
    nowUs: () => now,
    monotonicMs: () => now / 1000,
    advanceUs: (by) => {
      now += by;
    },
  };
}
