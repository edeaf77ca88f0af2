import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xxh32 } from '../../src/timeline/checksum.ts';

function hash(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return xxh32(new DataView(bytes.buffer), 0, bytes.length).toString(16).padStart(8, '0');
}

test('the published vectors of xxHash32 with seed 0', () => {
  assert.equal(hash(''), '02cc5d05');
  assert.equal(hash('a'), '550d7456');
  assert.equal(hash('abc'), '32d153ff');
  assert.equal(hash('Nobody inspects the spammish repetition'), 'e2293b2f');
});

test('a part of a view hashes like a copy of it', () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i * 37);
  for (const [from, to] of [
    [0, 100],
    [4, 99],
    [5, 21],
    [7, 7],
  ] as const) {
    const copy = bytes.slice(from, to);
    const part = xxh32(new DataView(bytes.buffer), from, to);
    assert.equal(part, xxh32(new DataView(copy.buffer), 0, copy.length));
  }
});
