/** Materialisation as a process with threads: killed with SIGKILL in the middle, and run again. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { materialize } from '../../src/app/materialize.ts';
import type { App } from '../../src/app/open.ts';
import { compileView } from '../../src/model/index.ts';
import { type Project, paymentsProject } from './project.ts';

const CHILD = join(import.meta.dirname, 'materialize_child.ts');
const ROWS = 60_000;
const CUSTOMERS = 12_000;

let here: Project;
before(async () => {
  here = await paymentsProject(ROWS, CUSTOMERS);
});
after(() => here.remove());

/** All pages of a view, heads and blocks, by key. */
async function pages(app: App, view: string): Promise<Map<string, string>> {
  const { id } = compileView(await app.definitions(), view);
  const out = new Map<string, string>();
  for await (const key of app.online.scan(id)) {
    const [head] = await app.online.heads([{ view: id, key }]);
    const blocks = await app.online.blocks({ view: id, key }, [1, 2, 3]);
    out.set(key.toHex(), [head!.bytes, ...blocks].map((bytes) => bytes?.toHex()).join());
  }
  return out;
}

test('a killed run is taken up again and leaves what an undisturbed one leaves', async () => {
  const other = await here.open({ online: join(here.folder, 'undisturbed') });
  const [undisturbed] = await materialize(other, { views: ['spending'], workers: 1 });
  assert.deepEqual([undisturbed!.rows, undisturbed!.keys], [ROWS, CUSTOMERS]);
  const expected = await pages(other, 'spending');
  await other.close();
  assert.equal(expected.size, CUSTOMERS);

  // The child kills itself: a parent that waits for its word can come too late.
  const child = spawn(process.execPath, [CHILD, here.folder, String(CUSTOMERS / 4)], {
    stdio: 'inherit',
  });
  const [, signal] = await once(child, 'exit');
  assert.equal(signal, 'SIGKILL');

  const app = await here.open();
  const partial = await pages(app, 'spending');
  assert.ok(partial.size > 0 && partial.size < CUSTOMERS, `${partial.size} keys before the end`);
  let first = 0;
  const [resumed] = await materialize(app, {
    views: ['spending'],
    rowsPerShard: 2_000,
    workers: 2,
    onProgress: ({ keys }) => {
      first ||= keys;
    },
  });
  assert.deepEqual([resumed!.rows, resumed!.keys], [ROWS, CUSTOMERS]);
  assert.ok(first > CUSTOMERS / 10, `it went on from ${first} keys`);
  assert.ok(resumed!.written < CUSTOMERS + partial.size, 'what was done is not done again');
  assert.deepEqual(await pages(app, 'spending'), expected);
  const jobs = await app.registry.jobs({ view: 'spending' });
  assert.deepEqual(jobs.map(({ status }) => status).sort(), [
    'interrupted',
    'succeeded',
    'succeeded',
  ]);
  await app.close();
});

test('a worker’s failure is the caller’s, and is a job that failed', async () => {
  const app = await here.open();
  const stop = AbortSignal.abort(new Error('not now'));
  const request = { views: ['latest'], rowsPerShard: 2_000, workers: 2 };
  await assert.rejects(materialize(app, { ...request, signal: stop }), /not now/);
  const [result] = await materialize(app, request);
  assert.equal(result!.keys, CUSTOMERS);
  await app.close();
});
