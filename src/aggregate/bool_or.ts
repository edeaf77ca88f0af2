/** bool_or: whether any value is true. */
import { overBools } from './bools.ts';
import { type AggregateDefinition, BOOL_INPUT } from './definition.ts';

export const boolOr: AggregateDefinition = {
  fn: 'bool_or',
  doc: 'Whether any value is true. Null where there are none.',
  params: {},
  input: BOOL_INPUT,
  outputText: 'bool',
  make: () => overBools('bool_or', (state) => state.trues > 0),
};
