/** Functions in TypeScript: what is refused, what is carried, what happens when they fail. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { sha256Hex } from '../../src/base/hash.ts';
import { column, jsFunction, printExpr, Value } from '../../src/expr/index.ts';
import { float64, int64, list, string, vector } from '../../src/types/dtype.ts';
import { evaluate } from './run.ts';

const amount = column('amount', float64);
const over = (value: Value<any>, amounts: (number | null)[]) =>
  evaluate(value, { amount: [float64, amounts] });

const around = 3;
const scale = () => 100;
const round2 = (x: number) => Math.round(x * scale()) / scale();
const refusal = (fn: any, helpers?: any) => {
  try {
    jsFunction({ name: 'f', inputs: { amount: float64 }, output: float64, fn, helpers });
  } catch (error) {
    return `${(error as any).code} ${(error as any).where.line} ${(error as Error).message}`;
  }
  return 'accepted';
};

test('a pure function runs, with nulls passed by', () => {
  const f = jsFunction({
    name: 'bump',
    inputs: { amount: float64 },
    output: float64,
    fn: ({ amount }) => {
      let total = 0;
      for (const part of [amount, 1]) total += part;
      return total > 100 ? null : Math.max(total, 0);
    },
  });
  assert.deepEqual(over(f.call({ amount }), [1, null, 200, -5]), [2, null, null, 0]);
  assert.match(printExpr(f.call({ amount }).expr), /^js bump#[0-9a-f]{12}\(amount => amount\)$/);
});

test('helpers are bundled, and may call each other', () => {
  const f = jsFunction({
    name: 'rounded',
    inputs: { amount: float64 },
    output: float64,
    fn: ({ amount }) => round2(amount),
    helpers: { round2, scale },
  });
  assert.deepEqual(over(f.call({ amount }), [1.239]), [1.24]);
  assert.equal(f.hash.length, 64);
});

test('every kind of value goes in and out', () => {
  const f = jsFunction({
    name: 'join',
    inputs: { n: int64, tags: list(string), v: vector(2) },
    output: string,
    fn: ({ n, tags, v }) => `${n + 1n}|${tags.map((t) => t ?? '-').join(',')}|${v[0]}`,
  });
  const value = f.call({
    n: column('n', int64),
    tags: column('tags', list(string)),
    v: column('v', vector(2)),
  });
  const columns = {
    n: [int64, [2n ** 60n]],
    tags: [list(string), [['a', null]]],
    v: [vector(2), [Float32Array.of(0.5, 1)]],
  } as const;
  assert.deepEqual(evaluate(value, columns), ['1152921504606846977|a,-|0.5']);
});

test('impure functions are refused, with the line', () => {
  assert.match(
    refusal(() => Date.now()),
    /impure-function 1 f uses Date/,
  );
  assert.match(
    refusal(() => {
      const x = 1;
      return x + new Date(x).getDay();
    }),
    /impure-function 3 f uses Date/,
  );
  assert.match(
    refusal(() => Math.random()),
    /uses Math.random/,
  );
  assert.match(
    refusal(() => {
      const { random } = Math;
      return random();
    }),
    /uses Math as a value/,
  );
  for (const source of [
    'Math["random"]()',
    'performance.now()',
    'crypto.randomUUID()',
    'process.env.X',
    'require("fs")',
    'fetch("http://x")',
    'globalThis.x',
    'eval("1")',
    'Function("1")()',
    'setTimeout(() => 1)',
    'console.log(1)',
    'Intl.NumberFormat()',
    'import("node:fs")',
    'new.target',
    '(() => 1).constructor("x")()',
    '({}).__proto__',
    '"a".localeCompare("b")',
    '(1).toLocaleString()',
  ]) {
    const fn = new Function(`return function ({ amount }) { return ${source}; }`)();
    assert.match(refusal(fn), /expr\/impure-function/, source);
  }
  assert.match(
    refusal(() => around),
    /captures `around`/,
  );
  assert.match(
    refusal(async () => 1),
    /async/,
  );
  assert.match(
    refusal(function (this: any) {
      return this.x;
    }),
    /uses this/,
  );
  assert.match(refusal(Math.abs), /expr\/bad-function/);
  assert.match(refusal((() => 1).bind(null)), /expr\/bad-function/);
  assert.match(
    refusal(({ amount }: any) => amount, { now: () => Date.now() }),
    /now uses Date/,
  );
});

test('names are resolved by scope, not by spelling', () => {
  const accepted: ((x: any) => unknown)[] = [
    ({ amount: process }) => process,
    ({ amount, ...rest }) => [amount, rest].length,
    ({ amount }) => {
      for (const [i, x] of [amount].entries()) if (i > 0) return x;
      try {
        // biome-ignore lint/correctness/noInnerDeclarations: hoisting is the point
        var late = 1;
      } catch (error) {
        return String(error).length;
      }
      function inner(n: number): number {
        return n <= 0 ? 0 : inner(n - 1) + late;
      }
      return inner(3);
    },
  ];
  for (const fn of accepted) assert.equal(refusal(fn), 'accepted');
  assert.match(
    refusal(() => {
      {
        const around = 1;
        if (around > 1) return 0;
      }
      return around;
    }),
    /impure-function 6 f captures `around`/,
  );
});

test('layout and comments do not change the hash, meaning does', () => {
  const make = (body: string) =>
    jsFunction({
      name: 'f',
      inputs: { amount: float64 },
      output: float64,
      fn: new Function(`return ${body}`)(),
    });
  const plain = make('({ amount }) => amount + 1');
  assert.equal(make('({  amount }) => /* more */ amount  + 1').hash, plain.hash);
  assert.equal(make('({\n    amount // the\n  }) =>\n  amount + 1').hash, plain.hash);
  assert.notEqual(make('({ amount }) => amount + 2').hash, plain.hash);
  const template = make(
    // biome-ignore lint/suspicious/noTemplateCurlyInString: source of a template
    '({ amount }) => `a  ${ amount }\n ${amount}b`.length /* x */ + /a  b/u.source.length',
  );
  assert.match(template.source, /`a {2}\$\{ amount \}\n \$\{ amount \}b` \. length \+ \/a {2}b\/u/);
  assert.deepEqual(over(template.call({ amount }), [5]), ['a  5\n 5b'.length + 'a  b'.length]);
  const unended = make('({ amount }) => {\n  const x = amount\n  return x\n}');
  assert.deepEqual(over(unended.call({ amount }), [5]), [5]);
  const method = {
    fn({ amount }: { amount: number }) {
      return amount * 2;
    },
  };
  const f = jsFunction({ name: 'f', inputs: { amount: float64 }, output: float64, fn: method.fn });
  assert.deepEqual(over(f.call({ amount }), [4]), [8]);
});

