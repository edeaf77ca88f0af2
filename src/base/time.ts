/**
 * Instants: integer microseconds since 1970-01-01T00:00:00Z, held as a JS number
 * (exact between the years 1684 and 2255, which are also the limits we accept).
 */
import { SamewiseError } from './errors.ts';

export type InstantUs = number;
export type DurationUs = number;

export const US_PER_MS = 1_000;
export const US_PER_SECOND = 1_000_000;
export const US_PER_MINUTE = 60 * US_PER_SECOND;
export const US_PER_HOUR = 60 * US_PER_MINUTE;
export const US_PER_DAY = 24 * US_PER_HOUR;

export const MIN_INSTANT_US: InstantUs = -Number.MAX_SAFE_INTEGER;
export const MAX_INSTANT_US: InstantUs = Number.MAX_SAFE_INTEGER;

const ISO =
  /^(\d{4}|[+-]\d{6})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|z|UTC|[+-]\d{2}(?::?\d{2})?)?)?$/;

/**
 * Reads an ISO 8601 date or date-time; without an offset it is UTC.
 * Digits beyond the microsecond are refused rather than rounded, unless they are zeros.
 */
export function parseInstant(text: string): InstantUs {
  const plain = parsePlain(text);
  if (!Number.isNaN(plain)) return plain;
  const match = ISO.exec(text.trim());
  if (match === null) throw unreadable(text);
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', offset = 'Z'] =
    match;
  if (/[1-9]/.test(fraction.slice(6))) throw unreadable(text, 'more digits than microseconds');
  const days = existingDay(text, year!, month!, day!);
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59)
    throw unreadable(text, 'no such time of day');
  let offsetUs = 0;
  if (/^[+-]/.test(offset)) {
    const digits = offset.slice(1).replace(':', '').padEnd(4, '0');
    if (Number(digits.slice(0, 2)) > 23 || Number(digits.slice(2, 4)) > 59)
      throw unreadable(text, 'no such offset');
    offsetUs = (Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2, 4))) * US_PER_MINUTE;
    if (offset.startsWith('-')) offsetUs = -offsetUs;
  }
  const us =
    days * US_PER_DAY +
    (Number(hour) * 3600 + Number(minute) * 60 + Number(second)) * US_PER_SECOND +
    Number(fraction.slice(0, 6).padEnd(6, '0')) -
    offsetUs;
  if (!Number.isSafeInteger(us)) throw unreadable(text, 'outside the years 1684 to 2255');
  if (year!.length === 4 && Number.isSafeInteger((Math.abs(days) + 1) * US_PER_DAY)) {
    knownDay = `${year}-${month}-${day}T`;
    knownDayUs = days * US_PER_DAY;
  }
  return us + 0;
}

/** The day of the instant that was read last: events come in the order of time, nearly, and requests ask for now. */
let knownDay = 'none';
let knownDayUs = 0;

/** `hh:mm:ss` with up to six digits of a fraction and `Z`, on the known day. NaN: in another form, or no time of day. */
function parsePlain(text: string): number {
  const end = text.length - 1;
  if (end < 19 || end > 26 || !text.startsWith(knownDay) || text.charCodeAt(end) !== 90)
    return Number.NaN;
  if (text.charCodeAt(13) !== 58 || text.charCodeAt(16) !== 58) return Number.NaN;
  const hour = digitAt(text, 11) * 10 + digitAt(text, 12);
  const minute = digitAt(text, 14) * 10 + digitAt(text, 15);
  const second = digitAt(text, 17) * 10 + digitAt(text, 18);
  if (!(hour < 24 && minute < 60 && second < 60)) return Number.NaN;
  let micros = 0;
  if (end > 19) {
    if (text.charCodeAt(19) !== 46 || end === 20) return Number.NaN;
    for (let i = 20; i < 26; i++) micros = micros * 10 + (i < end ? digitAt(text, i) : 0);
  }
  return knownDayUs + (hour * 3600 + minute * 60 + second) * US_PER_SECOND + micros;
}

function digitAt(text: string, at: number): number {
  const digit = text.charCodeAt(at) - 48;
  return digit >= 0 && digit <= 9 ? digit : Number.NaN;
}

/**
 * Reads a calendar day as a count of days since 1970-01-01: `YYYY-MM-DD`, or ±YYYYYY-MM-DD for other years. Unlike an
 * instant it may be any year, since tables write 9999-12-31 for "never". A midnight in UTC is taken as its day.
 */
export function parseDate(text: string): number {
  const match = /^(\d{4}|[+-]\d{6})-(\d{2})-(\d{2})$/.exec(text.trim());
  if (match !== null) return existingDay(text, match[1]!, match[2]!, match[3]!);
  const us = parseInstant(text);
  if (us % US_PER_DAY !== 0) throw unreadable(text, 'a date has no time of day');
  return us / US_PER_DAY + 0;
}

