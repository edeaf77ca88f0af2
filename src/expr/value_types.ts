/** Types over types: which plain JavaScript values stand for a dtype, and what arithmetic gives. No code. */
import type {
  BoolType,
  BytesType,
  DateType,
  Dtype,
  Float32Type,
  Float64Type,
  Int32Type,
  Int64Type,
  ListType,
  SimpleType,
  StringType,
  TimestampType,
  VectorType,
} from '../types/dtype.ts';
import type { Value } from './builder.ts';

export type NumericType = Int32Type | Int64Type | Float32Type | Float64Type;
export type TimeType = TimestampType | DateType;
/** Types with an order: everything but lists and vectors. */
export type OrderedType = SimpleType;
/** Types whose values can be looked up or hashed exactly. */
export type DiscreteType =
  | BoolType
  | Int32Type
  | Int64Type
  | StringType
  | BytesType
  | TimestampType
  | DateType;

/** Plain JavaScript values that may stand where a value of type D is expected. */
export type Plain<D extends Dtype> = D extends BoolType
  ? boolean
  : D extends StringType
    ? string
    : D extends NumericType
      ? number | bigint
      : D extends TimeType
        ? string | Date
        : D extends BytesType
          ? Uint8Array
          : D extends VectorType
            ? readonly number[] | Float32Array
            : D extends ListType<infer T>
              ? readonly (Plain<T> | null)[]
              : never;

/** A value of type D, or a plain one for it; a number may meet a number of any width. */
export type Operand<D extends Dtype> = Plain<D> | Value<D extends NumericType ? NumericType : D>;

/** The type of a literal made from a plain value alone: every JavaScript number is a float64. */
export type LiteralType<P> = P extends boolean
  ? BoolType
  : P extends number
    ? Float64Type
    : P extends bigint
      ? Int64Type
      : P extends string
        ? StringType
        : P extends Date
          ? TimestampType
          : P extends Uint8Array
            ? BytesType
            : Dtype;

/** The type that a plain value or a Value has beside a value of type D: whole numbers take D's own type. */
export type TypeBeside<O, D extends Dtype> =
  O extends Value<infer T>
    ? T
    : O extends bigint
      ? D extends Int32Type
        ? Int64Type
        : D
      : O extends number
        ? number extends O
          ? D
          : `${O}` extends `${bigint}`
            ? D
            : D extends Int32Type | Int64Type
              ? Float64Type
              : D
        : D;

/** Result of arithmetic: any float gives float64, else any int64 gives int64, else int32. */
export type Promote<A extends Dtype, B extends Dtype> = A extends Float32Type | Float64Type
  ? Float64Type
  : B extends Float32Type | Float64Type
    ? Float64Type
    : A extends Int64Type
      ? Int64Type
      : B extends Int64Type
        ? Int64Type
        : A extends Int32Type
          ? Int32Type
          : NumericType;

/** The one type of two branches: the same, or for numbers what arithmetic gives. */
export type Unify<A extends Dtype, B extends Dtype> = [A] extends [B]
  ? [B] extends [A]
    ? A
    : UnifyNumbers<A, B>
  : UnifyNumbers<A, B>;
type UnifyNumbers<A extends Dtype, B extends Dtype> = A extends NumericType
  ? B extends NumericType
    ? Promote<A, B>
    : never
  : A;

/** What a function written in TypeScript receives for a dtype. Instants are microseconds, dates days since 1970. */
export type Native<D extends Dtype> = D extends BoolType
  ? boolean
  : D extends Int64Type
    ? bigint
    : D extends StringType
      ? string
      : D extends BytesType
        ? Uint8Array
        : D extends VectorType
          ? Float32Array
          : D extends ListType<infer T>
            ? readonly (Native<T> | null)[]
            : number;
