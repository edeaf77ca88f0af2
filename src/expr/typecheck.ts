/** What type an expression has, or why it has none. */
import { nearest, SamewiseError } from '../base/errors.ts';
import type { Schema } from '../types/batch.ts';
import { type Dtype, printDtype, sameDtype } from '../types/dtype.ts';
import { coerce } from '../types/scalar.ts';
import type { ExprFunction, Params } from './functions/function.ts';
import { FUNCTIONS } from './functions/index.ts';
import { unify } from './functions/promote.ts';
import type { Case, Expr, JsCall, Literal } from './ir.ts';

/** Deepest nesting of an expression: far beyond what people write, well within the stack. */
export const MAX_DEPTH = 500;
/** Most nodes of an expression written out in full, where a shared part counts as often as it is used. */
export const MAX_NODES = 100_000;

/**
 * The type of `expr` over rows of `schema`. Throws `expr/unknown-column`, `expr/unknown-function`,
 * `expr/type-mismatch`, `expr/wrong-arity`, `expr/bad-param`, `expr/bad-literal` or `expr/too-large`; `where.field`
 * is the path to the place, such as `div.args[0].case.branches[1].when`.
 */
export function typeOf(expr: Expr, schema: Schema): Dtype {
  const columns = new Map(schema.map((field) => [field.name, field.dtype]));
  const known = new Map<Expr, Dtype>();
  const sizes = new Map<Expr, number>();
  const visit = (node: Expr, depth: number): Dtype => {
    const done = known.get(node);
    if (done !== undefined) return done;
    if (depth > MAX_DEPTH) throw tooLarge(`nest at most ${MAX_DEPTH} deep`);
    const dtype = inField(headOf(node), () => {
      if (node.kind === 'column') {
        const found = columns.get(node.name);
        if (found === undefined) throw unknownColumn(node.name, columns.keys());
        return found;
      }
      const children = childrenOf(node).map(([path, child]) =>
        inField(path, () => visit(child, depth + 1)),
      );
      return typeFrom(node, children);
    });
    const size = childrenOf(node).reduce((sum, [, child]) => sum + sizes.get(child)!, 1);
    if (size > MAX_NODES) throw tooLarge(`have at most ${MAX_NODES} nodes`);
    sizes.set(node, size);
    known.set(node, dtype);
    return dtype;
  };
  return visit(expr, 0);
}

/** Names of the columns that an expression reads. */
export function columnsOf(expr: Expr): Set<string> {
  const names = new Set<string>();
  const seen = new Set<Expr>();
  const visit = (node: Expr): void => {
    if (seen.has(node)) return;
    seen.add(node);
    if (node.kind === 'column') names.add(node.name);
    for (const [, child] of childrenOf(node)) visit(child);
  };
  visit(expr);
  return names;
}

/** The operands of a node in their order, each with its path below the node. */
export function childrenOf(node: Expr): readonly (readonly [path: string, child: Expr])[] {
  switch (node.kind) {
    case 'column':
    case 'literal':
      return [];
    case 'call':
      return node.args.map((arg, i) => [`args[${i}]`, arg]);
    case 'case': {
      const branches = node.branches.flatMap(
        ({ when, then }, i) =>
          [
            [`branches[${i}].when`, when],
            [`branches[${i}].then`, then],
          ] as const,
      );
      return node.otherwise === null ? branches : [...branches, ['otherwise', node.otherwise]];
    }
    case 'js':
      return node.inputs.map(({ name, expr }) => [`inputs.${name}`, expr]);
  }
}

/** The type of a node whose operands (see `childrenOf`) have these types. A column has none without a schema. */
export function typeFrom(
  node: Exclude<Expr, { kind: 'column' }>,
  children: readonly Dtype[],
): Dtype {
  switch (node.kind) {
    case 'literal':
      return literalType(node);
    case 'call':
      return callType(node.fn, children, node.params ?? {});
    case 'case':
      return caseType(node, children);
    case 'js':
      return jsType(node, children);
  }
}

