/** Parts of instants and dates, and the time between them; all in UTC, all null where an argument is. */
import {
  type CalendarUnit,
  civilFromDays,
  daysFromCivil,
  floorInstant,
  US_PER_DAY,
  US_PER_HOUR,
  US_PER_MINUTE,
  US_PER_MS,
  US_PER_SECOND,
} from '../../base/time.ts';
import type { Column } from '../../types/column.ts';
import { type DateType, type Dtype, float64, int32 } from '../../types/dtype.ts';
import { MAX_DATE_DAYS } from '../../types/scalar.ts';
import { overflow } from './arithmetic.ts';
import {
  badParam,
  type ExprFunction,
  expectArgs,
  intParam,
  type Params,
  TIME,
  TIMESTAMP,
  type Wanted,
} from './function.ts';
import { strictKernel } from './kernels.ts';

/** Units to which a value of type D can be truncated: a date has no hours. */
export type TruncateUnit<D extends Dtype> = D extends DateType
  ? Exclude<CalendarUnit, 'second' | 'minute' | 'hour'>
  : CalendarUnit;

const DIFF_UNIT_US = {
  us: 1,
  ms: US_PER_MS,
  s: US_PER_SECOND,
  m: US_PER_MINUTE,
  h: US_PER_HOUR,
  d: US_PER_DAY,
  w: 7 * US_PER_DAY,
};

/** Units of a difference; a day is 86,400 s and a week 7 days. */
export type DiffUnit = keyof typeof DIFF_UNIT_US;

const ticks = (column: Column) => column.data as ArrayLike<number>;

/** Days since 1970-01-01 and microseconds into the day of a timestamp or date. */
function dayAndTime(column: Column): readonly [(row: number) => number, (row: number) => number] {
  const data = ticks(column);
  if (column.kind === 'date') return [(row) => data[row]!, () => 0];
  const day = (row: number) => Math.floor(data[row]! / US_PER_DAY);
  return [day, (row) => data[row]! - day(row) * US_PER_DAY];
}

function part(
  name: string,
  doc: string,
  wanted: Wanted,
  rule: (day: number, timeUs: number) => number,
): ExprFunction {
  return {
    name,
    signature: `${name}(x: ${wanted.text}) → int32`,
    doc,
    type: (args) => {
      expectArgs(name, args, wanted);
      return int32;
    },
    bind: () =>
      strictKernel(int32, ([x]) => {
        const [day, time] = dayAndTime(x!);
        return (row) => rule(day(row), time(row));
      }),
  };
}

export const hour = part('hour', 'Hour of the day, 0 to 23.', TIMESTAMP, (_day, us) =>
  Math.floor(us / US_PER_HOUR),
);
export const minute = part(
  'minute',
  'Minute of the hour, 0 to 59.',
  TIMESTAMP,
  (_day, us) => Math.floor(us / US_PER_MINUTE) % 60,
);
export const dayOfWeek = part(
  'day_of_week',
  'ISO day of the week, 1 (Monday) to 7 (Sunday).',
  TIME,
  (day) => isoWeekday(day),
);
export const day = part('day', 'Day of the month, 1 to 31.', TIME, (d) => civilFromDays(d).day);
export const month = part(
  'month',
  'Month of the year, 1 to 12.',
  TIME,
  (d) => civilFromDays(d).month,
);
export const year = part('year', 'Calendar year.', TIME, (d) => civilFromDays(d).year);
export const weekOfYear = part(
  'week_of_year',
  'ISO 8601 week, 1 to 53: the week belongs to the year that its Thursday is in.',
  TIME,
  (d) => {
    const thursday = d - isoWeekday(d) + 4;
    const newYear = daysFromCivil(civilFromDays(thursday).year, 1, 1);
    return Math.floor((thursday - newYear) / 7) + 1;
  },
);

function isoWeekday(days: number): number {
  // 1970-01-01 was a Thursday, day 4.
  return ((((days + 3) % 7) + 7) % 7) + 1;
}

const DATE_UNITS: readonly unknown[] = ['day', 'week', 'month', 'quarter', 'year'];
const TIMESTAMP_UNITS: readonly unknown[] = ['second', 'minute', 'hour', ...DATE_UNITS];

