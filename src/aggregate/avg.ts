/** avg: the exact sum over the count, rounded once. Null where there are no values, and where IEEE gives NaN (∞ − ∞). */
import type { ByteReader } from '../base/bytes.ts';
import type { ColumnBuilder } from '../types/column.ts';
import { float64 } from '../types/dtype.ts';
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

export const avg: AggregateDefinition = {
  fn: 'avg',
  doc: 'Mean, computed exactly and rounded once. Null where there are none.',
  params: {},
  input: NUMERIC_INPUT,
  outputText: 'float64',
  make,
};

function make(): Aggregate<Total> {
  const scratch = createTotal();
  return {
    fn: 'avg',
    output: float64,
    create: createTotal,
    clear: clearTotal,
    add: addTotal,
    remove: removeTotal,
    absorb: absorbTotal,
    absorbEncoded: (state, reader: ByteReader) => absorbTotalEncoded(state, reader),
    result,
    emit,
    encode: encodeTotal,
    decode: decodeTotal,
    sweep: (column, lo, hi, n, out) => sweepTotals(scratch, column!, lo, hi, n, out, emit),
  };
}

function result(state: Total): number | null {
  if (state.n === 0) return null;
  const value = state.sum.dividedBy(state.n);
  return Number.isNaN(value) ? null : value;
}

function emit(state: Total, out: ColumnBuilder): void {
  const value = state.n === 0 ? Number.NaN : state.sum.dividedBy(state.n);
  if (Number.isNaN(value)) out.pushNull();
  else out.pushNumber(value);
}
