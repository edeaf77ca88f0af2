/**
 * eq, ne, lt, le, gt, ge, is_in, is_null, is_not_null. Numbers of different types compare by their exact value
 * (an int64 is never rounded to do so); strings and bytes compare by their UTF-8 bytes.
 */
import type { Column } from '../../types/column.ts';
import { bool, type Dtype, isNumeric } from '../../types/dtype.ts';
import { coerce, compareBytes, compareUtf8, type Scalar } from '../../types/scalar.ts';
import {
  ANY,
  badParam,
  DISCRETE,
  type ExprFunction,
  expectArgs,
  type Kernel,
  mismatch,
  ORDERED,
  type Params,
} from './function.ts';
import { boolColumn, jointValidity, strictKernel } from './kernels.ts';

/** Checks that two types can be compared: one ordered type, or two numbers. */
export function expectComparable(fn: string, args: readonly Dtype[]): void {
  expectArgs(fn, args, ORDERED, ORDERED);
  const [a, b] = args as [Dtype, Dtype];
  if (a.kind !== b.kind && !(isNumeric(a) && isNumeric(b)))
    throw mismatch(
      fn,
      1,
      b,
      isNumeric(a) ? 'a number, as argument 1 is' : `${a.kind}, as argument 1 is`,
    );
}

/** Order of row i of two comparable columns: negative, 0 or positive. */
export function comparator(a: Column, b: Column): (row: number) => number {
  if (a.kind === 'string') {
    const [x, y] = [a.data, b.data as readonly string[]];
    return (row) => (x[row] === y[row] ? 0 : compareUtf8(x[row]!, y[row]!));
  }
  if (a.kind === 'bytes') {
    const [x, y] = [a.data, b.data as readonly Uint8Array[]];
    return (row) => compareBytes(x[row]!, y[row]!);
  }
  // JavaScript compares a bigint with a number by their exact values.
  const [x, y] = [a.data as ArrayLike<number>, b.data as ArrayLike<number>];
  return (row) => (x[row]! < y[row]! ? -1 : x[row]! > y[row]! ? 1 : 0);
}

function compareKernel(holds: (order: number) => boolean): Kernel {
  return (args, length) => {
    const order = comparator(args[0]!, args[1]!);
    const data = new Uint8Array(length);
    for (let i = 0; i < length; i++) data[i] = holds(order(i)) ? 1 : 0;
    return boolColumn(data, jointValidity(args, length));
  };
}

function comparison(
  name: string,
  operator: string,
  doc: string,
  holds: (order: number) => boolean,
): ExprFunction {
  return {
    name,
    operator,
    signature: `${name}(a: T, b: T) → bool`,
    doc,
    type: (args) => {
      expectComparable(name, args);
      return bool;
    },
    bind: () => compareKernel(holds),
  };
}

export const eq = comparison('eq', '=', 'Whether two values are equal.', (order) => order === 0);
export const ne = comparison('ne', '<>', 'Whether two values differ.', (order) => order !== 0);
export const lt = comparison('lt', '<', 'Whether a comes before b.', (order) => order < 0);
export const le = comparison('le', '<=', 'Whether a is b or before it.', (order) => order <= 0);
export const gt = comparison('gt', '>', 'Whether a comes after b.', (order) => order > 0);
export const ge = comparison('ge', '>=', 'Whether a is b or after it.', (order) => order >= 0);

/** The list `params.values` as scalars of `dtype`; they must be there, not null and distinct. */
export function valueList(fn: string, params: Params, dtype: Dtype): Scalar[] {
  const { values } = params;
  if (!Array.isArray(values) || values.length === 0 || values.includes(null))
    throw badParam(fn, 'values', values, 'a list of one or more values without null');
  const scalars = values.map((v) => coerce(v, dtype, { field: 'params.values' })!);
  if (new Set(scalars.map(lookupKey)).size < scalars.length)
    throw badParam(fn, 'values', values, 'a list of distinct values');
  return scalars;
}

/** A value of a discrete type as something a Map tells apart. */
export function lookupKey(value: Scalar): unknown {
  return value instanceof Uint8Array ? value.toHex() : value;
}

/** Position of each row's value in `values`, −1 for one that is not there. */
export function positionIn(column: Column, values: readonly Scalar[]): (row: number) => number {
  const at = new Map(values.map((value, i) => [lookupKey(value), i]));
  const { data } = column;
  if (column.kind === 'bool') return (row) => at.get(column.data[row] === 1) ?? -1;
  return (row) => at.get(lookupKey((data as any)[row])) ?? -1;
}

export const isIn: ExprFunction = {
  name: 'is_in',
  signature: 'is_in(x: discrete, values) → bool',
  doc: 'Whether the value is one of a list of constants.',
  type: (args, params) => {
    expectArgs('is_in', args, DISCRETE);
    valueList('is_in', params, args[0]!);
    return bool;
  },
  bind: (args, params) => {
    const values = valueList('is_in', params, args[0]!);
    return strictKernel(bool, ([x]) => {
      const position = positionIn(x!, values);
      return (row) => position(row) >= 0;
    });
  },
};

function nullTest(name: string, doc: string, whenNull: 0 | 1): ExprFunction {
  return {
    name,
    signature: `${name}(x) → bool`,
    doc,
    type: (args) => {
      expectArgs(name, args, ANY);
      return bool;
    },
    bind:
      () =>
      ([x], length) => {
        const data = new Uint8Array(length).fill(1 - whenNull);
        const { validity } = x!;
        if (validity !== null)
          for (let i = 0; i < length; i++) if (validity[i] === 0) data[i] = whenNull;
        return boolColumn(data, null);
      },
  };
}

export const isNullFn = nullTest('is_null', 'Whether there is no value; never null itself.', 1);
export const isNotNull = nullTest('is_not_null', 'Whether there is a value; never null itself.', 0);
