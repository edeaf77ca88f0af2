/** Functions of numbers, null where an argument is and where there is no real answer (the square root of −1). */

import { isNull } from '../../types/column.ts';
import { type Dtype, float64, int32 } from '../../types/dtype.ts';
import { wholeKernel } from './arithmetic.ts';
import { comparator } from './compare.ts';
import {
  badParam,
  type ExprFunction,
  expectArgs,
  intParam,
  type Kernel,
  NUMBER,
  type Params,
} from './function.ts';
import { choose, floatKernel1, floatKernel2, strictKernel } from './kernels.ts';
import { promote, unifyArgs, widen } from './promote.ts';

function isFloat(dtype: Dtype): boolean {
  return dtype.kind === 'float32' || dtype.kind === 'float64';
}

/** A float64 function of one number. */
function real(name: string, doc: string, f: (x: number) => number): ExprFunction {
  return {
    name,
    signature: `${name}(x: number) → float64`,
    doc,
    type: (args) => {
      expectArgs(name, args, NUMBER);
      return float64;
    },
    bind: () => floatKernel1(f),
  };
}

export const log = real('log', 'Natural logarithm; null below zero, −Infinity at zero.', Math.log);
export const log1p = real('log1p', 'log(1 + x), accurate near zero; null below −1.', Math.log1p);
export const exp = real('exp', 'e to the power of x.', Math.exp);
export const sqrt = real('sqrt', 'Square root; null below zero.', Math.sqrt);

export const pow: ExprFunction = {
  name: 'pow',
  signature: 'pow(x: number, exponent: number) → float64',
  doc: 'x to the power of exponent; null where that is not a real number.',
  type: (args) => {
    expectArgs('pow', args, NUMBER, NUMBER);
    return float64;
  },
  // IEEE calls (±1) ** ±Infinity 1 and JavaScript NaN; it is null here.
  bind: () => floatKernel2(Math.pow),
};

/** A number of the same type: whole numbers by `whole` (unchanged without it), floats as float64 by `float`. */
function sameType(
  name: string,
  parameters: string,
  doc: string,
  float: (params: Params) => (x: number) => number,
  whole?: (output: Dtype) => Kernel,
): ExprFunction {
  return {
    name,
    signature: `${name}(${parameters}) → number`,
    doc,
    type: (args, params) => {
      expectArgs(name, args, NUMBER);
      float(params);
      return promote(args[0]!, args[0]!);
    },
    bind: (_args, params, output) => {
      if (isFloat(output)) return floatKernel1(float(params));
      return whole === undefined ? ([x]) => x! : whole(output);
    },
  };
}

export const abs = sameType(
  'abs',
  'x: number',
  'Distance from zero.',
  () => Math.abs,
  (output: Dtype) =>
    wholeKernel(
      output,
      ([x]) => `abs(${x})`,
      (x) => Math.abs(x!),
      (x) => (x! < 0n ? -x! : x!),
    ),
);
export const floor = sameType('floor', 'x: number', 'Greatest whole number ≤ x.', () => Math.floor);
export const ceil = sameType('ceil', 'x: number', 'Least whole number ≥ x.', () => Math.ceil);

/** More digits than this no float64 shows. */
const MAX_DIGITS = 15;

export const round = sameType(
  'round',
  'x: number, digits = 0',
  'To that many places after the point, half away from zero, of the number as it prints: round(1.005, 2) is 1.01.',
  (params) => {
    const digits =
      params.digits === undefined ? 0 : intParam('round', params, 'digits', 0, MAX_DIGITS);
    return digits === 0 ? roundWhole : (x) => roundDigits(x, digits);
  },
);

function roundWhole(x: number): number {
  const whole = Math.trunc(x);
  // Exact, unlike x + 0.5, which takes 0.49999999999999994 to 1.
  if (Math.abs(x - whole) < 0.5) return whole;
  return x < 0 ? whole - 1 : whole + 1;
}

/** Rounds the printed digits, which are exact, where multiplying by a power of ten would not be. */
function roundDigits(x: number, digits: number): number {
  const printed = /^(-?)(\d+)(?:\.(\d+))?(?:e(.+))?$/.exec(String(x));
  if (printed === null) return x;
  const [, minus, whole, fraction = '', exponent = '0'] = printed;
  const drop = fraction.length - Number(exponent) - digits;
  if (drop <= 0) return x;
  const all = whole! + fraction;
  const next = drop <= all.length ? all[all.length - drop]! : '0';
  const kept = BigInt(all.slice(0, -drop)) + (next >= '5' ? 1n : 0n);
  return Number(`${minus}${kept}e-${digits}`);
}

export const sign: ExprFunction = {
  name: 'sign',
  signature: 'sign(x: number) → int32',
  doc: '−1, 0 or 1.',
  type: (args) => {
    expectArgs('sign', args, NUMBER);
    return int32;
  },
  bind: () =>
    strictKernel(int32, ([x]) => {
      const data = x!.data as ArrayLike<number>;
      return (row) => (data[row]! > 0 ? 1 : data[row]! < 0 ? -1 : 0);
    }),
};

export const clip: ExprFunction = {
  name: 'clip',
  signature: 'clip(x: number, low: number, high: number) → number',
  doc: 'low where x is below it, high where x is above; null if any is null.',
  type: (args) => {
    expectArgs('clip', args, NUMBER, NUMBER, NUMBER);
    return unifyArgs('clip', args);
  },
  bind: (_args, _params, output) => (args, length) => {
    const columns = args.map((arg) => widen(arg, output));
    const [x, low, high] = columns as [
      (typeof columns)[0],
      (typeof columns)[0],
      (typeof columns)[0],
    ];
    const toLow = comparator(x, low);
    const toHigh = comparator(x, high);
    const pick = new Int32Array(length);
    for (let i = 0; i < length; i++) {
      if (columns.some((column) => isNull(column, i))) pick[i] = -1;
      else pick[i] = toLow(i) < 0 ? 1 : toHigh(i) > 0 ? 2 : 0;
    }
    return choose(output, columns, pick);
  },
};

export const bucketize: ExprFunction = {
  name: 'bucketize',
  signature: 'bucketize(x: number, edges) → int32',
  doc: 'How many of the ascending edges are ≤ x: 0 below the first, their number from the last on.',
  type: (args, params) => {
    expectArgs('bucketize', args, NUMBER);
    edgesOf(params);
    return int32;
  },
  bind: (_args, params) => {
    const edges = edgesOf(params);
    return strictKernel(int32, ([x]) => {
      const data = x!.data as ArrayLike<number>;
      return (row) => {
        let lo = 0;
        let hi = edges.length;
        while (lo < hi) {
          const middle = (lo + hi) >> 1;
          if (edges[middle]! <= data[row]!) lo = middle + 1;
          else hi = middle;
        }
        return lo;
      };
    });
  },
};

function edgesOf({ edges }: Params): readonly number[] {
  const ascending =
    Array.isArray(edges) &&
    edges.length > 0 &&
    edges.every((edge, i) => Number.isFinite(edge) && (i === 0 || edges[i - 1] < edge));
  if (!ascending) throw badParam('bucketize', 'edges', edges, 'a list of ascending finite numbers');
  return edges as number[];
}
