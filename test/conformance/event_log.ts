/** The suite that every event log passes; an adapter's test calls it with a way to open the log and to make fresh topics. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { Consumer, EventLog, LogRecord, NewRecord } from '../../src/stream/contract.ts';
import { cases } from '../support/cases.ts';
import {
  contentOf,
  countOf,
  nextWithin,
  readAll,
  readUntil,
  record,
  textOf,
} from './event_log_fixture.ts';

/** Where the log is. The suite leaves topics behind. */
export interface LogPlace {
  /** One more handle on the log. */
  open(): Promise<EventLog>;
  /** The name of a topic that is empty, with so many partitions. */
  topic(partitions: number): Promise<string>;
  /** Makes the log forget all that a topic has so far; absent where a test cannot make it do that. */
  forget?(log: EventLog, topic: string): Promise<void>;
  destroy(): Promise<void>;
}

/** What a log can do beyond what all can. */
export interface LogAbilities {
  /** A topic that is named is made: nothing is `stream/no-topic`. */
  readonly makesTopics: boolean;
  /** Positions of a partition begin at 0 and grow by one. */
  readonly dense: boolean;
  /** Records have headers, null keys and null values. */
  readonly headers: boolean;
  /** How long it may take until another consumer has the partitions of one that left, or until a new one has its share. */
  readonly rebalanceMs: number;
  /** How many random histories are tried. */
  readonly histories: number;
}

