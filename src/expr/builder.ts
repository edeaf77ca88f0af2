/**
 * The fluent, typed way to write expressions. A method is there only for the types it fits, so that a sum over a
 * string does not compile; whoever comes without types is told the same at run time by the same rules (`typeOf`).
 *
 * A plain JavaScript value may stand wherever a Value may. It takes the type of what it is used with: `count.gt(3)`
 * compares with an int64. A fraction beside a whole number is a float64.
 *
 * This file is long because a fluent class has all its methods in one place; each is a line that names a function of
 * the catalogue, where its meaning is documented.
 */

import { type DurationText, parseDuration } from '../base/duration.ts';
import { SamewiseError } from '../base/errors.ts';
import {
  type BoolType,
  bool,
  bytes,
  type Dtype,
  type Float32Type,
  type Float64Type,
  float64,
  type Int32Type,
  int64,
  type ListType,
  printDtype,
  type StringType,
  string,
  type TimestampType,
  timestamp,
  type VectorType,
} from '../types/dtype.ts';
import { coerce, scalarToJson } from '../types/scalar.ts';
import type { Params } from './functions/function.ts';
import type { DiffUnit, TruncateUnit } from './functions/time.ts';
import type { Expr } from './ir.ts';
import { callType } from './typecheck.ts';
import type {
  DiscreteType,
  LiteralType,
  NumericType,
  Operand,
  OrderedType,
  Plain,
  Promote,
  TimeType,
  TypeBeside,
  Unify,
} from './value_types.ts';

type Numeric = Value<NumericType>;
type NumberOperand = Operand<NumericType>;

/** An expression and its type. Immutable; every method gives a new one. */
export class Value<D extends Dtype> {
  readonly expr: Expr;
  readonly dtype: D;

  constructor(expr: Expr, dtype: D) {
    this.expr = Object.freeze(expr);
    this.dtype = dtype;
    Object.freeze(this);
  }

  // Arithmetic. Dividing by zero gives null; whole numbers that overflow are an error.

  add<const R extends NumberOperand>(this: Numeric, other: R): Value<Promote<D, TypeBeside<R, D>>> {
    return arithmetic('add', this, other);
  }
  sub<const R extends NumberOperand>(this: Numeric, other: R): Value<Promote<D, TypeBeside<R, D>>> {
    return arithmetic('sub', this, other);
  }
  mul<const R extends NumberOperand>(this: Numeric, other: R): Value<Promote<D, TypeBeside<R, D>>> {
    return arithmetic('mul', this, other);
  }
  /** Quotient as float64; null where `other` is zero. */
  div(this: Numeric, other: NumberOperand): Value<Float64Type> {
    return arithmetic('div', this, other);
  }
  /** Remainder with the sign of the dividend; null where `other` is zero. */
  mod<const R extends NumberOperand>(this: Numeric, other: R): Value<Promote<D, TypeBeside<R, D>>> {
    return arithmetic('mod', this, other);
  }
  neg(this: Numeric): Value<Promote<D, D>> {
    return callWith('neg', this, []);
  }

  // Comparison: null if either side is null.

  eq(this: Value<OrderedType>, other: Operand<D>): Value<BoolType> {
    return callWith('eq', this, [other]);
  }
  ne(this: Value<OrderedType>, other: Operand<D>): Value<BoolType> {
    return callWith('ne', this, [other]);
  }
  lt(this: Value<OrderedType>, other: Operand<D>): Value<BoolType> {
    return callWith('lt', this, [other]);
  }
  le(this: Value<OrderedType>, other: Operand<D>): Value<BoolType> {
    return callWith('le', this, [other]);
  }
  gt(this: Value<OrderedType>, other: Operand<D>): Value<BoolType> {
    return callWith('gt', this, [other]);
  }
  ge(this: Value<OrderedType>, other: Operand<D>): Value<BoolType> {
    return callWith('ge', this, [other]);
  }
  /** Whether low ≤ this ≤ high. */
  between(this: Value<OrderedType>, low: Operand<D>, high: Operand<D>): Value<BoolType> {
    const above: Value<BoolType> = callWith('ge', this, [low]);
    return callWith('and', above, [callWith('le', this, [high])]);
  }
  /** Whether the value is one of these constants. */
  isIn(this: Value<DiscreteType>, values: readonly Plain<D>[]): Value<BoolType> {
    return callWith('is_in', this, [], { values: constants('is_in', values, this.dtype) });
  }
  isNull(): Value<BoolType> {
    return callWith('is_null', this, []);
  }
  isNotNull(): Value<BoolType> {
    return callWith('is_not_null', this, []);
  }

  // Logic, three-valued.

