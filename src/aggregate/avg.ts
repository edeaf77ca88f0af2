/** avg: the exact sum over the count, rounded once. Null where there are no values, and where IEEE gives NaN (∞ − ∞). */
import { float64 } from '../types/dtype.ts';
import { type AggregateDefinition, NUMERIC_INPUT } from './definition.ts';
import { usualExactQuotient } from './rounding.ts';
import { overTotal, type Total } from './total.ts';

export const avg: AggregateDefinition = {
  fn: 'avg',
  doc: 'Mean, computed exactly and rounded once. Null where there are none.',
  params: {},
  input: NUMERIC_INPUT,
  outputText: 'float64',
  make: () => overTotal('avg', float64, mean, undefined, meanOf),
};

function mean({ n, sum }: Total): number | null {
  const value = sum.dividedBy(n);
  return Number.isNaN(value) ? null : value;
}

function meanOf(high: number, low: number, n: number): number {
  // One number by another: IEEE's division is the rounding; + 0, for zero has no sign.
  return low === 0 ? high / n + 0 : usualExactQuotient(high, low, n);
}
