/** distinct_count: how many different values, exactly. The state holds them all, so for very many see approx_distinct. */
import { int64 } from '../types/dtype.ts';
import { type AggregateDefinition, ORDERED_INPUT } from './definition.ts';
import { overCounts } from './value_counts.ts';

export const distinctCount: AggregateDefinition = {
  fn: 'distinct_count',
  doc: 'Number of distinct values, exactly. 0 where there are none.',
  params: {},
  input: ORDERED_INPUT,
  outputText: 'int64',
  make: (_, input) =>
    overCounts(
      'distinct_count',
      int64,
      input!,
      Number.POSITIVE_INFINITY,
      (state) => BigInt(state.size),
      (state, out) => out.pushNumber(state.size),
    ),
};
