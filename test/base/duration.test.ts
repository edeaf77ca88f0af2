import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, parseDuration } from '../../src/base/duration.ts';
import { cases } from '../support/cases.ts';

test('durations are read exactly', () => {
  const table: [string, number][] = [
    ['500ms', 500_000],
    ['0.001ms', 1],
    ['1.005ms', 1_005],
    ['30s', 30_000_000],
    ['1.100000s', 1_100_000],
    ['5m', 300_000_000],
    ['1h', 3_600_000_000],
    ['1.5h', 5_400_000_000],
    ['7d', 604_800_000_000],
    ['36500d', 3_153_600_000_000_000],
  ];
  for (const [text, us] of table) assert.equal(parseDuration(text), us, text);
});

test('what is not a whole, positive number of microseconds is refused', () => {
  for (const text of ['', '5', 'd', '-1d', '0s', '1w', '1 d', '1e3s', '0.0001ms', '.5s', '200000d'])
    assert.throws(() => parseDuration(text), { code: 'time/bad-duration' }, text);
});

test('every duration reads back as itself', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), fc.integer({ min: 1 })),
      (us) => parseDuration(formatDuration(us)) === us,
    ),
    { numRuns: cases(2000) },
  );
  assert.equal(formatDuration(86_400_000_000), '1d');
  assert.equal(formatDuration(90_000_000), '90s');
  assert.equal(formatDuration(1), '0.001ms');
});
