/** top_k: the k most frequent values, by exact counts. */
import { list } from '../types/dtype.ts';
import { type AggregateDefinition, ORDERED_INPUT, wholeParam } from './definition.ts';
import { LIMIT_PARAM, mostFrequent, overCounts, scalarOf } from './value_counts.ts';

export const topK: AggregateDefinition = {
  fn: 'top_k',
  doc: 'The k most frequent values, most frequent first; of equally frequent ones the lesser first. An empty list where there are none.',
  params: { k: wholeParam('how many values to name', 1, 1000, null), limit: LIMIT_PARAM },
  input: ORDERED_INPUT,
  outputText: "a list of the input's type",
  make: (params, input) =>
    overCounts('top_k', list(input!), input!, params.limit!, (state) =>
      mostFrequent(state, params.k!).map((key) => scalarOf(key, input!)),
    ),
};
