/** Streams as their users run them: late events, dead letters, pauses and rewinds, by command line and over HTTP. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { finished, json, run, scaffolded, start, startServer, temporary } from './support.ts';

const { folder, remove } = temporary();
after(remove);
let project: string;
before(async () => {
  project = await scaffolded(folder);
});

/** Pushes one event; the clock of the scaffold's lateness of an hour is the newest event. */
async function push(id: number, at: string, ...more: string[]): Promise<any> {
  writeFileSync(join(project, 'one.csv'), `tx_id,at,customer_id,amount\n${id},${at},1,1\n`);
  return json(project, 'push', 'transactions', 'one.csv', ...more);
}

async function count(at: string): Promise<number> {
  const args = ['get', 'fraud_v1', '-k', 'customer_id=1', '-r', 'amount=1', '--at', at];
  return (await json(project, ...args)).features.tx_count_1d;
}

test('an event that is too late is in history alone, is counted, and is healed', async () => {
  const before = await count('2024-06-01T12:00:01Z');
  await push(5_001, '2024-06-01T12:00:00Z');
  await push(5_002, '2024-06-01T10:59:59Z');
  await push(5_003, '2024-06-01T11:00:00Z');
  assert.equal(await count('2024-06-01T12:00:01Z'), before + 2);
  const [status] = await json(project, 'status', 'transactions');
  const [{ history }] = status.partitions;
  assert.deepEqual([history.rows, history.late, status.views[0].lag], [3, 1, 0]);

  const found = await run(project, 'reconcile', '--json');
  assert.equal(found.code, 3, 'a difference is a finding');
  const [view] = found.json;
  assert.deepEqual([view.differentKeys, view.repaired, view.differences.late], [1, 0, 1]);
  assert.deepEqual(
    [view.told[0].key, view.told[0].cause, view.told[0].event.id],
    ['customer_id=1', 'late', 5002],
  );
  const [repaired] = await json(project, 'reconcile', 'customer_spending', '--repair');
  assert.equal(repaired.repaired, 1);
  assert.equal(await count('2024-06-01T12:00:01Z'), before + 3);
  const [sampled] = await json(project, 'reconcile', '--sample', '4');
  assert.equal(sampled.differentKeys, 0);
  assert.ok(sampled.keys > 0 && sampled.keys < 9, String(sampled.keys));
});

test('a record that cannot be taken is a dead letter: listed, mended, replayed', async () => {
  // The future is not checked where it is pushed: the log's clock decides.
  await push(6_001, '2200-01-01T00:00:00Z');
  await push(6_002, '2024-06-01T12:30:00Z');
  const letters = await json(project, 'stream', 'dead-letters', 'transactions');
  assert.deepEqual(
    letters.map((letter: any) => [letter.code, letter.column, letter.state]),
    [['stream/too-far-ahead', 'at', 'open']],
  );
  assert.match(letters[0].payload, /6001/);
  const shown = await run(project, 'stream', 'dead-letters', 'transactions');
  assert.match(shown.stdout, /too-far-ahead/);

  const mended = letters[0].payload.replace('2200-01-01T00:00', '2024-06-01T12:10');
  writeFileSync(join(project, 'mended.ndjson'), `${mended}\n`);
  const both = await run(
    project,
    'stream',
    'dead-letters',
    'transactions',
    '--replay',
    '--discard',
  );
  assert.equal(both.code, 2, both.stderr);
  const replay = ['--replay-with', join(project, 'mended.ndjson')];
  const done = await json(project, 'stream', 'dead-letters', 'transactions', ...replay);
  assert.deepEqual(done, { settled: 1, appended: 1 });
  await json(project, 'stream', 'run', '--catch-up');
  assert.deepEqual(await json(project, 'stream', 'dead-letters', 'transactions'), []);
  const all = await json(project, 'stream', 'dead-letters', 'transactions', '--all');
  assert.equal(all[0].state, 'replayed');
});

test('a source that is paused keeps its events in the log; a rewind changes nothing that is right', async () => {
  await json(project, 'stream', 'pause', 'transactions');
  const at = '2024-06-02T12:00:00Z';
  const before = await count(at);
  await push(7_001, '2024-06-02T11:00:00Z', '--no-wait');
  const worker = start(project, ['stream', 'run', '--json']);
  const ended = finished(worker);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  assert.equal(await count(at), before);
  const [paused] = await json(project, 'status');
  assert.deepEqual([paused.paused, paused.views[0].lag], [true, 1]);
  await json(project, 'stream', 'resume', 'transactions');
  for (let tries = 0; (await count(at)) === before; tries++) assert.ok(tries < 40, 'it goes on');
  const rewound = await json(project, 'stream', 'rewind', 'transactions', '--to', 'beginning');
  assert.deepEqual(rewound.partitions, [{ partition: '0', after: null }]);
  for (let tries = 0; ; tries++) {
    const [status] = await json(project, 'status');
    if (status.views[0].lag === 0 && status.partitions[0].historyLag === 0) break;
    assert.ok(tries < 40, 'it catches up');
  }
  worker.kill('SIGTERM');
  assert.equal((await ended).code, 0);
  assert.equal(await count(at), before + 1);
  const [view] = await json(project, 'reconcile');
  assert.equal(view.differentKeys, 0);
  const unknown = await run(project, 'stream', 'pause', 'transaction', '--json');
  assert.equal(unknown.json.error.code, 'app/unknown-source');
});

test('what is pushed over HTTP is read over HTTP; a server that is killed loses nothing that it acknowledged', async () => {
  const server = await startServer(project);
  const post = (body: string, type: string, wait: string) =>
    fetch(`${server.url}/api/v1/events/transactions?wait=${wait}`, {
      method: 'POST',
      headers: { 'content-type': type },
      body,
    });
  const event = (id: number) =>
    `{"tx_id": ${id}, "at": "2024-06-03T12:00:00Z", "customer_id": 1, "amount": 1}`;
  const applied = await post(`[${event(8_001)}]`, 'application/json', 'applied');
  assert.equal(applied.status, 200);
  const at = '2024-06-03T12:00:01Z';
  const read = async () => {
    const answer = await server.get(
      `/api/v1/features/online?entity=customer&id=1&features=tx_count_1d&at=${at}`,
    );
    return answer.body.features.tx_count_1d;
  };
  const first = await read();
  const lines = Array.from({ length: 500 }, (_, i) => event(8_100 + i)).join('\n');
  const durable = await post(lines, 'application/x-ndjson', 'durable');
  assert.equal(durable.status, 202);
  await server.stop('SIGKILL');
  await json(project, 'stream', 'run', '--catch-up');
  assert.equal(await count(at), first + 500);
  const [view] = await json(project, 'reconcile');
  assert.equal(view.differentKeys, 0);
});
