/** sum and avg: a count and an exact sum, and what is worked out from them. */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { Column, ColumnBuilder } from '../types/column.ts';
import type { Dtype } from '../types/dtype.ts';
import type { Scalar } from '../types/scalar.ts';
import type { Aggregate } from './aggregate.ts';
import { addInt64Range, addRange } from './exact_ranges.ts';
import { ExactSum } from './exact_sum.ts';
import { int64Halves, numericData } from './rows.ts';
import { slidingSweep } from './sweep_sliding.ts';
import { sweepTotals } from './sweep_totals.ts';

export interface Total {
  /** Values added; null rows are none. */
  n: number;
  readonly sum: ExactSum;
}

/** An aggregate of that state; `valueFrom` is called for n > 0 only. */
export function overTotal(
  fn: string,
  output: Dtype,
  valueFrom: (state: Total) => Scalar | null,
  emitValue?: (state: Total, out: ColumnBuilder) => void,
  /** The value from an exact sum high + low, where that is its rounding and its rest; NaN if it leaves the value open. */
  roundedOf: (high: number, low: number, n: number) => number = (high) => high,
): Aggregate<Total> {
  const result = (state: Total): Scalar | null => (state.n === 0 ? null : valueFrom(state));
  const emit = (state: Total, out: ColumnBuilder): void => {
    if (state.n === 0) out.pushNull();
    else if (emitValue === undefined) out.push(valueFrom(state));
    else emitValue(state, out);
  };
  const scratch = create();
  const aggregate: Aggregate<Total> = {
    fn,
    output,
    family: 'total',
    create,
    clear,
    add: (state, input, lo, hi) => {
      state.n += change(state.sum, input!, lo, hi, 1);
    },
    remove: (state, input, lo, hi) => {
      state.n -= change(state.sum, input!, lo, hi, -1);
    },
    absorb: (state, other) => {
      state.n += other.n;
      state.sum.merge(other.sum);
    },
    absorbEncoded,
    result,
    emit,
    encode,
    decode: (reader) => {
      const state = create();
      absorbEncoded(state, reader);
      return state;
    },
  };
  const emitParts = (high: number, low: number, n: number, out: ColumnBuilder): void => {
    const value = roundedOf(high, low, n);
    if (!Number.isNaN(value)) return out.pushNumber(value);
    scratch.n = n;
    scratch.sum.clear();
    scratch.sum.add(high);
    scratch.sum.add(low);
    emit(scratch, out);
  };
  const slide = slidingSweep(aggregate);
  return {
    ...aggregate,
    sweep: (input, lo, hi, n, out) => {
      const done = sweepTotals(input!, lo, hi, n, emitParts, out);
      if (done < n) slide(input, lo.subarray(done), hi.subarray(done), n - done, out);
    },
  };
}

function create(): Total {
  return { n: 0, sum: new ExactSum() };
}

function clear(state: Total): void {
  state.n = 0;
  state.sum.clear();
}

function change(sum: ExactSum, input: Column, lo: number, hi: number, sign: 1 | -1): number {
  return input.kind === 'int64'
    ? addInt64Range(sum, int64Halves(input.data), input.validity, lo, hi, sign)
    : addRange(sum, numericData(input), input.validity, lo, hi, sign);
}

function encode(state: Total, writer: ByteWriter): void {
  writer.varint(state.n);
  if (state.n > 0) state.sum.encode(writer);
}

function absorbEncoded(state: Total, reader: ByteReader): void {
  const n = reader.varint();
  state.n += n;
  if (n > 0) state.sum.mergeEncoded(reader);
}
