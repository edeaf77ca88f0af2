/**
 * Aggregates over a plain list of values in event order. The most used ones are short and fast here, for the sake of many
 * cases; the others are those of test/oracle. The two sketches are themselves over all values at once.
 */

import type { AggregateSpec } from '../../src/aggregate/aggregate.ts';
import { aggregateFor } from '../../src/aggregate/index.ts';
import { columnOf } from '../../src/types/column.ts';
import type { Dtype } from '../../src/types/dtype.ts';
import { compareScalars, type Scalar } from '../../src/types/scalar.ts';
import { naive } from '../oracle/aggregate.ts';

type Values = readonly (Scalar | null)[];

/** Sums are taken in units of 2^-120, which holds every amount that the tests use exactly. */
const UNIT = 2 ** 120;

export function naiveFold(spec: AggregateSpec, input: Dtype | null, all: Values): Scalar | null {
  if (spec.fn === 'latest') return all.at(-1) ?? null;
  if (input === null) return BigInt(all.length);
  const values = all.filter((value) => value !== null);
  const { k } = spec.params;
  if (spec.fn === 'quantile' || spec.fn === 'approx_distinct') {
    const aggregate = aggregateFor(spec, input);
    const state = aggregate.create();
    aggregate.add(state, columnOf(input, values), 0, values.length, 'after');
    return aggregate.result(state);
  }
  switch (spec.fn) {
    case 'count':
      return BigInt(values.length);
    case 'first_k':
      return values.slice(0, k);
    case 'last_k':
      return values.slice(-k!);
  }
  if (values.length === 0) return naive(spec.fn, spec.params, all, input);
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
  return naive(spec.fn, spec.params, all, input);
}

function units(values: readonly Scalar[]): bigint {
  return values.reduce<bigint>((sum, x) => sum + BigInt(Number(x) * UNIT), 0n);
}
