/**
 * A function in TypeScript where the catalogue has none: pure, with declared inputs and output. Its source becomes part
 * of the definition, together with its helpers and a hash, and is all that ever runs: in training, in serving, on
 * another machine.
 *
 * What it must not touch (the clock, randomness, the network, files, variables around it) is found by reading the
 * source, and is out of reach when it runs. This guards against mistakes, not against malice: definitions are code
 * that its owner trusts.
 */
import { SamewiseError } from '../base/errors.ts';
import { sha256Hex } from '../base/hash.ts';
import { type Dtype, printDtype, sameDtype } from '../types/dtype.ts';
import { asValue, Value } from './builder.ts';
import { checkPure, normalSource } from './js_analysis.ts';
import { functionFrom } from './js_run.ts';
import type { Native, Operand } from './value_types.ts';

type Inputs = Readonly<Record<string, Dtype>>;

/** What `jsFunction` takes. */
export interface JsFunctionOptions<I extends Inputs, O extends Dtype> {
  /** For errors and lineage. */
  readonly name: string;
  /** Name and type of each input; the function gets them as one object. */
  readonly inputs: I;
  readonly output: O;
  /** Called with values only: where an input is null the result is null. May return null, never undefined or NaN. */
  readonly fn: (inputs: { readonly [K in keyof I]: Native<I[K]> }) => Native<O> | null;
  /** Pure functions that `fn` and each other may call by these names. */
  readonly helpers?: Readonly<Record<string, (...args: any[]) => unknown>>;
}

/** A checked function, to be called with Values. */
export interface JsFunction<I extends Inputs, O extends Dtype> {
  readonly name: string;
  readonly source: string;
  readonly hash: string;
  call(values: { readonly [K in keyof I]: Operand<I[K]> }): Value<O>;
}

const NAME = /^[A-Za-z][A-Za-z0-9_]*$/;

/**
 * Makes a function usable in expressions. Throws `expr/impure-function` (with the line in the function's source) if
 * it reaches for what is not its input, `expr/bad-function` if it cannot be read.
 */
export function jsFunction<const I extends Inputs, const O extends Dtype>(
  options: JsFunctionOptions<I, O>,
): JsFunction<I, O> {
  const { name, inputs, output, helpers = {} } = options;
  for (const given of [name, ...Object.keys(inputs), ...Object.keys(helpers)])
    if (!NAME.test(given))
      throw new SamewiseError(
        'expr/bad-function',
        `${JSON.stringify(given)} is not a usable name`,
        {
          hint: 'use letters, digits and underscores, beginning with a letter',
        },
      );
  const source = bundle(options.fn, helpers, name);
  const hash = sha256Hex(source);
  functionFrom({ name, source, hash });
  return Object.freeze({
    name,
    source,
    hash,
    call(values: { readonly [K in keyof I]: Operand<I[K]> }): Value<O> {
      const unknown = Object.keys(values).find((key) => !Object.hasOwn(inputs, key));
      if (unknown !== undefined)
        throw new SamewiseError('expr/wrong-arity', `${name} has no input ${unknown}`, {
          where: { field: `inputs.${unknown}` },
          hint: `its inputs are ${Object.keys(inputs).join(', ')}`,
        });
      const bound = Object.entries(inputs).map(([input, dtype]) =>
        bindInput(name, input, dtype, values[input]),
      );
      return new Value({ kind: 'js', name, source, hash, inputs: bound, output }, output);
    },
  });
}

function bindInput(fn: string, name: string, dtype: Dtype, given: unknown) {
  const where = { field: `inputs.${name}` };
  if (given === undefined)
    throw new SamewiseError('expr/wrong-arity', `${fn} needs the input ${name}`, { where });
  const value = asValue(given, dtype);
  if (!sameDtype(value.dtype, dtype))
    throw new SamewiseError(
      'expr/type-mismatch',
      `input ${name} of ${fn} is ${printDtype(value.dtype)}; it takes ${printDtype(dtype)}`,
      { where, hint: `cast it to ${printDtype(dtype)}` },
    );
  return { name, dtype, expr: value.expr };
}

/** One expression that stands on its own: the function, with its helpers around it. */
function bundle(
  fn: (inputs: any) => unknown,
  helpers: Readonly<Record<string, (...args: any[]) => unknown>>,
  name: string,
): string {
  const names = Object.keys(helpers).sort();
  const known = new Set(names);
  const main = readFunction(fn, name, known);
  if (names.length === 0) return main;
  const lines = names.map(
    (helper) => `const ${helper} = (${readFunction(helpers[helper]!, helper, known)});`,
  );
  return `(() => {\n${lines.join('\n')}\nreturn (${main});\n})()`;
}

function readFunction(
  fn: (...args: any[]) => unknown,
  name: string,
  helpers: ReadonlySet<string>,
): string {
  if (typeof fn !== 'function')
    throw new SamewiseError('expr/bad-function', `${name} is not a function`);
  const source = normalSource(Function.prototype.toString.call(fn), name);
  checkPure(source, name, helpers);
  return source.text;
}
