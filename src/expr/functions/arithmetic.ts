/**
 * add, sub, mul, div, mod, neg. Whole numbers stay whole and never wrap: beyond the type is `expr/overflow`.
 * Floats follow IEEE, except that dividing by zero, and whatever else would be NaN, is null.
 */
import { SamewiseError } from '../../base/errors.ts';
import type { Column } from '../../types/column.ts';
import { type Dtype, float64, printDtype } from '../../types/dtype.ts';
import {
  type ExprFunction,
  expectArgs,
  expectCount,
  type Fail,
  type Kernel,
  mismatch,
  NUMBER,
} from './function.ts';
import { floatKernel1, floatKernel2, strictKernel } from './kernels.ts';
import { bigintsOf, numbersOf, promote } from './promote.ts';

/** `expr/overflow`: `what` has no place in `dtype`. */
export function overflow(what: string, dtype: Dtype): SamewiseError {
  return new SamewiseError('expr/overflow', `${what} does not fit into ${printDtype(dtype)}`, {
    hint: `cast an operand to ${dtype.kind === 'int32' ? 'int64 or float64' : 'float64'} first`,
  });
}

/** A rule over whole numbers of `output`, int32 or int64, whose result is checked; null gives null. */
export function wholeKernel(
  output: Dtype,
  show: (args: readonly (number | bigint)[]) => string,
  narrow: (...args: number[]) => number | null,
  wide: (...args: bigint[]) => bigint | null,
): Kernel {
  const checked = (columns: readonly Column[], fail: Fail) => {
    if (output.kind === 'int32') {
      const [x, y] = columns.map(numbersOf);
      return (row: number) => {
        const value = narrow(x![row]!, y === undefined ? 0 : y[row]!);
        if (value === null || value === (value | 0)) return value;
        return fail(row, () => overflow(show(columns.map((c) => (c.data as any)[row])), output));
      };
    }
    const [x, y] = columns.map(bigintsOf);
    return (row: number) => {
      const value = wide(x![row]!, y === undefined ? 0n : y[row]!);
      if (value === null || BigInt.asIntN(64, value) === value) return value;
      return fail(row, () => overflow(show(columns.map((c) => (c.data as any)[row])), output));
    };
  };
  return strictKernel(output, checked);
}

function numbers2(fn: string, args: readonly Dtype[]): Dtype {
  expectCount(fn, args, 2, 2);
  for (let i = 0; i < 2; i++) {
    if (NUMBER.fits(args[i]!)) continue;
    const hint =
      fn === 'sub' && /timestamp|date/.test(args[i]!.kind)
        ? 'use diff(a, b, unit) for the time between two instants'
        : undefined;
    throw mismatch(fn, i, args[i]!, NUMBER.text, hint);
  }
  return promote(args[0]!, args[1]!);
}

function binary(
  name: string,
  operator: string,
  doc: string,
  float: (x: number, y: number) => number,
  narrow: (x: number, y: number) => number | null,
  wide: (x: bigint, y: bigint) => bigint | null,
): ExprFunction {
  return {
    name,
    operator,
    signature: `${name}(a: number, b: number) → number`,
    doc,
    type: (args) => numbers2(name, args),
    bind: (_args, _params, output) =>
      output.kind === 'float64'
        ? floatKernel2(float)
        : wholeKernel(
            output,
            (shown) => shown.join(` ${operator} `),
            narrow as (...args: number[]) => number | null,
            wide as (...args: bigint[]) => bigint | null,
          ),
  };
}

export const add = binary(
  'add',
  '+',
  'Sum of two numbers.',
  (x, y) => x + y,
  (x, y) => x + y,
  (x, y) => x + y,
);

export const sub = binary(
  'sub',
  '-',
  'Difference of two numbers; for instants use diff.',
  (x, y) => x - y,
  (x, y) => x - y,
  (x, y) => x - y,
);

export const mul = binary(
  'mul',
  '*',
  'Product of two numbers.',
  (x, y) => x * y,
  // A product beyond 2^53 is inexact as a double, but it is then beyond int32 as well; − 0 + 0 is 0.
  (x, y) => x * y + 0,
  (x, y) => x * y,
);

export const mod = binary(
  'mod',
  '%',
  'Remainder of a division, with the sign of the dividend; null if the divisor is zero.',
  (x, y) => x % y,
  (x, y) => (y === 0 ? null : (x % y) + 0),
  (x, y) => (y === 0n ? null : x % y),
);

export const div: ExprFunction = {
  name: 'div',
  operator: '/',
  signature: 'div(a: number, b: number) → float64',
  doc: 'Quotient as float64 (int64 operands are rounded to float64 first); null if the divisor is zero.',
  type: (args) => {
    numbers2('div', args);
    return float64;
  },
  bind: () => floatKernel2((x, y) => (y === 0 ? Number.NaN : x / y)),
};

export const neg: ExprFunction = {
  name: 'neg',
  signature: 'neg(x: number) → number',
  doc: 'The number with the other sign.',
  type: (args) => {
    expectArgs('neg', args, NUMBER);
    return promote(args[0]!, args[0]!);
  },
  bind: (_args, _params, output) =>
    output.kind === 'float64'
      ? floatKernel1((x) => -x)
      : wholeKernel(
          output,
          ([x]) => `-(${x})`,
          (x) => -x! + 0,
          (x) => -x!,
        ),
};
