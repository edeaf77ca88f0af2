/**
 * The aggregates, as people write them. Each skips nulls (count() counts rows) and waits for a window:
 * `avg(amount).over('7d')`. Without one a view does not take it.
 */
import { completeSpec } from '../aggregate/index.ts';
import type { NumericType, OrderedType, Value } from '../expr/index.ts';
import type {
  BoolType,
  Dtype,
  Float64Type,
  Int32Type,
  Int64Type,
  ListType,
  StringType,
} from '../types/dtype.ts';
import { type Aggregation, aggregation, type Unwindowed } from './feature.ts';

type Of<D extends Dtype> = Aggregation<D, Unwindowed>;

function of<D extends Dtype>(
  fn: string,
  input: Value<any> | null,
  params?: Readonly<Record<string, number | undefined>>,
): Of<D> {
  const given = Object.fromEntries(
    Object.entries(params ?? {}).filter(
      (entry): entry is [string, number] => entry[1] !== undefined,
    ),
  );
  return aggregation<D>(() => completeSpec(fn, given), input);
}

/** Number of events; of a column, of its values that are not null. 0 where there are none. */
export function count(value: Value<any> | null = null): Of<Int64Type> {
  return of('count', value);
}

/** Exact sum: int64 of whole numbers (overflow is an error), float64 of floats, rounded once. Null where there are none. */
export function sum<D extends NumericType>(
  value: Value<D>,
): Of<D extends Int32Type | Int64Type ? Int64Type : Float64Type> {
  return of('sum', value);
}

/** Mean, computed exactly and rounded once. Null where there are none. */
export function avg(value: Value<NumericType>): Of<Float64Type> {
  return of('avg', value);
}

/** Smallest value. Strings and bytes compare by their UTF-8 bytes. */
export function min<D extends OrderedType>(value: Value<D>): Of<D> {
  return of('min', value);
}

/** Greatest value. */
export function max<D extends OrderedType>(value: Value<D>): Of<D> {
  return of('max', value);
}

/** Sample variance (n − 1), computed exactly and rounded once. Null for fewer than two values. */
export function variance(value: Value<NumericType>): Of<Float64Type> {
  return of('variance', value);
}

/** Sample standard deviation. Null for fewer than two values. */
export function stddev(value: Value<NumericType>): Of<Float64Type> {
  return of('stddev', value);
}

/** Adjusted Fisher–Pearson skewness. Null for fewer than three values or when all are equal. */
export function skewness(value: Value<NumericType>): Of<Float64Type> {
  return of('skewness', value);
}

/** Excess kurtosis, bias-corrected. Null for fewer than four values or when all are equal. */
export function kurtosis(value: Value<NumericType>): Of<Float64Type> {
  return of('kurtosis', value);
}

/** The oldest value that is not null. */
export function first<D extends Dtype>(value: Value<D>): Of<D> {
  return of('first', value);
}

/** The newest value that is not null; for the newest event's value, null or not, see `latest`. */
export function last<D extends Dtype>(value: Value<D>): Of<D> {
  return of('last', value);
}

/** The `k` oldest values that are not null, oldest first. */
export function firstK<D extends Dtype>(value: Value<D>, k: number): Of<ListType<D>> {
  return of('first_k', value, { k });
}

/** The `k` newest values that are not null, oldest first: the newest is the last. */
export function lastK<D extends Dtype>(value: Value<D>, k: number): Of<ListType<D>> {
  return of('last_k', value, { k });
}

/** Number of distinct values, exactly. 0 where there are none. */
export function distinctCount(value: Value<OrderedType>): Of<Int64Type> {
  return of('distinct_count', value);
}

/** Number of distinct values by HyperLogLog: standard error 1.6 %, at most 4 kB a state. 0 where there are none. */
export function approxDistinct(value: Value<OrderedType>): Of<Int64Type> {
  return of('approx_distinct', value);
}

/** The `q`-quantile, 0.5 for the median: the value at rank ⌊q·(n − 1)⌋, within a relative `error` (0.01 unless said otherwise). */
export function quantile(
  value: Value<NumericType>,
  q: number,
  options: { readonly error?: number } = {},
): Of<Float64Type> {
  return of('quantile', value, { q, error: options.error });
}

/**
 * The most frequent value; of equally frequent ones the least. Counts are exact; more than `limit` distinct values (10,000
 * unless said otherwise) are a coded error.
 */
export function mode<D extends OrderedType>(
  value: Value<D>,
  options: { readonly limit?: number } = {},
): Of<D> {
  return of('mode', value, { limit: options.limit });
}

/** The `k` most frequent values, most frequent first; exact and limited as `mode` is. */
export function topK<D extends OrderedType>(
  value: Value<D>,
  k: number,
  options: { readonly limit?: number } = {},
): Of<ListType<D>> {
  return of('top_k', value, { k, limit: options.limit });
}

/**
 * Counts by value, as the text of a JSON object in the order of the values: `{"card":12,"cash":3}`; `{}` where there are
 * none. Limited as `mode` is.
 */
export function histogram(
  value: Value<OrderedType>,
  options: { readonly limit?: number } = {},
): Of<StringType> {
  return of('histogram', value, { limit: options.limit });
}

/** Whether all are true. */
export function boolAnd(value: Value<BoolType>): Of<BoolType> {
  return of('bool_and', value);
}

/** Whether any is true. */
export function boolOr(value: Value<BoolType>): Of<BoolType> {
  return of('bool_or', value);
}