export const truncate: ExprFunction = {
  name: 'truncate',
  signature: 'truncate(x: timestamp or date, unit) → the same type',
  doc: 'Start of the second, minute, hour, day, week (Monday), month, quarter or year that holds x.',
  type: (args, params) => {
    expectArgs('truncate', args, TIME);
    const units = args[0]!.kind === 'date' ? DATE_UNITS : TIMESTAMP_UNITS;
    if (!units.includes(params.unit))
      throw badParam('truncate', 'unit', params.unit, `one of ${units.join(', ')}`);
    return args[0]!;
  },
  bind: (_args, params, output) => {
    const unit = params.unit as CalendarUnit;
    return strictKernel(output, ([x], fail) => {
      const data = ticks(x!);
      return (row) => {
        const start =
          output.kind === 'date'
            ? floorInstant(data[row]! * US_PER_DAY, unit) / US_PER_DAY
            : floorInstant(data[row]!, unit);
        if (inRange(start, output)) return start;
        return fail(row, () => overflow(`truncate(${data[row]}, ${unit})`, output));
      };
    });
  },
};

function inRange(value: number, { kind }: Dtype): boolean {
  return kind === 'date' ? Math.abs(value) <= MAX_DATE_DAYS : Number.isSafeInteger(value);
}

export const diff: ExprFunction = {
  name: 'diff',
  signature: 'diff(a: timestamp or date, b: timestamp or date, unit) → float64',
  doc: 'a − b in us, ms, s, m, h, d or w, with its fraction; a date counts as its midnight.',
  type: (args, params) => {
    expectArgs('diff', args, TIME, TIME);
    unitOf(params);
    return float64;
  },
  bind: (_args, params) => {
    const unitUs = unitOf(params);
    return strictKernel(float64, ([a, b]) => {
      const [dayA, timeA] = dayAndTime(a!);
      const [dayB, timeB] = dayAndTime(b!);
      return (row) => {
        const days = dayA(row) - dayB(row);
        return (days * US_PER_DAY + (timeA(row) - timeB(row))) / unitUs;
      };
    });
  },
};

function unitOf({ unit }: Params): number {
  if (typeof unit !== 'string' || !Object.hasOwn(DIFF_UNIT_US, unit))
    throw badParam('diff', 'unit', unit, `one of ${Object.keys(DIFF_UNIT_US).join(', ')}`);
  return DIFF_UNIT_US[unit as DiffUnit];
}

export const daysSince: ExprFunction = {
  name: 'days_since',
  signature: 'days_since(a: timestamp or date, b: timestamp or date) → int32',
  doc: 'Whole periods of 24 hours from b to a, rounded down; negative if a is before b.',
  type: (args) => {
    expectArgs('days_since', args, TIME, TIME);
    return int32;
  },
  bind: () =>
    strictKernel(int32, ([a, b]) => {
      const [dayA, timeA] = dayAndTime(a!);
      const [dayB, timeB] = dayAndTime(b!);
      return (row) => dayA(row) - dayB(row) - (timeA(row) < timeB(row) ? 1 : 0);
    }),
};

export const plus: ExprFunction = {
  name: 'plus',
  signature: 'plus(x: timestamp or date, us) → the same type',
  doc: 'The instant or date that much later; us is microseconds, for a date whole days.',
  type: (args, params) => {
    expectArgs('plus', args, TIME);
    const us = intParam('plus', params, 'us', -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    if (args[0]!.kind === 'date' && us % US_PER_DAY !== 0)
      throw badParam(
        'plus',
        'us',
        us,
        'whole days (86,400,000,000 each) when it is added to a date',
      );
    return args[0]!;
  },
  bind: ([from], params, output) => {
    const step = (params.us as number) / (from!.kind === 'date' ? US_PER_DAY : 1);
    return strictKernel(output, ([x], fail) => {
      const data = ticks(x!);
      return (row) => {
        const moved = data[row]! + step;
        if (inRange(moved, output)) return moved;
        return fail(row, () => overflow(`${data[row]} plus ${step}`, output));
      };
    });
  },
};
