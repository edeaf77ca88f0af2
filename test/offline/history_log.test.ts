/** The history that a stream writes: commits, what scans see of them, positions, compaction, dead letters. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, beforeEach, test } from 'node:test';
import type { StoredDeadLetter } from '../../src/offline/history_contract.ts';
import { commitOf, eventsIn, streamCatalog, tick } from './history_support.ts';
import { openProject } from './support.ts';

const project = await openProject();
after(() => project.close());
beforeEach(() => rmSync(project.path('history'), { recursive: true, force: true }));

test('a commit is seen by scans, once, up to the positions asked for', async () => {
  const { historyLog } = project.store;
  assert.deepEqual(await historyLog.state('ticks'), {
    version: 0,
    partitions: new Map(),
    files: 0,
    bytes: 0,
  });
  const first = commitOf('p/0', null, [tick(1n, 'u', 1, 10), tick(3n, 'u', 86_401, 20)]);
  assert.equal(await historyLog.commit(first), true);
  assert.equal(await historyLog.commit(first), false, 'it is there already');
  const second = commitOf('p/0', first.to, [tick(10n ** 40n, 'v', 5, 30)]);
  assert.equal(await historyLog.commit({ ...second, after: null }), false);
  assert.equal(await historyLog.commit(second), true);
  const state = await historyLog.state('ticks');
  assert.deepEqual([state.version, state.files, state.partitions.get('p/0')!.rows], [2, 3, 3]);
  assert.deepEqual(await eventsIn(project.store), { u: [10, 20], v: [30] });
  assert.deepEqual(await eventsIn(project.store, { 'p/0': 3n }), { u: [10, 20] });
  assert.deepEqual(await eventsIn(project.store, { 'p/0': 2n }), { u: [10] });
  assert.deepEqual(await eventsIn(project.store, {}), {});
  const estimate = await project.store.estimate(streamCatalog, 'ticks');
  assert.deepEqual([estimate.rows, estimate.bytes], [3, state.bytes]);
});

test('dead letters come in the order of arrival and are settled by position', async () => {
  const { historyLog } = project.store;
  const letter = (partition: string, position: bigint, arrivalUs: number) => ({
    partition,
    position,
    arrivalUs,
    code: 'stream/bad-json',
    message: 'x',
    column: null,
    key: null,
    payload: Uint8Array.of(0, 255),
  });
  for (const [partition, times] of [
    ['a', [1, 4, 5]],
    ['b', [2, 3, 6]],
  ] as const) {
    const letters = times.map((time) => letter(partition, BigInt(time), time));
    await historyLog.commit({ ...commitOf(partition, null, [], 9n), deadLetters: letters });
  }
  const all = async (): Promise<StoredDeadLetter[]> =>
    Array.fromAsync(historyLog.deadLetters('ticks'));
  assert.deepEqual(
    (await all()).map(({ arrivalUs, payload, state }) => [arrivalUs, payload?.toHex(), state]),
    [1, 2, 3, 4, 5, 6].map((time) => [time, '00ff', 'open']),
  );
  const places = [
    { partition: 'a', position: 4n },
    { partition: 'b', position: 2n },
    { partition: 'b', position: 77n },
  ];
  await historyLog.settleDeadLetters('ticks', places, 'replayed');
  await historyLog.settleDeadLetters('ticks', places, 'replayed');
  assert.deepEqual(
    (await all()).map(({ state }) => state[0]),
    ['o', 'r', 'o', 'r', 'o', 'o'],
  );
  assert.equal((await historyLog.state('ticks')).version, 3, 'the same mark changes nothing');
});

test('compaction keeps every row and position', async () => {
  const { historyLog } = project.store;
  let before = null;
  for (let i = 0; i < 20; i++) {
    const commit = commitOf('0', before, [tick(BigInt(i), 'u', (i * 7) % 20, i)]);
    assert.equal(await historyLog.commit(commit), true);
    before = commit.to;
  }
  const all = await eventsIn(project.store);
  const some = await eventsIn(project.store, { 0: 8n });
  const { source } = commitOf('0', null, []);
  assert.deepEqual(await historyLog.compact(source), { before: 20, after: 1 });
  assert.deepEqual(await historyLog.compact(source), { before: 1, after: 1 });
  assert.deepEqual(await eventsIn(project.store), all);
  assert.deepEqual(await eventsIn(project.store, { 0: 8n }), some);
});