  and(this: Value<BoolType>, other: Operand<BoolType>): Value<BoolType> {
    return callWith('and', this, [other]);
  }
  or(this: Value<BoolType>, other: Operand<BoolType>): Value<BoolType> {
    return callWith('or', this, [other]);
  }
  not(this: Value<BoolType>): Value<BoolType> {
    return callWith('not', this, []);
  }

  // What is missing.

  /** This, or `other` where this is null. */
  coalesce<const R extends Operand<D>>(other: R): Value<Unify<D, TypeBeside<R, D>>> {
    return callWith('coalesce', this, [other]);
  }
  /** This, but null where it equals `other`. */
  nullIf(this: Value<OrderedType>, other: Operand<D>): Value<D> {
    return callWith('nullif', this, [other]);
  }

  // Casts.

  /** The value as another type; `expr/bad-cast` where that would lose it. */
  cast<T extends Dtype>(to: T): Value<T> {
    return callWith('cast', this, [], { to: printDtype(to) });
  }
  /** The value as another type; null where that would lose it. */
  tryCast<T extends Dtype>(to: T): Value<T> {
    return callWith('try_cast', this, [], { to: printDtype(to) });
  }

  // Numbers.

  abs(this: Numeric): Value<Promote<D, D>> {
    return callWith('abs', this, []);
  }
  /** −1, 0 or 1. */
  sign(this: Numeric): Value<Int32Type> {
    return callWith('sign', this, []);
  }
  /** To `digits` places after the point, half away from zero. */
  round(this: Numeric, digits = 0): Value<Promote<D, D>> {
    return callWith('round', this, [], { digits });
  }
  floor(this: Numeric): Value<Promote<D, D>> {
    return callWith('floor', this, []);
  }
  ceil(this: Numeric): Value<Promote<D, D>> {
    return callWith('ceil', this, []);
  }
  /** `low` where this is below it, `high` where it is above. */
  clip<const L extends NumberOperand, const H extends NumberOperand>(
    this: Numeric,
    low: L,
    high: H,
  ): Value<Unify<Unify<D, TypeBeside<L, D>>, TypeBeside<H, D>>> {
    return callWith('clip', this, [low, high]);
  }
  /** Natural logarithm; null below zero. */
  log(this: Numeric): Value<Float64Type> {
    return callWith('log', this, []);
  }
  /** log(1 + x), exact near zero. */
  log1p(this: Numeric): Value<Float64Type> {
    return callWith('log1p', this, []);
  }
  exp(this: Numeric): Value<Float64Type> {
    return callWith('exp', this, []);
  }
  /** Null below zero. */
  sqrt(this: Numeric): Value<Float64Type> {
    return callWith('sqrt', this, []);
  }
  pow(this: Numeric, exponent: NumberOperand): Value<Float64Type> {
    return arithmetic('pow', this, exponent);
  }
  /** How many of the ascending `edges` are at or below the value. */
  bucketize(this: Numeric, edges: readonly number[]): Value<Int32Type> {
    return callWith('bucketize', this, [], { edges });
  }

  // Strings. Positions and lengths count code points.

  length(this: Value<StringType>): Value<Int32Type> {
    return callWith('length', this, []);
  }
  lower(this: Value<StringType>): Value<StringType> {
    return callWith('lower', this, []);
  }
  upper(this: Value<StringType>): Value<StringType> {
    return callWith('upper', this, []);
  }
  trim(this: Value<StringType>): Value<StringType> {
    return callWith('trim', this, []);
  }
  /** From position `start`, counted from 1; to the end without a `length`. */
  substring(this: Value<StringType>, start: number, length?: number): Value<StringType> {
    return callWith('substring', this, [], length === undefined ? { start } : { start, length });
  }
  startsWith(this: Value<StringType>, prefix: Operand<StringType>): Value<BoolType> {
    return callWith('starts_with', this, [prefix]);
  }
  endsWith(this: Value<StringType>, suffix: Operand<StringType>): Value<BoolType> {
    return callWith('ends_with', this, [suffix]);
  }
  /** Every occurrence of `from` as `to`. */
  replace(
    this: Value<StringType>,
    from: Operand<StringType>,
    to: Operand<StringType>,
  ): Value<StringType> {
    return callWith('replace', this, [from, to]);
  }
  split(this: Value<StringType>, separator: string): Value<ListType<StringType>> {
    return callWith('split', this, [], { separator });
  }
  /** Whether the pattern is found anywhere; a JavaScript regular expression (flag u). */
  regexMatch(this: Value<StringType>, pattern: string | RegExp): Value<BoolType> {
    return callWith('regex_match', this, [], { pattern: patternText(pattern) });
  }
  /** Whether a string holds another, or a list an element. */
  contains(this: Value<StringType>, part: Operand<StringType>): Value<BoolType>;
  contains<T extends OrderedType>(this: Value<ListType<T>>, element: Operand<T>): Value<BoolType>;
  contains(this: Value<any>, part: unknown): Value<BoolType> {
    if (this.dtype.kind !== 'list') return callWith('contains', this, [part]);
    return callWith('list_contains', this, [asValue(part, this.dtype.of)]);
  }

