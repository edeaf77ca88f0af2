/** Changes by key. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesByKey } from '../../src/stream/changes.ts';

test('a key has come as far as the furthest of its changes, in whatever order they are given', () => {
  const change = (key: number, id: bigint, position: bigint) => ({
    key: Uint8Array.of(key),
    timeUs: 1,
    arrivalUs: Number(position),
    id,
    row: -1,
    position,
  });
  // Row 1 of a table was changed first and last: all of its changes come before those of row 2.
  const all = [change(7, 1n, 3n), change(8, 1n, 3n), change(7, 2n, 2n)];
  const { keys, positions } = changesByKey('p', [], all);
  assert.deepEqual(
    keys.map(([key], i) => [key, positions.get('p')![i]]),
    [
      [7, 3n],
      [8, 3n],
    ],
  );
});
