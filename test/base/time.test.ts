import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type CalendarUnit,
  civilFromDays,
  daysFromCivil,
  endOfUnit,
  floorInstant,
  formatDate,
  formatInstant,
  MAX_INSTANT_US,
  MIN_INSTANT_US,
  parseDate,
  parseInstant,
  US_PER_DAY,
} from '../../src/base/time.ts';
import { cases } from '../support/cases.ts';

const instant = fc.integer({ min: MIN_INSTANT_US, max: MAX_INSTANT_US });
const unreadable = { code: 'time/unreadable' };

test('an ISO date-time is read as microseconds, UTC unless it says otherwise', () => {
  const table: [string, number][] = [
    ['1970-01-01', 0],
    ['1970-01-01T00:00:00Z', 0],
    ['1970-01-01T00:00:00.000001Z', 1],
    ['1969-12-31T23:59:59.999999Z', -1],
    ['1969-12-31 23:59:59.999999', -1],
    ['1970-01-01T01:00+01:00', 0],
    ['1970-01-01T00:30:00-0030', 3_600_000_000],
    ['1970-01-01t05:30:00,5+05:30', 500_000],
    ['1970-01-01 00:00:00 UTC', 0],
    ['1970-01-01T00:00:00.123456000Z', 123_456],
    ['1900-01-01T00:00:00Z', -2_208_988_800_000_000],
    ['2200-01-01', 7_258_118_400_000_000],
    ['2000-02-29', 951_782_400_000_000],
    ['2024-02-29T23:59:59.999999Z', 1_709_251_199_999_999],
    ['+002024-01-01', 1_704_067_200_000_000],
    [' 2024-01-01 ', 1_704_067_200_000_000],
  ];
  for (const [text, us] of table) assert.ok(Object.is(parseInstant(text), us), text);
});

test('what is not an instant is refused, never bent into one', () => {
  for (const text of [
    '',
    'today',
    '2024',
    '2024-01',
    '2024-1-1',
    '2024-02-30',
    '2023-02-29',
    '1900-02-29',
    '2024-00-01',
    '2024-13-01',
    '2024-01-00',
    '2024-01-01T24:00:00Z',
    '2024-01-01T12',
    '2024-01-01T12:60:00Z',
    '2024-01-01T12:00:60Z',
    '2024-01-01T12:00:00.1234567Z',
    '2024-01-01T12:00:00+25:00',
    '2024-01-01T12:00:00+01:75',
    '2024-01-01Z',
    '1683-01-01',
    '2256-01-01',
    '9999-12-31T00:00:00Z',
  ])
    assert.throws(() => parseInstant(text), unreadable, text);
});

test('every instant reads back as itself', () => {
  fc.assert(
    fc.property(instant, (us) => Object.is(parseInstant(formatInstant(us)), us)),
    { numRuns: cases(2000) },
  );
});

test('a day that was read before changes nothing of how its times are read', () => {
  const told = (text: string) => {
    try {
      return parseInstant(text);
    } catch (error) {
      return (error as Error).message.replaceAll(' ', '');
    }
  };
  const day = fc.constantFrom(
    '1970-01-01',
    '2024-02-29',
    '2024-03-01',
    '1684-01-02',
    '2255-06-05',
    '2024-02-30',
  );
  const digits = fc.constantFrom('00', '09', '23', '24', '59', '60', '7', '1a');
  const end = fc.constantFrom(
    'Z',
    '.5Z',
    '.123456Z',
    '.1234567Z',
    '.1234560Z',
    '.Z',
    '.12x456Z',
    ',5Z',
    'z',
    '',
    '+01:00',
    ' Z',
  );
  fc.assert(
    fc.property(
      day,
      digits,
      digits,
      digits,
      end,
      fc.constantFrom('T', ' '),
      (d, h, m, s, rest, t) => {
        const text = `${d}${t}${h}:${m}:${s}${rest}`;
        // What begins with a space is not looked for among known days.
        const anew = told(` ${text}`);
        told(`${d}T00:00:00Z`);
        assert.ok(Object.is(told(text), anew), text);
      },
    ),
    { numRuns: 5_000 },
  );
});