/** The catalogue's function of this name; `expr/unknown-function` if there is none. */
export function functionNamed(name: string): ExprFunction {
  const fn = FUNCTIONS.get(name);
  if (fn !== undefined) return fn;
  const near = nearest(name, FUNCTIONS.keys());
  throw new SamewiseError('expr/unknown-function', `there is no function ${JSON.stringify(name)}`, {
    hint: near === undefined ? undefined : `did you mean ${near}?`,
  });
}

/** The type of a call of a catalogue function. */
export function callType(fn: string, args: readonly Dtype[], params: Params): Dtype {
  return functionNamed(fn).type(args, params);
}

function literalType(node: Literal): Dtype {
  try {
    coerce(node.value, node.dtype);
  } catch (error) {
    throw new SamewiseError('expr/bad-literal', (error as Error).message, { cause: error });
  }
  return node.dtype;
}

function caseType(node: Case, children: readonly Dtype[]): Dtype {
  const results: Dtype[] = [];
  const count = node.branches.length;
  if (count === 0) throw new SamewiseError('expr/wrong-arity', 'case takes at least one branch');
  const fail = (path: string, found: Dtype, wanted: string) =>
    new SamewiseError(
      'expr/type-mismatch',
      `${path} of case is ${printDtype(found)}; it takes ${wanted}`,
      {
        where: { field: path },
      },
    );
  for (let i = 0; i < children.length; i++) {
    const dtype = children[i]!;
    if (i < 2 * count && i % 2 === 0) {
      if (dtype.kind !== 'bool') throw fail(`branches[${i / 2}].when`, dtype, 'bool');
      continue;
    }
    results.push(dtype);
    if (unify(results) === null) {
      const path = i < 2 * count ? `branches[${(i - 1) / 2}].then` : 'otherwise';
      throw fail(
        path,
        dtype,
        `${printDtype(unify(results.slice(0, -1))!)}, as the branches before do`,
      );
    }
  }
  return unify(results)!;
}

function jsType(node: JsCall, children: readonly Dtype[]): Dtype {
  node.inputs.forEach(({ name, dtype }, i) => {
    if (!sameDtype(dtype, children[i]!))
      throw new SamewiseError(
        'expr/type-mismatch',
        `input ${name} of ${node.name} is ${printDtype(children[i]!)}; it takes ${printDtype(dtype)}`,
        { where: { field: `inputs.${name}` }, hint: `cast it to ${printDtype(dtype)}` },
      );
  });
  return node.output;
}

function tooLarge(limit: string): SamewiseError {
  return new SamewiseError('expr/too-large', `expressions ${limit}`, {
    hint: 'compute a part of it as a feature of its own',
  });
}

function unknownColumn(name: string, names: Iterable<string>): SamewiseError {
  const all = [...names];
  const near = nearest(name, all);
  return new SamewiseError('expr/unknown-column', `there is no column ${JSON.stringify(name)}`, {
    where: { column: name },
    hint:
      near === undefined
        ? `the columns are ${all.slice(0, 20).join(', ')}${all.length > 20 ? ', …' : ''}`
        : `did you mean ${near}?`,
  });
}

/** What a node is called in a path: the name of its function, `case`, or nothing for a leaf. */
function headOf(node: Expr): string {
  if (node.kind === 'call') return node.fn;
  return node.kind === 'js' ? node.name : node.kind === 'case' ? 'case' : '';
}

/** Runs `body`; the field of an error that leaves it is put below `prefix`. */
function inField<T>(prefix: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof SamewiseError) || prefix === '') throw error;
    const field = error.where.field === undefined ? prefix : `${prefix}.${error.where.field}`;
    const { where, hint, cause } = error;
    throw new SamewiseError(error.code, error.message, { where: { ...where, field }, hint, cause });
  }
}
