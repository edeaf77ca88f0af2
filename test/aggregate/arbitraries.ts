/** Random inputs of aggregates: values that collide, cancel and sit on edges. */
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
import type { Scalar } from '../../src/types/scalar.ts';

const finite = fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x + 0);
const money = fc.integer({ min: -100_000, max: 10_000_000 }).map((cents) => cents / 100);
/** Powers of two and their neighbours: ties, and sums that cancel to the last bit. */
const edges = fc
  .tuple(fc.integer({ min: -1074, max: 1023 }), fc.constantFrom(-1, 1), fc.constantFrom(1, 1.5))
  .map(([e, s, m]) => s * m * 2 ** e);
const near = fc
  .tuple(fc.integer({ min: -60, max: 60 }), fc.integer({ min: -8, max: 8 }))
  .map(([e, k]) => k * 2 ** e + 0);

export const floats = fc.oneof(
  { weight: 4, arbitrary: money },
  { weight: 2, arbitrary: near },
  fc.integer({ min: -3, max: 3 }).map((x) => x + 0),
  finite,
  edges,
);
const infinities = fc.constantFrom(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);

const VALUES: readonly { readonly dtype: Dtype; readonly values: fc.Arbitrary<Scalar> }[] = [
  { dtype: float64, values: floats },
  { dtype: float64, values: fc.oneof({ weight: 8, arbitrary: money }, infinities) },
  { dtype: float32, values: floats.map((x) => Math.fround(x) + 0).filter(Number.isFinite) },
  { dtype: int32, values: fc.oneof(fc.integer({ min: -3, max: 3 }), fc.integer()) },
  {
    dtype: int64,
    values: fc.oneof(
      fc.bigInt({ min: -3n, max: 3n }),
      fc.bigInt({ min: -(2n ** 54n), max: 2n ** 54n }),
      fc.constantFrom(2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 52n - 1n, -(2n ** 52n)),
    ),
  },
  { dtype: string, values: fc.oneof(fc.constantFrom('a', 'b', '', 'é', '😀', '｡'), fc.string()) },
  { dtype: bool, values: fc.boolean() },
  { dtype: bytes, values: fc.uint8Array({ maxLength: 3 }) },
  { dtype: timestamp, values: fc.integer({ min: -(10 ** 15), max: 10 ** 15 }) },
  { dtype: date, values: fc.integer({ min: -1000, max: 1000 }) },
  { dtype: list(string), values: fc.array(fc.option(fc.string()), { maxLength: 2 }) },
  {
    dtype: vector(2),
    values: fc.tuple(fc.integer(), fc.integer()).map((xs) => Float32Array.from(xs)),
  },
];

export interface Input {
  readonly dtype: Dtype;
  readonly values: (Scalar | null)[];
}

/** A column of any type, with more or fewer nulls. */
export const inputs: fc.Arbitrary<Input> = fc
  .tuple(fc.constantFrom(...VALUES), fc.constantFrom(0, 0, 3, 1), fc.constantFrom(6, 40, 300))
  .chain(([{ dtype, values }, nulls, maxLength]) =>
    fc
      .array(nulls === 0 ? values : fc.option(values, { freq: nulls }), { maxLength, size: 'max' })
      .map((rows) => ({ dtype, values: rows })),
  );

/** Windows of the sweep over n rows: both edges move forward only. */
export function windowsOf(n: number): fc.Arbitrary<{ lo: Int32Array; hi: Int32Array }> {
  const edge = fc.array(fc.nat({ max: n }), { minLength: 1, maxLength: 30 });
  return fc.tuple(edge, edge, fc.boolean()).map(([a, b, whole]) => {
    const count = Math.min(a.length, b.length);
    const first = a.slice(0, count).sort((x, y) => x - y);
    const second = b.slice(0, count).sort((x, y) => x - y);
    return {
      lo: Int32Array.from(first, (x, i) => (whole ? 0 : Math.min(x, second[i]!))),
      hi: Int32Array.from(second, (y, i) => Math.max(first[i]!, y)),
    };
  });
}
