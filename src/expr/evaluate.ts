/**
 * Evaluation, a column at a time. `compile` turns expressions into a list of steps over slots; a subexpression that
 * occurs several times is one step. A step reads earlier slots and never changes them, so a batch's columns may be
 * shared with the results.
 *
 * An error in a row (an overflow, a bad cast) is carried beside the column until it is known whether the row's result
 * depends on it: `case when x <> 0 then cast(…) end` raises nothing for rows where the branch is not taken.
 */
import { assert, type SamewiseError } from '../base/errors.ts';
import { canonicalJson } from '../base/hash.ts';
import type { Batch, Schema } from '../types/batch.ts';
import { type BoolColumn, type Column, ColumnBuilder } from '../types/column.ts';
import { type Dtype, printDtype, sameDtype } from '../types/dtype.ts';
import { coerce, type Scalar } from '../types/scalar.ts';
import type { Kernel } from './functions/function.ts';
import { choose } from './functions/kernels.ts';
import { widen } from './functions/promote.ts';
import type { Call, Case, Expr, JsCall, Literal } from './ir.ts';
import { jsKernel } from './js_run.ts';
import { childrenOf, functionNamed, typeFrom, typeOf } from './typecheck.ts';

/** Compiled expressions. Holds no state between runs that a caller could notice. */
export interface Program {
  /** Type of each expression. */
  readonly dtypes: readonly Dtype[];
  /**
   * One column per expression, each of `batch.length` rows. The batch holds at least the schema's columns that the
   * expressions name; it is not changed, and results may share its buffers. Throws the error of the first row that
   * has one, with `where.row`.
   */
  run(batch: Batch): Column[];
}

type Failures = ReadonlyMap<number, () => SamewiseError>;

interface Evaluated {
  readonly column: Column;
  /** Rows that have an error instead of a value; their column holds null. */
  readonly failures: Failures | null;
}

type Step = (slots: readonly Evaluated[], batch: Batch) => Evaluated;

/** Constants up to this many rows are kept for the next batch of the same length. */
const KEPT_CONSTANT_ROWS = 4096;

/** Checks and prepares expressions over rows of `schema`; throws what `typeOf` throws. */
export function compile(exprs: readonly Expr[], schema: Schema): Program {
  const dtypes = exprs.map((expr) => typeOf(expr, schema));
  const steps: Step[] = [];
  const stepTypes: Dtype[] = [];
  const slotOfText = new Map<string, number>();
  const slotOfNode = new Map<Expr, number>();

  const slotFor = (node: Expr): number => {
    const known = slotOfNode.get(node);
    if (known !== undefined) return known;
    const inputs = childrenOf(node).map(([, child]) => slotFor(child));
    const text = shallowText(node, inputs);
    let slot = slotOfText.get(text);
    if (slot === undefined) {
      const types = inputs.map((input) => stepTypes[input]!);
      slot = steps.length;
      if (node.kind === 'column') {
        const { dtype } = schema.find((field) => field.name === node.name)!;
        stepTypes.push(dtype);
        steps.push(columnStep(node.name, dtype));
      } else {
        const dtype = typeFrom(node, types);
        stepTypes.push(dtype);
        steps.push(stepFor(node, inputs, types, dtype));
      }
      slotOfText.set(text, slot);
    }
    slotOfNode.set(node, slot);
    return slot;
  };
  const roots = exprs.map(slotFor);

  return {
    dtypes,
    run(batch) {
      const slots: Evaluated[] = [];
      for (const step of steps) slots.push(step(slots, batch));
      return roots.map((root) => {
        const { column, failures } = slots[root]!;
        if (failures !== null && failures.size > 0) throw firstFailure(failures);
        return column;
      });
    },
  };
}

function firstFailure(failures: Failures): SamewiseError {
  let row = Number.POSITIVE_INFINITY;
  for (const at of failures.keys()) row = Math.min(row, at);
  return failures.get(row)!().at({ row });
}

/** A text that two nodes share only if they mean the same, given the slots of their operands. */
function shallowText(node: Expr, inputs: readonly number[]): string {
  switch (node.kind) {
    case 'column':
      return `column ${node.name}`;
    case 'literal':
      return `literal ${printDtype(node.dtype)} ${canonicalJson(node.value)}`;
    case 'call':
      return `call ${node.fn} ${canonicalJson(node.params ?? {})} ${inputs}`;
    case 'case':
      return `case ${node.branches.length} ${inputs}`;
    case 'js':
      // The name shows in errors, so functions of one source under two names stay apart.
      return `js ${canonicalJson([node.hash, node.name, node.inputs.map((i) => i.name), printDtype(node.output)])} ${inputs}`;
  }
}

