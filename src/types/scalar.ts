/**
 * Single values at the edge: what a person passes in or reads out.
 *
 * | dtype | scalar |
 * |---|---|
 * | bool | boolean |
 * | int32, float32, float64 | number (float32 already rounded to float32) |
 * | int64 | bigint |
 * | string | string |
 * | bytes | Uint8Array |
 * | timestamp | number: microseconds since the epoch |
 * | date | number: days since the epoch |
 * | list(T) | array of scalar or null |
 * | vector(n) | Float32Array of n |
 *
 * NaN never enters (an input error), and zero is always +0.
 */
import { inContext, SamewiseError, type Where } from '../base/errors.ts';
import { formatDate, formatInstant, parseDate, parseInstant } from '../base/time.ts';
import { type Dtype, float32, printDtype } from './dtype.ts';

export type Scalar =
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Float32Array
  | readonly (Scalar | null)[];

export const INT64_MIN = -(2n ** 63n);
export const INT64_MAX = 2n ** 63n - 1n;
/** Dates reach this many days to both sides of 1970-01-01: about 270,000 years, as a JS Date does. */
export const MAX_DATE_DAYS = 100_000_000;

/**
 * Turns what JSON, a JS row or a command line holds into a scalar of `dtype`, losing nothing:
 * a fraction is not an int, an int64 may be a bigint, a safe number or a string of digits, an instant may be
 * an ISO string, a Date or a number of microseconds. Null and undefined give null.
 * Throws `types/wrong-type`, `types/out-of-range` or `types/nan`, each with `where`.
 */
export function coerce(value: unknown, dtype: Dtype, where: Where = {}): Scalar | null {
  if (value === null || value === undefined) return null;
  const wrong = (hint?: string) =>
    new SamewiseError(
      'types/wrong-type',
      `${show(value)} is not a value of type ${printDtype(dtype)}`,
      { where, hint },
    );
  const range = () =>
    new SamewiseError(
      'types/out-of-range',
      `${show(value)} does not fit into ${printDtype(dtype)}`,
      { where },
    );
  switch (dtype.kind) {
    case 'bool':
      if (typeof value === 'boolean') return value;
      throw wrong('use true or false');
    case 'int32': {
      const n = typeof value === 'bigint' ? Number(value) : value;
      if (typeof n !== 'number') throw wrong('use a whole number');
      if (!Number.isInteger(n)) throw wrong('use a whole number');
      if (n !== (n | 0)) throw range();
      return n + 0;
    }
    case 'int64': {
      let n: bigint;
      if (typeof value === 'bigint') n = value;
      else if (typeof value === 'number') {
        if (!Number.isInteger(value)) throw wrong('use a whole number');
        if (!Number.isSafeInteger(value)) {
          throw new SamewiseError(
            'types/out-of-range',
            `${value} is beyond 2^53, where a JavaScript number is no longer exact`,
            {
              where,
              hint: 'pass a bigint, or a string of digits',
            },
          );
        }
        n = BigInt(value);
      } else if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) n = BigInt(value);
      else throw wrong('use a whole number, a bigint or a string of digits');
      if (n < INT64_MIN || n > INT64_MAX) throw range();
      return n;
    }
    case 'float32':
    case 'float64': {
      const special = typeof value === 'string' ? SPECIAL[value] : undefined;
      const n =
        special ??
        (typeof value === 'bigint' && BigInt(Number(value)) === value ? Number(value) : value);
      if (typeof n !== 'number') throw wrong('use a number');
      if (Number.isNaN(n))
        throw new SamewiseError('types/nan', 'NaN is not a value', {
          where,
          hint: 'use null for what is not known',
        });
      if (dtype.kind === 'float64') return n + 0;
      if (roundsToInfinity(n)) throw range();
      return Math.fround(n) + 0;
    }
    case 'string':
      if (typeof value !== 'string') throw wrong('use a string');
      // A lone surrogate has no UTF-8, so two such strings could become one key.
      if (!value.isWellFormed()) throw wrong('use well-formed Unicode');
      return value;
    case 'bytes':
      if (value instanceof Uint8Array) return value;
      if (typeof value === 'string') {
        try {
          return Uint8Array.fromBase64(value);
        } catch {
          throw wrong('use base64');
        }
      }
      throw wrong('use base64');
    case 'timestamp':
      if (value instanceof Date) return coerceInstant(value.getTime() * 1000, wrong);
      if (typeof value === 'bigint') return coerceInstant(Number(value), wrong);
      if (typeof value === 'number') return coerceInstant(value, wrong);
      if (typeof value === 'string') return inContext(where, () => parseInstant(value));
      throw wrong('use an ISO 8601 string or microseconds since 1970');
    case 'date':
      return coerceDate(value, where, wrong, range);
    case 'list':
      if (!Array.isArray(value)) throw wrong('use an array');
      return value.map((item) => coerce(item, dtype.of, where));
    case 'vector': {
      if (!(Array.isArray(value) || value instanceof Float32Array || value instanceof Float64Array))
        throw wrong('use an array of numbers');
      if (value.length !== dtype.size) {
        throw new SamewiseError(
          'types/wrong-type',
          `a vector of ${value.length} numbers is not a ${printDtype(dtype)}`,
          { where },
        );
      }
      return Float32Array.from(value as ArrayLike<unknown>, (item) => {
        const x = coerce(item, float32, where);
        if (x === null) throw wrong('use an array of numbers without nulls');
        return x as number;
      });
    }
  }
}

