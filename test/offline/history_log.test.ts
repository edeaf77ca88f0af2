/** The history that a stream writes: commits, what scans see of them, positions, compaction, dead letters. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { after, beforeEach, test } from 'node:test';
import { compileView } from '../../src/model/index.ts';
import { historyOf } from '../../src/offline/duckdb/history_scan.ts';
import type { Checkpoint, StoredDeadLetter } from '../../src/offline/history_contract.ts';
import { encodeKey } from '../../src/types/key.ts';
import { commitOf, eventsIn, streamCatalog, streamMembers, tick } from './history_support.ts';
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

test('deliveries tell where each row of a key came from', async () => {
  const { store } = project;
  const first = commitOf('p', null, [tick(1n, 'u', 9, 10), tick(2n, 'v', 1, 20)]);
  await store.historyLog.commit(first);
  const gone = { ...tick(3n, 'u', 5, 30), retract: true };
  await store.historyLog.commit(commitOf('p', first.to, [gone, tick(4n, 'u', 7, 40)]));
  const request = { catalog: streamCatalog, view: 'prices', limit: 10 };
  const keys = [encodeKey(['u'], compileView(streamCatalog, 'prices').keyDtypes)];
  const found = await store.deliveries({ ...request, keys });
  assert.deepEqual(
    found.map(({ place, retract, values }) => [place!.position, retract, values.price]),
    [
      [3n, true, 30],
      [4n, false, 40],
      [1n, false, 10],
    ],
  );
  const [one] = found;
  assert.deepEqual([one!.key, one!.arrivalUs, one!.place!.partition], [keys[0], 3, 'p']);
  const upTo = new Map([['p', 3n]]);
  assert.equal((await store.deliveries({ ...request, keys, upTo })).length, 2);
  assert.equal((await store.deliveries({ ...request, keys, limit: 1 })).length, 1);
  const fromUs = tick(0n, 'u', 7, 0).timeUs;
  assert.equal((await store.deliveries({ ...request, keys, fromUs })).length, 2);
  assert.deepEqual(await store.deliveries({ ...request, keys: [] }), []);
});

test('deliveries tell which came too late for pages, by their partition alone', async () => {
  const { store } = project;
  const day = 86_400;
  const first = commitOf('p', null, [tick(1n, 'v', 2 * day, 1), tick(2n, 'u', day, 2)]);
  await store.historyLog.commit(first);
  // Two days before what was the newest of its partition: a day is allowed.
  await store.historyLog.commit(commitOf('p', first.to, [tick(3n, 'u', day - 1, 3)]));
  await store.historyLog.commit(commitOf('q', null, [tick(1n, 'u', 1, 4)]));
  const request = { catalog: streamCatalog, view: 'prices', limit: 10 };
  const keys = [encodeKey(['u'], compileView(streamCatalog, 'prices').keyDtypes)];
  const late = async (lateness: boolean) =>
    (await store.deliveries({ ...request, keys, lateness }))
      .filter((delivery) => delivery.late)
      .map(({ values }) => values.price);
  assert.deepEqual([await late(true), await late(false)], [[3], []]);
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

test('files of dead letters are joined, and what was settled stays settled', async () => {
  const { historyLog } = project.store;
  const { source } = commitOf('a', null, []);
  const ends = new Map<string, Checkpoint>();
  for (let i = 1; i <= 30; i++) {
    const partition = i % 3 === 0 ? 'b' : 'a';
    const letters = [0, 1].map((n) => ({
      partition,
      position: BigInt(2 * i + n),
      arrivalUs: 2 * i + n,
      code: 'stream/bad-json',
      message: 'x',
      column: null,
      key: null,
      payload: null,
    }));
    const to = BigInt(2 * i + 1);
    const commit = commitOf(partition, ends.get(partition) ?? null, [], to);
    assert.equal(await historyLog.commit({ ...commit, deadLetters: letters }), true);
    ends.set(partition, commit.to);
  }
  const places = [5n, 8n, 40n].map((position) => ({ partition: 'a', position }));
  await historyLog.settleDeadLetters('ticks', places, 'discarded');
  const before = await Array.fromAsync(historyLog.deadLetters('ticks'));
  assert.equal(before.filter(({ state }) => state === 'discarded').length, 3);
  await historyLog.compact(source);
  const { deadLetters, dropped } = await historyOf('ticks', project.path('history'));
  assert.deepEqual([deadLetters.length, dropped.length], [2, 30]);
  assert.deepEqual(await Array.fromAsync(historyLog.deadLetters('ticks')), before);
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

test('a training set is rebuilt bit for bit after more events and a compaction', async () => {
  const { store } = project;
  const { historyLog } = store;
  const source = commitOf('0', null, []).source;
  const ends = new Map<string, Checkpoint>();
  const add = async (partition: string, position: number) => {
    const event = tick(BigInt(position), `u${position % 3}`, (position * 37) % 100, position);
    const commit = commitOf(partition, ends.get(partition) ?? null, [event]);
    assert.equal(await historyLog.commit(commit), true);
    ends.set(partition, commit.to);
  };
  for (let i = 1; i < 12; i++) await add(i % 2 ? 'a' : 'b', i);
  const output = { format: 'parquet' as const, path: project.path('out.parquet') };
  const { manifestPath, rows } = await store.train({
    catalog: streamCatalog,
    service: null,
    members: streamMembers,
    labels: {
      type: 'rows',
      rows: ['u0', 'u1', 'u2'].map((user) => ({ user, T: '2024-01-02T00:00:00Z' })),
    },
    timeColumn: 'T',
    through: false,
    knowledge: 'final',
    output,
  });
  assert.equal(rows, 3);
  const before = readFileSync(output.path);
  const manifest = readFileSync(manifestPath, 'utf8');
  for (let i = 12; i < 30; i++) await add(i % 2 ? 'a' : 'b', i);
  await add('c', 1);
  assert.deepEqual(await historyLog.compact(source), { before: 30, after: 1 });
  assert.deepEqual(await store.verify(manifestPath), { ok: true, findings: [] });
  const again = await store.rebuild(manifestPath, null);
  assert.deepEqual(again.warnings, []);
  assert.deepEqual(readFileSync(output.path), before);
  assert.equal(readFileSync(manifestPath, 'utf8'), manifest);

  const [file] = readdirSync(project.path('history/ticks/date=2024-01-01')).filter((name) =>
    name.startsWith('compacted'),
  );
  truncateSync(project.path(`history/ticks/date=2024-01-01/${file}`), 100);
  const damaged = await store.verify(manifestPath);
  assert.match(damaged.findings.join(), /source ticks: date=2024-01-01\/compacted.* has 100 bytes/);
  rmSync(project.path('history'), { recursive: true });
  const gone = await store.verify(manifestPath);
  assert.match(gone.findings.join(), /partition a ends at nothing, was read to 11/);
});