test('instants agree with the Date of the platform, to the millisecond', () => {
  fc.assert(
    fc.property(fc.integer({ min: -9_007_199_254_740, max: 9_007_199_254_740 }), (ms) => {
      const iso = new Date(ms).toISOString();
      assert.equal(formatInstant(ms * 1000).slice(0, 19), iso.slice(0, 19));
      assert.equal(parseInstant(iso), ms * 1000);
    }),
    { numRuns: cases(2000) },
  );
});

test('a fraction is written only where there is one', () => {
  assert.equal(formatInstant(0), '1970-01-01T00:00:00Z');
  assert.equal(formatInstant(1000), '1970-01-01T00:00:00.001Z');
  assert.equal(formatInstant(-1), '1969-12-31T23:59:59.999999Z');
});

test('days count both ways, through leap years and before 1970', () => {
  assert.equal(daysFromCivil(1970, 1, 1), 0);
  assert.equal(daysFromCivil(2000, 3, 1) - daysFromCivil(2000, 2, 28), 2);
  assert.equal(daysFromCivil(1900, 3, 1) - daysFromCivil(1900, 2, 28), 1);
  fc.assert(
    fc.property(fc.integer({ min: -100_000_000, max: 100_000_000 }), (days) => {
      const { year, month, day } = civilFromDays(days);
      assert.equal(daysFromCivil(year, month, day), days);
      const date = new Date(days * 86_400_000);
      assert.deepEqual(
        [year, month, day],
        [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()],
      );
      assert.ok(Object.is(parseDate(formatDate(days)), days));
    }),
    { numRuns: cases(2000) },
  );
});

test('a date may be any year, and a midnight is its day', () => {
  assert.equal(formatDate(parseDate('9999-12-31')), '9999-12-31');
  assert.equal(formatDate(parseDate('0001-01-01')), '0001-01-01');
  assert.equal(formatDate(parseDate('-000044-03-15')), '-000044-03-15');
  assert.equal(parseDate('1970-01-02T00:00:00Z'), 1);
  assert.throws(() => parseDate('1970-01-02T00:00:01Z'), unreadable);
  assert.throws(() => parseDate('2023-02-29'), unreadable);
});

test('the start of a calendar unit holds its instant, and is its own start', () => {
  const units: CalendarUnit[] = [
    'second',
    'minute',
    'hour',
    'day',
    'week',
    'month',
    'quarter',
    'year',
  ];
  const inside = fc.integer({
    min: parseInstant('1690-01-01'),
    max: parseInstant('2250-01-01'),
  });
  fc.assert(
    fc.property(inside, fc.constantFrom(...units), (us, unit) => {
      const start = floorInstant(us, unit);
      assert.ok(start <= us && floorInstant(start, unit) === start);
      assert.ok(floorInstant(start - 1, unit) < start, 'one microsecond earlier is another unit');
      assert.ok(us - start < 366 * US_PER_DAY);
      const end = endOfUnit(us, unit);
      assert.ok(us < end && floorInstant(end - 1, unit) === start);
      assert.equal(floorInstant(end, unit), end);
      const date = new Date(start / 1000);
      if (unit === 'week') assert.equal(date.getUTCDay(), 1);
      if (unit === 'month') assert.equal(date.getUTCDate(), 1);
      if (unit === 'quarter') assert.equal(date.getUTCMonth() % 3, 0);
      if (unit === 'year') assert.equal(date.toISOString().slice(4), '-01-01T00:00:00.000Z');
    }),
    { numRuns: cases(2000) },
  );
  assert.equal(floorInstant(parseInstant('1969-12-31'), 'week'), parseInstant('1969-12-29'));
  assert.equal(floorInstant(parseInstant('2024-02-29'), 'quarter'), parseInstant('2024-01-01'));
});
