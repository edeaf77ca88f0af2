/** Aggregates over a plain list of values in event order: the specification, in a few lines each. */
import type { AggregateSpec } from '../../src/aggregate/aggregate.ts';
import type { Dtype } from '../../src/types/dtype.ts';
import { compareScalars, type Scalar } from '../../src/types/scalar.ts';

type Values = readonly (Scalar | null)[];

/** Sums are taken in units of 2^-120, which holds every amount that the tests use exactly. */
const UNIT = 2 ** 120;

export function naiveFold(spec: AggregateSpec, input: Dtype | null, all: Values): Scalar | null {
  if (spec.fn === 'latest') return all.at(-1) ?? null;
  if (input === null) return BigInt(all.length);
  const values = all.filter((value) => value !== null);
  const { k } = spec.params;
  switch (spec.fn) {
    case 'count':
      return BigInt(values.length);
    case 'first_k':
      return values.slice(0, k);
    case 'last_k':
      return values.slice(-k!);
  }
  if (values.length === 0) return null;
  switch (spec.fn) {
    case 'sum':
      return typeof values[0] === 'bigint'
        ? (values as bigint[]).reduce((x, y) => x + y)
        : Number(units(values)) / UNIT;
    case 'avg': {
      // Far more digits than a double has, and a last one that says whether anything was cut off.
      const wide = units(values) << 200n;
      const count = BigInt(values.length);
      const cut = wide / count;
      const sticky = cut * count === wide ? cut : cut | 1n;
      return Number(sticky) / UNIT / 2 ** 200;
    }
    case 'min':
      return values.reduce((x, y) => (compareScalars(y, x) < 0 ? y : x));
    case 'max':
      return values.reduce((x, y) => (compareScalars(y, x) > 0 ? y : x));
    case 'first':
      return values[0]!;
    case 'last':
      return values.at(-1)!;
  }
  throw new Error(`no naive ${spec.fn}`);
}

function units(values: readonly Scalar[]): bigint {
  return values.reduce<bigint>((sum, x) => sum + BigInt(Number(x) * UNIT), 0n);
}
