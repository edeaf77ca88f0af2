/** How types of different width meet: int32 → int64 → float64, float32 → float64; nothing else converts by itself. */
import { assert, type SamewiseError } from '../../base/errors.ts';
import type { Column } from '../../types/column.ts';
import { type Dtype, float64, int32, int64, isNumeric, sameDtype } from '../../types/dtype.ts';
import { mismatch } from './function.ts';

/** Type of arithmetic over two numbers: any float gives float64, else any int64 gives int64, else int32. */
export function promote(a: Dtype, b: Dtype): Dtype {
  const kinds = [a.kind, b.kind];
  if (kinds.includes('float64') || kinds.includes('float32')) return float64;
  return kinds.includes('int64') ? int64 : int32;
}

/** The one type that all of these can be read as, as in the branches of a case; null if there is none. */
export function unify(dtypes: readonly Dtype[]): Dtype | null {
  let out = dtypes[0]!;
  for (const dtype of dtypes) {
    if (sameDtype(out, dtype)) continue;
    if (!isNumeric(out) || !isNumeric(dtype)) return null;
    out = promote(out, dtype);
  }
  return out;
}

/** `unify` of a call's arguments, or the error that names the first argument that does not fit the others. */
export function unifyArgs(fn: string, args: readonly Dtype[]): Dtype {
  const out = unify(args);
  if (out === null) throw doNotUnify(fn, args);
  return out;
}

function doNotUnify(fn: string, args: readonly Dtype[]): SamewiseError {
  const position = args.findIndex((_, i) => unify(args.slice(0, i + 1)) === null);
  const before = unify(args.slice(0, position))!;
  return mismatch(fn, position, args[position]!, `${before.kind}, as its other arguments are`);
}

/** The column as numbers; an int64 is rounded to float64. Not a copy where it need not be. */
export function numbersOf(column: Column): ArrayLike<number> {
  if (column.kind === 'int64') return Float64Array.from(column.data, Number);
  return column.data as ArrayLike<number>;
}

/** A column of whole numbers as bigints. Not a copy where it need not be. */
export function bigintsOf(column: Column): BigInt64Array {
  if (column.kind === 'int64') return column.data;
  assert(column.kind === 'int32', 'only int32 and int64 have whole numbers');
  return BigInt64Array.from(column.data, BigInt);
}

/** The column as type `to`, which `unify` gave. The same column where it has the type already. */
export function widen(column: Column, to: Dtype): Column {
  if (sameDtype(column.dtype, to)) return column;
  const { length, validity } = column;
  if (to.kind === 'int64')
    return { kind: 'int64', dtype: to, length, validity, data: bigintsOf(column) };
  assert(to.kind === 'float64', 'numbers widen to int64 or float64');
  const data = Float64Array.from(numbersOf(column));
  return { kind: 'float64', dtype: to, length, validity, data };
}
