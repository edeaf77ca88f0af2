/**
 * histogram: counts by value, as the text of a JSON object: `{"card":12,"cash":3}`, members in the order of the values.
 *
 * There is no map among the dtypes. Of what there is, text is the one that keeps values and counts together and is exact
 * and readable everywhere: JSON.parse in TypeScript and Python, `json_extract` over Parquet in DuckDB and Spark. Two
 * lists would have to be zipped by every reader; a list of "value=count" would need quoting of its own. A member's name
 * is the value as our JSON has it (an instant in ISO 8601, int64 as digits, bytes as base64), always in quotes.
 */
import { type Dtype, string } from '../types/dtype.ts';
import { scalarToJsonText } from '../types/scalar.ts';
import { type AggregateDefinition, ORDERED_INPUT } from './definition.ts';
import {
  inValueOrder,
  LIMIT_PARAM,
  overCounts,
  scalarOf,
  type ValueCounts,
} from './value_counts.ts';

export const histogram: AggregateDefinition = {
  fn: 'histogram',
  doc: 'Counts by value, as the text of a JSON object in the order of the values: {"card":12,"cash":3}. {} where there are none.',
  params: { limit: LIMIT_PARAM },
  input: ORDERED_INPUT,
  outputText: 'string',
  make: (params, input) =>
    overCounts('histogram', string, input!, params.limit!, (state) => text(state, input!)),
};

function text(state: ValueCounts, dtype: Dtype): string {
  const members = inValueOrder(state).map(([key, count]) => {
    const name = scalarToJsonText(scalarOf(key, dtype), dtype);
    return `${name.startsWith('"') ? name : `"${name}"`}:${count}`;
  });
  return `{${members.join(',')}}`;
}
