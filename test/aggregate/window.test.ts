/** The window predicate against the semantics table, on its edges and before 1970. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  LIFETIME,
  type Window,
  windowEnd,
  windowReach,
  windowStart,
} from '../../src/aggregate/window.ts';
import { parseInstant, US_PER_DAY, US_PER_HOUR } from '../../src/base/time.ts';
import { seen, sees } from '../oracle/window.ts';
import { cases } from '../support/cases.ts';

const windows: fc.Arbitrary<Window> = fc
  .record({
    hop: fc.option(fc.constantFrom(1, 7, 60_000_000, US_PER_HOUR)),
    size: fc.option(fc.integer({ min: 1, max: 50 })),
    delay: fc.nat({ max: 5 }),
    since: fc.option(fc.constantFrom('hour', 'day', 'week', 'month', 'year')),
    last: fc.option(fc.integer({ min: 1, max: 4 })),
    unit: fc.constantFrom(1, 1000, US_PER_HOUR, US_PER_DAY),
  })
  .map(({ hop, size, delay, since, last, unit }) => ({
    sizeUs: size === null || since !== null ? null : size * (hop ?? unit),
    delayUs: delay * (hop ?? unit),
    hopUs: hop,
    sinceStartOf: since as Window['sinceStartOf'],
    last,
  }));
const times = fc.oneof(
  fc.integer({ min: -100, max: 100 }),
  fc.integer({ min: -80_000, max: 80_000 }).map((days) => days * US_PER_DAY),
  fc.integer({ min: parseInstant('1900-01-01'), max: parseInstant('2200-01-01') }),
);

test('an event is in the window iff the table says so; also on both edges and a microsecond beside', () => {
  fc.assert(
    fc.property(windows, times, times, (window, readUs, otherUs) => {
      const [start, end] = [windowStart(window, readUs), windowEnd(window, readUs)];
      const edges = [start, end].filter(Number.isFinite).flatMap((t) => [t - 1, t, t + 1]);
      for (const t of [...edges, otherUs, readUs]) {
        assert.equal(start <= t && t < end, sees(window, readUs, t), `${t} at ${readUs}`);
        if (window.last === null && sees(window, readUs, t))
          assert.ok(t >= windowReach(window, readUs));
      }
    }),
    { numRuns: cases(3000) },
  );
});

test('both edges move forward with the read time', () => {
  fc.assert(
    fc.property(windows, times, fc.nat({ max: 2 ** 40 }), (window, readUs, later) => {
      assert.ok(windowStart(window, readUs) <= windowStart(window, readUs + later));
      assert.ok(windowEnd(window, readUs) <= windowEnd(window, readUs + later));
    }),
    { numRuns: cases(1000) },
  );
});

test('some rows of the table by hand', () => {
  const at = parseInstant('2024-03-06T12:00:00Z');
  const over = { ...LIFETIME, sizeUs: US_PER_HOUR };
  assert.deepEqual(
    [at - US_PER_HOUR - 1, at - US_PER_HOUR, at - 1, at].map((t) => sees(over, at, t)),
    [false, true, true, false],
  );
  assert.equal(windowStart(LIFETIME, at), Number.NEGATIVE_INFINITY);
  assert.equal(windowStart({ ...LIFETIME, sinceStartOf: 'week' }, at), parseInstant('2024-03-04'));
  assert.equal(windowEnd({ ...over, hopUs: US_PER_DAY }, -1), -US_PER_DAY);
  assert.deepEqual(seen({ ...LIFETIME, last: 2 }, at, [at - 3, at - 2, at - 1, at]), [1, 2]);
  // Of a count of events nothing may be dropped, however old.
  assert.equal(windowReach({ ...LIFETIME, last: 2 }, at), Number.NEGATIVE_INFINITY);
});
