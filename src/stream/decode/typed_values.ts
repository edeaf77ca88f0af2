/** Values of typed formats (Arrow, Avro, Protobuf, Debezium) as `coerce` reads them into a column's type: exactly, or not at all. */
import { SamewiseError } from '../../base/errors.ts';
import { US_PER_DAY } from '../../base/time.ts';
import type { Dtype } from '../../types/dtype.ts';

/** How many of a unit are a second. */
export type PerSecond = 1 | 1_000 | 1_000_000 | 1_000_000_000;

const US_PER_DAY_BIG = BigInt(US_PER_DAY);

/**
 * An instant counted in a unit since 1970, for a column of `dtype`: microseconds for a timestamp, days for a date if it is
 * a midnight. A column of any other type takes the bare count. Digits beyond the microsecond are refused, unless they are zeros.
 */
export function instantFor(dtype: Dtype, count: number | bigint, perSecond: PerSecond): unknown {
  if (dtype.kind !== 'timestamp' && dtype.kind !== 'date') return count;
  if (dtype.kind === 'timestamp' && typeof count === 'number' && perSecond <= 1_000_000)
    return count * (1_000_000 / perSecond);
  const us = microseconds(BigInt(count), perSecond);
  if (dtype.kind === 'timestamp') return us;
  if (us % US_PER_DAY_BIG !== 0n)
    throw new SamewiseError('types/wrong-type', 'an instant with a time of day is not a date');
  return Number(us / US_PER_DAY_BIG);
}

function microseconds(count: bigint, perSecond: PerSecond): bigint {
  if (perSecond <= 1_000_000) return count * BigInt(1_000_000 / perSecond);
  if (count % 1_000n !== 0n) {
    throw new SamewiseError(
      'types/out-of-range',
      `${count} ns has digits beyond the microsecond, which a timestamp does not keep`,
      { hint: 'declare the column as int64 to keep nanoseconds' },
    );
  }
  return count / 1_000n;
}

/** A day counted since 1970, for a column of `dtype`: its midnight for a timestamp; for any other type the bare count. */
export function dayFor(dtype: Dtype, days: number): unknown {
  return dtype.kind === 'timestamp' ? days * US_PER_DAY : days;
}

/**
 * A decimal number `unscaled` / 10^`scale`, for a column of `dtype`: its text for a string, the nearest float for a float,
 * a whole number for an int if it is one.
 */
export function decimalFor(dtype: Dtype, unscaled: bigint, scale: number): unknown {
  switch (dtype.kind) {
    case 'string':
      return decimalText(unscaled, scale);
    case 'float32':
    case 'float64':
      return Number(decimalText(unscaled, scale));
    default:
      return wholeOf(unscaled, scale) ?? decimalText(unscaled, scale);
  }
}

/** The whole number that a decimal is; null if it has a fraction. */
function wholeOf(unscaled: bigint, scale: number): bigint | null {
  if (scale <= 0) return unscaled * 10n ** BigInt(-scale);
  const power = 10n ** BigInt(scale);
  return unscaled % power === 0n ? unscaled / power : null;
}

/** As a database prints it: `scale` digits after the point. */
function decimalText(unscaled: bigint, scale: number): string {
  if (scale <= 0) return String(unscaled * 10n ** BigInt(-scale));
  const sign = unscaled < 0n ? '-' : '';
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** A two's complement number of any length, highest byte first. */
export function bigEndian(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  const value = BigInt(`0x${bytes.toHex()}`);
  return BigInt.asIntN(bytes.length * 8, value);
}

const DECIMAL = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;

/** The text of a number for a column of a numeric `dtype`; a text that is none is left to `coerce` to refuse. */
export function numberOfText(dtype: Dtype, text: string): unknown {
  if (!DECIMAL.test(text)) return text;
  if (dtype.kind !== 'int64') return Number(text);
  const [whole, fraction = ''] = text.split('.');
  return /^0*$/.test(fraction) ? whole : text;
}
