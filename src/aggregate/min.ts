/** min: the smallest value. */
import { type AggregateDefinition, ORDERED_INPUT } from './definition.ts';
import { extremum } from './extremum.ts';

export const min: AggregateDefinition = {
  fn: 'min',
  doc: 'Smallest value; strings and bytes compare by their UTF-8 bytes. Null where there are none.',
  params: {},
  input: ORDERED_INPUT,
  outputText: "the input's type",
  make: (_, input) => extremum('min', input!, -1),
};
