/** bool_and and bool_or: how many are true and how many false. */
import type { Column } from '../types/column.ts';
import { bool } from '../types/dtype.ts';
import type { Aggregate } from './aggregate.ts';

export interface Bools {
  trues: number;
  falses: number;
}

/** An aggregate of that state; `valueFrom` is called where there is at least one value. */
export function overBools(fn: string, valueFrom: (state: Bools) => boolean): Aggregate<Bools> {
  return {
    fn,
    output: bool,
    create: () => ({ trues: 0, falses: 0 }),
    clear: (state) => {
      state.trues = state.falses = 0;
    },
    add: (state, input, lo, hi) => change(state, input!, lo, hi, 1),
    remove: (state, input, lo, hi) => change(state, input!, lo, hi, -1),
    absorb: (state, other) => {
      state.trues += other.trues;
      state.falses += other.falses;
    },
    result: (state) => (state.trues + state.falses === 0 ? null : valueFrom(state)),
    encode: (state, writer) => {
      writer.varint(state.trues);
      writer.varint(state.falses);
    },
    decode: (reader) => ({ trues: reader.varint(), falses: reader.varint() }),
  };
}

function change(state: Bools, input: Column, lo: number, hi: number, sign: 1 | -1): void {
  const data = input.data as Uint8Array;
  for (let i = lo; i < hi; i++) {
    if (input.validity !== null && input.validity[i] === 0) continue;
    if (data[i] === 1) state.trues += sign;
    else state.falses += sign;
  }
}
