/**
 * skewness: adjusted Fisher–Pearson, as pandas and DuckDB have it. With A = n·Σx² − (Σx)² = n²·m₂ and
 * B = n²·Σx³ − 3n·Σx·Σx² + 2(Σx)³ = n³·m₃ it is B·√(n(n−1)) / ((n−2)·A^1.5): the signed root of a fraction, rounded once.
 */
import { type AggregateDefinition, NUMERIC_INPUT } from './definition.ts';
import { type Moments, overMoments, wholeSums } from './moments.ts';
import { rootOfQuotient } from './rational.ts';

export const skewness: AggregateDefinition = {
  fn: 'skewness',
  doc: 'Adjusted Fisher–Pearson skewness, computed exactly and rounded once. Null for fewer than three values or when all are equal.',
  params: {},
  input: NUMERIC_INPUT,
  outputText: 'float64',
  make: () => overMoments('skewness', 3, 3, valueFrom),
};

function valueFrom(state: Moments): number | null {
  const [s1, s2, s3] = wholeSums(state).s as [bigint, bigint, bigint];
  const n = BigInt(state.n);
  const a = n * s2 - s1 * s1;
  if (a === 0n) return null;
  const b = n * n * s3 - 3n * n * s1 * s2 + 2n * s1 * s1 * s1;
  if (b === 0n) return 0;
  const size = rootOfQuotient(b * b * n * (n - 1n), (n - 2n) * (n - 2n) * a * a * a);
  return b < 0n ? -size : size;
}
