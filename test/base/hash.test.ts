import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson, hash64, murmur3Words, sha256Hex } from '../../src/base/hash.ts';
import { cases } from '../support/cases.ts';

const utf8 = new TextEncoder();
const hex = (bytes: Uint8Array) =>
  murmur3Words(bytes)
    .map((word) => word.toString(16).padStart(8, '0'))
    .join('');

test('hash64 is MurmurHash3_x86_128', () => {
  // First two words as the Python package mmh3 (x64arch=False, seed 0) gives them.
  const texts: [string, string][] = [
    ['', '0000000000000000'],
    ['a', 'a794933c5556b01b'],
    ['hello', '2b2444a0db91def7'],
    ['I will not buy this record, it is scratched.', 'a0a9683b25ac5e40'],
    ['The quick brown fox jumps over the lazy dog', '2f1583c3ecee2c67'],
  ];
  for (const [text, expected] of texts) assert.equal(hex(utf8.encode(text)), expected, text);
  // Bytes (7 i + 3) mod 256, of every length that exercises the tail and the block loop.
  const lengths =
    '0000000000000000 70d159b27643466f 7e056b48813db2f7 aeaf995a3c1e0d17 96730a642b5a744a bfa641bc477db736 ce615a8d4722b6c7 dddebacd88a781bc 802555159fc1af51 83f87d3ff463af4e 444c06010850eb8c 921c3d507581b29a 7505922ef7e2241a 36d8233e618d9b67 5e733a96718c0a35 b186314cd83994c9 66a18bf3ee8386c0 28f01ec4307455b2 364a04d1778c2039 03d84bf9efdf3bda bcd56888abd6e936 ae3119119e0e8aad cb2681a1fa3452bf aa40d674e97bc2ec d8334e8d96a4e580 67af574b3882093a 67b37ebe80dcbc3e 953cffc1fa455e82 568bec33b0f5b984 3a062a6dce272a4e 8fbeaa00a0e13002 8cfefa9bd715c49d cceea8aca6646299 6be88ebdb03a4199'.split(
      ' ',
    );
  lengths.forEach((expected, n) => {
    const bytes = Uint8Array.from({ length: n }, (_, i) => i * 7 + 3);
    assert.equal(hex(bytes), expected, `${n} bytes`);
    assert.equal(hash64(bytes), BigInt.asIntN(64, BigInt(`0x${expected}`)));
  });
});

test('sha256Hex is SHA-256 of the UTF-8 bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(sha256Hex(text), createHash('sha256').update(text).digest('hex'));
      assert.equal(sha256Hex(utf8.encode(text)), sha256Hex(text));
    }),
    { numRuns: cases(200) },
  );
});

test('canonical JSON is JSON, and does not depend on the order of members', () => {
  const shuffled = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(shuffled)
      : value !== null && typeof value === 'object'
        ? Object.fromEntries(
            Object.entries(value)
              .reverse()
              .map(([k, v]) => [k, shuffled(v)]),
          )
        : value;
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      assert.equal(canonicalJson(shuffled(value)), text);
    }),
    { numRuns: cases(500) },
  );
  assert.equal(canonicalJson({ b: undefined, a: [undefined, 1] }), '{"a":[null,1]}');
});
