/** distinct_count, mode, top_k, histogram: how often each value occurs, exactly. */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { SamewiseError } from '../base/errors.ts';
import { type Column, type ColumnBuilder, scalarAt } from '../types/column.ts';
import type { Dtype } from '../types/dtype.ts';
import { compareScalars, type Scalar } from '../types/scalar.ts';
import type { Aggregate } from './aggregate.ts';
import { readScalar, writeScalar } from './codec.ts';
import { type ParamDefinition, wholeParam } from './definition.ts';

/** What a value is counted under: itself; bytes as hexadecimal digits, which order as the bytes do. */
type Key = boolean | number | bigint | string;
export type ValueCounts = Map<Key, number>;

export const LIMIT_PARAM: ParamDefinition = wholeParam(
  'how many distinct values are counted before it is an error',
  1,
  1_000_000,
  10_000,
);

/** An aggregate of that state. More than `limit` distinct values are `aggregate/too-many-distinct`. */
export function overCounts(
  fn: string,
  output: Dtype,
  input: Dtype,
  limit: number,
  result: (state: ValueCounts) => Scalar | null,
  emit?: (state: ValueCounts, out: ColumnBuilder) => void,
): Aggregate<ValueCounts> {
  const absorbEncoded = (state: ValueCounts, reader: ByteReader): void => {
    for (let n = reader.varint(); n > 0; n--) {
      const key = keyOf(readScalar(reader, input));
      more(state, key, reader.varint(), fn, limit);
    }
  };
  return {
    fn,
    output,
    create: () => new Map(),
    clear: (state) => state.clear(),
    add: (state, column, lo, hi) => {
      for (let i = lo; i < hi; i++) {
        const key = keyAt(column!, i);
        if (key !== null) more(state, key, 1, fn, limit);
      }
    },
    remove: (state, column, lo, hi) => {
      for (let i = lo; i < hi; i++) {
        const key = keyAt(column!, i);
        if (key === null) continue;
        const left = state.get(key)! - 1;
        if (left === 0) state.delete(key);
        else state.set(key, left);
      }
    },
    absorb: (state, other) => {
      for (const [key, count] of other) more(state, key, count, fn, limit);
    },
    absorbEncoded,
    result,
    ...(emit === undefined ? {} : { emit }),
    encode: (state, writer: ByteWriter) => {
      writer.varint(state.size);
      for (const [key, count] of inValueOrder(state)) {
        writeScalar(writer, scalarOf(key, input), input);
        writer.varint(count);
      }
    },
    decode: (reader) => {
      const state: ValueCounts = new Map();
      absorbEncoded(state, reader);
      return state;
    },
  };
}

function more(state: ValueCounts, key: Key, by: number, fn: string, limit: number): void {
  const before = state.get(key);
  state.set(key, before === undefined ? by : before + by);
  if (before !== undefined || state.size <= limit) return;
  throw new SamewiseError(
    'aggregate/too-many-distinct',
    `${fn} met more than ${limit.toLocaleString('en-US')} distinct values`,
    { hint: 'raise its limit, or aggregate a coarser value: bucketize it, or take a part of it' },
  );
}

function keyAt(column: Column, row: number): Key | null {
  const value = scalarAt(column, row);
  return value === null ? null : keyOf(value);
}

function keyOf(value: Scalar): Key {
  if (value instanceof Uint8Array) return value.toHex();
  return typeof value === 'number' ? value + 0 : (value as Key);
}

/** The value that is counted under a key. */
export function scalarOf(key: Key, dtype: Dtype): Scalar {
  return dtype.kind === 'bytes' ? Uint8Array.fromHex(key as string) : key;
}

/** The counts by value, the least value first. */
export function inValueOrder(state: ValueCounts): [Key, number][] {
  return [...state].sort(([a], [b]) => compareScalars(a, b));
}

/** The k most frequent values' keys, most frequent first; of equally frequent ones the lesser value first. */
export function mostFrequent(state: ValueCounts, k: number): Key[] {
  const best: [Key, number][] = [];
  for (const entry of state) {
    if (best.length === k && !isAhead(entry, best[k - 1]!)) continue;
    if (best.length === k) best.pop();
    let at = best.length;
    while (at > 0 && isAhead(entry, best[at - 1]!)) at--;
    best.splice(at, 0, entry);
  }
  return best.map(([key]) => key);
}

function isAhead(a: readonly [Key, number], b: readonly [Key, number]): boolean {
  return a[1] !== b[1] ? a[1] > b[1] : compareScalars(a[0], b[0]) < 0;
}
