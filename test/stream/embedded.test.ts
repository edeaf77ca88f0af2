/** The embedded log: the suite of every event log, and what only it does. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { manualClock, systemClock } from '../../src/base/clock.ts';
import { type EmbeddedLog, openEmbeddedLog } from '../../src/stream/embedded/log.ts';
import { eventLogConformance } from '../conformance/event_log.ts';
import { readAll, record, textOf } from '../conformance/event_log_fixture.ts';

const ABILITIES = {
  makesTopics: true,
  dense: true,
  headers: true,
  rebalanceMs: 6_000,
  histories: 40,
};

eventLogConformance('embedded', ABILITIES, async () => {
  const path = mkdtempSync(join(tmpdir(), 'samewise-log-'));
  const open = (partitions: number) => openEmbeddedLog({ path, clock: systemClock, partitions });
  const byPartitions = new Map<number, EmbeddedLog>();
  let topics = 0;
  return {
    open: () => open(1),
    topic: async (partitions) => {
      const log = byPartitions.get(partitions) ?? (await open(partitions));
      byPartitions.set(partitions, log);
      const topic = `topic-${topics++}`;
      await log.partitions(topic);
      return topic;
    },
    forget: async (log, topic) => {
      await (log as EmbeddedLog).retain(topic, { maxBytes: 0 });
    },
    destroy: async () => {
      for (const log of byPartitions.values()) await log.close();
      rmSync(path, { recursive: true });
    },
  };
});

const path = mkdtempSync(join(tmpdir(), 'samewise-log-'));
after(() => rmSync(path, { recursive: true }));
const clock = manualClock(1_000);
const log = await openEmbeddedLog({ path, clock, partitions: 1 });
after(() => log.close());

const records = (count: number) => Array.from({ length: count }, (_, i) => record(`k${i}`));
const only = async <T>(found: Promise<ReadonlyMap<string, T>>) => (await found).get('0')!;
const stampsOf = async (topic: string) =>
  (await only(readAll(log, topic, 'g'))).map(({ timestampUs }) => timestampUs);

test('timestamps grow within a partition, whatever the clock does', async () => {
  const topic = 'stamps';
  await log.append(topic, records(3));
  await log.append(topic, records(2));
  clock.advanceUs(100);
  await log.append(topic, records(2));
  clock.advanceUs(-1_000);
  await log.append(topic, records(2));
  clock.advanceUs(2_000);
  await log.append(topic, records(1));
  assert.deepEqual(
    await stampsOf(topic),
    [1_000, 1_001, 1_002, 1_003, 1_004, 1_100, 1_101, 1_102, 1_103, 2_100],
  );
  // The order is that of the partition also if another process's clock is behind.
  const behind = await openEmbeddedLog({ path, clock: manualClock(-5), partitions: 1 });
  await behind.append(topic, records(1));
  await behind.close();
  assert.equal((await stampsOf(topic)).at(-1), 2_101);
  for (const [timeUs, position] of [
    [-9, 0n],
    [1_000, 0n],
    [1_000.5, 1n],
    [1_004, 4n],
    [1_005, 5n],
    [1_103, 8n],
    [1_104, 9n],
    [2_101, 10n],
    [2_102, 11n],
  ] as const)
    assert.equal(await only(log.positionsAt(topic, timeUs)), position, `at ${timeUs}`);
});

test('appends of one turn are one commit', async () => {
  const nowUs = () => {
    clock.advanceUs(1_000_000);
    return clock.nowUs();
  };
  const jumping = { ...clock, nowUs };
  const own = await openEmbeddedLog({ path, clock: jumping, partitions: 1 });
  await Promise.all(Array.from({ length: 50 }, () => own.append('turn', records(2))));
  await own.close();
  const stamps = await stampsOf('turn');
  assert.equal(stamps.length, 100);
  assert.equal(stamps.at(-1)! - stamps[0]!, 99, 'the clock was read once');
});

test('what is appended, or sought, is with a consumer of the same process within the next turns', async () => {
  const consumer = await log.consume('awake', { group: 'g' });
  await consumer.next();
  consumer.seek('0', 0n);
  for (let i = 0; i < 20; i++) {
    let come = false;
    const next = consumer.next().then(() => {
      come = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    if (i % 2 === 0) await log.append('awake', records(1));
    else consumer.seek('0', 0n);
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(come, 'without waiting for a poll');
    await next;
  }
  await consumer.close();
});

test('a topic keeps the partitions that it was made with', async () => {
  assert.deepEqual(await log.partitions('kept'), ['0']);
  const wide = await openEmbeddedLog({ path, clock, partitions: 12 });
  assert.deepEqual(await wide.partitions('kept'), ['0']);
  assert.deepEqual(await wide.partitions('wide'), '0 1 2 3 4 5 6 7 8 9 10 11'.split(' '));
  assert.equal((await log.partitions('wide')).length, 12);
  await wide.close();
});

test('a topic forgets by age and by size, the oldest first, and goes on counting', async () => {
  const topic = 'forgetful';
  for (let i = 0; i < 10; i++) {
    clock.advanceUs(1_000_000);
    await log.append(topic, records(10));
  }
  const ends = () => only(log.ends(topic));
  assert.deepEqual(await log.retain(topic, {}), { records: 0, bytes: 0 });
  assert.deepEqual(await log.retain(topic, { maxAgeUs: 10_000_000 }), { records: 0, bytes: 0 });
  // Of the fourth append the last record is as old as is kept.
  const old = await log.retain(topic, { maxAgeUs: 6_000_000 - 9 });
  assert.equal(old.records, 30);
  assert.deepEqual(await ends(), { first: 30n, next: 100n });
  const chunk = old.bytes / 3;
  assert.equal((await log.retain(topic, { maxBytes: chunk * 7 })).records, 0);
  assert.equal((await log.retain(topic, { maxBytes: chunk * 5.5 })).records, 20);
  assert.deepEqual(
    (await only(readAll(log, topic, 'g'))).map(({ position }) => position),
    Array.from({ length: 50 }, (_, i) => BigInt(50 + i)),
  );
  assert.equal((await log.retain(topic, { maxBytes: 0 })).records, 50);
  assert.deepEqual(await ends(), { first: 100n, next: 100n });
  await log.append(topic, records(1));
  const [kept] = await only(readAll(log, topic, 'g'));
  assert.equal(kept!.position, 100n);
  assert.equal(kept!.timestampUs, clock.nowUs() + 10, 'still after the ten of the last append');
});

test('what cannot be is refused with a code, and nothing of it is stored', async () => {
  for (const name of ['', 'x'.repeat(250)]) {
    await assert.rejects(log.append(name, records(1)), { code: 'stream/bad-name' });
    await assert.rejects(log.consume('fine', { group: name }), { code: 'stream/bad-name' });
  }
  const large = { key: null, value: new Uint8Array(16 * 1024 * 1024 + 1) };
  await assert.rejects(log.append('fine', [record('a'), large]), {
    code: 'stream/record-too-large',
    where: { row: 1 },
  });
  assert.deepEqual(await only(log.ends('fine')), { first: 0n, next: 0n });
  const closed = await openEmbeddedLog({ path, clock, partitions: 1 });
  const last = closed.append('fine', [record('last')]);
  await closed.close();
  await last;
  await assert.rejects(closed.append('fine', records(1)), { code: 'stream/closed' });
  assert.deepEqual((await only(readAll(log, 'fine', 'g'))).map(textOf), ['last']);
});

test('the largest record is read, and what is before and after it', async () => {
  const value = new Uint8Array(16 * 1024 * 1024 - 1).fill(3);
  await log.append('large', [record('a'), { key: Uint8Array.of(1), value }, record('b')]);
  const read = await only(readAll(log, 'large', 'g', { records: 10, bytes: 1_000 }));
  assert.deepEqual(read[1]!.value, value);
  assert.deepEqual([textOf(read[0]!), textOf(read[2]!)], ['a', 'b']);
});

test('what comes later is stamped later, in whichever topic, whatever the clock does', async () => {
  const stamps: number[] = [];
  for (const [topic, byUs] of [
    ['stamps-a', 5],
    ['stamps-b', -3],
    ['stamps-a', 0],
    ['stamps-b', 1],
  ] as const) {
    clock.advanceUs(byUs);
    await log.append(
      topic,
      [1, 2, 3].map((n) => ({ key: null, value: Uint8Array.of(n) })),
    );
    const read = await only(readAll(log, topic, 'stamps'));
    stamps.push(...read.slice(-3).map(({ timestampUs }) => timestampUs));
  }
  for (let i = 1; i < stamps.length; i++) assert.ok(stamps[i]! > stamps[i - 1]!, `${i}`);
});
