/** first: the oldest value that is not null. */
import { type AggregateDefinition, ANY_INPUT } from './definition.ts';
import { endValue } from './ends.ts';

export const first: AggregateDefinition = {
  fn: 'first',
  doc: 'The oldest value that is not null, by (event time, arrival, id). Null where there are none.',
  params: {},
  input: ANY_INPUT,
  outputText: "the input's type",
  make: (_, input) => endValue('first', input!, 'first'),
};
