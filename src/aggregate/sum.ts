/**
 * sum: over the real numbers, rounded once. int64 of whole numbers, where a sum beyond 64 bits is `aggregate/overflow`;
 * float64 of floats, ±Infinity as IEEE has it, and null where IEEE gives NaN (∞ − ∞).
 */
import type { ByteReader } from '../base/bytes.ts';
import { SamewiseError } from '../base/errors.ts';
import type { ColumnBuilder } from '../types/column.ts';
import { type Dtype, float64, int64 } from '../types/dtype.ts';
import { INT64_MAX, INT64_MIN } from '../types/scalar.ts';
import type { Aggregate } from './aggregate.ts';
import { type AggregateDefinition, NUMERIC_INPUT } from './definition.ts';
import {
  absorbTotal,
  absorbTotalEncoded,
  addTotal,
  clearTotal,
  createTotal,
  decodeTotal,
  encodeTotal,
  removeTotal,
  sweepTotals,
  type Total,
} from './total.ts';

export const sum: AggregateDefinition = {
  fn: 'sum',
  doc: 'Exact sum, rounded once: int64 of whole numbers (overflow is an error), float64 of floats. Null where there are none.',
  params: {},
  input: NUMERIC_INPUT,
  outputText: 'int64 of int32 and int64, float64 of float32 and float64',
  make: (_, input) => make(input!),
};

function make(input: Dtype): Aggregate<Total> {
  const whole = input.kind === 'int32' || input.kind === 'int64';
  const emit = whole ? emitWhole : emitFloat;
  const scratch = createTotal();
  return {
    fn: 'sum',
    output: whole ? int64 : float64,
    create: createTotal,
    clear: clearTotal,
    add: addTotal,
    remove: removeTotal,
    absorb: absorbTotal,
    absorbEncoded: (state, reader: ByteReader) => absorbTotalEncoded(state, reader),
    result: whole ? wholeResult : floatResult,
    emit,
    encode: encodeTotal,
    decode: decodeTotal,
    sweep: (column, lo, hi, n, out) => sweepTotals(scratch, column!, lo, hi, n, out, emit),
  };
}

function wholeResult(state: Total): bigint | null {
  if (state.n === 0) return null;
  const value = state.sum.safeInteger();
  return value === null ? beyondSafe(state) : BigInt(value);
}

function beyondSafe(state: Total): bigint {
  const { integer, exponent } = state.sum.exact();
  const value = integer << BigInt(exponent);
  if (value < INT64_MIN || value > INT64_MAX) {
    throw new SamewiseError('aggregate/overflow', `a sum is ${value}, which does not fit int64`, {
      hint: 'cast the input to float64, or sum over a shorter window',
    });
  }
  return value;
}

function emitWhole(state: Total, out: ColumnBuilder): void {
  if (state.n === 0) return out.pushNull();
  const value = state.sum.safeInteger();
  if (value === null) out.push(beyondSafe(state));
  else out.pushNumber(value);
}

function floatResult(state: Total): number | null {
  if (state.n === 0) return null;
  const value = state.sum.rounded();
  return Number.isNaN(value) ? null : value;
}

function emitFloat(state: Total, out: ColumnBuilder): void {
  const value = state.n === 0 ? Number.NaN : state.sum.rounded();
  if (Number.isNaN(value)) out.pushNull();
  else out.pushNumber(value);
}