const SPECIAL: Record<string, number> = {
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

function coerceInstant(n: number, wrong: (hint?: string) => SamewiseError): number {
  if (!Number.isSafeInteger(n))
    throw wrong('use whole microseconds between the years 1684 and 2255');
  return n + 0;
}

function coerceDate(
  value: unknown,
  where: Where,
  wrong: (hint?: string) => SamewiseError,
  range: () => SamewiseError,
): number {
  const days =
    typeof value === 'string'
      ? inContext(where, () => parseDate(value))
      : value instanceof Date
        ? Math.floor(value.getTime() / 86_400_000)
        : value;
  if (typeof days !== 'number' || !Number.isInteger(days)) throw wrong('use YYYY-MM-DD');
  if (Math.abs(days) > MAX_DATE_DAYS) throw range();
  return days + 0;
}

/** A finite number that is infinite in float32: not the value that was given. */
function roundsToInfinity(n: number): boolean {
  return Number.isFinite(n) && !Number.isFinite(Math.fround(n));
}

function show(value: unknown): string {
  const text =
    typeof value === 'bigint'
      ? String(value)
      : typeof value === 'object'
        ? JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}` : v))
        : JSON.stringify(value);
  return text === undefined ? String(value) : text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Equality of bits: `Object.is` on every number, element by element in lists, vectors and bytes. */
export function sameScalar(a: Scalar | null, b: Scalar | null): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null)
    return Object.is(a, b);
  if (a.length !== b.length || Array.isArray(a) !== Array.isArray(b)) return false;
  for (let i = 0; i < a.length; i++)
    if (!sameScalar(a[i] as Scalar | null, b[i] as Scalar | null)) return false;
  return true;
}

/**
 * Total order of two non-null scalars of one ordered dtype; negative, 0 or positive.
 * Strings and bytes compare by their UTF-8 bytes, as the engines do.
 */
export function compareScalars(a: Scalar, b: Scalar): number {
  if (typeof a === 'string') return compareUtf8(a, b as string);
  if (a instanceof Uint8Array) return compareBytes(a, b as Uint8Array);
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Order of UTF-8 bytes, which is the order of code points (JS compares UTF-16 units). */
export function compareUtf8(a: string, b: string): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) {
      // A surrogate stands for a code point above every other unit.
      const xs = x >= 0xd800 && x <= 0xdfff;
      const ys = y >= 0xd800 && y <= 0xdfff;
      return xs === ys ? x - y : xs ? 1 : -1;
    }
  }
  return a.length - b.length;
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/**
 * The JSON text of a value: int64 as bare digits, instants as ISO 8601, dates as YYYY-MM-DD, bytes as base64,
 * infinities as the strings "Infinity" and "-Infinity".
 */
export function scalarToJsonText(value: Scalar | null, dtype: Dtype): string {
  if (value === null) return 'null';
  switch (dtype.kind) {
    case 'bool':
    case 'int32':
    case 'int64':
      return String(value);
    case 'float32':
    case 'float64':
      return Number.isFinite(value as number) ? String(value) : `"${value}"`;
    case 'string':
      return JSON.stringify(value);
    case 'bytes':
      return `"${(value as Uint8Array).toBase64()}"`;
    case 'timestamp':
      return `"${formatInstant(value as number)}"`;
    case 'date':
      return `"${formatDate(value as number)}"`;
    case 'list':
      return `[${(value as (Scalar | null)[]).map((item) => scalarToJsonText(item, dtype.of)).join(',')}]`;
    case 'vector':
      return `[${Array.from(value as Float32Array, (x) => (Number.isFinite(x) ? String(x) : `"${x}"`)).join(',')}]`;
  }
}

/**
 * The JSON value kept in definitions and manifests: like `scalarToJsonText`, but an int64 is a string of digits,
 * so that every JSON parser keeps it whole. `coerce` reads it back.
 */
export function scalarToJson(value: Scalar | null, dtype: Dtype): unknown {
  if (value === null) return null;
  if (dtype.kind === 'int64') return String(value);
  if (dtype.kind === 'list')
    return (value as (Scalar | null)[]).map((item) => scalarToJson(item, dtype.of));
  return JSON.parse(scalarToJsonText(value, dtype));
}
