/** Types of expressions that come as data, as from a registry: what is wrong, and where. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  call,
  column,
  columnsOf,
  compile,
  type Expr,
  literal,
  printExpr,
  typeOf,
  type Value,
  when,
} from '../../src/expr/index.ts';
import { date, float64, int32, int64, list, string } from '../../src/types/dtype.ts';

const SCHEMA = [
  { name: 'amount', dtype: float64 },
  { name: 'count', dtype: int64 },
  { name: 'name', dtype: string },
];
const amount: Expr = { kind: 'column', name: 'amount' };
const name: Expr = { kind: 'column', name: 'name' };
const fn = (fn: string, ...args: Expr[]): Expr => ({ kind: 'call', fn, args });

function refusal(expr: Expr): { code: string; field?: string; message: string; hint?: string } {
  try {
    typeOf(expr, SCHEMA);
  } catch (error: any) {
    return { code: error.code, field: error.where.field, message: error.message, hint: error.hint };
  }
  throw new Error('accepted');
}

test('an error says what, where and how to mend it', () => {
  assert.deepEqual(refusal(fn('div', { kind: 'column', name: 'amuont' }, amount)), {
    code: 'expr/unknown-column',
    field: 'div.args[0]',
    message: 'there is no column "amuont"',
    hint: 'did you mean amount?',
  });
  assert.deepEqual(refusal(fn('abs', fn('add', amount, name))), {
    code: 'expr/type-mismatch',
    field: 'abs.args[0].add.args[1]',
    message: 'argument 2 of add is string; it takes a number (int32, int64, float32, float64)',
    hint: undefined,
  });
  const branches = [
    // biome-ignore lint/suspicious/noThenProperty: a field of the IR
    { when: fn('gt', amount, amount), then: amount },
    // biome-ignore lint/suspicious/noThenProperty: a field of the IR
    { when: amount, then: amount },
  ];
  assert.equal(refusal({ kind: 'case', branches, otherwise: null }).field, 'case.branches[1].when');
  assert.deepEqual(
    [
      refusal(fn('ad', amount, amount)),
      refusal(fn('add', amount)),
      refusal(fn('substring', name)),
      refusal({ kind: 'literal', dtype: int32, value: 1.5 }),
      refusal({ kind: 'case', branches: branches.slice(0, 1), otherwise: name }),
    ].map(({ code, field }) => [code, field]),
    [
      ['expr/unknown-function', 'ad'],
      ['expr/wrong-arity', 'add'],
      ['expr/bad-param', 'substring.params.start'],
      ['expr/bad-literal', undefined],
      ['expr/type-mismatch', 'case.otherwise'],
    ],
  );
});

test('expressions have a size limit, and sharing does not slow the check', () => {
  let deep: Value<any> = column('amount', float64);
  for (let i = 0; i < 600; i++) deep = deep.abs();
  assert.equal(refusal(deep.expr).code, 'expr/too-large');
  let wide: Value<any> = column('amount', float64);
  for (let i = 0; i < 60; i++) wide = wide.add(wide);
  assert.equal(refusal(wide.expr).code, 'expr/too-large');
  assert.deepEqual([...columnsOf(wide.expr)], ['amount']);
});

test('IR survives JSON', () => {
  const expr = when(column('count', int64).gt(2n ** 60n))
    .then(literal('2024-01-01', date).cast(string))
    .otherwise(column('name', string)).expr;
  const back = JSON.parse(JSON.stringify(expr));
  assert.deepEqual(back, expr);
  assert.equal(printExpr(back), printExpr(expr));
  assert.deepEqual(compile([back], SCHEMA).dtypes, [string]);
});

test('expressions print like SQL', () => {
  const a = column('amount', float64);
  const n = column('count', int64);
  const s = column('name', string);
  const texts: [Value<any>, string][] = [
    [a.div(n).gt(2), '(amount / count) > 2.0'],
    [n.gt(3).and(s.eq("it's")), "(count > 3) and (name = 'it''s')"],
    [s.substring(1, 3), 'substring(name, length => 3, start => 1)'],
    [s.isIn(['a', 'b']).not(), 'not(is_in(name, values => ["a","b"]))'],
    [when(a.isNull()).then(0).otherwise(a), 'case when is_null(amount) then 0.0 else amount end'],
    [a.cast(int32).add(1), `cast(amount, to => "int32") + int32 '1'`],
    [column('request.amount', float64).neg(), 'neg(request.amount)'],
    [column('odd "name"', float64), '"odd ""name"""'],
    [column('end', float64), '"end"'],
    [literal(null, list(string)), 'list(string) null'],
    [literal('2024-01-01', date), "date '2024-01-01'"],
    [literal(true), 'true'],
    [literal(1e21), '1e+21'],
    [call('concat', [s]), 'concat(name)'],
  ];
  for (const [value, text] of texts) assert.equal(printExpr(value.expr), text);
});
