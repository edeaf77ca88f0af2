import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock, systemClock } from '../../src/base/clock.ts';

test('the system clock tells whole microseconds, near the time of day, and never goes back', () => {
  const before = Date.now();
  const now = systemClock.nowUs();
  assert.ok(Number.isSafeInteger(now));
  assert.ok(Math.abs(now / 1000 - before) < 60_000);
  const earlier = systemClock.monotonicMs();
  assert.ok(earlier <= systemClock.monotonicMs());
});

test('a manual clock moves only when told', () => {
  const clock = manualClock(5_000);
  clock.advanceUs(1_000);
  assert.equal(clock.nowUs(), 6_000);
  assert.equal(clock.monotonicMs(), 6);
});
