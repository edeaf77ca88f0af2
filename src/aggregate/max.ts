/** max: the greatest value. */
import { type AggregateDefinition, ORDERED_INPUT } from './definition.ts';
import { extremum } from './extremum.ts';

export const max: AggregateDefinition = {
  fn: 'max',
  doc: 'Greatest value; strings and bytes compare by their UTF-8 bytes. Null where there are none.',
  params: {},
  input: ORDERED_INPUT,
  outputText: "the input's type",
  make: (_, input) => extremum('max', input!, 1),
};
