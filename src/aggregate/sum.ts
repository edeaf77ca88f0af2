/**
 * sum: over the real numbers, rounded once. int64 of whole numbers, where a sum beyond 64 bits is `aggregate/overflow`;
 * float64 of floats, ±Infinity as IEEE has it, and null where IEEE gives NaN (∞ − ∞), which is no value.
 */
import { SamewiseError } from '../base/errors.ts';
import type { ColumnBuilder } from '../types/column.ts';
import { type Dtype, float64, int64 } from '../types/dtype.ts';
import { INT64_MAX, INT64_MIN } from '../types/scalar.ts';
import type { Aggregate } from './aggregate.ts';
import { type AggregateDefinition, NUMERIC_INPUT } from './definition.ts';
import { overTotal, type Total } from './total.ts';

export const sum: AggregateDefinition = {
  fn: 'sum',
  doc: 'Exact sum, rounded once: int64 of whole numbers (overflow is an error), float64 of floats. Null where there are none.',
  params: {},
  input: NUMERIC_INPUT,
  outputText: 'int64 of int32 and int64, float64 of float32 and float64',
  make: (_, input) => make(input!),
};

function make(input: Dtype): Aggregate<Total> {
  return input.kind === 'int32' || input.kind === 'int64'
    ? overTotal('sum', int64, wholeSum, emitWhole, safeSum)
    : overTotal('sum', float64, floatSum);
}

function wholeSum({ sum }: Total): bigint {
  const value = sum.safeInteger();
  return value === null ? longSum(sum.exact()) : BigInt(value);
}

function longSum({ integer, exponent }: { integer: bigint; exponent: number }): bigint {
  const value = integer << BigInt(exponent);
  if (value < INT64_MIN || value > INT64_MAX) {
    throw new SamewiseError('aggregate/overflow', `a sum is ${value}, which does not fit int64`, {
      hint: 'cast the input to float64, or sum over a shorter window',
    });
  }
  return value;
}

function emitWhole({ sum }: Total, out: ColumnBuilder): void {
  const value = sum.safeInteger();
  if (value === null) out.push(longSum(sum.exact()));
  else out.pushNumber(value);
}

function safeSum(high: number, low: number): number {
  return low === 0 && Number.isSafeInteger(high) ? high : Number.NaN;
}

function floatSum({ sum }: Total): number | null {
  const value = sum.rounded();
  return Number.isNaN(value) ? null : value;
}
