/** Values from JSON that `parseExactJson` read: what its numbers mean to each type. */
import { SamewiseError, type Where } from '../base/errors.ts';
import type { Dtype } from './dtype.ts';
import { coerce, type Scalar } from './scalar.ts';

/** A scalar of `dtype` from what `parseExactJson` gave. Throws as `coerce` does. */
export function scalarFromJson(value: unknown, dtype: Dtype, where: Where): Scalar | null {
  return coerce(jsonForCoerce(value, dtype, where), dtype, where);
}

/** `scalarFromJson` of a value that means what it says, as most do; undefined: it may mean something else, or nothing. */
export function plainScalar(value: unknown, dtype: Dtype): Scalar | undefined {
  switch (dtype.kind) {
    case 'int64':
      return Number.isSafeInteger(value) ? BigInt(value as number) : undefined;
    case 'string':
      return typeof value === 'string' && value.isWellFormed() ? value : undefined;
    case 'float64':
      // Zero is always +0.
      return typeof value === 'number' && Number.isFinite(value) ? value + 0 : undefined;
    default:
      return undefined;
  }
}

/**
 * What `coerce` takes of a JSON value: for floats the digits of a long whole number mean the nearest float64, as in any JSON;
 * beyond its range they mean nothing. Throws `types/out-of-range`.
 */
export function jsonForCoerce(value: unknown, dtype: Dtype, where: Where): unknown {
  return dtype.kind === 'int64' || dtype.kind === 'string' ? value : rounded(value, dtype, where);
}

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

/** Whether the values are floats, or lists of them: then no number of JSON is too long. */
export function isFloatLike(dtype: Dtype): boolean {
  if (dtype.kind === 'list') return isFloatLike(dtype.of);
  return dtype.kind === 'float32' || dtype.kind === 'float64' || dtype.kind === 'vector';
}
