import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteReader, ByteWriter } from '../../src/base/bytes.ts';
import { cases } from '../support/cases.ts';

/** One value of each kind: how it is made at random, written and read. */
const kinds = [
  entry('u8', fc.integer({ min: 0, max: 255 })),
  entry('u16', fc.integer({ min: 0, max: 65_535 })),
  entry('u32', fc.integer({ min: 0, max: 4_294_967_295 })),
  entry('i32', fc.integer()),
  entry('i64', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  entry('f64', fc.double({ noNaN: true })),
  entry('varint', fc.maxSafeNat()),
  entry('string', fc.string({ unit: 'binary' })),
  entry('bytes', fc.uint8Array()),
];

type Kind = 'u8' | 'u16' | 'u32' | 'i32' | 'i64' | 'f64' | 'varint' | 'string' | 'bytes';
function entry(kind: Kind, values: fc.Arbitrary<unknown>): fc.Arbitrary<[Kind, unknown]> {
  return values.map((value) => [kind, value]);
}
const read = (reader: ByteReader, kind: Kind): unknown =>
  kind === 'bytes' ? reader.bytesValue() : reader[kind]();

test('what is written is read back, whatever it is and however the buffer grew', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(...kinds)), fc.nat(16), fc.nat(7), (values, capacity, offset) => {
      const writer = new ByteWriter(capacity);
      for (const [kind, value] of values)
        (writer[kind] as (v: unknown) => void).call(writer, value);
      const peeked = writer.peek().slice();
      const length = writer.length;
      const bytes = writer.finish();
      assert.deepEqual(bytes, peeked);
      assert.equal(bytes.length, length);
      assert.equal(writer.length, 0);
      const shifted = new Uint8Array(offset + bytes.length);
      shifted.set(bytes, offset);
      const reader = new ByteReader(shifted.subarray(offset));
      for (const [kind, value] of values) assert.deepEqual(read(reader, kind), value);
      assert.equal(reader.remaining, 0);
    }),
    { numRuns: cases(1000) },
  );
});

test('reading past the end is an error wherever the bytes were cut', () => {
  fc.assert(
    fc.property(fc.oneof(...kinds), fc.double({ min: 0, max: 1, noNaN: true }), (value, share) => {
      const writer = new ByteWriter();
      (writer[value[0]] as (v: unknown) => void).call(writer, value[1]);
      const bytes = writer.finish();
      const cut = bytes.subarray(0, Math.floor(share * bytes.length));
      if (cut.length === bytes.length) return;
      assert.throws(() => read(new ByteReader(cut), value[0]), { code: 'base/truncated' });
    }),
    { numRuns: cases(1000) },
  );
});

test('a string keeps its byte order mark', () => {
  const writer = new ByteWriter();
  writer.string('\ufeffa');
  assert.equal(new ByteReader(writer.finish()).string(), '\ufeffa');
});

test('what finish hands over is not touched by later writes', () => {
  const writer = new ByteWriter(1);
  writer.u32(1);
  const first = writer.finish();
  writer.u32(2);
  assert.equal(new ByteReader(first).u32(), 1);
});
