/** What a process writes is read by its server at once, also where pages of a store that is away are kept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toldWrites } from '../../src/app/changed_store.ts';
import { US_PER_SECOND } from '../../src/base/time.ts';
import { catalogOf, compileView } from '../../src/model/index.ts';
import type { OnlineStore } from '../../src/online/contract.ts';
import { encodeKey } from '../../src/types/key.ts';
import {
  entity,
  feature,
  int64,
  materialize,
  memoryOnline,
  NOW_US,
  over,
  serverOver,
  source,
  view,
} from '../serving/support.ts';

const DEFINITIONS = [
  entity('user', { user_id: int64 }),
  source('clicks', { user_id: int64 }),
  {
    ...view('counts', 'user', ['user_id'], 'clicks', [
      feature('rows', int64, 'count', null, over(null)),
    ]),
    freshnessUs: 60 * US_PER_SECOND,
  },
];

/** Makes the page of user 1 one of so many clicks. */
async function write(online: OnlineStore, clicks: number): Promise<void> {
  const { id, keyDtypes } = compileView(catalogOf(DEFINITIONS), 'counts');
  const key = { view: id, key: encodeKey([1n], keyDtypes) };
  const rows = Array.from({ length: clicks }, (_, i) => ({
    id: BigInt(i),
    at: NOW_US - US_PER_SECOND - i,
    user_id: 1n,
  }));
  const made = memoryOnline();
  await materialize(made, DEFINITIONS, 'counts', rows);
  const [before] = await online.heads([key]);
  const [head] = await made.heads([key]);
  const expect = before?.version ?? 0;
  await online.compareAndSet([
    { ...key, expect, head: head!.bytes, putBlocks: new Map(), dropBlocks: [] },
  ]);
}

test('pages that are written in this process are fetched anew, those that others write within their bound', async () => {
  const online = memoryOnline();
  // Time stands still: nothing grows old.
  const { app } = await serverOver(DEFINITIONS, { online });
  const told = toldWrites(online, (keys) => app.forgetPages(keys));
  const rows = async () => {
    const url = '/api/v1/features/online?entity=user&id=1&features=rows';
    return (await app.inject({ url })).json().features.rows;
  };
  try {
    await write(told, 1);
    assert.equal(await rows(), 1);
    await write(online, 2);
    assert.equal(await rows(), 1);
    await write(told, 3);
    assert.equal(await rows(), 3);
  } finally {
    await app.close();
  }
});

test('also of a write of which the store cannot say whether it was made', async () => {
  const forgotten: number[] = [];
  const failing = { ...memoryOnline(), compareAndSet: () => Promise.reject(new Error('away')) };
  const told = toldWrites(failing, (keys) => forgotten.push(keys.length));
  await assert.rejects(told.compareAndSet([]), /away/);
  assert.deepEqual(forgotten, [0]);
  assert.equal(told.versions, undefined);
});
