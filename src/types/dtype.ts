/** The types of values: plain data, discriminated by `kind`, the same text in code, JSON and tables. */
import { SamewiseError } from '../base/errors.ts';

export interface BoolType {
  readonly kind: 'bool';
}
export interface Int32Type {
  readonly kind: 'int32';
}
export interface Int64Type {
  readonly kind: 'int64';
}
export interface Float32Type {
  readonly kind: 'float32';
}
export interface Float64Type {
  readonly kind: 'float64';
}
export interface StringType {
  readonly kind: 'string';
}
export interface BytesType {
  readonly kind: 'bytes';
}
/** An instant in integer microseconds, UTC. */
export interface TimestampType {
  readonly kind: 'timestamp';
}
/** A calendar day as a count of days since 1970-01-01. */
export interface DateType {
  readonly kind: 'date';
}
export interface ListType<T extends Dtype = Dtype> {
  readonly kind: 'list';
  readonly of: T;
}
/** A fixed number of float32 values; null as a whole or not at all. */
export interface VectorType {
  readonly kind: 'vector';
  readonly size: number;
}

export type SimpleType =
  | BoolType
  | Int32Type
  | Int64Type
  | Float32Type
  | Float64Type
  | StringType
  | BytesType
  | TimestampType
  | DateType;
export type Dtype = SimpleType | ListType<any> | VectorType;
export type Kind = Dtype['kind'];

export const bool: BoolType = Object.freeze({ kind: 'bool' });
export const int32: Int32Type = Object.freeze({ kind: 'int32' });
export const int64: Int64Type = Object.freeze({ kind: 'int64' });
export const float32: Float32Type = Object.freeze({ kind: 'float32' });
export const float64: Float64Type = Object.freeze({ kind: 'float64' });
export const string: StringType = Object.freeze({ kind: 'string' });
export const bytes: BytesType = Object.freeze({ kind: 'bytes' });
export const timestamp: TimestampType = Object.freeze({ kind: 'timestamp' });
export const date: DateType = Object.freeze({ kind: 'date' });
/** A list of values of one type; its elements may be null. */
export function list<T extends Dtype>(of: T): ListType<T> {
  return Object.freeze({ kind: 'list', of });
}
/** `vector(384)`: an embedding of that many float32 values. */
export function vector(size: number): VectorType {
  if (!Number.isInteger(size) || size < 1 || size > 65_536) {
    throw new SamewiseError(
      'types/bad-vector-size',
      `vector(${size}): the size must be a whole number from 1 to 65,536`,
    );
  }
  return Object.freeze({ kind: 'vector', size });
}

const SIMPLE: Record<string, SimpleType> = {
  bool,
  int32,
  int64,
  float32,
  float64,
  string,
  bytes,
  timestamp,
  date,
};

/** The printed form: `float64`, `list(string)`, `vector(384)`. `parseDtype` reads it back. */
export function printDtype(dtype: Dtype): string {
  if (dtype.kind === 'list') return `list(${printDtype(dtype.of)})`;
  if (dtype.kind === 'vector') return `vector(${dtype.size})`;
  return dtype.kind;
}

export function parseDtype(text: string): Dtype {
  const simple = SIMPLE[text];
  if (simple !== undefined) return simple;
  const parts = /^(list|vector)\((.+)\)$/.exec(text);
  if (parts?.[1] === 'list') return list(parseDtype(parts[2]!));
  if (parts?.[1] === 'vector' && /^\d+$/.test(parts[2]!)) return vector(Number(parts[2]));
  throw new SamewiseError('types/unknown-dtype', `${JSON.stringify(text)} is not a type`, {
    hint: `use one of ${Object.keys(SIMPLE).join(', ')}, list(T), vector(n)`,
  });
}

export function sameDtype(a: Dtype, b: Dtype): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind === 'list') return sameDtype(a.of, (b as ListType).of);
  if (a.kind === 'vector') return a.size === (b as VectorType).size;
  return true;
}

/** Types on which arithmetic is defined. */
export function isNumeric(dtype: Dtype): boolean {
  return (
    dtype.kind === 'int32' ||
    dtype.kind === 'int64' ||
    dtype.kind === 'float32' ||
    dtype.kind === 'float64'
  );
}

/** Types with a total order: everything but lists and vectors. Strings and bytes order by their UTF-8 bytes. */
export function isOrdered(dtype: Dtype): boolean {
  return dtype.kind !== 'list' && dtype.kind !== 'vector';
}

/** Types an entity key may have: those on which equality is exact. */
export function isKeyable(dtype: Dtype): boolean {
  return isOrdered(dtype) && dtype.kind !== 'float32' && dtype.kind !== 'float64';
}
