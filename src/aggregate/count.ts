/** count: how many events, or how many values of a column that are not null. */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { Column, ColumnBuilder } from '../types/column.ts';
import { type Dtype, int64 } from '../types/dtype.ts';
import type { Aggregate } from './aggregate.ts';
import { type AggregateDefinition, OPTIONAL_INPUT } from './definition.ts';
import { countValid } from './rows.ts';

export const count: AggregateDefinition = {
  fn: 'count',
  doc: 'Number of events; with an input, of its values that are not null. 0 where there are none.',
  params: {},
  input: OPTIONAL_INPUT,
  outputText: 'int64',
  make: (_, input) => make(input),
};

interface State {
  n: number;
}

function make(_input: Dtype | null): Aggregate<State> {
  return {
    fn: 'count',
    output: int64,
    create: () => ({ n: 0 }),
    clear: (state) => {
      state.n = 0;
    },
    add: (state, input, lo, hi) => {
      state.n += counted(input, lo, hi);
    },
    remove: (state, input, lo, hi) => {
      state.n -= counted(input, lo, hi);
    },
    absorb: (state, other) => {
      state.n += other.n;
    },
    result: (state) => BigInt(state.n),
    emit: (state, out) => out.pushNumber(state.n),
    encode: (state, writer: ByteWriter) => writer.varint(state.n),
    decode: (reader) => ({ n: reader.varint() }),
    absorbEncoded: (state, reader: ByteReader) => {
      state.n += reader.varint();
    },
    sweep,
  };
}

function counted(input: Column | null, lo: number, hi: number): number {
  return input === null ? hi - lo : countValid(input.validity, lo, hi);
}

function sweep(
  input: Column | null,
  lo: Int32Array,
  hi: Int32Array,
  n: number,
  out: ColumnBuilder,
): void {
  const validity = input === null ? null : input.validity;
  if (validity === null) {
    for (let i = 0; i < n; i++) out.pushNumber(hi[i]! - lo[i]!);
    return;
  }
  let left = 0;
  let right = 0;
  let valid = 0;
  for (let i = 0; i < n; i++) {
    if (lo[i]! >= right) {
      left = right = lo[i]!;
      valid = 0;
    }
    while (right < hi[i]!) valid += validity[right++]!;
    while (left < lo[i]!) valid -= validity[left++]!;
    out.pushNumber(valid);
  }
}