function stepFor(
  node: Literal | Call | Case | JsCall,
  inputs: readonly number[],
  types: readonly Dtype[],
  output: Dtype,
): Step {
  switch (node.kind) {
    case 'literal':
      return literalStep(coerce(node.value, output), output);
    case 'case':
      return caseStep(node, inputs, output);
    case 'js':
      return kernelStep(jsKernel(node), inputs, undefined);
    case 'call': {
      const fn = functionNamed(node.fn);
      return kernelStep(fn.bind(types, node.params ?? {}, output), inputs, fn.reaches);
    }
  }
}

function columnStep(name: string, dtype: Dtype): Step {
  return (_slots, batch) => {
    const column = batch.columns[name];
    assert(column !== undefined, `the batch has the column ${name}`);
    assert(sameDtype(column.dtype, dtype), `column ${name} is ${printDtype(dtype)}`);
    return { column, failures: null };
  };
}

function literalStep(value: Scalar | null, dtype: Dtype): Step {
  let kept: Evaluated | null = null;
  return (_slots, { length }) => {
    if (kept !== null && kept.column.length === length) return kept;
    const builder = new ColumnBuilder(dtype, length);
    for (let i = 0; i < length; i++) builder.push(value);
    const made = { column: builder.finish(), failures: null };
    if (length <= KEPT_CONSTANT_ROWS) kept = made;
    return made;
  };
}

function kernelStep(
  kernel: Kernel,
  inputs: readonly number[],
  reaches: ((args: readonly Column[], position: number, row: number) => boolean) | undefined,
): Step {
  return (slots, { length }) => {
    const args = inputs.map((input) => slots[input]!.column);
    let failures: Map<number, () => SamewiseError> | null = null;
    const fail = (row: number, error: () => SamewiseError): null => {
      failures ??= new Map();
      if (!failures.has(row)) failures.set(row, error);
      return null;
    };
    for (let position = 0; position < inputs.length; position++) {
      const found = slots[inputs[position]!]!.failures;
      if (found === null) continue;
      for (const [row, error] of found)
        if (reaches === undefined || reaches(args, position, row)) fail(row, error);
    }
    return { column: kernel(args, length, fail), failures };
  };
}

/** Inputs: when and then of each branch in turn, then `otherwise` if there is one. */
function caseStep(node: Case, inputs: readonly number[], output: Dtype): Step {
  const count = node.branches.length;
  const fallback = node.otherwise === null ? -1 : count;
  return (slots, { length }) => {
    const conditions: Evaluated[] = [];
    const results: Evaluated[] = [];
    for (let i = 0; i < inputs.length; i++)
      (i < 2 * count && i % 2 === 0 ? conditions : results).push(slots[inputs[i]!]!);
    const pick = new Int32Array(length);
    for (let row = 0; row < length; row++) {
      let at = 0;
      // What a null condition holds is 0.
      while (at < count && (conditions[at]!.column as BoolColumn).data[row] !== 1) at++;
      pick[row] = at < count ? at : fallback;
    }
    const failures = caseFailures(conditions, results, pick);
    const columns = results.map(({ column }) => widen(column, output));
    return { column: choose(output, columns, pick), failures };
  };
}

/** Of a row, only the conditions up to the branch taken, and that branch, matter; the first error of them counts. */
function caseFailures(
  conditions: readonly Evaluated[],
  results: readonly Evaluated[],
  pick: Int32Array,
): Failures | null {
  if ([...conditions, ...results].every(({ failures }) => failures === null)) return null;
  const out = new Map<number, () => SamewiseError>();
  const keep = (row: number, error: () => SamewiseError) => {
    if (!out.has(row)) out.set(row, error);
  };
  conditions.forEach(({ failures }, i) => {
    for (const [row, error] of failures ?? [])
      if (pick[row]! < 0 || pick[row]! >= i) keep(row, error);
  });
  results.forEach(({ failures }, i) => {
    for (const [row, error] of failures ?? []) if (pick[row] === i) keep(row, error);
  });
  return out.size === 0 ? null : out;
}
