/**
 * A source that looks others up, as its users run it: workers are killed, events come late and twice, a definition changes; what is
 * served is what a naive fold over history says.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { streamStatus } from '../../src/app/stream_status.ts';
import { formatInstant, parseInstant, US_PER_SECOND } from '../../src/base/time.ts';
import { purchasesIn } from './purchases.ts';
import { edit, json, run, start, startServer, temporary } from './support.ts';

const { folder, remove } = temporary();
after(remove);
const world = await purchasesIn(join(folder, 'project'));
after(() => world.app.close());
const { project, streaming, pushed, pushSome, check, read, begun, rowOf, nextId, later } = world;
const FROM_US = parseInstant('2024-03-10');

test('without a worker a push applies what it looks up, too, and says what it waits for', async () => {
  const day = (n: number) => formatInstant(FROM_US + n * US_PER_SECOND);
  await pushed('users', [{ change_id: -1, at: day(0), user_id: 0, city: 'Oslo' }], 'durable');
  await pushed('cards', [{ user_id: 0, at: day(0), tier: 'gold' }], 'durable');
  const purchase = (id: number, n: number) => ({
    purchase_id: id,
    at: day(n),
    customer_id: 0,
    amount: 1,
  });
  await pushed('purchases', [purchase(-1, 10)], 'durable');
  const [status] = await streamStatus(streaming, ['purchases']);
  assert.deepEqual(
    status!.views.map(({ view, lag, waitsFor }) => [view, lag, waitsFor.map((w) => w.source)]),
    [
      ['bought', 1n, ['users', 'cards']],
      ['buyers', 1n, ['users', 'cards']],
      ['sales', 1n, ['users']],
    ],
  );
  const shown = await run(project, 'status');
  assert.match(shown.stdout, /buyers@1 waits for users/);
  await pushed('purchases', [purchase(-2, 0), purchase(-3, 11)], 'applied');
  await check();
  const { city, moves, tier } = await read('buyers_v1', { user_id: 0 });
  assert.deepEqual([city, moves, tier], ['Oslo', 1n, 'gold']);
  const [done] = await streamStatus(streaming, ['purchases']);
  assert.deepEqual(
    done!.views.map(({ lag }) => lag),
    [0n, 0n, 0n],
  );
  assert.equal(done!.partitions[0]!.historyLag, 0n, 'history has it, too');
});

test('workers that are killed, and events in any order, leave what a fold over history says', async () => {
  let workers = [start(project, ['stream', 'run']), start(project, ['stream', 'run'])];
  for (let round = 0; round < 2; round++) {
    await begun();
    await pushSome(60);
    workers[0]!.kill('SIGKILL');
    await pushSome(20);
    workers = [workers[1]!, start(project, ['stream', 'run'])];
  }
  for (const worker of workers) worker.kill('SIGKILL');
  await json(project, 'stream', 'run', '--catch-up');
  await check();
});

test('a stream that is rewound looks up what was known then, not what is known now', async () => {
  await json(project, 'stream', 'rewind', 'purchases', '--to', 'beginning');
  await json(project, 'stream', 'run', '--catch-up');
  await check();
});

test('over HTTP what was answered as applied is looked up and read at once', async () => {
  const server = await startServer(project);
  const post = (source: string, row: Record<string, unknown>) =>
    server.post(`/api/v1/events/${source}?wait=applied`, [row]);
  for (const city of ['Quito', 'Accra', 'Quito']) {
    const nowUs = later();
    const changed = await post('users', {
      change_id: nextId(),
      at: formatInstant(nowUs),
      user_id: 1,
      city,
    });
    assert.equal(changed.status, 200, changed.text);
    const bought = await post('purchases', {
      purchase_id: nextId(),
      at: formatInstant(nowUs + 1),
      customer_id: 1,
      amount: 2,
    });
    assert.equal(bought.status, 200, bought.text);
    const { body } = await server.get(
      '/api/v1/features/online?entity=user&id=1&features=buyers:city',
    );
    assert.equal(Object.values(body.features)[0], city, JSON.stringify(body));
  }
  await server.stop('SIGKILL');
  await json(project, 'stream', 'run', '--catch-up');
  await check();
});

test('a new version is built beside the old one, which goes on with what it looks up', async () => {
  edit(project, 'features.ts', "moves: count().over('30d')", 'moves: count().overLast(1)');
  await json(project, 'apply', '--yes');
  // Old versions go on while the new ones are not built yet, and a push does not wait for these.
  await pushSome(30);
  await pushed('purchases', [rowOf.purchases!()], 'applied');
  await json(project, 'materialize');
  await pushSome(30);
  await json(project, 'stream', 'run', '--catch-up');
  await json(project, 'reconcile', '--repair');
  const buyers = await read('buyers_v1', { user_id: 2 });
  assert.ok(buyers.moves <= 1n, 'the service names what is current');
});
