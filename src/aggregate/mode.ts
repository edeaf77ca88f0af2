/** mode: the most frequent value, by exact counts. */
import { type AggregateDefinition, ORDERED_INPUT } from './definition.ts';
import { LIMIT_PARAM, mostFrequent, overCounts, scalarOf } from './value_counts.ts';

export const mode: AggregateDefinition = {
  fn: 'mode',
  doc: 'The most frequent value; of equally frequent ones the least. Null where there are none.',
  params: { limit: LIMIT_PARAM },
  input: ORDERED_INPUT,
  outputText: "the input's type",
  make: (params, input) =>
    overCounts('mode', input!, input!, params.limit!, (state) => {
      const [key] = mostFrequent(state, 1);
      return key === undefined ? null : scalarOf(key, input!);
    }),
};