test('a failure names the function and the row', () => {
  const call = (fn: any) =>
    jsFunction({ name: 'risky', inputs: { amount: float64 }, output: float64, fn }).call({
      amount,
    });
  const boom = call(({ amount }: any) => {
    if (amount > 1) throw new Error('too much');
    return amount;
  });
  assert.throws(() => over(boom, [1, 2]), {
    code: 'expr/function-failed',
    message: 'risky threw: too much',
    where: { row: 1 },
  });
  for (const fn of [() => 'x', () => Number.NaN, () => undefined, () => [1]])
    assert.throws(() => over(call(fn), [1]), { code: 'expr/bad-function-result' });
  const stateful = call(function counted() {
    return ((counted as any).n = 1);
  });
  assert.throws(() => over(stateful, [1]), { code: 'expr/function-failed' });
});

test('inputs must fit', () => {
  const f = jsFunction({
    name: 'f',
    inputs: { amount: float64 },
    output: float64,
    fn: ({ amount }) => amount,
  });
  // @ts-expect-error a string is not a float64
  assert.throws(() => f.call({ amount: column('s', string) }), { code: 'expr/type-mismatch' });
  // @ts-expect-error an input is missing
  assert.throws(() => f.call({}), { code: 'expr/wrong-arity' });
  // @ts-expect-error the function returns a string
  jsFunction({ name: 'g', inputs: { amount: float64 }, output: float64, fn: () => 'x' });
  assert.deepEqual(over(f.call({ amount: 7 }), [1]), [7]);
});

test('what was not read here is out of reach all the same', () => {
  const stored = (source: string, hash = sha256Hex(source)) =>
    new Value({ kind: 'js', name: 'stored', source, hash, inputs: [], output: float64 }, float64);
  for (const source of ['() => Date.now()', '() => Math.random()', '() => process.pid'])
    assert.throws(() => evaluate(stored(source)), { code: 'expr/function-failed' });
  assert.throws(() => evaluate(stored('() => 1', sha256Hex('() => 2'))), {
    code: 'expr/bad-function',
  });
  assert.throws(() => evaluate(stored('() => {')), { code: 'expr/bad-function' });
});