  // Time, in UTC.

  hour(this: Value<TimestampType>): Value<Int32Type> {
    return callWith('hour', this, []);
  }
  minute(this: Value<TimestampType>): Value<Int32Type> {
    return callWith('minute', this, []);
  }
  /** 1 (Monday) to 7 (Sunday). */
  dayOfWeek(this: Value<TimeType>): Value<Int32Type> {
    return callWith('day_of_week', this, []);
  }
  day(this: Value<TimeType>): Value<Int32Type> {
    return callWith('day', this, []);
  }
  month(this: Value<TimeType>): Value<Int32Type> {
    return callWith('month', this, []);
  }
  year(this: Value<TimeType>): Value<Int32Type> {
    return callWith('year', this, []);
  }
  /** ISO 8601 week, 1 to 53. */
  weekOfYear(this: Value<TimeType>): Value<Int32Type> {
    return callWith('week_of_year', this, []);
  }
  /** Start of the second, minute, hour, day, week (Monday), month, quarter or year. */
  truncate(this: Value<TimeType>, unit: TruncateUnit<D>): Value<D> {
    return callWith('truncate', this, [], { unit });
  }
  /** This minus `other` in `unit`, with its fraction. */
  diff(
    this: Value<TimeType>,
    other: Operand<D> | Value<TimeType>,
    unit: DiffUnit,
  ): Value<Float64Type> {
    return callWith('diff', this, [other], { unit });
  }
  /** Whole periods of 24 hours since `other`, rounded down. */
  daysSince(this: Value<TimeType>, other: Operand<D> | Value<TimeType>): Value<Int32Type> {
    return callWith('days_since', this, [other]);
  }
  plus(this: Value<TimeType>, duration: DurationText): Value<D> {
    return callWith('plus', this, [], { us: parseDuration(duration) });
  }
  minus(this: Value<TimeType>, duration: DurationText): Value<D> {
    return callWith('plus', this, [], { us: -parseDuration(duration) });
  }

  // Encodings for models.

  /** 1 at the place of the value in `values`, 0 elsewhere; all 0 for another value. */
  oneHot(this: Value<DiscreteType>, values: readonly Plain<D>[]): Value<VectorType> {
    return callWith('one_hot', this, [], { values: constants('one_hot', values, this.dtype) });
  }
  /** Place of the value in `values`, from 0; `other` (without it null) for another value. */
  ordinal(
    this: Value<DiscreteType>,
    values: readonly Plain<D>[],
    other?: number,
  ): Value<Int32Type> {
    const listed = constants('ordinal', values, this.dtype);
    const params = other === undefined ? { values: listed } : { values: listed, other };
    return callWith('ordinal', this, [], params);
  }
  /** A stable hash of the value, from 0 to buckets − 1. */
  hashBucket(this: Value<DiscreteType>, buckets: number): Value<Int32Type> {
    return callWith('hash_bucket', this, [], { buckets });
  }

  // Vectors.

  dot(this: Value<VectorType>, other: Operand<VectorType>): Value<Float64Type> {
    return callWith('dot', this, [other]);
  }
  /** Cosine of the angle; null if either has length 0. */
  cosine(this: Value<VectorType>, other: Operand<VectorType>): Value<Float64Type> {
    return callWith('cosine', this, [other]);
  }
  /** Euclidean distance. */
  l2(this: Value<VectorType>, other: Operand<VectorType>): Value<Float64Type> {
    return callWith('l2', this, [other]);
  }
  /** Euclidean length. */
  norm(this: Value<VectorType>): Value<Float64Type> {
    return callWith('norm', this, []);
  }

  // Lists.

  size(this: Value<ListType>): Value<Int32Type> {
    return callWith('size', this, []);
  }
  /** The element at `index` from 0, or from the end if negative; of a list null where there is none. */
  at<T extends Dtype>(this: Value<ListType<T>>, index: number): Value<T>;
  at(this: Value<VectorType>, index: number): Value<Float32Type>;
  at(this: Value<any>, index: number): Value<any> {
    return callWith(this.dtype.kind === 'vector' ? 'vector_at' : 'list_at', this, [], { index });
  }
  /** Each element once, in the order of first occurrence. */
  distinct<T extends OrderedType>(this: Value<ListType<T>>): Value<ListType<T>> {
    return callWith('distinct', this, []);
  }
}

