/** What only a real Kafka does: transactions, new partitions, brokers and members that die, compression, sizes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Producer } from '@platformatic/kafka';
import type { Consumer, EventLog, LogRecord } from '../../src/stream/contract.ts';
import {
  countOf,
  nextWithin,
  readUntil,
  record,
  textOf,
} from '../conformance/event_log_fixture.ts';
import { type Cluster, cluster } from './kafka_fixture.ts';
import { ownServer, servers } from './servers.ts';

const { skip, at } = await servers('kafka');

describe('Kafka', { skip }, () => {
  let kafka: Cluster;
  let log: EventLog;
  const producers: Producer<Buffer, Buffer, Buffer, Buffer>[] = [];
  before(() => {
    kafka = cluster(at[0]);
    log = kafka.open();
  });
  after(async () => {
    for (const producer of producers) await producer.close(true);
    await kafka.close();
  });
  const producer = (options: object = {}) => {
    const made: Producer<Buffer, Buffer, Buffer, Buffer> = new Producer({
      clientId: 'test',
      bootstrapBrokers: [at[0]],
      retries: 200,
      retryDelay: 10,
      ...options,
    });
    producers.push(made);
    return made;
  };
  const messages = (topic: string, values: readonly string[]) =>
    values.map((value) => ({
      topic,
      partition: 0,
      key: Buffer.from('k'),
      value: Buffer.from(value),
    }));
  const readTexts = async (topic: string, count: number, bytes = 4_000_000) => {
    const consumer = await log.consume(topic, { group: `read ${bytes}`, limits: { bytes } });
    const read = await readUntil(consumer, (so) => countOf(so) >= count);
    await consumer.close();
    return [...read.values()].flat().map(textOf);
  };

  test('of transactions only what was committed is read, however many were aborted', async () => {
    const topic = await kafka.topic(1);
    const one = producer({ transactionalId: `${topic}-1`, idempotent: true });
    const two = producer({ transactionalId: `${topic}-2`, idempotent: true });
    const plain = producer();
    const long = 'x'.repeat(4_000);
    const committed: string[] = [];
    // Two producers, whose transactions overlap; each aborts several in a row, some far larger than a fetch.
    for (let round = 0; round < 6; round++) {
      const a = await one.beginTransaction();
      const b = await two.beginTransaction();
      const ends = [round % 3 === 0, round % 2 === 1] as const;
      for (let i = 0; i < 4; i++) {
        const own = [
          `a${round}-${i}${round === 1 ? long : ''}`,
          `b${round}-${i}`,
          `plain${round}-${i}`,
        ];
        await a.send({ messages: messages(topic, [own[0]!]) });
        await b.send({ messages: messages(topic, [own[1]!]) });
        await plain.send({ messages: messages(topic, [own[2]!]) });
        committed.push(...own.filter((_, who) => ends[who] ?? true));
      }
      await (ends[1] ? b.commit() : b.abort());
      await (ends[0] ? a.commit() : a.abort());
    }
    for (const bytes of [4_000_000, 3_000, 10])
      assert.deepEqual(await readTexts(topic, committed.length, bytes), committed);
    // What is committed last ends what there is to read: markers behind it are nobody's records.
    const consumer = await log.consume(topic, { group: 'end' });
    let lag = -1n;
    await readUntil(consumer, (so) => countOf(so) === committed.length, {
      onEvent: (event) => {
        if (event.type === 'records') lag = event.next - event.records.at(-1)!.position - 1n;
      },
    });
    assert.equal(lag, 0n);
    await consumer.close();
  });

  test('a topic ends behind its last record, whatever transactions left after it', async () => {
    const topic = await kafka.topic(1);
    const transactions = producer({ transactionalId: topic, idempotent: true });
    const end = async () => (await log.ends(topic)).get('0')!;
    const run = async (commits: boolean, count: number) => {
      const transaction = await transactions.beginTransaction();
      for (let i = 0; i < count; i++)
        await transaction.send({ messages: messages(topic, ['one', 'two']) });
      await (commits ? transaction.commit() : transaction.abort());
      await kafka.settled(topic);
    };
    await run(false, 3);
    assert.deepEqual(await end(), { first: 0n, next: 0n }, 'nothing is there');
    // The seven before it: three times two, and a marker.
    await run(true, 1);
    for (let more = 1; more <= 3; more++) {
      assert.equal((await end()).next, 9n);
      await run(false, more);
    }
    const [place] = await log.append(topic, [record('plain')]);
    assert.equal((await end()).next, place!.position + 1n);
    await kafka.truncate(topic, new Map([['0', place!.position + 1n]]));
    await run(false, 1);
    const { first, next } = await end();
    assert.equal(next, first);
  });

  test('an open transaction is not read, and holds back what comes after it', async () => {
    const topic = await kafka.topic(1);
    const open = await producer({ transactionalId: topic, idempotent: true }).beginTransaction();
    await log.append(topic, [record('before')]);
    await open.send({ messages: messages(topic, ['in it']) });
    await log.append(topic, [record('after')]);
    assert.equal((await log.ends(topic)).get('0')!.next, 1n);
    const consumer = await log.consume(topic, { group: 'g' });
    const first = await readUntil(consumer, (so) => countOf(so) > 0);
    assert.deepEqual(first.get('0')!.map(textOf), ['before']);
    await open.commit();
    const rest = await readUntil(consumer, (so) => countOf(so) === 2);
    assert.deepEqual(rest.get('0')!.map(textOf), ['in it', 'after']);
    await consumer.close();
  });

  test('batches are read whatever they are compressed with', async () => {
    const topic = await kafka.topic(1);
    const values = Array.from({ length: 50 }, (_, i) => `value ${i}`);
    const kinds = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
    for (const compression of kinds)
      await producer({ compression }).send({ messages: messages(topic, values) });
    assert.deepEqual(
      await readTexts(topic, 250),
      kinds.flatMap(() => values),
    );
  });

  test('the time is the log’s where the topic says so, and none where a producer wrote nonsense', async () => {
    const ofLog = await kafka.topic(1, { 'message.timestamp.type': 'LogAppendTime' });
    const ofProducer = await kafka.topic(1);
    for (const topic of [ofLog, ofProducer])
      await producer().send({
        messages: messages(topic, ['a']).map((message) => ({ ...message, timestamp: -1n })),
      });
    const times: number[] = [];
    for (const topic of [ofLog, ofProducer]) {
      const consumer = await log.consume(topic, { group: 'g' });
      const read = await readUntil(consumer, (so) => countOf(so) === 1);
      times.push(read.get('0')![0]!.timestampUs);
      await consumer.close();
    }
    assert.ok(Math.abs(times[0]! / 1000 - performance.timeOrigin - performance.now()) < 60_000);
    assert.equal(times[1], 0);
  });

  test('a record that is too large fails alone', async () => {
    const topic = await kafka.topic(1);
    const huge = record('huge', 'x'.repeat(2_000_000));
    const results = await Promise.allSettled([
      log.append(topic, [record('a')]),
      log.append(topic, [huge]),
      log.append(topic, [record('b')]),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.equal((results[1] as PromiseRejectedResult).reason.code, 'stream/record-too-large');
    assert.deepEqual((await readTexts(topic, 2)).sort(), ['a', 'b']);
  });

  test('partitions that are added are divided among those who read', async () => {
    const topic = await kafka.topic(1);
    const consumer = await log.consume(topic, { group: 'g' });
    await log.append(topic, [record('first')]);
    const partitions = new Set<string>();
    const onEvent = (event: { type: string; partition: string }) => {
      assert.notEqual(event.type, 'revoked');
      partitions.add(event.partition);
    };
    await readUntil(consumer, (so) => countOf(so) === 1, { onEvent });
    await kafka.admin.createPartitions({ topics: [{ name: topic, count: 3, assignments: null }] });
    await readUntil(consumer, () => partitions.size === 3, { onEvent });
    assert.deepEqual(await log.partitions(topic), ['0', '1', '2']);
    await consumer.close();
  });

  test('a group’s tools see how far it is, and a member that is killed is replaced', async () => {
    const topic = await kafka.topic(2);
    await log.append(
      topic,
      Array.from({ length: 100 }, (_, i) => record(`k${i}`)),
    );
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, 'kafka_child.ts'), at[0], topic, 'shared'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const consumer = await log.consume(topic, { group: 'shared' });
    const assigned = new Set<string>();
    const read = new Map<string, LogRecord[]>();
    await drive(consumer, assigned, read, () => assigned.size > 0);
    child.kill('SIGKILL');
    await drive(consumer, assigned, read, () => assigned.size === 2 && countOf(read) === 100);
    for (const [partition, records] of read)
      await consumer.commit(partition, records.at(-1)!.position + 1n);
    const [group] = await kafka.admin.listConsumerGroupOffsets({ groups: [`shared.${topic}`] });
    const committed = group!.topics[0]!.partitions.map((p) => [
      p.partitionIndex,
      p.committedOffset,
    ]);
    const expected = [...read].map(([p, r]) => [Number(p), r.at(-1)!.position + 1n]);
    assert.deepEqual(committed.sort(), expected.sort());
    await consumer.close();
  });

  test('a broker that is killed and comes back is read on and written to; while it is away, that is said', async () => {
    const own = await ownServer('kafka');
    const kafka = cluster(own.at);
    const log = kafka.open();
    const topic = await kafka.topic(2);
    const impatient = kafka.open({ limitMs: 500 });
    const consumer = await log.consume(topic, { group: 'g' });
    const assigned = new Set<string>();
    const read = new Map<string, LogRecord[]>();
    await log.append(topic, [record('a'), record('b')]);
    await drive(consumer, assigned, read, () => countOf(read) === 2);
    const short = await impatient.consume(topic, { group: 'short' });
    await readUntil(short, (so) => countOf(so) === 2);
    await own.crash();
    const during = log.append(topic, [record('c')]);
    const away = { code: 'stream/unreachable' };
    await assert.rejects(impatient.append(topic, [record('never')]), away);
    await assert.rejects(impatient.ends(topic), away);
    await assert.rejects(nextUntilError(short), away);
    await own.up();
    const [place] = await during;
    await drive(consumer, assigned, read, () =>
      (read.get(place!.partition) ?? []).some((r) => r.position === place!.position),
    );
    await log.append(topic, [record('d')]);
    await drive(consumer, assigned, read, () =>
      [...read.values()].flat().some((r) => textOf(r) === 'd'),
    );
    for (const records of read.values())
      for (let i = 1; i < records.length; i++)
        assert.ok(records[i]!.position > records[i - 1]!.position);
    await kafka.close();
    await own.down();
  });

  test('a topic that is deleted is told to who reads it', async () => {
    const impatient = kafka.open({ limitMs: 500 });
    const topic = await kafka.topic(1);
    const consumer = await impatient.consume(topic, { group: 'g' });
    await impatient.append(topic, [record('a')]);
    await readUntil(consumer, (so) => countOf(so) === 1);
    await kafka.admin.deleteTopics({ topics: [topic] });
    await assert.rejects(nextUntilError(consumer), { code: 'stream/no-topic' });
    await impatient.close();
  });

  test('an address where nobody is', async () => {
    const nowhere = kafka.open({ brokers: ['127.0.0.1:1'], limitMs: 300 });
    await assert.rejects(nowhere.partitions('t'), { code: 'stream/unreachable' });
    await assert.rejects(nowhere.consume('t', { group: 'g' }), { code: 'stream/unreachable' });
    await nowhere.close();
  });
});

/** Takes events until `reached`; what is assigned anew goes on behind what was read. */
async function drive(
  consumer: Consumer,
  assigned: Set<string>,
  read: Map<string, LogRecord[]>,
  reached: () => boolean,
): Promise<void> {
  while (!reached()) {
    const event = await nextWithin(consumer, 60_000);
    assert.ok(event !== null);
    const { partition } = event;
    if (event.type === 'assigned') {
      assigned.add(partition);
      consumer.seek(partition, (read.get(partition)?.at(-1)?.position ?? -1n) + 1n);
    } else if (event.type === 'revoked') assigned.delete(partition);
    else read.set(partition, [...(read.get(partition) ?? []), ...event.records]);
  }
}

async function nextUntilError(consumer: Consumer): Promise<never> {
  for (;;) await nextWithin(consumer, 20_000);
}
