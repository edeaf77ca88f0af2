/** Reads of keys that were evicted: brought back first, within the request's deadline, beside others that are there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SamewiseError } from '../../src/base/errors.ts';
import { catalogOf, compileView } from '../../src/model/index.ts';
import { evictedHead } from '../../src/timeline/index.ts';
import { encodeKey } from '../../src/types/key.ts';
import { int64, memoryOnline, serverOver } from './support.ts';
import { BIG, DEFINITIONS, fill } from './world.ts';

const { id, layout } = compileView(catalogOf(DEFINITIONS), 'spending');

/** A server over a store from which customer 7 has left; `back` puts it back. */
async function world(bringBack: (back: () => void, asked: number) => Promise<void>) {
  const online = memoryOnline();
  await fill(online);
  const name = `${id}/${encodeKey([7n], [int64]).toHex()}`;
  const page = online.pages.get(name)!;
  const bytes = evictedHead(layout, page.head.bytes);
  const evict = () => online.pages.set(name, { head: { bytes, version: 50 }, blocks: new Map() });
  evict();
  let asked = 0;
  const back = () => online.pages.set(name, page);
  const server = await serverOver(DEFINITIONS, {
    online,
    bringBack: () => bringBack(back, ++asked),
  });
  return { ...server, evict, asked: () => asked };
}

const query = '/api/v1/features/online?entity=customer&features=count_1d,spending:note';

test('a key that has left is brought back and answered as if it had been there', async (t) => {
  const { app, asked, evict } = await world(async (back, times) => {
    // It may leave again before it is read.
    if (times > 1) back();
  });
  t.after(() => app.close());
  const answer = await app.inject(`${query}&id=7`);
  assert.equal(answer.statusCode, 200, answer.body);
  assert.equal(answer.json().features.count_1d, 2);
  assert.equal(asked(), 2);
  const again = await app.inject(`${query}&id=7`);
  assert.deepEqual(again.json(), answer.json());
  assert.equal(asked(), 2);
  evict();
  assert.deepEqual((await app.inject(`${query}&id=7`)).json(), answer.json());
});

test('what has not come back in time is left out, and the others are answered', async (t) => {
  const { app } = await world(() => new Promise(() => {}));
  t.after(() => app.close());
  const answer = await app.inject({
    method: 'POST',
    url: '/api/v1/services/fraud/vectors',
    headers: { 'x-deadline-ms': '30', 'content-type': 'application/json' },
    payload: `{"full":true,"entities":[{"customer_id":7,"amount":1},{"customer_id":${BIG},"amount":1}]}`,
  });
  assert.equal(answer.statusCode, 200, answer.body);
  const { partial, statuses, vectors } = answer.json();
  assert.equal(partial, true);
  assert.equal(statuses[0].count_1d, 'TIMED_OUT');
  assert.equal(vectors[0].count_1d, null);
  assert.notEqual(statuses[1].last_ticket, 'TIMED_OUT');
});

test('a key that never comes back, and history that cannot be read, are errors', async (t) => {
  const never = await world(async () => {});
  t.after(() => never.app.close());
  const unsettled = await never.app.inject(`${query}&id=7`);
  assert.equal(unsettled.json().error.code, 'serving/unsettled-page');
  const gone = await world(() =>
    Promise.reject(new SamewiseError('offline/no-files', 'there are no files')),
  );
  t.after(() => gone.app.close());
  const failed = await gone.app.inject(`${query}&id=7`);
  assert.equal(failed.json().error.code, 'offline/no-files');
  // Others are none the worse.
  assert.equal((await gone.app.inject(`${query}&id=${BIG}`)).statusCode, 200);
});

test('to warm up brings nothing back', async (t) => {
  const { app, asked } = await world(async () => {});
  t.after(() => app.close());
  await (app as unknown as { operation: { warmUp(): Promise<void> } }).operation.warmUp();
  assert.equal(asked(), 0);
});
