/** The demo's definitions over Redis and Redis Cluster: the same pages to the byte, and the same answers over HTTP. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { liveViews } from '../../src/app/live_views.ts';
import { materialize } from '../../src/app/materialize.ts';
import type { App } from '../../src/app/open.ts';
import { project } from '../app/project.ts';
import { servers } from '../stream/servers.ts';
import { json, startServer } from './support.ts';

const ROOT = join(import.meta.dirname, '../..');
const FLIGHTS = 'node_modules/vega-datasets/data/flights-3m.parquet';
const DEMO = readFileSync(join(ROOT, 'examples/flights/features.ts'), 'utf8');

const {
  skip,
  at: [single, cluster],
} = await servers('redis', 'redis-cluster');

test('the demo is the same in every online store', { skip }, async (t) => {
  const definitions = DEMO.replace(`../../${FLIGHTS}`, 'data/*.parquet');
  assert.notEqual(definitions, DEMO);
  const { folder, open, remove } = await project(
    definitions,
    `SELECT * FROM '${join(ROOT, FLIGHTS)}' WHERE origin = 'JFK' AND hash(date, destination) % 8 = 0`,
  );
  t.after(remove);
  const namespace = randomUUID().slice(0, 8);
  const embedded = await open();
  t.after(() => embedded.close());
  const counts = await materialize(embedded);
  assert.ok(counts.every(({ keys }) => keys > 0));
  const ask = {
    entities: [{ origin: 'JFK', destination: 'SFO', distance: 2586 }],
    at: '2001-06-15T18:00:00Z',
  };
  const vectors = async () => {
    const server = await startServer(folder);
    const answer = await server.post('/api/v1/services/flight_delay_v1/vectors', ask);
    assert.equal(await server.stop(), 0);
    return answer;
  };
  const expected = await vectors();
  assert.equal(expected.status, 200);

  for (const url of [`redis://${single}`, `redis-cluster://${cluster}`]) {
    const online = `${url}?namespace=${namespace}`;
    writeFileSync(join(folder, 'samewise.config.json'), JSON.stringify({ online }));
    await json(folder, 'materialize', '--full');
    const app = await open({ online });
    let pages = 0;
    for (const { program } of liveViews(await embedded.registry.load(), null)) {
      const [here, there] = [await pagesOf(embedded, program.id), await pagesOf(app, program.id)];
      assert.deepEqual(there, here, program.view.name);
      pages += here.size;
    }
    await app.close();
    t.diagnostic(`${url.split(':')[0]}: ${pages} pages are the same`);
    assert.deepEqual((await vectors()).body, expected.body);
  }
});

/** Heads and blocks of a view, by key. */
async function pagesOf({ online }: App, view: string): Promise<Map<string, string>> {
  const keys = await Array.fromAsync(online.scan(view));
  keys.sort(Buffer.compare);
  const heads = await online.heads(keys.map((key) => ({ view, key })));
  const numbers = Array.from({ length: 20 }, (_, i) => i + 1);
  const blocks = await Promise.all(keys.map((key) => online.blocks({ view, key }, numbers)));
  return new Map(
    keys.map((key, i) => [
      key.toHex(),
      [heads[i]!.bytes, ...blocks[i]!].map((bytes) => bytes?.toHex()).join(),
    ]),
  );
}
