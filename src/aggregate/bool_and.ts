/** bool_and: whether all values are true. */
import { overBools } from './bools.ts';
import { type AggregateDefinition, BOOL_INPUT } from './definition.ts';

export const boolAnd: AggregateDefinition = {
  fn: 'bool_and',
  doc: 'Whether all values are true. Null where there are none.',
  params: {},
  input: BOOL_INPUT,
  outputText: 'bool',
  make: () => overBools('bool_and', (state) => state.falses === 0),
};
