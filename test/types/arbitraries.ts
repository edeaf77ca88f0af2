/** Random dtypes and scalars of them. */
import fc from 'fast-check';
import {
  bool,
  bytes,
  type Dtype,
  date,
  float32,
  float64,
  int32,
  int64,
  list,
  string,
  timestamp,
  vector,
} from '../../src/types/dtype.ts';
import { INT64_MAX, INT64_MIN, MAX_DATE_DAYS, type Scalar } from '../../src/types/scalar.ts';

/** Types that an entity key may have. */
export const KEYABLE: readonly Dtype[] = [bool, int32, int64, date, timestamp, string, bytes];

export const anyDtype: fc.Arbitrary<Dtype> = fc.letrec<{ dtype: Dtype }>((tie) => ({
  dtype: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<Dtype>(...KEYABLE, float32, float64),
    fc.integer({ min: 1, max: 4 }).map(vector),
    tie('dtype').map((of) => list(of as Dtype)),
  ),
})).dtype;

const noMinusZero = (n: number) => n + 0;

/** A scalar that is already of `dtype`, as `coerce` would give it. */
export function scalarOf(dtype: Dtype): fc.Arbitrary<Scalar> {
  switch (dtype.kind) {
    case 'bool':
      return fc.boolean();
    case 'int32':
      return fc.integer().map(noMinusZero);
    case 'int64':
      return fc.bigInt({ min: INT64_MIN, max: INT64_MAX });
    case 'float32':
      return fc.float({ noNaN: true }).map(noMinusZero);
    case 'float64':
      return fc.double({ noNaN: true }).map(noMinusZero);
    case 'string':
      return fc.string({ unit: 'binary', maxLength: 8 });
    case 'bytes':
      return fc.uint8Array({ maxLength: 8 });
    case 'timestamp':
      return fc.maxSafeInteger().map(noMinusZero);
    case 'date':
      return fc.integer({ min: -MAX_DATE_DAYS, max: MAX_DATE_DAYS }).map(noMinusZero);
    case 'list':
      return fc.array(fc.option(scalarOf(dtype.of)), { maxLength: 4 });
    case 'vector':
      return fc
        .array(fc.float({ noNaN: true }).map(noMinusZero), {
          minLength: dtype.size,
          maxLength: dtype.size,
        })
        .map((values) => Float32Array.from(values));
  }
}

export function nullableOf(dtype: Dtype): fc.Arbitrary<Scalar | null> {
  return fc.option(scalarOf(dtype), { freq: 4 });
}
