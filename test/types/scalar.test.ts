import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  bytes,
  date,
  float64,
  int64,
  list,
  parseDtype,
  printDtype,
  sameDtype,
  string,
  timestamp,
  vector,
} from '../../src/types/dtype.ts';
import {
  coerce,
  compareScalars,
  compareUtf8,
  sameScalar,
  scalarToJson,
  scalarToJsonText,
} from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';
import { anyDtype, nullableOf, scalarOf } from './arbitraries.ts';

const typedValue = anyDtype.chain((dtype) => nullableOf(dtype).map((value) => ({ dtype, value })));

test('a type reads back from its text', () => {
  fc.assert(
    fc.property(anyDtype, anyDtype, (a, b) => {
      assert.deepEqual(parseDtype(printDtype(a)), a);
      assert.equal(sameDtype(a, b), printDtype(a) === printDtype(b));
    }),
    { numRuns: cases(500) },
  );
  for (const text of ['int', 'list()', 'list(int)', 'vector(x)', 'vector(0)', ''])
    assert.throws(() => parseDtype(text), { code: /^types\// }, text);
});

test('a value is kept in JSON and coerced back, bit for bit', () => {
  fc.assert(
    fc.property(typedValue, ({ dtype, value }) => {
      const kept = JSON.parse(JSON.stringify(scalarToJson(value, dtype)));
      assert.ok(sameScalar(coerce(kept, dtype), value));
      assert.ok(sameScalar(coerce(value, dtype), value), 'a scalar is already coerced');
    }),
    { numRuns: cases(3000) },
  );
});

test('the JSON text holds each type in its own form', () => {
  const table: [Parameters<typeof scalarToJsonText>[1], any, string][] = [
    [int64, 9_007_199_254_740_993n, '9007199254740993'],
    [float64, 7, '7'],
    [float64, Number.NEGATIVE_INFINITY, '"-Infinity"'],
    [string, 'a"\n', '"a\\"\\n"'],
    [bytes, Uint8Array.of(255), '"/w=="'],
    [timestamp, -1, '"1969-12-31T23:59:59.999999Z"'],
    [date, -1, '"1969-12-31"'],
    [list(int64), [1n, null], '[1,null]'],
    [vector(2), Float32Array.of(0.5, Number.POSITIVE_INFINITY), '[0.5,"Infinity"]'],
    [int64, null, 'null'],
  ];
  for (const [dtype, value, text] of table) assert.equal(scalarToJsonText(value, dtype), text);
});

test('sameness is of bits: numbers by Object.is, the rest element by element', () => {
  assert.ok(!sameScalar(0, -0));
  assert.ok(!sameScalar(1, 1n));
  assert.ok(!sameScalar([1], Float32Array.of(1)));
  assert.ok(!sameScalar(null, []));
  assert.ok(sameScalar([1n, [null]], [1n, [null]]));
  fc.assert(
    fc.property(typedValue, typedValue, (a, b) => {
      assert.ok(sameScalar(a.value, a.value));
      assert.equal(sameScalar(a.value, b.value), sameScalar(b.value, a.value));
    }),
    { numRuns: cases(500) },
  );
});

test('strings and bytes order by their UTF-8 bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      assert.equal(Math.sign(compareUtf8(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    { numRuns: cases(3000) },
  );
  // U+FF5E is one unit above the surrogates that stand for U+1F4A5.
  assert.ok(compareUtf8('\u{ff5e}', '\u{1f4a5}') < 0);
  fc.assert(
    fc.property(scalarOf(bytes), scalarOf(bytes), (a, b) => {
      assert.equal(
        Math.sign(compareScalars(a, b)),
        Buffer.compare(a as Uint8Array, b as Uint8Array),
      );
    }),
    { numRuns: cases(500) },
  );
});
