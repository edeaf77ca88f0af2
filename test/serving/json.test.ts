import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseBody, parseExactJson } from '../../src/serving/json.ts';
import { float32, float64, int32, int64, list, string, vector } from '../../src/types/dtype.ts';
import { scalarFromJson } from '../../src/types/json.ts';
import { cases } from '../support/cases.ts';

test('whole numbers keep all their digits', () => {
  assert.deepEqual(parseExactJson('{"a":9007199254740993,"b":[-9223372036854775808,1]}'), {
    a: 9007199254740993n,
    b: [-9223372036854775808n, 1],
  });
  assert.deepEqual(parseExactJson('[0.12345678901234567890, 1e20]'), [0.12345678901234568, 1e20]);
});

test('everything else is what JSON.parse gives', () => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      (value, n) => {
        const text = JSON.stringify(value);
        const parsed = parseExactJson(`[${n},${text}]`) as unknown[];
        assert.equal(BigInt(parsed[0] as number), n);
        const same = (a: unknown, b: unknown): boolean =>
          typeof a === 'bigint'
            ? Number(a) === b
            : typeof a === 'object' && a !== null
              ? Object.keys(a).every((k) => same((a as any)[k], (b as any)[k]))
              : Object.is(a, b);
        assert.ok(same(parsed[1], JSON.parse(text)));
      },
    ),
    { numRuns: cases(500) },
  );
});

test('what is not JSON, or not UTF-8, is refused', () => {
  for (const bytes of [Buffer.from(''), Buffer.from('{'), Buffer.from([0x22, 0xff, 0x22])])
    assert.throws(() => parseBody(bytes), { code: 'serving/malformed-json' });
});

test('a long whole number is a float where a float is meant, and an int64 where that is', () => {
  const long = 9007199254740993n;
  assert.equal(scalarFromJson(long, float64, {}), 9007199254740992);
  assert.equal(scalarFromJson(2n ** 70n + 1n, float64, {}), 2 ** 70);
  assert.equal(scalarFromJson(long, float32, {}), 9007199254740992);
  assert.deepEqual(scalarFromJson([long, null], list(float64), {}), [9007199254740992, null]);
  assert.deepEqual(scalarFromJson([long], vector(1), {}), new Float32Array([9007199254740992]));
  assert.equal(scalarFromJson(long, int64, {}), long);
  assert.deepEqual(scalarFromJson([long], list(int64), {}), [long]);
  assert.throws(() => scalarFromJson(long, int32, {}), { code: 'types/out-of-range' });
  assert.throws(() => scalarFromJson(2n ** 63n, int64, {}), { code: 'types/out-of-range' });
  assert.throws(() => scalarFromJson(long, string, {}), { code: 'types/wrong-type' });
});

test('a number beyond float64 is not infinity', () => {
  const [huge] = parseExactJson('[1e400]') as unknown[];
  assert.throws(() => scalarFromJson(huge, float64, { field: 'a' }), {
    code: 'types/out-of-range',
  });
  assert.equal(scalarFromJson('Infinity', float64, {}), Number.POSITIVE_INFINITY);
});
