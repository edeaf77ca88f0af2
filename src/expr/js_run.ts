/** Running a user's function, from its source alone, in strict mode and without the globals it must not touch. */
import { SamewiseError } from '../base/errors.ts';
import { sha256Hex } from '../base/hash.ts';
import { scalarAt } from '../types/column.ts';
import { printDtype } from '../types/dtype.ts';
import { coerce } from '../types/scalar.ts';
import type { Kernel } from './functions/function.ts';
import { strictKernel } from './functions/kernels.ts';
import type { JsCall } from './ir.ts';
import { FORBIDDEN_GLOBALS } from './js_names.ts';

type Body = (inputs: Readonly<Record<string, unknown>>) => unknown;

const bySource = new Map<string, Body>();

/** Math without its randomness. */
const PURE_MATH = Object.freeze(
  Object.fromEntries(
    Object.getOwnPropertyNames(Math)
      .filter((name) => name !== 'random')
      .map((name) => [name, Math[name as keyof Math]]),
  ),
);

/** The function that a source evaluates to; `expr/bad-function` if it is none or is not what was hashed. */
export function functionFrom(node: Pick<JsCall, 'name' | 'source' | 'hash'>): Body {
  let body = bySource.get(node.source);
  if (body === undefined) {
    if (sha256Hex(node.source) !== node.hash)
      throw new SamewiseError(
        'expr/bad-function',
        `the source of ${node.name} is not what its hash says`,
      );
    try {
      const shadowed = [...FORBIDDEN_GLOBALS];
      const make = new Function('Math', ...shadowed, `'use strict'; return (${node.source}\n);`);
      body = Object.freeze(make(PURE_MATH)) as Body;
    } catch (error) {
      throw new SamewiseError(
        'expr/bad-function',
        `${node.name} cannot be prepared: ${(error as Error).message}`,
        { cause: error },
      );
    }
    bySource.set(node.source, body);
  }
  return body;
}

/** The evaluation of a call: null where any input is null, else what the function returns. */
export function jsKernel(node: JsCall): Kernel {
  const body = functionFrom(node);
  const names = node.inputs.map(({ name }) => name);
  return strictKernel(node.output, (columns, fail) => (row) => {
    const inputs: Record<string, unknown> = {};
    for (let i = 0; i < names.length; i++) inputs[names[i]!] = scalarAt(columns[i]!, row);
    let result: unknown;
    try {
      result = body(inputs);
    } catch (error) {
      return fail(row, () => failed(node, error));
    }
    try {
      if (result === undefined) throw new Error('it returned nothing');
      return coerce(result, node.output);
    } catch (error) {
      return fail(row, () => badResult(node, error));
    }
  });
}

function failed(node: JsCall, error: unknown): SamewiseError {
  const message = error instanceof Error ? error.message : String(error);
  return new SamewiseError('expr/function-failed', `${node.name} threw: ${message}`, {
    cause: error,
  });
}

function badResult(node: JsCall, error: unknown): SamewiseError {
  return new SamewiseError(
    'expr/bad-function-result',
    `the result of ${node.name} is not a ${printDtype(node.output)}: ${(error as Error).message}`,
    { hint: 'return null for what is not known', cause: error },
  );
}
