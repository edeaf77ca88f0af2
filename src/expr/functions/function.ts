/**
 * What a function of the catalogue is: its name, its type rule and its evaluation, together in one object.
 * Nothing outside the object knows which function it is.
 */
import { SamewiseError } from '../../base/errors.ts';
import type { Column } from '../../types/column.ts';
import { type Dtype, isNumeric, isOrdered, printDtype } from '../../types/dtype.ts';

/** Constants that belong to a call's meaning, as in the IR: plain JSON. */
export type Params = Readonly<Record<string, unknown>>;

/**
 * Notes that a row has no value because of an error, and returns null, which the row then holds. The error
 * reaches the user only if the row's result depends on it (a branch that was not taken raises nothing).
 */
export type Fail = (row: number, error: () => SamewiseError) => null;

/** Evaluates one call over whole columns of `length` rows. Reads its arguments, owns what it returns. */
export type Kernel = (args: readonly Column[], length: number, fail: Fail) => Column;

export interface ExprFunction {
  readonly name: string;
  /** How it is called: `round(x: number, digits = 0) → number`. */
  readonly signature: string;
  /** One line: what it gives, and where it gives null. */
  readonly doc: string;
  /** Output type for these argument types; throws `expr/type-mismatch`, `expr/wrong-arity` or `expr/bad-param`. */
  type(args: readonly Dtype[], params: Params): Dtype;
  /** Prepares the evaluation; types and params have passed `type`. */
  bind(args: readonly Dtype[], params: Params, output: Dtype): Kernel;
  /** How it prints between its arguments (`a + b`); without one it prints as a call. */
  readonly operator?: string;
  /** Whether a row's value depends on argument `position`; without it on all of them. */
  reaches?(args: readonly Column[], position: number, row: number): boolean;
}

/** A class of types that an argument may have, and its name for people. */
export interface Wanted {
  readonly text: string;
  fits(dtype: Dtype): boolean;
}

const kinds = (text: string, ...of: readonly Dtype['kind'][]): Wanted => ({
  text,
  fits: (dtype) => of.includes(dtype.kind),
});

export const NUMBER: Wanted = {
  text: 'a number (int32, int64, float32, float64)',
  fits: isNumeric,
};
export const ORDERED: Wanted = { text: 'a type with an order', fits: isOrdered };
export const BOOL = kinds('bool', 'bool');
export const STRING = kinds('string', 'string');
export const TIMESTAMP = kinds('timestamp', 'timestamp');
export const TIME = kinds('timestamp or date', 'timestamp', 'date');
export const VECTOR = kinds('vector(n)', 'vector');
export const LIST = kinds('list(T)', 'list');
/** Types whose values can be told apart exactly, so that they can be looked up or hashed. */
export const DISCRETE = kinds(
  'bool, int32, int64, string, bytes, timestamp or date',
  'bool',
  'int32',
  'int64',
  'string',
  'bytes',
  'timestamp',
  'date',
);
export const ANY: Wanted = { text: 'any type', fits: () => true };

/** The error for argument `position` (from 0) of a call: what was found and what was wanted. */
export function mismatch(
  fn: string,
  position: number,
  found: Dtype,
  wanted: string,
  hint?: string,
): SamewiseError {
  return new SamewiseError(
    'expr/type-mismatch',
    `argument ${position + 1} of ${fn} is ${printDtype(found)}; it takes ${wanted}`,
    { where: { field: `args[${position}]` }, hint },
  );
}

/** Checks number and types of arguments against one `Wanted` each. */
export function expectArgs(fn: string, args: readonly Dtype[], ...wanted: readonly Wanted[]): void {
  expectCount(fn, args, wanted.length, wanted.length);
  for (let i = 0; i < args.length; i++)
    if (!wanted[i]!.fits(args[i]!)) throw mismatch(fn, i, args[i]!, wanted[i]!.text);
}

export function expectCount(fn: string, args: readonly Dtype[], min: number, max: number): void {
  if (args.length >= min && args.length <= max) return;
  const wanted = min === max ? `${min}` : `at least ${min}`;
  throw new SamewiseError(
    'expr/wrong-arity',
    `${fn} takes ${wanted} argument${wanted === '1' ? '' : 's'}, found ${args.length}`,
  );
}

/** The error for a constant that a function cannot work with. */
export function badParam(fn: string, param: string, value: unknown, wanted: string): SamewiseError {
  return new SamewiseError(
    'expr/bad-param',
    `${param} of ${fn} is ${JSON.stringify(value) ?? String(value)}; it must be ${wanted}`,
    { where: { field: `params.${param}` } },
  );
}

/** A whole number from `min` to `max` out of the params. */
export function intParam(
  fn: string,
  params: Params,
  name: string,
  min: number,
  max: number,
): number {
  const value = params[name];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
    throw badParam(fn, name, value, `a whole number from ${min} to ${max}`);
  return value;
}