function existingDay(text: string, year: string, month: string, day: string): number {
  const days = daysFromCivil(Number(year), Number(month), Number(day));
  const civil = civilFromDays(days);
  if (civil.month !== Number(month) || civil.day !== Number(day))
    throw unreadable(text, 'no such day');
  return days;
}

function unreadable(text: string, why = 'not an ISO 8601 date or date-time'): SamewiseError {
  return new SamewiseError(
    'time/unreadable',
    `cannot read the time ${JSON.stringify(text)}: ${why}`,
    {
      hint: 'write it like 2024-03-01T12:30:00Z or 2024-03-01 (UTC)',
    },
  );
}

/** The second that was written last, and how: many instants that are written one after the other share it. */
let lastSecond = Number.NaN;
let lastText = '';

/** ISO 8601 with `Z`; milliseconds or microseconds are written only where they are not zero. */
export function formatInstant(us: InstantUs): string {
  const second = Math.floor(us / US_PER_SECOND);
  const micros = us - second * US_PER_SECOND;
  if (second !== lastSecond) {
    lastText = formatSecond(second);
    lastSecond = second;
  }
  const fraction =
    micros === 0
      ? ''
      : micros % 1000 === 0
        ? `.${String(micros / 1000).padStart(3, '0')}`
        : `.${String(micros).padStart(6, '0')}`;
  return `${lastText}${fraction}Z`;
}

/** `YYYY-MM-DDThh:mm:ss` of a count of seconds since 1970. */
function formatSecond(second: number): string {
  const days = Math.floor(second / 86_400);
  const rest = second - days * 86_400;
  return `${formatDate(days)}T${TWO[Math.floor(rest / 3600)]}:${TWO[Math.floor(rest / 60) % 60]}:${TWO[rest % 60]}`;
}

/** Numbers below 60 with two digits. */
const TWO = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, '0'));

/** `YYYY-MM-DD` of a count of days since 1970-01-01; outside the years 0 to 9999 the year is written as ±YYYYYY. */
export function formatDate(days: number): string {
  const { year, month, day } = civilFromDays(days);
  const years =
    year >= 0 && year <= 9999
      ? String(year).padStart(4, '0')
      : `${year < 0 ? '-' : '+'}${String(Math.abs(year)).padStart(6, '0')}`;
  return `${years}-${TWO[month]}-${TWO[day]}`;
}

/** Days since 1970-01-01 of a proleptic Gregorian date (H. Hinnant, `chrono-Compatible Low-Level Date Algorithms`). */
export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** The inverse of `daysFromCivil`; month and day count from 1. */
export function civilFromDays(days: number): { year: number; month: number; day: number } {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1,
  };
}

export type CalendarUnit =
  | 'second'
  | 'minute'
  | 'hour'
  | 'day'
  | 'week'
  | 'month'
  | 'quarter'
  | 'year';

/** The first instant behind the calendar unit (UTC) that holds `us`. */
export function endOfUnit(us: InstantUs, unit: CalendarUnit): InstantUs {
  const startUs = floorInstant(us, unit);
  // From a start, this is within the next unit, and before its end.
  return floorInstant(startUs + LONGEST_US[unit], unit);
}

/** The most microseconds that a unit has. */
const LONGEST_US: Record<CalendarUnit, DurationUs> = {
  second: US_PER_SECOND,
  minute: US_PER_MINUTE,
  hour: US_PER_HOUR,
  day: US_PER_DAY,
  week: 7 * US_PER_DAY,
  month: 31 * US_PER_DAY,
  quarter: 92 * US_PER_DAY,
  year: 366 * US_PER_DAY,
};

/** The start of the calendar unit (UTC; weeks start on Monday) that holds `us`. */
export function floorInstant(us: InstantUs, unit: CalendarUnit): InstantUs {
  switch (unit) {
    case 'second':
      return Math.floor(us / US_PER_SECOND) * US_PER_SECOND;
    case 'minute':
      return Math.floor(us / US_PER_MINUTE) * US_PER_MINUTE;
    case 'hour':
      return Math.floor(us / US_PER_HOUR) * US_PER_HOUR;
    case 'day':
      return Math.floor(us / US_PER_DAY) * US_PER_DAY;
    case 'week': {
      // 1970-01-01 was a Thursday: Mondays are the days ≡ 4 (mod 7).
      const days = Math.floor(us / US_PER_DAY);
      return (Math.floor((days + 3) / 7) * 7 - 3) * US_PER_DAY;
    }
    default: {
      const { year, month } = civilFromDays(Math.floor(us / US_PER_DAY));
      const first = unit === 'year' ? 1 : unit === 'quarter' ? month - ((month - 1) % 3) : month;
      return daysFromCivil(year, first, 1) * US_PER_DAY;
    }
  }
}
