/**
 * Functions of vectors. Sums run in float64 from the first element to the last (products of float32 are exact in
 * it), so every machine gives the same bits. Null where an argument is, and where IEEE gives NaN.
 */
import type { VectorColumn } from '../../types/column.ts';
import { type Dtype, float32, float64, type VectorType } from '../../types/dtype.ts';
import { type ExprFunction, expectArgs, intParam, mismatch, VECTOR } from './function.ts';
import { strictKernel } from './kernels.ts';

type Vectors = Float32Array;

function sizeOf(dtype: Dtype): number {
  return (dtype as VectorType).size;
}

/** A function of two vectors of one size; `rule` gets both buffers and where the row's elements lie. */
function pairwise(
  name: string,
  doc: string,
  rule: (a: Vectors, b: Vectors, from: number, to: number) => number | null,
): ExprFunction {
  return {
    name,
    signature: `${name}(a: vector(n), b: vector(n)) → float64`,
    doc,
    type: (args) => {
      expectArgs(name, args, VECTOR, VECTOR);
      const size = sizeOf(args[0]!);
      if (sizeOf(args[1]!) !== size)
        throw mismatch(name, 1, args[1]!, `vector(${size}), as argument 1 is`);
      return float64;
    },
    bind: ([vector]) => {
      const size = sizeOf(vector!);
      return strictKernel(float64, (args) => {
        const [a, b] = args.map((arg) => (arg as VectorColumn).data) as [Vectors, Vectors];
        return (row) => rule(a, b, row * size, (row + 1) * size);
      });
    },
  };
}

function dotProduct(a: Vectors, b: Vectors, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += a[i]! * b[i]!;
  return sum;
}

export const dot = pairwise('dot', 'Sum of the products of the elements.', dotProduct);

export const cosine = pairwise(
  'cosine',
  'Cosine of the angle between two vectors, −1 to 1; null if either has length 0.',
  (a, b, from, to) => {
    const scale = Math.sqrt(dotProduct(a, a, from, to) * dotProduct(b, b, from, to));
    if (scale === 0) return null;
    return Math.max(-1, Math.min(1, dotProduct(a, b, from, to) / scale));
  },
);

export const l2 = pairwise('l2', 'Euclidean distance.', (a, b, from, to) => {
  let sum = 0;
  for (let i = from; i < to; i++) sum += (a[i]! - b[i]!) * (a[i]! - b[i]!);
  return Math.sqrt(sum);
});

export const norm: ExprFunction = {
  name: 'norm',
  signature: 'norm(x: vector(n)) → float64',
  doc: 'Euclidean length.',
  type: (args) => {
    expectArgs('norm', args, VECTOR);
    return float64;
  },
  bind: ([vector]) => {
    const size = sizeOf(vector!);
    return strictKernel(float64, ([x]) => {
      const { data } = x as VectorColumn;
      return (row) => Math.sqrt(dotProduct(data, data, row * size, (row + 1) * size));
    });
  },
};

export const vectorAt: ExprFunction = {
  name: 'vector_at',
  signature: 'vector_at(x: vector(n), index) → float32',
  doc: 'The element at index: 0 the first, −1 the last; it must lie within the vector.',
  type: (args, params) => {
    expectArgs('vector_at', args, VECTOR);
    const size = sizeOf(args[0]!);
    intParam('vector_at', params, 'index', -size, size - 1);
    return float32;
  },
  bind: ([vector], params) => {
    const size = sizeOf(vector!);
    const index = params.index as number;
    const at = index < 0 ? size + index : index;
    return strictKernel(float32, ([x]) => {
      const { data } = x as VectorColumn;
      return (row) => data[row * size + at]!;
    });
  },
};
