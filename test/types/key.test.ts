import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { float64, int64, string } from '../../src/types/dtype.ts';
import { decodeKey, encodeKey, MAX_KEY_BYTES, printKey } from '../../src/types/key.ts';
import { type Scalar, sameScalar } from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';
import { KEYABLE, scalarOf } from './arbitraries.ts';

const hex = (values: Scalar[], dtypes: Parameters<typeof encodeKey>[1]) =>
  Buffer.from(encodeKey(values, dtypes)).toString('hex');

const dtypesOfKey = fc.array(fc.constantFrom(...KEYABLE), { minLength: 1, maxLength: 3 });
const keyOf = (dtypes: Parameters<typeof encodeKey>[1]) => fc.tuple(...dtypes.map(scalarOf));

test('a key reads back, and no two keys of an entity share their bytes', () => {
  fc.assert(
    fc.property(
      dtypesOfKey.chain((dtypes) =>
        fc.record({ dtypes: fc.constant(dtypes), a: keyOf(dtypes), b: keyOf(dtypes) }),
      ),
      ({ dtypes, a, b }) => {
        assert.ok(sameScalar(decodeKey(encodeKey(a, dtypes), dtypes), a));
        assert.equal(hex(a, dtypes) === hex(b, dtypes), sameScalar(a, b));
      },
    ),
    { numRuns: cases(3000) },
  );
});

test('keys that look alike when joined stay apart', () => {
  assert.notEqual(hex([1n, 23n], [int64, int64]), hex([12n, 3n], [int64, int64]));
  assert.notEqual(hex(['a', 'bc'], [string, string]), hex(['ab', 'c'], [string, string]));
  assert.notEqual(hex(['1'], [string]), hex([1n], [int64]));
  assert.notEqual(hex(['\ufeffa'], [string]), hex(['a'], [string]));
  assert.notEqual(hex(['é'], [string]), hex(['e\u0301'], [string]));
});

test('the bytes are fixed: pages are found by them for ever', () => {
  assert.equal(hex([7n], [int64]), '020000000000000007');
  assert.equal(hex([-1n, 'ab'], [int64, string]), '02ffffffffffffffff05000000026162');
});

test('what cannot be a key is refused', () => {
  const bad = { code: 'types/bad-key' };
  assert.throws(() => encodeKey([null], [int64]), bad);
  assert.throws(() => encodeKey([], [int64]), bad);
  assert.throws(() => encodeKey([1.5], [float64]), bad);
  assert.throws(() => encodeKey(['x'.repeat(MAX_KEY_BYTES)], [string]), bad);
  assert.throws(() => encodeKey(['\udfff'], [string]), bad);
});

test('a key is printed for people', () => {
  const text = printKey(['id', 'terminal'], [7n, null], [int64, string]);
  assert.equal(text, 'id=7,terminal=null');
});
