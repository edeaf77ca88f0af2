/** first_k: the k oldest values that are not null, in event order: oldest first, so that lists of first_k and last_k read alike. */
import { type AggregateDefinition, ANY_INPUT, wholeParam } from './definition.ts';
import { endValues } from './ends.ts';

export const firstK: AggregateDefinition = {
  fn: 'first_k',
  doc: 'The k oldest values that are not null, oldest first. An empty list where there are none.',
  params: { k: wholeParam('how many values to keep', 1, 10_000, null) },
  input: ANY_INPUT,
  outputText: "a list of the input's type",
  make: (params, input) => endValues('first_k', input!, 'first', params.k!),
};
