/** What is kept of how features are served, over processes that are killed: mismatches with history, promises of freshness. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { liveViews } from '../../src/app/live_views.ts';
import { openApp } from '../../src/app/open.ts';
import { edit, json, run, type Server, scaffolded, startServer, temporary } from './support.ts';

const { folder, remove } = temporary();
let project: string;
let server: Server;
before(async () => {
  project = await scaffolded(folder, false);
  edit(project, 'samewise.config.json', '{', '{ "sampling": "100ms",');
  await json(project, 'apply', '--yes');
  await json(project, 'materialize');
  server = await startServer(project);
});
after(async () => {
  await server.stop('SIGKILL');
  remove();
});

const WAIT_MS = 60_000;

/** Asks until the answer is as wished; meanwhile turns come as soon as they may, whatever the one before cost. */
async function until<T>(
  what: string,
  ask: () => Promise<T>,
  wished: (answer: T) => boolean,
): Promise<T> {
  const registry = new DatabaseSync(join(project, '.samewise/registry.db'), { timeout: 5_000 });
  try {
    for (const deadline = Date.now() + WAIT_MS; ; await pause(100)) {
      const answer = await ask();
      if (wished(answer)) return answer;
      assert.ok(
        Date.now() < deadline,
        `${what}: ${JSON.stringify(answer, (_, v) => (typeof v === 'bigint' ? String(v) : v))}`,
      );
      registry.exec(
        `update turns set next_us = 0 where name like 'compare%' and next_us - ${Date.now() * 1000} < 119000000`,
      );
    }
  } finally {
    registry.close();
  }
}

async function status(): Promise<any> {
  const [source] = await json(project, 'status', 'transactions');
  return source.views.find(({ view }: { view: string }) => view === 'customer_spending');
}

async function ratio(): Promise<number | null> {
  const { text } = await server.get('/metrics');
  const found =
    /^samewise_mismatch_ratio\{feature_view="customer_spending",by="reconcile"\} (\S+)$/m.exec(
      text,
    );
  return found === null ? null : Number(found[1]);
}

/** Has the page of one customer say what another's says. */
async function tamper(): Promise<void> {
  const app = await openApp({ projectDir: project });
  const { program } = liveViews(await app.registry.load(), ['customer_spending'])[0]!;
  const keys: Uint8Array[] = [];
  for await (const key of app.online.scan(program.id)) keys.push(key);
  const pages = keys.slice(0, 2).map((key) => ({ view: program.id, key }));
  const [one, two] = await app.online.heads(pages);
  const write = { ...pages[0]!, expect: one!.version, putBlocks: new Map(), dropBlocks: [] };
  assert.deepEqual(await app.online.compareAndSet([{ ...write, head: two!.bytes }]), [true]);
  await app.close();
}

test('a page that was tampered with raises the rate, over a kill -9, until it is repaired', async () => {
  let told = '';
  const listen = () =>
    server.child.stderr!.on('data', (chunk) => {
      told += chunk;
    });
  listen();
  assert.equal(await until('compared', ratio, (rate) => rate !== null), 0);
  const before = (await status()).mismatches[0];
  assert.deepEqual([before.by, before.different], ['reconcile', 0]);
  assert.ok(before.compared > 0);

  await tamper();
  assert.ok((await until('found', ratio, (rate) => rate !== 0))! > 0);
  await until(
    'told',
    async () => told,
    (text) => /customer_spending@1 differs from history at customer_id=\d+: /.test(text),
  );
  await server.stop('SIGKILL');

  const found = (await status()).mismatches[0];
  assert.deepEqual([found.different, found.ratio], [1, 1 / found.compared]);
  const shown = await run(project, 'status');
  assert.match(shown.stdout, /1 of \d+ keys/);
  server = await startServer(project);
  told = '';
  listen();
  assert.ok((await ratio())! > 0, 'another process tells it at once');
  const { atUs } = (await status()).mismatches[0];
  await until(
    'compared again',
    async () => (await status()).mismatches[0],
    (rate) => rate.atUs > atUs,
  );
  assert.equal((await status()).mismatches[0].different, 1);
  assert.equal(told, '', 'what was told is not told again');

  assert.equal((await run(project, 'reconcile', '--repair')).code, 0);
  assert.equal(await until('repaired', ratio, (rate) => rate === 0), 0);
  const { text } = await server.get('/metrics');
  assert.match(text, /^samewise_sampled_keys_total\{feature_view="customer_spending"\} [1-9]/m);
});

test('a promise is looked at, and its state is there for every process', async () => {
  const [promise] = await until(
    'looked at',
    async () => (await status()).promises,
    ([one]) => one.lookedUs !== null,
  );
  assert.deepEqual([promise.feature, promise.within_ms, promise.state], [null, 5_000, 'fresh']);
  const shown = await run(project, 'features', 'show', 'customer_spending:tx_count_1d');
  assert.match(shown.stdout, /fresh since .*, within 5s/);
  const { body } = await server.get('/api/v1/features/customer_spending/tx_count_1d');
  assert.equal(body.freshness.state, 'fresh');
  assert.equal(body.freshness.within_ms, 5_000);
});

test('what was pushed as to Feast is there after a kill -9', async () => {
  const df = {
    tx_id: [777_001, 777_002],
    event_timestamp: ['2024-03-01T00:00:00', '2024-03-01T00:00:01'],
    customer_id: [424_242, 424_242],
    amount: [1.5, 2.5],
  };
  const body = { push_source_name: 'transactions', df, to: 'offline' };
  assert.equal((await server.post('/push', body)).status, 200);
  await server.stop('SIGKILL');
  server = await startServer(project);
  assert.equal((await server.post('/push', { ...body, to: 'online' })).status, 200);
  const read =
    '/api/v1/features/online?entity=customer&id=424242&features=tx_count_1d&at=2024-03-01T01:00:00Z';
  assert.deepEqual((await server.get(read)).body.features, { tx_count_1d: 2 });
});
