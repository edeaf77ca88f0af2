/** stddev: the square root of the sample variance over the real numbers, rounded once (not the root of a rounded variance). */
import { type AggregateDefinition, NUMERIC_INPUT } from './definition.ts';
import { type Moments, nearVariance, overMoments, wholeSums } from './moments.ts';
import { rootOfQuotient } from './rational.ts';

export const stddev: AggregateDefinition = {
  fn: 'stddev',
  doc: 'Sample standard deviation (n − 1), computed exactly and rounded once. Null for fewer than two values.',
  params: {},
  input: NUMERIC_INPUT,
  outputText: 'float64',
  make: () => overMoments('stddev', 2, 2, valueFrom),
};

function valueFrom(state: Moments): number {
  const near = nearVariance(state, true);
  if (!Number.isNaN(near)) return near;
  const { s, unit } = wholeSums(state);
  const n = BigInt(state.n);
  const spread = n * s[1]! - s[0]! * s[0]!;
  return spread === 0n ? 0 : rootOfQuotient(spread, n * (n - 1n), 2 * unit);
}
