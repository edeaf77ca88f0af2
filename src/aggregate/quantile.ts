/**
 * quantile: the value at rank ⌊q·(n−1)⌋ of the sorted values, within a relative error. The state counts the values in
 * bins (see quantile_bins.ts) that are never collapsed, so it depends neither on order nor on how rows were split,
 * and values can be taken away. Zero and the infinities are exact.
 */
import type { ByteReader } from '../base/bytes.ts';
import { type Column, scalarAt } from '../types/column.ts';
import { float64 } from '../types/dtype.ts';
import type { Aggregate } from './aggregate.ts';
import { readSigned, writeSigned } from './codec.ts';
import { type AggregateDefinition, NUMERIC_INPUT } from './definition.ts';
import { type Bins, binsFor } from './quantile_bins.ts';

export const quantile: AggregateDefinition = {
  fn: 'quantile',
  doc: 'The q-quantile of the values (the one at rank ⌊q·(n−1)⌋ from 0), within a relative error. Null where there are none.',
  params: {
    q: {
      doc: 'which quantile, 0.5 for the median',
      default: null,
      rule: 'a number from 0 to 1',
      accepts: (value) => value >= 0 && value <= 1,
    },
    error: {
      doc: 'relative error of the answer',
      default: 0.01,
      rule: 'a number from 0.0001 to 0.2',
      accepts: (value) => value >= 0.0001 && value <= 0.2,
    },
  },
  input: NUMERIC_INPUT,
  outputText: 'float64',
  make: (params) => make(params.q!, binsFor(params.error!)),
};

interface State {
  n: number;
  /** How many values are in each bin; a bin may have been emptied again. */
  readonly counts: Map<number, number>;
  /** The bins' numbers in order; null: not sorted yet. */
  order: Float64Array | null;
}

function make(q: number, bins: Bins): Aggregate<State> {
  const change = (state: State, column: Column, lo: number, hi: number, sign: 1 | -1): void => {
    for (let i = lo; i < hi; i++) {
      const value = scalarAt(column, i);
      if (value !== null) more(state, bins.of(Number(value)), sign);
    }
  };
  return {
    fn: 'quantile',
    output: float64,
    create,
    clear: (state) => {
      state.n = 0;
      state.counts.clear();
      state.order = null;
    },
    add: (state, input, lo, hi) => change(state, input!, lo, hi, 1),
    remove: (state, input, lo, hi) => change(state, input!, lo, hi, -1),
    absorb: (state, other) => {
      for (const [bin, count] of other.counts) more(state, bin, count);
    },
    absorbEncoded,
    result: (state) => (state.n === 0 ? null : bins.middleOf(binAt(state, q))),
    encode: (state, writer) => {
      const order = inOrder(state).filter((bin) => state.counts.get(bin)! > 0);
      writer.varint(order.length);
      let previous = 0;
      for (const bin of order) {
        writeSigned(writer, bin - previous);
        writer.varint(state.counts.get(bin)!);
        previous = bin;
      }
    },
    decode: (reader) => {
      const state = create();
      absorbEncoded(state, reader);
      return state;
    },
  };
}

function create(): State {
  return { n: 0, counts: new Map(), order: null };
}

function more(state: State, bin: number, by: number): void {
  const before = state.counts.get(bin);
  state.counts.set(bin, (before ?? 0) + by);
  state.n += by;
  if (before === undefined) state.order = null;
}

function inOrder(state: State): Float64Array {
  state.order ??= Float64Array.from(state.counts.keys()).sort();
  return state.order;
}

function binAt(state: State, q: number): number {
  const order = inOrder(state);
  let left = Math.floor(q * (state.n - 1));
  let at = 0;
  for (; ; at++) {
    left -= state.counts.get(order[at]!)!;
    if (left < 0) return order[at]!;
  }
}

function absorbEncoded(state: State, reader: ByteReader): void {
  let bin = 0;
  for (let n = reader.varint(); n > 0; n--) {
    bin += readSigned(reader);
    more(state, bin, reader.varint());
  }
}
