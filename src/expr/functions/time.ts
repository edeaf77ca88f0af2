/** Parts of instants and dates, and the time between them; all in UTC. */
import type { CalendarUnit } from '../../base/time.ts';
import type { DateType, Dtype } from '../../types/dtype.ts';

/** Units to which a value of type D can be truncated: a date has no hours. */
export type TruncateUnit<D extends Dtype> = D extends DateType
  ? Exclude<CalendarUnit, 'second' | 'minute' | 'hour'>
  : CalendarUnit;

/** Units of a difference; a day is 86,400 s and a week 7 days. */
export type DiffUnit = 'us' | 'ms' | 's' | 'm' | 'h' | 'd' | 'w';
