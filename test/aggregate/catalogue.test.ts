/** The door: what it makes of specifications and inputs that are wrong, and what the catalogue says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AGGREGATES, aggregateFor, completeSpec } from '../../src/aggregate/index.ts';
import { SamewiseError } from '../../src/base/errors.ts';
import {
  bool,
  type Dtype,
  float32,
  float64,
  int32,
  int64,
  list,
  string,
} from '../../src/types/dtype.ts';

const NAMES =
  'count sum avg min max variance stddev skewness kurtosis first last latest first_k last_k ' +
  'distinct_count approx_distinct quantile mode top_k histogram bool_and bool_or';

function coded(code: string, hint: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof SamewiseError, String(error));
    assert.equal(error.code, code);
    assert.match(error.hint ?? '', hint);
    return true;
  };
}

test('the catalogue holds every aggregate with its words', () => {
  assert.deepEqual([...AGGREGATES.keys()], NAMES.split(' '));
  for (const { fn, doc, outputText, input, params } of AGGREGATES.values()) {
    assert.match(doc, /\.$/, fn);
    assert.ok(outputText !== '' && input.text !== '');
    for (const param of Object.values(params))
      assert.ok(param.default === null || param.accepts(param.default), fn);
  }
});

test('parameters are filled in, and wrong ones are named', () => {
  assert.deepEqual(completeSpec('quantile', { q: 0.5 }), {
    fn: 'quantile',
    params: { q: 0.5, error: 0.01 },
  });
  assert.deepEqual(completeSpec('top_k', { k: 3 }).params, { k: 3, limit: 10_000 });
  assert.throws(() => completeSpec('averge'), coded('aggregate/unknown', /avg|one of/));
  assert.throws(() => completeSpec('stdev'), coded('aggregate/unknown', /stddev/));
  assert.throws(
    () => completeSpec('last_k'),
    coded('aggregate/bad-param', /whole number from 1 to 10,000/),
  );
  assert.throws(() => completeSpec('last_k', { k: 1.5 }), coded('aggregate/bad-param', /whole/));
  assert.throws(
    () => completeSpec('quantile', { q: 1.1 }),
    coded('aggregate/bad-param', /from 0 to 1/),
  );
  assert.throws(
    () => completeSpec('quantile', { q: Number.NaN }),
    coded('aggregate/bad-param', /from 0/),
  );
  assert.throws(() => completeSpec('sum', { k: 1 }), coded('aggregate/bad-param', /takes none/));
  assert.throws(
    () => completeSpec('mode', { toString: 1 } as never),
    coded('aggregate/bad-param', /limit/),
  );
});

test('inputs that do not fit are refused in words', () => {
  assert.throws(
    () => aggregateFor(completeSpec('sum'), string),
    coded('aggregate/bad-input', /number/),
  );
  assert.throws(
    () => aggregateFor(completeSpec('sum'), null),
    coded('aggregate/bad-input', /number/),
  );
  assert.throws(
    () => aggregateFor(completeSpec('max'), list(int32)),
    coded('aggregate/bad-input', /order/),
  );
  assert.throws(
    () => aggregateFor(completeSpec('bool_or'), int32),
    coded('aggregate/bad-input', /bool/),
  );
});

test('outputs', () => {
  const output = (fn: string, input: Dtype | null, params = {}) =>
    aggregateFor(completeSpec(fn, params), input).output;
  assert.deepEqual(
    [int32, int64, float32, float64].map((t) => output('sum', t).kind),
    ['int64', 'int64', 'float64', 'float64'],
  );
  assert.deepEqual(output('count', null), int64);
  assert.deepEqual(output('avg', int64), float64);
  assert.deepEqual(output('max', string), string);
  assert.deepEqual(output('last_k', bool, { k: 1 }), list(bool));
  assert.deepEqual(output('top_k', string, { k: 1 }), list(string));
  assert.deepEqual(output('histogram', int32), string);
});
