/**
 * kurtosis: excess, bias-corrected, as pandas and DuckDB have it. With A = n·Σx² − (Σx)² = n²·m₂ and
 * C = n³·Σx⁴ − 4n²·Σx·Σx³ + 6n·(Σx)²·Σx² − 3(Σx)⁴ = n⁴·m₄ it is
 * (n−1)·((n+1)·(C/A² − 3) + 6) / ((n−2)(n−3)): one fraction, rounded once.
 */
import { type AggregateDefinition, NUMERIC_INPUT } from './definition.ts';
import { type Moments, overMoments, wholeSums } from './moments.ts';
import { quotient } from './rational.ts';

export const kurtosis: AggregateDefinition = {
  fn: 'kurtosis',
  doc: 'Excess kurtosis, bias-corrected, computed exactly and rounded once. Null for fewer than four values or when all are equal.',
  params: {},
  input: NUMERIC_INPUT,
  outputText: 'float64',
  make: () => overMoments('kurtosis', 4, 4, valueFrom),
};

function valueFrom(state: Moments): number | null {
  const [s1, s2, s3, s4] = wholeSums(state).s as [bigint, bigint, bigint, bigint];
  const n = BigInt(state.n);
  const a = n * s2 - s1 * s1;
  if (a === 0n) return null;
  const square = a * a;
  const c = n * n * n * s4 - 4n * n * n * s1 * s3 + 6n * n * s1 * s1 * s2 - 3n * s1 * s1 * s1 * s1;
  const numerator = (n - 1n) * ((n + 1n) * (c - 3n * square) + 6n * square);
  return quotient(numerator, (n - 2n) * (n - 3n) * square);
}
