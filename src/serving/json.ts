/**
 * JSON at the door: whole numbers beyond 2^53 are read exactly and written as bare digits. Everything else is the
 * platform's own `JSON.parse`.
 */
import { isUtf8 } from 'node:buffer';
import { SamewiseError, type Where } from '../base/errors.ts';
import type { Dtype } from '../types/dtype.ts';
import { coerce, type Scalar } from '../types/scalar.ts';

/** Only a run of 16 digits can be a whole number that float64 would round. */
const LONG_DIGITS = /\d{16}/;
const WHOLE = /^-?\d+$/;

/** What TypeScript knows of a reviver; the platform hands it the source text as well. */
type Reviver = Parameters<typeof JSON.parse>[1];

/** Parses JSON; a whole number that is not a safe integer comes as a bigint. Throws `serving/malformed-json`. */
export function parseExactJson(text: string): unknown {
  try {
    return LONG_DIGITS.test(text)
      ? JSON.parse(text, exactWholeNumbers as Reviver)
      : JSON.parse(text);
  } catch (error) {
    throw new SamewiseError(
      'serving/malformed-json',
      `the text is not JSON: ${(error as Error).message}`,
    );
  }
}

function exactWholeNumbers(_key: string, value: unknown, context: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return WHOLE.test(context.source!) ? BigInt(context.source!) : value;
}

/** The same for a request body. Throws `serving/malformed-json` also for bytes that are not UTF-8. */
export function parseBody(bytes: Buffer): unknown {
  if (bytes.length === 0) throw new SamewiseError('serving/malformed-json', 'the body is empty');
  if (!isUtf8(bytes))
    throw new SamewiseError('serving/malformed-json', 'the body is not valid UTF-8');
  return parseExactJson(bytes.toString('utf8'));
}

/** A scalar of `dtype` from what `parseExactJson` gave. Throws as `coerce` does. */
export function scalarFromJson(value: unknown, dtype: Dtype, where: Where): Scalar | null {
  return coerce(
    dtype.kind === 'int64' || dtype.kind === 'string' ? value : rounded(value, dtype, where),
    dtype,
    where,
  );
}

/** For floats the digits of a long whole number mean the nearest float64, as in any JSON; beyond its range they mean nothing. */
function rounded(value: unknown, dtype: Dtype, where: Where): unknown {
  if (Array.isArray(value)) return value.map((item) => rounded(item, dtype, where));
  const number = typeof value === 'bigint' && isFloatLike(dtype) ? Number(value) : value;
  if (number === Number.POSITIVE_INFINITY || number === Number.NEGATIVE_INFINITY)
    throw new SamewiseError('types/out-of-range', 'the number is beyond the range of float64', {
      where,
      hint: 'write "Infinity" or "-Infinity" if that is meant',
    });
  return number;
}

function isFloatLike(dtype: Dtype): boolean {
  if (dtype.kind === 'list') return isFloatLike(dtype.of);
  return dtype.kind === 'float32' || dtype.kind === 'float64' || dtype.kind === 'vector';
}
