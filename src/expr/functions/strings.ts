/**
 * Functions of strings. Nothing depends on a locale; positions and lengths count Unicode code points. All are null
 * where an argument is.
 */
import { SamewiseError } from '../../base/errors.ts';
import type { Column } from '../../types/column.ts';
import { bool, type Dtype, int32, list, string } from '../../types/dtype.ts';
import {
  badParam,
  type ExprFunction,
  expectArgs,
  expectCount,
  intParam,
  mismatch,
  type Params,
  STRING,
} from './function.ts';
import { strictKernel } from './kernels.ts';

const textOf = (column: Column) => column.data as readonly string[];

/** A function of `arity` strings, one rule for a row. */
function text(
  name: string,
  output: Dtype,
  doc: string,
  parameters: readonly string[],
  rule: (...parts: string[]) => unknown,
): ExprFunction {
  const wanted = parameters.map(() => STRING);
  return {
    name,
    signature: `${name}(${parameters.map((p) => `${p}: string`).join(', ')}) → ${output.kind}`,
    doc,
    type: (args) => {
      expectArgs(name, args, ...wanted);
      return output;
    },
    bind: () =>
      strictKernel(output, (args) => {
        const [a, b, c] = args.map(textOf);
        if (b === undefined) return (row) => rule(a![row]!);
        if (c === undefined) return (row) => rule(a![row]!, b[row]!);
        return (row) => rule(a![row]!, b[row]!, c[row]!);
      }),
  };
}

function countCodePoints(value: string): number {
  let count = 0;
  for (const _ of value) count++;
  return count;
}

export const length = text('length', int32, 'Number of code points.', ['x'], countCodePoints);
export const lower = text(
  'lower',
  string,
  'In lower case, by Unicode’s default rules.',
  ['x'],
  (x) => x.toLowerCase(),
);
export const upper = text(
  'upper',
  string,
  'In upper case, by Unicode’s default rules.',
  ['x'],
  (x) => x.toUpperCase(),
);
export const trim = text('trim', string, 'Without white space at both ends.', ['x'], (x) =>
  x.trim(),
);
export const contains = text(
  'contains',
  bool,
  'Whether part occurs in x.',
  ['x', 'part'],
  (x, part) => x.includes(part!),
);
export const startsWith = text(
  'starts_with',
  bool,
  'Whether x begins with prefix.',
  ['x', 'prefix'],
  (x, prefix) => x.startsWith(prefix!),
);
export const endsWith = text(
  'ends_with',
  bool,
  'Whether x ends with suffix.',
  ['x', 'suffix'],
  (x, suffix) => x.endsWith(suffix!),
);
export const replace = text(
  'replace',
  string,
  'Every occurrence of from as to; an empty from changes nothing.',
  ['x', 'from', 'to'],
  (x, from, to) => (from === '' ? x : x.replaceAll(from!, () => to!)),
);

export const concat: ExprFunction = {
  name: 'concat',
  signature: 'concat(a: string, b: string, …) → string',
  doc: 'The strings one after the other; null if any is null.',
  type: (args) => {
    expectCount('concat', args, 1, Number.POSITIVE_INFINITY);
    args.forEach((arg, i) => {
      if (!STRING.fits(arg)) throw mismatch('concat', i, arg, STRING.text);
    });
    return string;
  },
  bind: () =>
    strictKernel(string, (args) => {
      const parts = args.map(textOf);
      return (row) => {
        let out = '';
        for (const part of parts) out += part[row]!;
        return out;
      };
    }),
};

export const substring: ExprFunction = {
  name: 'substring',
  signature: 'substring(x: string, start, length?) → string',
  doc: 'Code points from position start (the first is 1), at most length of them; beyond the end nothing.',
  type: (args, params) => {
    expectArgs('substring', args, STRING);
    substringRange(params);
    return string;
  },
  bind: (_args, params) => {
    const [from, to] = substringRange(params);
    return strictKernel(string, ([x]) => {
      const data = textOf(x!);
      return (row) => sliceCodePoints(data[row]!, from, to);
    });
  },
};

function substringRange(params: Params): readonly [from: number, to: number] {
  const from = intParam('substring', params, 'start', 1, 2 ** 31) - 1;
  if (params.length === undefined) return [from, Number.POSITIVE_INFINITY];
  return [from, from + intParam('substring', params, 'length', 0, 2 ** 31)];
}

function sliceCodePoints(value: string, from: number, to: number): string {
  let out = '';
  let at = 0;
  for (const point of value) {
    if (at >= to) break;
    if (at >= from) out += point;
    at++;
  }
  return out;
}

export const split: ExprFunction = {
  name: 'split',
  signature: 'split(x: string, separator) → list(string)',
  doc: 'The parts between separators, empty ones too; the empty string is one empty part.',
  type: (args, params) => {
    expectArgs('split', args, STRING);
    if (typeof params.separator !== 'string' || params.separator === '')
      throw badParam('split', 'separator', params.separator, 'a string of one character or more');
    return list(string);
  },
  bind: (_args, params, output) =>
    strictKernel(output, ([x]) => {
      const data = textOf(x!);
      return (row) => data[row]!.split(params.separator as string);
    }),
};

export const regexMatch: ExprFunction = {
  name: 'regex_match',
  signature: 'regex_match(x: string, pattern) → bool',
  doc: 'Whether the pattern, a JavaScript regular expression with flag u, is found anywhere in x.',
  type: (args, params) => {
    expectArgs('regex_match', args, STRING);
    patternOf(params);
    return bool;
  },
  bind: (_args, params) => {
    const pattern = patternOf(params);
    return strictKernel(bool, ([x]) => {
      const data = textOf(x!);
      return (row) => pattern.test(data[row]!);
    });
  },
};

function patternOf({ pattern }: Params): RegExp {
  if (typeof pattern !== 'string') throw badParam('regex_match', 'pattern', pattern, 'a string');
  try {
    return new RegExp(pattern, 'u');
  } catch (error) {
    throw new SamewiseError(
      'expr/bad-param',
      `pattern of regex_match: ${(error as Error).message}`,
      {
        where: { field: 'params.pattern' },
        cause: error,
      },
    );
  }
}
