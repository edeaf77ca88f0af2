/**
 * The aggregates, naively: all values at once, real numbers as fractions of bigints, sorting and Maps. Shares no code with
 * src/aggregate. Values are those of the window in the order of events, nulls included.
 */
import type { Dtype } from '../../src/types/dtype.ts';
import { compareScalars, type Scalar, scalarToJsonText } from '../../src/types/scalar.ts';

type Values = readonly (Scalar | null)[];
type Params = Readonly<Record<string, number>>;
interface Fraction {
  readonly p: bigint;
  /** Positive. */
  readonly q: bigint;
}

const REAL = ['sum', 'avg', 'variance', 'stddev', 'skewness', 'kurtosis'];

/** What aggregate `fn` gives; the two sketches are not exact, see `isNearQuantile` and the test of approx_distinct. */
export function naive(
  fn: string,
  params: Params,
  values: Values,
  dtype: Dtype | null,
): Scalar | null {
  const known = values.filter((value) => value !== null);
  const isWhole = dtype?.kind === 'int32' || dtype?.kind === 'int64';
  const infinite = new Set(known.filter((x) => Math.abs(Number(x)) === Number.POSITIVE_INFINITY));
  if (infinite.size > 0 && REAL.includes(fn)) {
    const [only] = infinite;
    return (fn === 'sum' || fn === 'avg') && infinite.size === 1 ? only! : null;
  }
  switch (fn) {
    case 'count':
      return BigInt(dtype === null ? values.length : known.length);
    case 'sum':
      if (known.length === 0) return null;
      return isWhole
        ? known.reduce<bigint>((sum, x) => sum + BigInt(x as bigint), 0n)
        : real(known, total);
    case 'avg':
      return known.length === 0
        ? null
        : real(known, (xs) => times(total(xs), { p: 1n, q: size(xs) }));
    case 'variance':
      return known.length < 2 ? null : real(known, variance);
    case 'stddev':
      return known.length < 2 ? null : real(known, variance, nearestRoot);
    case 'skewness':
      return known.length < 3 ? null : real(known, squaredSkewness, nearestSignedRoot);
    case 'kurtosis':
      return known.length < 4 ? null : real(known, kurtosis);
    case 'min':
      return known.toSorted(compareScalars)[0] ?? null;
    case 'max':
      return known.toSorted(compareScalars).at(-1) ?? null;
    case 'first':
      return known[0] ?? null;
    case 'last':
      return known.at(-1) ?? null;
    case 'latest':
      return values.at(-1) ?? null;
    case 'first_k':
      return known.slice(0, params.k);
    case 'last_k':
      return known.slice(-params.k!);
    case 'distinct_count':
      return BigInt(counted(known).length);
    case 'mode':
      return byFrequency(known)[0] ?? null;
    case 'top_k':
      return byFrequency(known).slice(0, params.k);
    case 'histogram':
      return `{${counted(known)
        .map(([value, n]) => `${JSON.stringify(jsonName(value, dtype!))}:${n}`)
        .join(',')}}`;
    case 'bool_and':
      return known.length === 0 ? null : known.every((x) => x === true);
    case 'bool_or':
      return known.length === 0 ? null : known.some((x) => x === true);
  }
  throw new Error(`no naive ${fn}`);
}

/** Whether `answer` is within the relative error of the value at rank ⌊q·(n−1)⌋; null where there is none. */
export function isNearQuantile(answer: Scalar | null, params: Params, values: Values): boolean {
  const sorted = values
    .filter((value) => value !== null)
    .map(Number)
    .toSorted((a, b) => a - b);
  if (sorted.length === 0) return answer === null;
  const exact = sorted[Math.floor(params.q! * (sorted.length - 1))]!;
  // Among subnormal numbers the next one may be further away than that.
  const slack = Number.isFinite(exact) ? Math.abs(exact) * params.error! * (1 + 1e-9) + 5e-324 : 0;
  return answer === exact || Math.abs((answer as number) - exact) <= slack;
}

function jsonName(value: Scalar, dtype: Dtype): string {
  const text = scalarToJsonText(value, dtype);
  return text.startsWith('"') ? (JSON.parse(text) as string) : text;
}

/** Each value with its count, the least first. */
function counted(values: readonly Scalar[]): [Scalar, number][] {
  const out: [Scalar, number][] = [];
  for (const value of values.toSorted(compareScalars)) {
    const newest = out.at(-1);
    if (newest !== undefined && compareScalars(newest[0], value) === 0) newest[1]++;
    else out.push([value, 1]);
  }
  return out;
}

function byFrequency(values: readonly Scalar[]): Scalar[] {
  // Sorting is stable, so the least of equally frequent ones stays first.
  return counted(values)
    .toSorted(([, a], [, b]) => b - a)
    .map(([value]) => value);
}

/** A result over finite numbers, rounded once. */
function real(
  values: readonly Scalar[],
  of: (xs: readonly Fraction[]) => Fraction | null,
  round: (x: Fraction) => number = nearestFloat,
): number | null {
  const exact = of(values.map((x) => fractionOf(x as number | bigint)));
  return exact === null ? null : round(exact);
}

