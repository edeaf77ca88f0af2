/** The evaluator against its slow twin, on random expressions over random batches. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { SamewiseError } from '../../src/base/errors.ts';
import { canonicalJson } from '../../src/base/hash.ts';
import { compile, type Expr, FUNCTIONS, printExpr, typeOf } from '../../src/expr/index.ts';
import type { Batch } from '../../src/types/batch.ts';
import { scalarAt } from '../../src/types/column.ts';
import { type Scalar, sameScalar } from '../../src/types/scalar.ts';
import { evaluateRow, RowError } from '../oracle/expr.ts';
import { cases } from '../support/cases.ts';
import { batch, exprOf, SCHEMA, TYPES } from './random_expr.ts';

type Outcome = (Scalar | null)[] | { readonly code: string; readonly row: number };

function expected(expr: Expr, rows: Batch): Outcome {
  const out: (Scalar | null)[] = [];
  for (let row = 0; row < rows.length; row++) {
    try {
      out.push(evaluateRow(expr, rows, row).v);
    } catch (error) {
      if (error instanceof RowError) return { code: error.code, row };
      throw error;
    }
  }
  return out;
}

function found(run: () => Outcome): Outcome {
  try {
    return run();
  } catch (error) {
    if (error instanceof SamewiseError) return { code: error.code, row: error.where.row! };
    throw error;
  }
}

function same(a: Outcome, b: Outcome): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return JSON.stringify(a) === JSON.stringify(b);
  return a.length === b.length && a.every((x, i) => sameScalar(x, b[i]!));
}

const seen = new Set<string>();
function note(expr: Expr): void {
  if (expr.kind === 'call') {
    seen.add(expr.fn);
    expr.args.forEach(note);
  }
}

/** Text → the expression that printed so: two that differ must not print alike. */
const printed = new Map<string, string>();
function notePrinted(expr: Expr): void {
  const text = printExpr(expr);
  const json = canonicalJson(expr).replaceAll(',"params":{}', '');
  assert.equal(printed.get(text) ?? json, json, text);
  printed.set(text, json);
}

test('random expressions give what the row-at-a-time twin gives', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...TYPES).chain((dtype) => fc.tuple(fc.constant(dtype), exprOf(dtype, 3))),
      batch,
      ([dtype, expr], rows) => {
        note(expr);
        notePrinted(expr);
        assert.deepEqual(typeOf(expr, SCHEMA), dtype);
        const program = compile([expr], SCHEMA);
        const actual = found(() => {
          const [column] = program.run(rows);
          assert.equal(column!.length, rows.length);
          assert.deepEqual(column!.dtype, dtype);
          return Array.from({ length: rows.length }, (_, row) => scalarAt(column!, row));
        });
        const wanted = expected(expr, rows);
        assert.ok(same(actual, wanted), `${printExpr(expr)}: ${show(actual)}, not ${show(wanted)}`);
      },
    ),
    { numRuns: cases(8000) },
  );
  const unseen = [...FUNCTIONS.keys()].filter((name) => !seen.has(name));
  assert.deepEqual(unseen, [], 'every function of the catalogue was tried');
});

function show(outcome: Outcome): string {
  return JSON.stringify(outcome, (_, v) =>
    typeof v === 'bigint' ? `${v}n` : Object.is(v, -0) ? '-0' : v,
  );
}

test('several expressions together give what each gives alone, and change nothing', () => {
  fc.assert(
    fc.property(
      fc.array(exprOf(TYPES[4]!, 2), { minLength: 2, maxLength: 4 }),
      batch,
      (exprs, rows) => {
        const before = structuredClone(rows);
        const run = (list: Expr[]) =>
          compile(list, SCHEMA)
            .run(rows)
            .flatMap((column) =>
              Array.from({ length: rows.length }, (_, row) => scalarAt(column, row)),
            );
        const together = found(() => run([...exprs, ...exprs]));
        const alone = found(() => [...exprs, ...exprs].flatMap((expr) => run([expr])));
        assert.ok(same(together, alone));
        assert.deepEqual(rows, before);
      },
    ),
    { numRuns: cases(1000) },
  );
});