/** A column of the row at hand. */
export function column<D extends Dtype>(name: string, dtype: D): Value<D> {
  return new Value({ kind: 'column', name }, dtype);
}

/** A constant, of the given type or of the plain value's own; `literal(null, dtype)` is a null of that type. */
export function literal<P extends string | number | bigint | boolean | Date | Uint8Array>(
  value: P,
): Value<LiteralType<P>>;
export function literal<D extends Dtype>(value: Plain<D> | null, dtype: D): Value<D>;
export function literal(value: unknown, dtype: Dtype = ownType(value)): Value<any> {
  const json = scalarToJson(coerce(value, dtype), dtype);
  return new Value({ kind: 'literal', dtype, value: json }, dtype);
}

/** The first of these that is not null. */
export function coalesce<D extends Dtype>(
  first: Value<D>,
  ...others: readonly Operand<D>[]
): Value<D> {
  return callWith('coalesce', first, others);
}

/** The smallest of these; nulls are skipped. */
export function least<D extends OrderedType>(
  first: Value<D>,
  ...others: readonly Operand<D>[]
): Value<D> {
  return callWith('least', first, others);
}

/** The greatest of these; nulls are skipped. */
export function greatest<D extends OrderedType>(
  first: Value<D>,
  ...others: readonly Operand<D>[]
): Value<D> {
  return callWith('greatest', first, others);
}

/** These strings one after the other; null if any is null. */
export function concat(...parts: readonly Operand<StringType>[]): Value<StringType> {
  return call(
    'concat',
    parts.map((part) => asValue(part, string)),
  );
}

/** A call of a catalogue function, checked now. */
export function call(fn: string, args: readonly Value<any>[], params?: Params): Value<any> {
  const dtype = callType(
    fn,
    args.map((arg) => arg.dtype),
    params ?? {},
  );
  const exprs = args.map((arg) => arg.expr);
  const expr: Expr =
    params === undefined
      ? { kind: 'call', fn, args: exprs }
      : { kind: 'call', fn, args: exprs, params };
  return new Value(expr, dtype);
}

function callWith(
  fn: string,
  first: Value<any>,
  others: readonly unknown[],
  params?: Params,
): Value<any> {
  return call(fn, [first, ...others.map((other) => asValue(other, first.dtype))], params);
}

/** Arithmetic is done in float64 where a float takes part, so a plain number beside a float32 is not rounded to it. */
function arithmetic(fn: string, left: Value<any>, right: unknown): Value<any> {
  return call(fn, [left, asValue(right, left.dtype.kind === 'float32' ? float64 : left.dtype)]);
}

/** A Value as it is; a plain value as a literal that fits beside a value of `beside`. */
export function asValue(operand: unknown, beside: Dtype): Value<any> {
  if (operand instanceof Value) return operand;
  return literal(operand as any, typeBeside(operand, beside));
}

function typeBeside(operand: unknown, beside: Dtype): Dtype {
  const whole = beside.kind === 'int32' || beside.kind === 'int64';
  if (whole && typeof operand === 'number' && !Number.isSafeInteger(operand)) return float64;
  if (beside.kind === 'int32' && typeof operand === 'bigint') return int64;
  return beside;
}

/** The type of a plain value alone; `expr/bad-literal` for one that has none. */
export function ownType(value: unknown): Dtype {
  if (typeof value === 'boolean') return bool;
  if (typeof value === 'number') return float64;
  if (typeof value === 'bigint') return int64;
  if (typeof value === 'string') return string;
  if (value instanceof Date) return timestamp;
  if (value instanceof Uint8Array) return bytes;
  if (value instanceof Value) return value.dtype;
  throw new SamewiseError('expr/bad-literal', `${String(value)} has no type of its own`, {
    hint: 'say which: literal(value, dtype)',
  });
}

function constants(fn: string, values: readonly unknown[], dtype: Dtype): unknown[] {
  if (!Array.isArray(values))
    throw new SamewiseError('expr/bad-param', `values of ${fn} must be a list of constants`);
  return values.map((value) => scalarToJson(coerce(value, dtype), dtype));
}

function patternText(pattern: string | RegExp): string {
  if (!(pattern instanceof RegExp)) return pattern;
  if (pattern.flags.replace('u', '') !== '')
    throw new SamewiseError('expr/bad-param', `the pattern ${pattern} has flags; only u is known`, {
      hint: 'for /…/i match against .lower()',
    });
  return pattern.source;
}
