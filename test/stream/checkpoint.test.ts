/** Of checkpoints that several workers keep, the furthest one stays, unless a rewind or a hand-over came between. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OnlineStore } from '../../src/online/contract.ts';
import { readCheckpoint, writeCheckpoint } from '../../src/stream/checkpoint.ts';

const place = { source: 's', partition: '0', viewId: 'v' };
const at = (position: bigint) => ({ position, arrivalUs: 1, newestUs: null });

/** How far the view is said to be after these were kept one after the other. */
async function kept(...all: readonly [bigint | null, rewind: number, handed: number][]) {
  const meta = new Map<string, Uint8Array>();
  const online = {
    getMeta: async (name: string) => meta.get(name),
    heads: async (keys: readonly unknown[]) => keys.map(() => undefined),
    putMeta: async (name: string, value: Uint8Array) => void meta.set(name, value),
  } as unknown as OnlineStore;
  for (const [position, rewind, handed] of all)
    await writeCheckpoint(
      online,
      place,
      { at: position === null ? null : at(position), whole: true },
      { rewind, handed },
    );
  const found = await readCheckpoint(online, place, { paused: false, generation: 0, rewinds: [] });
  return found?.at?.position ?? null;
}

test('a worker that is behind does not set a checkpoint back', async () => {
  assert.equal(await kept([7n, 0, 0], [9n, 0, 0]), 9n);
  assert.equal(await kept([9n, 0, 0], [7n, 0, 0]), 9n);
  assert.equal(await kept([9n, 0, 0], [null, 0, 0]), 9n);
  assert.equal(await kept([null, 0, 0], [7n, 0, 0]), 7n);
});

test('one that has followed a rewind or a hand-over does; one that has not says nothing any more', async () => {
  assert.equal(await kept([9n, 0, 0], [7n, 1, 0]), 7n);
  assert.equal(await kept([9n, 0, 0], [null, 0, 1]), null);
  assert.equal(await kept([7n, 1, 0], [9n, 0, 0]), 7n);
  assert.equal(await kept([7n, 1, 1], [9n, 1, 0]), 7n);
});
