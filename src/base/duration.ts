/** Durations as people write them: `500ms 30s 5m 1h 7d`; a day is 86,400 s. Held in microseconds. */
import { SamewiseError } from './errors.ts';
import {
  type DurationUs,
  US_PER_DAY,
  US_PER_HOUR,
  US_PER_MINUTE,
  US_PER_MS,
  US_PER_SECOND,
} from './time.ts';

/** A number and a unit; any other unit does not compile. */
export type DurationText = `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

const UNIT_US: Record<string, number> = {
  ms: US_PER_MS,
  s: US_PER_SECOND,
  m: US_PER_MINUTE,
  h: US_PER_HOUR,
  d: US_PER_DAY,
};

/** Reads a duration that is more than zero and a whole number of microseconds. */
export function parseDuration(text: string): DurationUs {
  const us = exactProduct(/^(\d+)(?:\.(\d+))?(ms|s|m|h|d)$/.exec(text));
  if (!Number.isSafeInteger(us) || us <= 0) {
    throw new SamewiseError('time/bad-duration', `${JSON.stringify(text)} is not a duration`, {
      hint: 'write a positive number and one of ms, s, m, h, d: 500ms, 30s, 5m, 1h, 7d',
    });
  }
  return us;
}

/** Whole and decimal digits times the unit, exactly (1.005 × 1000 in float64 is not 1005); NaN if that is not whole. */
function exactProduct(match: RegExpExecArray | null): number {
  if (match === null) return Number.NaN;
  const [, whole, decimals = '', unit] = match;
  const scale = 10n ** BigInt(decimals.length);
  const product = BigInt(whole! + decimals) * BigInt(UNIT_US[unit!]!);
  return product % scale === 0n ? Number(product / scale) : Number.NaN;
}

/** The shortest text that reads back as the same duration. */
export function formatDuration(us: DurationUs): string {
  for (const unit of ['d', 'h', 'm', 's'] as const)
    if (us % UNIT_US[unit]! === 0) return `${us / UNIT_US[unit]!}${unit}`;
  const decimals = us % US_PER_MS;
  const ms = (us - decimals) / US_PER_MS;
  return decimals === 0 ? `${ms}ms` : `${ms}.${String(decimals).padStart(3, '0')}ms`;
}
