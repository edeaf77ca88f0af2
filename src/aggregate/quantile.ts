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
  /** Where each bin's number stands in the next two. */
  readonly slots: Map<number, number>;
  readonly bins: number[];
  /** How many values are in each bin; it may have been emptied again. */
  readonly counts: number[];
  /** The slots in the order of their bins; null: not sorted yet. */
  order: Int32Array | null;
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
      state.slots.clear();
      state.bins.length = state.counts.length = 0;
      state.order = null;
    },
    add: (state, input, lo, hi) => change(state, input!, lo, hi, 1),
    remove: (state, input, lo, hi) => change(state, input!, lo, hi, -1),
    absorb: (state, other) => {
      for (let slot = 0; slot < other.bins.length; slot++)
        more(state, other.bins[slot]!, other.counts[slot]!);
    },
    absorbEncoded,
    result: (state) => (state.n === 0 ? null : bins.middleOf(binAt(state, q))),
    encode: (state, writer) => {
      const order = inOrder(state).filter((slot) => state.counts[slot]! > 0);
      writer.varint(order.length);
      let previous = 0;
      for (const slot of order) {
        const bin = state.bins[slot]!;
        writeSigned(writer, bin - previous);
        writer.varint(state.counts[slot]!);
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
  return { n: 0, slots: new Map(), bins: [], counts: [], order: null };
}

function more(state: State, bin: number, by: number): void {
  state.n += by;
  const slot = state.slots.get(bin);
  if (slot !== undefined) {
    state.counts[slot]! += by;
    return;
  }
  state.slots.set(bin, state.bins.length);
  state.bins.push(bin);
  state.counts.push(by);
  state.order = null;
}

function inOrder({ bins, order }: State): Int32Array {
  return order ?? Int32Array.from(bins.keys()).sort((a, b) => bins[a]! - bins[b]!);
}

function binAt(state: State, q: number): number {
  const { bins, counts } = state;
  state.order = inOrder(state);
  let left = Math.floor(q * (state.n - 1));
  for (let at = 0; ; at++) {
    const slot = state.order[at]!;
    left -= counts[slot]!;
    if (left < 0) return bins[slot]!;
  }
}

function absorbEncoded(state: State, reader: ByteReader): void {
  let bin = 0;
  for (let n = reader.varint(); n > 0; n--) {
    bin += readSigned(reader);
    more(state, bin, reader.varint());
  }
}