const bits = new BigInt64Array(1);
const float = new Float64Array(bits.buffer);
function floatOfBits(pattern: bigint): number {
  bits[0] = pattern;
  return float[0]!;
}

function fractionOf(x: number | bigint): Fraction {
  if (typeof x === 'bigint') return { p: x, q: 1n };
  float[0] = Math.abs(x);
  const exponent = bits[0]! >> 52n;
  const significand = BigInt.asUintN(52, bits[0]!) + (exponent === 0n ? 0n : 2n ** 52n);
  const power = (exponent === 0n ? 1n : exponent) - 1075n;
  const p = x < 0 ? -significand : significand;
  return power >= 0n ? { p: p << power, q: 1n } : { p, q: 1n << -power };
}

const size = (xs: readonly Fraction[]): bigint => BigInt(xs.length);
const plus = (a: Fraction, b: Fraction): Fraction => ({ p: a.p * b.q + b.p * a.q, q: a.q * b.q });
const minus = (a: Fraction, b: Fraction): Fraction => plus(a, { p: -b.p, q: b.q });
const times = (a: Fraction, b: Fraction): Fraction => ({ p: a.p * b.p, q: a.q * b.q });
function over(a: Fraction, b: Fraction): Fraction {
  return b.p < 0n ? { p: -a.p * b.q, q: a.q * -b.p } : { p: a.p * b.q, q: a.q * b.p };
}
const whole = (n: bigint): Fraction => ({ p: n, q: 1n });

/** A common one: they are powers of two. */
function denominator(xs: readonly Fraction[]): bigint {
  return xs.reduce((most, { q }) => most * (q > most ? q / most : 1n), 1n);
}

function total(xs: readonly Fraction[]): Fraction {
  const q = denominator(xs);
  return { p: xs.reduce((sum, x) => sum + x.p * (q / x.q), 0n), q };
}

/** The k-th central moment, its mean over n. */
function moment(xs: readonly Fraction[], k: number): Fraction {
  const mean = times(total(xs), { p: 1n, q: size(xs) });
  const q = denominator(xs) * size(xs);
  const deviations = xs.map((x) => {
    const d = minus(x, mean);
    return (d.p * q) / d.q;
  });
  const sum = deviations.reduce((all, d) => all + d ** BigInt(k), 0n);
  return { p: sum, q: q ** BigInt(k) * size(xs) };
}

function variance(xs: readonly Fraction[]): Fraction {
  return times(moment(xs, 2), { p: size(xs), q: size(xs) - 1n });
}

/** G1·|G1|, whose signed root is the skewness G1 = √(n(n−1)) / (n−2) · m₃ / m₂^1.5. */
function squaredSkewness(xs: readonly Fraction[]): Fraction | null {
  const n = size(xs);
  const [m2, m3] = [moment(xs, 2), moment(xs, 3)];
  if (m2.p === 0n) return null;
  const square = over(times(m3, m3), times(m2, times(m2, m2)));
  const out = times(square, { p: n * (n - 1n), q: (n - 2n) ** 2n });
  return m3.p < 0n ? { p: -out.p, q: out.q } : out;
}

function kurtosis(xs: readonly Fraction[]): Fraction | null {
  const n = size(xs);
  const [m2, m4] = [moment(xs, 2), moment(xs, 4)];
  if (m2.p === 0n) return null;
  const excess = minus(over(m4, times(m2, m2)), whole(3n));
  const inner = plus(times(whole(n + 1n), excess), whole(6n));
  return times(inner, { p: n - 1n, q: (n - 2n) * (n - 3n) });
}

const INFINITE_BITS = 0x7ff0000000000000n;
/** Infinity stands for 2^1024 here, the float that would come next. */
const exactly = (pattern: bigint): Fraction =>
  pattern === INFINITE_BITS ? whole(2n ** 1024n) : fractionOf(floatOfBits(pattern));

/** The float64 nearest to the number that `compare` compares with its argument, ties to even: floats order as their bits do. */
function nearestBy(compare: (to: Fraction) => number): number {
  let [low, high] = [0n, INFINITE_BITS];
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (compare(exactly(middle)) >= 0) low = middle;
    else high = middle;
  }
  const midpoint = times(plus(exactly(low), exactly(high)), { p: 1n, q: 2n });
  const side = compare(midpoint);
  return floatOfBits(side > 0 || (side === 0 && (low & 1n) === 1n) ? high : low);
}

const sign = (n: bigint): number => (n > 0n ? 1 : n < 0n ? -1 : 0);

/** Exported for the test of the sums themselves. */
export function nearestFloat(x: Fraction): number {
  // + 0: what is too small for a float64 is zero, and zero has no sign.
  if (x.p < 0n) return -nearestFloat({ p: -x.p, q: x.q }) + 0;
  return x.p === 0n ? 0 : nearestBy((to) => sign(x.p * to.q - to.p * x.q));
}

function nearestRoot(x: Fraction): number {
  return x.p === 0n ? 0 : nearestBy((to) => sign(x.p * to.q * to.q - to.p * to.p * x.q));
}

function nearestSignedRoot(x: Fraction): number {
  return x.p < 0n ? -nearestRoot({ p: -x.p, q: x.q }) : nearestRoot(x);
}
