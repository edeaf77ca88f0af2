/** variance: of a sample, (Σx² − (Σx)²/n) / (n − 1), over the real numbers, rounded once. */
import { type AggregateDefinition, NUMERIC_INPUT } from './definition.ts';
import { type Moments, nearVariance, overMoments, wholeSums } from './moments.ts';
import { quotient } from './rational.ts';

export const variance: AggregateDefinition = {
  fn: 'variance',
  doc: 'Sample variance (n − 1), computed exactly and rounded once. Null for fewer than two values.',
  params: {},
  input: NUMERIC_INPUT,
  outputText: 'float64',
  make: () => overMoments('variance', 2, 2, valueFrom),
};

function valueFrom(state: Moments): number {
  const near = nearVariance(state, false);
  if (!Number.isNaN(near)) return near;
  const { s, unit } = wholeSums(state);
  const n = BigInt(state.n);
  return quotient(n * s[1]! - s[0]! * s[0]!, n * (n - 1n), 2 * unit);
}
