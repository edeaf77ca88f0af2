/** What only Kinesis does: shards that are split and merged, limits, iterators that expire, records of others. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  MergeShardsCommand,
  PutRecordCommand,
  PutRecordsCommand,
  SplitShardCommand,
} from '@aws-sdk/client-kinesis';
import fc from 'fast-check';
import { fromEntry, toEntry } from '../../src/stream/kinesis/frame.ts';
import {
  contentOf,
  countOf,
  nextWithin,
  readUntil,
  record,
  textOf,
} from '../conformance/event_log_fixture.ts';
import { FakeKinesis } from './kinesis_fake.ts';
import { type Account, account, memoryLeases } from './kinesis_fixture.ts';
import { servers } from './servers.ts';

test('any record comes back from what is put; text is put as it is', () => {
  const bytes = fc.uint8Array({ maxLength: 400 });
  const framed = bytes.map((b) => Uint8Array.of(0xff, 0x53, 0x57, 0x31, ...b));
  fc.assert(
    fc.property(
      fc.option(
        fc.oneof(
          bytes,
          fc.string({ maxLength: 300 }).map((s) => new TextEncoder().encode(s)),
        ),
      ),
      fc.option(fc.oneof(bytes, framed)),
      fc.dictionary(fc.string(), bytes, { maxKeys: 3 }),
      (key, value, headers) => {
        const original = { key, value, headers: new Map(Object.entries(headers)) };
        const entry = toEntry(original, 7);
        assert.ok(entry.PartitionKey.length >= 1 && entry.PartitionKey.length <= 256);
        assert.deepEqual(contentOf(fromEntry(entry) as never), contentOf(original));
      },
    ),
  );
  const plain = record('user 7', '{"a":1}');
  assert.deepEqual(toEntry(plain, 0), { PartitionKey: 'user 7', Data: plain.value });
  const cut = Uint8Array.of(0xff, 0x53, 0x57, 0x31, 3, 200);
  assert.deepEqual(fromEntry({ PartitionKey: 'k', Data: cut }).value, cut);
});

// The imitation that tests run moves the records of a shard that is split; Amazon leaves them, which this fake does.
test('shards that continue others are read after them, also by another member', async () => {
  const fake = new FakeKinesis(1);
  const log = account('').open({ client: fake });
  const texts = (n: number, from: string) =>
    Array.from({ length: n }, (_, i) => record(`k${i % 10}`, `${from} ${i}`));
  await log.append('s', texts(40, 'parent'));
  fake.split('shardId-000000000000');
  await log.append('s', texts(40, 'child'));
  fake.merge('shardId-000000000001', 'shardId-000000000002');
  await log.append('s', texts(40, 'grandchild'));
  assert.equal((await log.partitions('s')).length, 4);
  const one = await log.consume('s', { group: 'g', limits: { records: 7 } });
  const two = await log.consume('s', { group: 'g', limits: { records: 7 } });
  const seen: string[] = [];
  const drive = async (consumer: typeof one) => {
    for (;;) {
      const event = await nextWithin(consumer, 30_000);
      if (event === null) return;
      if (event.type === 'assigned') consumer.seek(event.partition, 0n);
      if (event.type === 'records') seen.push(...event.records.map((r) => textOf(r)!));
      if (new Set(seen).size === 120) await Promise.all([one.close(), two.close()]);
    }
  };
  await Promise.all([drive(one), drive(two)]);
  for (const key of Array.from({ length: 10 }, (_, i) => i)) {
    const own = [...new Set(seen)].filter((text) => Number(text.split(' ')[1]) % 10 === key);
    assert.deepEqual(
      own,
      ['parent', 'child', 'grandchild'].flatMap((from) =>
        [0, 10, 20, 30].map((n) => `${from} ${n + key}`),
      ),
    );
  }
  await log.close();
});

test('limits are waited out, expired iterators are made anew, what was trimmed is told', async () => {
  const fake = new FakeKinesis(1);
  const log = account('').open({ client: fake, limitMs: 5_000 });
  fake.trouble = { throttleEvery: 3, failEntryEvery: 4, expireEvery: 7 };
  const records = Array.from({ length: 200 }, (_, i) => record(`k${i}`));
  const places = await log.append('s', records);
  assert.equal(new Set(places.map(({ position }) => position)).size, 200);
  const consumer = await log.consume('s', { group: 'g', limits: { records: 20 } });
  const read = await readUntil(consumer, (so) => countOf(so) === 200);
  const expected = records.map((r, i) => [places[i]!.position, textOf(r)] as const);
  expected.sort(([a], [b]) => (a < b ? -1 : 1));
  assert.deepEqual(
    [...read.values()].flat().map((r) => [r.position, textOf(r)]),
    expected,
  );
  fake.trouble = {};
  const [partition] = await log.partitions('s');
  fake.trim(100);
  const { first } = (await log.ends('s')).get(partition!)!;
  consumer.seek(partition!, expected[50]![0]);
  await assert.rejects(nextWithin(consumer, 5_000), { code: 'stream/position-gone' });
  consumer.seek(partition!, first);
  assert.equal(countOf(await readUntil(consumer, (so) => countOf(so) === 100)), 100);
  fake.trouble = { throttleEvery: 1 };
  const impatient = account('').open({ client: fake, limitMs: 200 });
  await assert.rejects(impatient.append('s', [record('a')]), { code: 'stream/unreachable' });
  await impatient.close();
  await log.close();
});

const { skip, at } = await servers('kinesis');
describe('Kinesis', { skip }, () => {
  let kinesis: Account;
  before(() => {
    kinesis = account(at[0]);
  });
  after(() => kinesis.close());

  test('a stream is split and merged while it is read and written', async () => {
    const log = kinesis.open({ leases: memoryLeases() });
    const StreamName = await kinesis.stream(1);
    const consumer = await log.consume(StreamName, { group: 'g' });
    const texts = (name: string) => Array.from({ length: 20 }, (_, i) => record(`${name} ${i}`));
    const seen = new Set<string>();
    const read = async (name: string) => {
      for (const { value } of texts(name)) assert.ok(value);
      await log.append(StreamName, texts(name));
      await readUntil(consumer, () => texts(name).every((r) => seen.has(textOf(r)!)), {
        onEvent: (event) => {
          if (event.type === 'records') for (const r of event.records) seen.add(textOf(r)!);
        },
        ms: 20_000,
      });
    };
    await read('whole');
    const [whole] = await log.partitions(StreamName);
    const NewStartingHashKey = String(2n ** 127n);
    await kinesis.client.send(
      new SplitShardCommand({ StreamName, ShardToSplit: whole!, NewStartingHashKey }),
    );
    await read('split');
    const [, left, right] = await log.partitions(StreamName);
    await kinesis.client.send(
      new MergeShardsCommand({ StreamName, ShardToMerge: left!, AdjacentShardToMerge: right! }),
    );
    await read('merged');
    assert.equal((await log.partitions(StreamName)).length, 4);
    await log.close();
  });

  test('records of other producers are read as they are', async () => {
    const log = kinesis.open();
    const StreamName = await kinesis.stream(1);
    const Data = new TextEncoder().encode('{"a":1}');
    await kinesis.client.send(new PutRecordCommand({ StreamName, Data, PartitionKey: 'é' }));
    const Records = [{ Data: Uint8Array.of(0xff, 0), PartitionKey: 'b' }];
    await kinesis.client.send(new PutRecordsCommand({ StreamName, Records }));
    const consumer = await log.consume(StreamName, { group: 'g' });
    const read = [...(await readUntil(consumer, (so) => countOf(so) === 2)).values()].flat();
    assert.deepEqual(read.map(contentOf), [
      ['c3a9', Data.toHex()],
      ['62', 'ff00'],
    ]);
    await log.close();
  });

  test('an endpoint where nobody is', async () => {
    const nowhere = kinesis.open({ endpoint: 'http://127.0.0.1:1', limitMs: 300 });
    await assert.rejects(nowhere.partitions('s'), { code: 'stream/unreachable' });
    await nowhere.close();
  });
});
