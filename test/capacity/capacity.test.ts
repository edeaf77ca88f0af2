/** Formulas, what is refused, and how events fall on keys. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SamewiseError } from '../../src/base/errors.ts';
import { predict, readLoad } from '../../src/capacity/index.ts';
import { number, over, plus, roundedUp, Sheet, times } from '../../src/capacity/sheet.ts';
import { poissonQuantile, strataOf } from '../../src/capacity/spread.ts';
import { definitions } from '../app/support.ts';

const LOAD = `
history: 30d
entities:
  customer: { count: 2M, skew: 0.5 }
sources:
  payments: { rate: 150 }
services:
  all: { rate: 200, entities: 3 }
`;

/** A formula with every name replaced by its number. */
function evaluated(formula: string, value: (name: string) => number): number {
  const filled = formula
    .replaceAll(/\[([^\]]+)\]/g, (_, name: string) => `(${value(name)})`)
    .replaceAll('×', '*')
    .replaceAll('÷', '/')
    .replaceAll('−', '-')
    .replaceAll(/\b(ceil|max|min)\(/g, 'Math.$1(');
  return Number(new Function(`return ${filled}`)());
}

test('every formula, computed by hand, is the number beside it', () => {
  const { lines } = predict(definitions(), readLoad(LOAD, 'load.yaml'));
  const values = new Map(lines.map(({ name, value }) => [name, value]));
  let formulas = 0;
  for (const { name, formula, value } of lines) {
    if (formula === null) continue;
    formulas++;
    const again = evaluated(formula, (of) => values.get(of)!);
    assert.ok(Math.abs(again - value) <= 1e-9 * Math.abs(value), `${name} = ${formula}`);
  }
  assert.ok(formulas > 30);
});

test('brackets stand where they change the result, and only there', () => {
  const sheet = new Sheet();
  const a = sheet.given('a', '', 6, '');
  const b = sheet.given('b', '', 4, '');
  assert.equal(times(a, plus(a, b)).text, '[a] × ([a] + [b])');
  assert.equal(plus(a, times(a, b)).text, '[a] + [a] × [b]');
  assert.equal(over(a, times(a, b)).text, '[a] ÷ ([a] × [b])');
  assert.deepEqual(roundedUp(over(a, b)), { value: 2, text: 'ceil([a] ÷ [b])', binds: 2 });
  assert.equal(roundedUp(number(3 + 1e-12)).value, 3);
});

test('the same load gives the same numbers; twice the requests, twice the reads', () => {
  const once = predict(definitions(), readLoad(LOAD, 'l'));
  assert.deepEqual(predict(definitions(), readLoad(LOAD, 'l')), once);
  const twice = predict(definitions(), readLoad(LOAD.replace('rate: 200', 'rate: 400'), 'l'));
  assert.equal(twice.stores[1]!.readsPerSecond, 2 * once.stores[1]!.readsPerSecond);
  assert.equal(twice.stores[1]!.bytes, once.stores[1]!.bytes);
  assert.ok(once.views.every(({ keys }) => keys > 1.9e6 && keys < 2e6 + 1));
});

test('shares of all keys sum up to one, whatever the skew', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e9 }),
      fc.double({ min: 0, max: 2, noNaN: true }),
      (count, skew) => {
        const strata = strataOf({ count, skew });
        const keys = strata.reduce((sum, s) => sum + s.keys, 0);
        const share = strata.reduce((sum, s) => sum + s.keys * s.share, 0);
        assert.equal(keys, count);
        assert.ok(Math.abs(share - 1) < 1e-6, `${share}`);
        assert.ok(strata.every((s, i) => i === 0 || s.share <= strata[i - 1]!.share * (1 + 1e-9)));
      },
    ),
    { seed: 7 },
  );
});

test('quantiles of a number of events have its mean', () => {
  for (const mean of [0.1, 3, 40, 399, 401, 5_000]) {
    const all = Array.from({ length: 2_000 }, (_, i) => poissonQuantile(mean, (i + 0.5) / 2_000));
    const found = all.reduce((a, b) => a + b, 0) / all.length;
    assert.ok(Math.abs(found - mean) < 0.01 * mean + 0.02, `${mean}: ${found}`);
  }
});

/** What a load's text is refused with. */
function refusal(text: string): SamewiseError {
  try {
    predict(definitions(), readLoad(text, 'load.yaml'));
  } catch (error) {
    if (error instanceof SamewiseError) return error;
    throw error;
  }
  throw new Error('it is taken');
}

test('what is wrong with a load is said with its line', () => {
  const cases: [text: string, code: string, line: number | undefined, field: string][] = [
    [LOAD.replace('count: 2M', 'count: 2X'), 'capacity/bad-field', 4, 'entities.customer.count'],
    [LOAD.replace('skew', 'scew'), 'capacity/bad-field', 4, 'entities.customer.scew'],
    [LOAD.replace('30d', '30 days'), 'capacity/bad-field', 2, 'history'],
    [
      LOAD.replace('  payments:', '  payment:'),
      'capacity/unknown-name',
      undefined,
      'sources.payment',
    ],
    [
      LOAD.replace(/sources:.*/s, 'sources: {}'),
      'capacity/missing-load',
      undefined,
      'sources.payments',
    ],
    [`${LOAD}]`, 'capacity/not-yaml', 9, ''],
  ];
  for (const [text, code, line, field] of cases) {
    const error = refusal(text);
    assert.equal(error.code, code);
    if (line !== undefined) assert.equal(error.where.line, line, code);
    if (field !== '') assert.equal(error.where.field, field);
    assert.ok(error.hint, code);
  }
  assert.match(refusal(LOAD.replace('skew', 'scew')).hint!, /did you mean "skew"/);
});
