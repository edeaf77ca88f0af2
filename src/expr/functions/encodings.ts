/** Encodings for models: one_hot, ordinal, hash_bucket. Null where the value is null. */
import { murmur3Words } from '../../base/hash.ts';
import type { Column } from '../../types/column.ts';
import { int32, vector } from '../../types/dtype.ts';
import { positionIn, valueList } from './compare.ts';
import { DISCRETE, type ExprFunction, expectArgs, intParam } from './function.ts';
import { strictKernel } from './kernels.ts';

export const oneHot: ExprFunction = {
  name: 'one_hot',
  signature: 'one_hot(x: discrete, values) → vector(number of values)',
  doc: '1 at the place of x in values and 0 elsewhere; all 0 for a value that is not listed.',
  type: (args, params) => {
    expectArgs('one_hot', args, DISCRETE);
    return vector(valueList('one_hot', params, args[0]!).length);
  },
  bind: ([of], params, output) => {
    const values = valueList('one_hot', params, of!);
    return strictKernel(output, ([x]) => {
      const position = positionIn(x!, values);
      return (row) => {
        const out = new Float32Array(values.length);
        const at = position(row);
        if (at >= 0) out[at] = 1;
        return out;
      };
    });
  },
};

export const ordinal: ExprFunction = {
  name: 'ordinal',
  signature: 'ordinal(x: discrete, values, other?) → int32',
  doc: 'Place of x in values, from 0; for a value that is not listed other, or null without it.',
  type: (args, params) => {
    expectArgs('ordinal', args, DISCRETE);
    valueList('ordinal', params, args[0]!);
    if (params.other !== undefined) intParam('ordinal', params, 'other', -(2 ** 31), 2 ** 31 - 1);
    return int32;
  },
  bind: ([of], params) => {
    const values = valueList('ordinal', params, of!);
    const other = (params.other as number | undefined) ?? null;
    return strictKernel(int32, ([x]) => {
      const position = positionIn(x!, values);
      return (row) => {
        const at = position(row);
        return at >= 0 ? at : other;
      };
    });
  },
};

/** So that products of two remainders stay exact in a double. */
const MAX_BUCKETS = 2 ** 26;

const utf8 = new TextEncoder();

export const hashBucket: ExprFunction = {
  name: 'hash_bucket',
  signature: 'hash_bucket(x: discrete, buckets) → int32',
  doc: 'A bucket from 0 to buckets − 1 by a fixed 64-bit hash of the value (MurmurHash3); the same on every machine.',
  type: (args, params) => {
    expectArgs('hash_bucket', args, DISCRETE);
    intParam('hash_bucket', params, 'buckets', 1, MAX_BUCKETS);
    return int32;
  },
  bind: (_args, params) => {
    const buckets = params.buckets as number;
    const scale = 2 ** 32 % buckets;
    return strictKernel(int32, ([x]) => {
      const bytes = canonicalBytes(x!);
      return (row) => {
        const [high, low] = murmur3Words(bytes(row));
        return ((high % buckets) * scale + (low % buckets)) % buckets;
      };
    });
  },
};

/** Strings as UTF-8, bytes as they are, everything else as a little-endian int64, so that int32 7 and int64 7 agree. */
function canonicalBytes(column: Column): (row: number) => Uint8Array {
  if (column.kind === 'string') return (row) => utf8.encode(column.data[row]!);
  if (column.kind === 'bytes') return (row) => column.data[row]!;
  const out = new Uint8Array(8);
  const view = new DataView(out.buffer);
  const data = column.data as ArrayLike<number | bigint>;
  return (row) => {
    view.setBigInt64(0, BigInt(data[row]!), true);
    return out;
  };
}
