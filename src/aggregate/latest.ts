/** latest: the newest event's value, also when that is null. Tells "no event" from "the newest is null" only in its state. */
import type { Column, ColumnBuilder } from '../types/column.ts';
import { scalarAt } from '../types/column.ts';
import type { Dtype } from '../types/dtype.ts';
import type { Scalar } from '../types/scalar.ts';
import type { Aggregate, Side } from './aggregate.ts';
import { readNullable, writeNullable } from './codec.ts';
import { type AggregateDefinition, ANY_INPUT } from './definition.ts';

export const latest: AggregateDefinition = {
  fn: 'latest',
  doc: "The newest event's value by (event time, arrival, id), null if that is null or there is no event.",
  params: {},
  input: ANY_INPUT,
  outputText: "the input's type",
  make: (_, input) => make(input!),
};

interface State {
  seen: boolean;
  value: Scalar | null;
}

function make(dtype: Dtype): Aggregate<State> {
  const set = (state: State, value: Scalar | null, side: Side): void => {
    if (state.seen && side === 'before') return;
    state.seen = true;
    state.value = value;
  };
  return {
    fn: 'latest',
    output: dtype,
    create: () => ({ seen: false, value: null }),
    clear: (state) => {
      state.seen = false;
      state.value = null;
    },
    add: (state, input, lo, hi, side) => {
      if (hi > lo) set(state, scalarAt(input!, hi - 1), side);
    },
    absorb: (state, other, side) => {
      if (other.seen) set(state, other.value, side);
    },
    result: (state) => state.value,
    emit: (state, out) => out.push(state.value),
    encode: (state, writer) => {
      writer.u8(state.seen ? 1 : 0);
      if (state.seen) writeNullable(writer, state.value, dtype);
    },
    decode: (reader) => {
      const seen = reader.u8() === 1;
      return { seen, value: seen ? readNullable(reader, dtype) : null };
    },
    sweep,
  };
}

function sweep(
  input: Column | null,
  lo: Int32Array,
  hi: Int32Array,
  n: number,
  out: ColumnBuilder,
): void {
  for (let i = 0; i < n; i++) out.pushFrom(input!, hi[i]! > lo[i]! ? hi[i]! - 1 : -1);
}