export function eventLogConformance(
  name: string,
  abilities: LogAbilities,
  place: () => Promise<LogPlace>,
): void {
  describe(`event log: ${name}`, () => {
    let where: LogPlace;
    let log: EventLog;
    const consumers: Consumer[] = [];
    before(async () => {
      where = await place();
      log = await where.open();
    });
    after(async () => {
      for (const consumer of consumers) await consumer.close();
      await log.close();
      await where.destroy();
    });
    const { rebalanceMs } = abilities;
    const consume = async (
      topic: string,
      group = 'g',
      limits?: { records?: number; bytes?: number },
      from = log,
    ) => {
      const consumer = await from.consume(topic, { group, ...(limits ? { limits } : {}) });
      consumers.push(consumer);
      return consumer;
    };
    /** A consumer of a topic of one partition, begun at `position`. */
    const consumeOne = async (topic: string, position: bigint, group = 'g') => {
      const consumer = await consume(topic, group);
      await assigned(consumer, [position]);
      return consumer;
    };
    /** Takes the next events, which say that partitions are assigned, and seeks. */
    const assigned = async (consumer: Consumer, positions: readonly bigint[]) => {
      for (const position of positions) {
        const event = await nextWithin(consumer, rebalanceMs);
        assert.equal(event?.type, 'assigned');
        consumer.seek((event as { partition: string }).partition, position);
      }
    };
    const recordsOf = async (consumer: Consumer): Promise<LogRecord[]> => {
      const event = await nextWithin(consumer, rebalanceMs);
      assert.ok(event?.type === 'records', `records, not ${event?.type}`);
      assert.ok(event.records.length > 0);
      assert.ok(event.next > event.records.at(-1)!.position);
      return [...event.records];
    };
    /** Exactly `count` records. */
    const take = async (consumer: Consumer, count: number): Promise<LogRecord[]> => {
      const records: LogRecord[] = [];
      while (records.length < count) records.push(...(await recordsOf(consumer)));
      assert.equal(records.length, count);
      return records;
    };
    const numbered = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => record(`k${from + i}`));

    test('a new topic has its partitions, and nothing in them', async () => {
      const topic = await where.topic(3);
      const partitions = await log.partitions(topic);
      assert.equal(partitions.length, 3);
      assert.equal(new Set(partitions).size, 3);
      assert.deepEqual(await log.partitions(topic), partitions);
      const ends = await log.ends(topic);
      assert.deepEqual([...ends.keys()].sort(), [...partitions].sort());
      for (const { first, next } of ends.values()) assert.equal(first, next);
      assert.deepEqual(await log.append(topic, []), []);
      for (const { first, next } of (await log.ends(topic)).values()) assert.equal(first, next);
    });

    test('a topic that others have to make is missing until they do', {
      skip: abilities.makesTopics && 'this log makes topics',
    }, async () => {
      const missing = 'a-topic-that-nobody-made';
      for (const attempt of [
        () => log.partitions(missing),
        () => log.ends(missing),
        () => log.append(missing, [record('a')]),
        () => log.consume(missing, { group: 'g' }),
      ])
        await assert.rejects(attempt, { code: 'stream/no-topic' });
    });

    test('what was appended is read, whole and in order, at the places that append gave', async () => {
      const topic = await where.topic(1);
      const wide = abilities.headers
        ? [
            record(null, 'without a key'),
            record('gone', null),
            record(null, null),
            {
              ...record('h', 'with headers'),
              headers: new Map([
                ['a', Uint8Array.of(0, 255)],
                ['é', new Uint8Array(0)],
              ]),
            },
          ]
        : [];
      const records: NewRecord[] = [
        ...wide,
        { key: Uint8Array.of(0, 1, 255), value: Uint8Array.of(255, 0) },
        { key: Uint8Array.of(9), value: new Uint8Array(0) },
        { key: Uint8Array.of(7), value: new Uint8Array(100_000).map((_, i) => i % 251) },
        ...numbered(0, 1_000),
      ];
      const before = performance.timeOrigin + performance.now();
      const places = await log.append(topic, records);
      const read = await take(await consumeOne(topic, 0n), records.length);
      assert.deepEqual(read.map(contentOf), records.map(contentOf));
      const [partition] = await log.partitions(topic);
      assert.deepEqual(
        read.map(({ position }) => ({ partition, position })),
        places,
      );
      for (let i = 1; i < read.length; i++) {
        assert.ok(read[i]!.position > read[i - 1]!.position);
        assert.ok(read[i]!.timestampUs >= read[i - 1]!.timestampUs);
      }
      // The log's clock may be another machine's.
      assert.ok(Math.abs(read[0]!.timestampUs / 1000 - before) < 60_000);
      const { first, next } = (await log.ends(topic)).get(partition!)!;
      assert.equal(first, read[0]!.position);
      assert.ok(next > read.at(-1)!.position);
    });

    test('positions begin at 0 and grow by one', { skip: !abilities.dense }, async () => {
      const topic = await where.topic(1);
      for (let i = 0; i < 10; i += 5) await log.append(topic, numbered(i, i + 5));
      const [partition] = await log.partitions(topic);
      assert.deepEqual((await log.ends(topic)).get(partition!), { first: 0n, next: 10n });
      const read = await take(await consumeOne(topic, 3n), 7);
      assert.deepEqual(read.map(textOf), ['k3', 'k4', 'k5', 'k6', 'k7', 'k8', 'k9']);
    });

    test('records of one key lie in one partition, in order; all partitions are used', async () => {
      const topic = await where.topic(4);
      const other = await where.open();
      const records = Array.from({ length: 400 }, (_, i) => record(`key ${i % 40}`, String(i)));
      const places = await log.append(topic, records.slice(0, 200));
      places.push(...(await other.append(topic, records.slice(200))));
      await other.close();
      const byKey = new Map<number, Set<string>>();
      places.forEach(({ partition }, i) => {
        byKey.set(i % 40, (byKey.get(i % 40) ?? new Set()).add(partition));
      });
      for (const partitions of byKey.values()) assert.equal(partitions.size, 1);
      assert.equal(new Set(places.map(({ partition }) => partition)).size, 4);
      const read = await readAll(log, topic, 'g');
      assert.equal(countOf(read), 400);
      for (const [partition, found] of read)
        assert.deepEqual(
          found.map(textOf),
          records.filter((_, i) => places[i]!.partition === partition).map(textOf),
        );
    });

    test('appends that are made at once each keep their order', async () => {
      const topic = await where.topic(2);
      const all = await Promise.all(
        Array.from({ length: 30 }, (_, a) =>
          log.append(
            topic,
            Array.from({ length: 20 }, (_, i) => record(`${a}`, `${a} ${i}`)),
          ),
        ),
      );
      const read = await readAll(log, topic, 'g');
      for (const [a, places] of all.entries()) {
        const mine = read.get(places[0]!.partition)!.filter((r) => textOf(r)!.startsWith(`${a} `));
        assert.deepEqual(
          mine.map((r) => [textOf(r), r.position]),
          places.map(({ position }, i) => [`${a} ${i}`, position]),
        );
      }
      assert.equal(countOf(read), 600);
    });

    test('nothing comes before a seek; a seek goes anywhere, again and again', async () => {
      const topic = await where.topic(1);
      const places = await log.append(topic, numbered(0, 50));
      const consumer = await consume(topic);
      const event = await nextWithin(consumer, rebalanceMs);
      assert.equal(event?.type, 'assigned');
      const early = consumer.next();
      const silent = new Promise((resolve) => setTimeout(resolve, 100, 'silent'));
      assert.equal(await Promise.race([early, silent]), 'silent');
      const [partition] = await log.partitions(topic);
      consumer.seek(partition!, places[40]!.position);
      const first = await early;
      assert.ok(first?.type === 'records');
      const rest = 10 - first.records.length;
      const texts = [...first.records, ...(rest > 0 ? await take(consumer, rest) : [])].map(textOf);
      assert.deepEqual(texts, numbered(40, 50).map(textOf));
      for (const from of [0, 49, 7, 7]) {
        consumer.seek(partition!, places[from]!.position);
        assert.deepEqual(
          (await take(consumer, 50 - from)).map(textOf),
          numbered(from, 50).map(textOf),
        );
      }
      consumer.seek(partition!, (await log.ends(topic)).get(partition!)!.next);
      await log.append(topic, [record('new')]);
      assert.deepEqual((await take(consumer, 1)).map(textOf), ['new']);
      await consumer.commit(partition!, (await log.ends(topic)).get(partition!)!.next);
    });

    test('a position that was never written is not waited for', async () => {
      const topic = await where.topic(1);
      await log.append(topic, numbered(0, 3));
      const [partition] = await log.partitions(topic);
      const { next } = (await log.ends(topic)).get(partition!)!;
      const consumer = await consumeOne(topic, next + 1n);
      const error = { code: 'stream/position-ahead' };
      await assert.rejects(nextWithin(consumer, rebalanceMs), error);
      await assert.rejects(nextWithin(consumer, rebalanceMs), error);
      consumer.seek(partition!, next);
      await log.append(topic, [record('new')]);
      assert.deepEqual((await take(consumer, 1)).map(textOf), ['new']);
    });

    test('a position that is gone is an error that names it, until the reader seeks one that is kept', async (t) => {
      const topic = await where.topic(1);
      if (where.forget === undefined) return t.skip('this log cannot be made to forget');
      const places = await log.append(topic, numbered(0, 5));
      await where.forget(log, topic);
      await log.append(topic, [record('kept')]);
      const [partition] = await log.partitions(topic);
      const { first } = (await log.ends(topic)).get(partition!)!;
      assert.ok(first > places[4]!.position);
      const { position } = places[2]!;
      const consumer = await consumeOne(topic, position);
      for (let i = 0; i < 2; i++)
        await assert.rejects(nextWithin(consumer, rebalanceMs), {
          code: 'stream/position-gone',
          where: { topic, partition, position: String(position) },
        });
      consumer.seek(partition!, first);
      assert.deepEqual((await take(consumer, 1)).map(textOf), ['kept']);
    });

    test('a consumer gives no more at once than its limits', async () => {
      const topic = await where.topic(1);
      const records = Array.from({ length: 100 }, (_, i) =>
        record('k', `${i}`.padStart(1_000, '.')),
      );
      await log.append(topic, records);
      for (const [group, limits] of [
        ['by records', { records: 7 }],
        ['by bytes', { bytes: 5_000 }],
        ['less than one', { bytes: 10 }],
      ] as const) {
        const consumer = await consume(topic, group, limits);
        await assigned(consumer, [0n]);
        const read: LogRecord[] = [];
        while (read.length < 100) {
          const some = await recordsOf(consumer);
          if ('records' in limits) assert.ok(some.length <= limits.records);
          // The one that goes over a limit of bytes is given: else a large one would never come.
          else assert.ok((some.length - 1) * 1_000 <= limits.bytes);
          read.push(...some);
        }
        assert.deepEqual(read.map(textOf), records.map(textOf));
        await consumer.close();
      }
    });

    test('positions by time', async () => {
      const topic = await where.topic(1);
      const [partition] = await log.partitions(topic);
      const at = async (timeUs: number) => (await log.positionsAt(topic, timeUs)).get(partition!);
      assert.equal(await at(0), (await log.ends(topic)).get(partition!)!.next);
      for (let i = 0; i < 5; i++) {
        await log.append(topic, numbered(i * 10, i * 10 + 10));
        await new Promise((resolve) => setTimeout(resolve, 3));
      }
      const read = await take(await consumeOne(topic, 0n), 50);
      const { first, next } = (await log.ends(topic)).get(partition!)!;
      assert.equal(await at(0), first);
      assert.equal(await at(read.at(-1)!.timestampUs + 1_000_000), next);
      for (const { timestampUs } of read) {
        const expected = read.find((r) => r.timestampUs >= timestampUs)!.position;
        assert.equal(await at(timestampUs), expected);
      }
    });

    test('what is appended wakes a consumer that waits, also from another handle', async () => {
      const topic = await where.topic(2);
      const other = await where.open();
      const consumer = await consume(topic);
      await assigned(consumer, [0n, 0n]);
      for (const from of [log, other, log, other]) {
        const waiting = nextWithin(consumer, 5_000);
        await new Promise((resolve) => setTimeout(resolve, 30));
        await from.append(topic, [record('a')]);
        const event = await waiting;
        assert.ok(event?.type === 'records' && event.records.length === 1);
      }
      await other.close();
    });

    test('a group shares the partitions; who leaves is replaced; groups do not disturb each other', async () => {
      const topic = await where.topic(4);
      const appended = numbered(0, 100);
      await log.append(topic, appended);
      const other = await where.open();
      const held = new Map<Consumer, Set<string>>();
      const seen = new Map<Consumer, number>();
      const drive = async (consumer: Consumer) => {
        const mine = new Set<string>();
        held.set(consumer, mine);
        seen.set(consumer, 0);
        for (;;) {
          const event = await consumer.next();
          if (event === null) break;
          if (event.type === 'assigned') {
            assert.ok(!mine.has(event.partition), 'assigned once');
            mine.add(event.partition);
            consumer.seek(event.partition, 0n);
          } else {
            assert.ok(mine.has(event.partition), `${event.type} of a partition that is assigned`);
            if (event.type === 'revoked') mine.delete(event.partition);
            else seen.set(consumer, seen.get(consumer)! + event.records.length);
          }
        }
        mine.clear();
      };
      const until = async (what: string, reached: () => boolean) => {
        for (const end = performance.now() + rebalanceMs; !reached(); ) {
          assert.ok(performance.now() < end, what);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      };
      const shares = () => [...held.values()].map((mine) => mine.size).sort();
      const apart = () => new Set([...held.values()].flatMap((mine) => [...mine])).size;

      const first = await consume(topic, 'shared');
      const running = [drive(first)];
      await until(
        'the first has all',
        () => held.get(first)!.size === 4 && seen.get(first) === 100,
      );
      const second = await consume(topic, 'shared', undefined, other);
      running.push(drive(second));
      await until('they share', () => shares().join() === '2,2' && apart() === 4);
      const alone = await consume(topic, 'alone');
      running.push(drive(alone));
      await until(
        'another group has all',
        () => held.get(alone)!.size === 4 && seen.get(alone) === 100,
      );
      assert.equal(held.get(first)!.size, 2);
      await first.close();
      await until('the second has all', () => held.get(second)!.size === 4);
      await log.append(topic, numbered(0, 50));
      await until('it gets what is new', () => seen.get(alone) === 150);
      await second.close();
      await alone.close();
      await Promise.all(running);
      await other.close();
    });

    test('a consumer that is closed ends, also one that waits', async () => {
      const topic = await where.topic(1);
      const consumer = await consumeOne(topic, 0n);
      const waiting = consumer.next();
      await new Promise((resolve) => setTimeout(resolve, 30));
      await consumer.close();
      assert.equal(await waiting, null);
      assert.equal(await consumer.next(), null);
      await consumer.close();
    });

    test('bytes that were handed over stay as they are', async () => {
      const topic = await where.topic(1);
      const value = Uint8Array.of(1, 2, 3);
      await log.append(topic, [{ key: value, value }]);
      value.fill(9);
      const [first] = await take(await consumeOne(topic, 0n, 'a'), 1);
      await log.append(topic, numbered(0, 100));
      await readAll(log, topic, 'b');
      assert.deepEqual(
        [first!.key, first!.value],
        [Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 3)],
      );
      assert.equal(
        first!.value!.constructor,
        Uint8Array,
        'not a Buffer, whose slice() shares memory',
      );
      first!.value!.fill(8);
      const [again] = await take(await consumeOne(topic, first!.position, 'c'), 101);
      assert.deepEqual(again!.value, Uint8Array.of(1, 2, 3));
    });

    test('any appends are read as they were, in any portions, from anywhere', async () => {
      const bytes = fc.uint8Array({ maxLength: 300 });
      const maybe = (nulls: boolean) => (nulls ? fc.option(bytes) : bytes);
      const one = fc.record({
        key: maybe(abilities.headers),
        value: maybe(abilities.headers),
        headers: abilities.headers
          ? fc.dictionary(fc.string(), bytes, { maxKeys: 2 }).map((d) => new Map(Object.entries(d)))
          : fc.constant(new Map<string, Uint8Array>()),
      });
      let runs = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(one, { maxLength: 20 }), { maxLength: 6 }),
          fc.integer({ min: 1, max: 3 }),
          fc.record({
            records: fc.integer({ min: 1, max: 10 }),
            bytes: fc.integer({ min: 1, max: 2_000 }),
          }),
          fc.nat(),
          async (appends, partitions, limits, from) => {
            const topic = await where.topic(partitions);
            const expected = new Map<string, { position: bigint; content: unknown[] }[]>();
            for (const records of appends) {
              const places = await log.append(topic, records);
              assert.equal(places.length, records.length);
              places.forEach(({ partition, position }, i) => {
                const own = expected.get(partition) ?? [];
                expected.set(partition, [...own, { position, content: contentOf(records[i]!) }]);
              });
            }
            const seen = (read: LogRecord[]) =>
              read.map((r) => ({ position: r.position, content: contentOf(r) }));
            const group = `g${runs++}`;
            const read = await readAll(log, topic, group, limits);
            assert.deepEqual(new Map([...read].map(([p, r]) => [p, seen(r)])), expected);
            const parts = [...expected.values()];
            if (parts.length === 0) return;
            const [partition, all] = [...expected][from % parts.length]!;
            const skip = from % all.length;
            const consumer = await log.consume(topic, { group: `${group}b`, limits });
            const tail = await readUntil(
              consumer,
              (so) => (so.get(partition)?.at(-1)?.position ?? -1n) === all.at(-1)!.position,
              { from: (p) => (p === partition ? all[skip]!.position : 0n) },
            );
            await consumer.close();
            assert.deepEqual(seen(tail.get(partition)!), all.slice(skip));
          },
        ),
        { numRuns: cases(abilities.histories) },
      );
    });
  });
}
