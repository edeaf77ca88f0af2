/**
 * variance, stddev, skewness, kurtosis: a count and the exact sums of x, x², … Powers are added exactly too, so the
 * results are those of real arithmetic, rounded once. Infinite values have no spread: the result is null, as NaN is no value.
 */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { Column } from '../types/column.ts';
import { float64 } from '../types/dtype.ts';
import type { Aggregate } from './aggregate.ts';
import { certainQuotient, certainRootOfQuotient, twoProductError } from './certain.ts';
import { addInt64Range, addRange, addSquare, addSquares } from './exact_ranges.ts';
import { ExactSum } from './exact_sum.ts';
import { exactFloat } from './float_bits.ts';
import { isOfUsualSize, type TwoFloats } from './rounding.ts';
import { int64Halves, numericData } from './rows.ts';

export interface Moments {
  n: number;
  /** sums[j] is that of x^(j+1). */
  readonly sums: readonly ExactSum[];
}

/** An aggregate of the sums of the first `order` powers; `valueFrom` is called for n ≥ `least` finite values only. */
export function overMoments(
  fn: string,
  order: 2 | 3 | 4,
  least: number,
  valueFrom: (state: Moments) => number | null,
): Aggregate<Moments> {
  const create = (): Moments => ({
    n: 0,
    sums: Array.from({ length: order }, () => new ExactSum()),
  });
  return {
    fn,
    output: float64,
    family: `moments of order ${order}`,
    create,
    clear: (state) => {
      state.n = 0;
      for (const sum of state.sums) sum.clear();
    },
    add: (state, input, lo, hi) => change(state, input!, lo, hi, 1),
    remove: (state, input, lo, hi) => change(state, input!, lo, hi, -1),
    absorb: (state, other) => {
      state.n += other.n;
      for (let j = 0; j < order; j++) state.sums[j]!.merge(other.sums[j]!);
    },
    absorbEncoded,
    result: (state) => (state.n < least || !state.sums[0]!.finite ? null : valueFrom(state)),
    encode: (state, writer: ByteWriter) => {
      writer.varint(state.n);
      if (state.n > 0) for (const sum of state.sums) sum.encode(writer);
    },
    decode: (reader) => {
      const state = create();
      absorbEncoded(state, reader);
      return state;
    },
  };
}

function absorbEncoded(state: Moments, reader: ByteReader): void {
  const n = reader.varint();
  state.n += n;
  if (n > 0) for (const sum of state.sums) sum.mergeEncoded(reader);
}

function change(state: Moments, input: Column, lo: number, hi: number, sign: 1 | -1): void {
  const { validity } = input;
  const { sums } = state;
  if (input.kind !== 'int64') {
    const data = numericData(input);
    state.n += sign * addRange(sums[0]!, data, validity, lo, hi, sign);
    addSquares(sums[1]!, data, validity, lo, hi, sign);
    for (let i = lo; i < hi && sums.length > 2; i++)
      if (validity === null || validity[i] === 1) addPowers(sums, data[i]!, sign);
    return;
  }
  const halves = int64Halves(input.data);
  state.n += sign * addInt64Range(sums[0]!, halves, validity, lo, hi, sign);
  for (let i = lo; i < hi; i++) {
    if (validity !== null && validity[i] === 0) continue;
    const high = halves[2 * i + 1]!;
    if (high >= -(2 ** 20) && high < 2 ** 20) {
      const x = high * 2 ** 32 + (halves[2 * i]! >>> 0);
      addSquare(sums[1]!, x, sign);
      addPowers(sums, x, sign);
    } else {
      const x = input.data[i]!;
      sums[1]!.addBigint(x * x, 0, sign);
      addLongPowers(sums, x, 0, sign);
    }
  }
}

/**
 * Adds x³ and x⁴ as far as there are sums, each as products and their rounding errors. Within these bounds
 * no product overflows and no error underflows; outside, by bigints.
 */
function addPowers(sums: readonly ExactSum[], x: number, sign: 1 | -1): void {
  if (sums.length < 3) return;
  const size = Math.abs(x);
  if (!(size >= 2 ** -200 && size < 2 ** 200)) {
    if (x === 0 || !Number.isFinite(x)) return;
    const { integer, exponent } = exactFloat(x);
    return addLongPowers(sums, integer, exponent, sign);
  }
  const square = x * x;
  const rest = twoProductError(x, x, square);
  addProduct(sums[2]!, square, x, sign);
  addProduct(sums[2]!, rest, x, sign);
  if (sums.length >= 4) {
    addProduct(sums[3]!, square, square, sign);
    addProduct(sums[3]!, 2 * square, rest, sign);
    addProduct(sums[3]!, rest, rest, sign);
  }
}

function addProduct(sum: ExactSum, a: number, b: number, sign: 1 | -1): void {
  const product = a * b;
  sum.add(product, sign);
  sum.add(twoProductError(a, b, product), sign);
}

function addLongPowers(
  sums: readonly ExactSum[],
  integer: bigint,
  exponent: number,
  sign: 1 | -1,
): void {
  for (let j = 2; j < sums.length; j++)
    sums[j]!.addBigint(integer ** BigInt(j + 1), exponent * (j + 1), sign);
}

/** The sums as whole numbers in a common unit: sums[j] = s[j] · 2^(unit·(j+1)). */
export function wholeSums({ sums }: Moments): { s: bigint[]; unit: number } {
  const exact = sums.map((sum) => sum.exact());
  const unit = Math.min(...exact.map(({ exponent }, j) => Math.floor(exponent / (j + 1))));
  const s = exact.map(({ integer, exponent }, j) => integer << BigInt(exponent - unit * (j + 1)));
  return { s, unit };
}

const first: TwoFloats = { high: 0, low: 0 };
const second: TwoFloats = { high: 0, low: 0 };

/**
 * (n·Σx² − (Σx)²) / (n(n−1)), or its root, in twice float64's precision; NaN where that does not decide how to round
 * (much cancels, or all values are equal) or where numbers are too great or small for it.
 */
export function nearVariance({ n, sums }: Moments, root: boolean): number {
  sums[0]!.twoFloats(first);
  sums[1]!.twoFloats(second);
  if (n > 2 ** 26 || !isOfUsualSize(first.high) || !isOfUsualSize(second.high)) return Number.NaN;
  const a = n * second.high;
  const b = first.high * first.high;
  const difference = a - b;
  if (!(difference > (a + b) * 2 ** -40)) return Number.NaN;
  // The rounding error of a difference (D. E. Knuth's two-sum), and those of the products.
  const back = difference - a;
  const lost = a - (difference - back) - (b + back);
  const low =
    lost +
    (twoProductError(n, second.high, a) + n * second.low) -
    (twoProductError(first.high, first.high, b) + 2 * first.high * first.low);
  const high = difference + low;
  const error = (a + b) * 2 ** -98;
  const rest = low - (high - difference);
  const divisor = n * (n - 1);
  return root
    ? certainRootOfQuotient(high, rest, error, divisor)
    : certainQuotient(high, rest, error, divisor);
}
