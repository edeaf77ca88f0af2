/** The waiting room between what an adapter reads ahead and who asks: held to a model of what a consumer may say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SamewiseError } from '../../src/base/errors.ts';
import type { ConsumerEvent, LogRecord } from '../../src/stream/contract.ts';
import { type Cursor, Delivery } from '../../src/stream/delivery.ts';
import { cases } from '../support/cases.ts';

const LIMITS = { records: 10, bytes: 2_000 };
const END = 1_000n;

const recordAt = (position: bigint): LogRecord => ({
  position,
  timestampUs: Number(position),
  key: null,
  value: new Uint8Array(50),
  headers: new Map(),
});

/** A fetch on its way: of a cursor as it was. */
interface Asked {
  readonly cursor: Cursor;
  readonly turn: number;
  readonly position: bigint;
}

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('next' as const) }) },
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constantFrom('ask' as const, 'answer' as const), n: fc.nat(7) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('seek' as const), p: fc.nat(2), to: fc.nat(900) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('assign' as const, 'revoke' as const, 'refuse' as const),
      p: fc.nat(2),
    }),
  },
);

test('whatever is assigned, sought, fetched late and revoked, records come in order from where they were asked for', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 20, maxLength: 100, size: 'max' }),
      async (steps) => {
        const delivery = new Delivery(LIMITS);
        let asked: Asked[] = [];
        // What the reader knows: by partition, which position must come next; null: none before a seek.
        const known = new Map<string, bigint | null>();
        const refused = new Set<string>();
        let pending: Promise<ConsumerEvent | null> | null = null;
        const look = (event: ConsumerEvent | null) => {
          assert.ok(event !== null);
          const expected = known.get(event.partition);
          if (event.type === 'assigned') {
            assert.equal(expected, undefined, 'assigned once');
            known.set(event.partition, null);
          } else if (event.type === 'revoked') {
            assert.notEqual(expected, undefined, 'revoked after it was assigned');
            known.delete(event.partition);
          } else {
            assert.equal(event.records[0]!.position, expected, 'where it goes on');
            assert.ok(event.records.length <= LIMITS.records);
            event.records.forEach((r, i) => {
              assert.equal(r.position, expected! + BigInt(i));
            });
            known.set(event.partition, expected! + BigInt(event.records.length));
          }
        };
        /** Takes the next event if there is one. */
        const take = async () => {
          pending ??= delivery.next();
          const none = new Promise<'none'>((resolve) => setImmediate(resolve, 'none'));
          try {
            const event = await Promise.race([pending, none]);
            if (event === 'none') return false;
            pending = null;
            look(event);
            return true;
          } catch (error) {
            if (!(error instanceof SamewiseError)) throw error;
            pending = null;
            assert.ok(refused.has(error.code));
            return false;
          }
        };
        for (const partition of ['0', '1', '2']) {
          delivery.assign(partition);
          await take();
          delivery.seek(partition, 0n);
          known.set(partition, 0n);
        }
        for (const now of steps) {
          // What came in the step before was heard before this one.
          if (pending !== null) await take();
          if (now.do === 'next') await take();
          else if (now.do === 'ask') {
            if (delivery.roomBytes > 0)
              for (const cursor of delivery.cursors())
                asked.push({ cursor, turn: cursor.turn, position: cursor.position! });
          } else if (!('p' in now)) {
            const one = asked[now.n % Math.max(1, asked.length)];
            // The adapter fetches a cursor once at a time: what was asked twice is answered once.
            asked = asked.filter((other) => other.cursor !== one?.cursor);
            if (one !== undefined) {
              const records = Array.from({ length: now.n * 4 }, (_, i) =>
                recordAt(one.position + BigInt(i)),
              );
              const next = one.position + BigInt(records.length);
              delivery.deliver(one.cursor, one.turn, records, next, END);
            }
          } else {
            const partition = String(now.p);
            if (now.do === 'seek') {
              delivery.seek(partition, BigInt(now.to));
              if (known.has(partition)) known.set(partition, BigInt(now.to));
              refused.delete(partition);
            } else if (now.do === 'assign') {
              if (!delivery.assigned.includes(partition)) delivery.assign(partition);
            } else if (now.do === 'revoke') {
              delivery.revoke(partition);
              refused.delete(partition);
            } else {
              const cursor = delivery.cursors().find((c) => c.partition === partition);
              if (cursor === undefined) continue;
              refused.add(partition);
              delivery.refuse(cursor, cursor.turn, new SamewiseError(partition, 'cannot be read'));
            }
          }
        }
        while (await take());
        if (pending !== null) {
          delivery.close();
          assert.equal(await pending, null);
        }
      },
    ),
    { numRuns: cases(500) },
  );
});

test('small answers that wait together come together, within the limits and up to a revocation', async () => {
  const delivery = new Delivery(LIMITS);
  for (const partition of ['0', '1']) {
    delivery.assign(partition);
    await delivery.next();
    delivery.seek(partition, 0n);
  }
  const fetch = (partition: string, count: number) => {
    const cursor = delivery.cursors().find((one) => one.partition === partition)!;
    const { position, turn } = cursor;
    const records = Array.from({ length: count }, (_, i) => recordAt(position! + BigInt(i)));
    const end = position! + BigInt(count);
    delivery.deliver(cursor, turn, records, end, end);
  };
  for (const count of [3, 4, 3, 1]) {
    fetch('0', count);
    fetch('1', 1);
  }
  delivery.revoke('1');
  delivery.assign('1');
  const told = [];
  for (let i = 0; i < 4; i++) {
    const event = (await delivery.next())!;
    told.push(
      event.type === 'records'
        ? [event.partition, event.records.map((r) => Number(r.position)), event.next]
        : [event.partition, event.type],
    );
  }
  assert.deepEqual(told, [
    ['0', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 10n],
    ['0', [10], 11n],
    ['1', 'revoked'],
    ['1', 'assigned'],
  ]);
  assert.equal(delivery.roomRecords, LIMITS.records);
  delivery.close();
});
