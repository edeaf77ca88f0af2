/** A real PostgreSQL, by Debezium and Kafka, to decoded rows: they tell the table's state, whatever was done to it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Consumer } from '../../src/stream/contract.ts';
import { decoderFor } from '../../src/stream/decode/index.ts';
import { float64, int64, string, timestamp } from '../../src/types/dtype.ts';
import { coerce } from '../../src/types/scalar.ts';
import { nextWithin } from '../conformance/event_log_fixture.ts';
import { capture, until } from './debezium_fixture.ts';
import { rowOf, sourceOf } from './decode_support.ts';
import { type Cluster, cluster } from './kafka_fixture.ts';
import { crash, servers, sql } from './servers.ts';

const { skip, at } = await servers('debezium', 'kafka', 'postgres');
const TABLE = `payments_${process.pid}`;
const COLUMNS = [
  { name: 'id', dtype: int64 },
  { name: 'at', dtype: timestamp },
  { name: 'amount', dtype: float64 },
  { name: 'note', dtype: string },
];
const source = sourceOf(COLUMNS, {
  mutable: true,
  eventId: 'id',
  stream: { format: 'debezium' },
});

describe('PostgreSQL by Debezium', { skip }, () => {
  let kafka: Cluster;
  let consumer: Consumer;
  let connector: Awaited<ReturnType<typeof capture>> | undefined;
  before(async () => {
    kafka = cluster(at[1]);
    await sql(
      `create table ${TABLE} (id bigint primary key, at timestamp not null, amount double precision, note text);
       insert into ${TABLE} values (1, '2026-01-01 10:00:00.123456', 1.5, 'before'), (2, '2026-01-02', null, 'é')`,
    );
    connector = await capture({ connect: at[0], postgres: at[2] }, TABLE);
    consumer = await until(() => kafka.open().consume(connector!.topic, { group: 'g' }));
  });
  after(async () => {
    await connector?.remove();
    await kafka.close();
  });

  /** What the rows so far say that the table holds. */
  const state = new Map<unknown, unknown[]>();
  const decoder = decoderFor(source);
  /** Reads until the rows say what the table holds. */
  const same = async () => {
    const text = await sql(
      `select id, (extract(epoch from at) * 1000000)::bigint, amount, note from ${TABLE} order by id`,
    );
    const expected = text.split('\n').filter((line) => line !== '');
    const now = () =>
      [...state.values()]
        .sort(([a], [b]) => Number(a) - Number(b))
        .map((row) => row.map((value) => value ?? '').join('|'));
    while (now().join('\n') !== expected.join('\n')) {
      const event = await nextWithin(consumer, 30_000).catch((error) => {
        assert.deepEqual(now(), expected, error.message);
        throw error;
      });
      if (event?.type === 'assigned') consumer.seek(event.partition, 0n);
      if (event?.type !== 'records') continue;
      for (const decoded of await decoder.decode(event.records)) {
        if (decoded === null) continue;
        const { op, values } = rowOf(decoded);
        const row = COLUMNS.map(({ name, dtype }) => coerce(values[name] ?? null, dtype));
        if (op === 'upsert') state.set(String(row[0]), row);
        else state.delete(String(row[0]));
      }
    }
    return expected.length;
  };

  test('its snapshot and every change after it', async () => {
    assert.equal(await same(), 2);
    assert.deepEqual(state.get('1'), [1n, 1_767_261_600_123_456, 1.5, 'before']);
    await sql(`insert into ${TABLE} select i, timestamp '2026-02-01' + i * interval '1 s', i / 8.0, 'row ' || i
               from generate_series(10, 200) i`);
    assert.equal(await same(), 193);
    await sql(`update ${TABLE} set amount = amount + 1, note = null where id % 3 = 0`);
    await sql(`delete from ${TABLE} where id % 5 = 0`);
    await same();
  });

  test('keys that change, rows that come back, and several changes of one transaction', async () => {
    await sql(`update ${TABLE} set id = id + 1000 where id % 7 = 0`);
    await same();
    await sql(`begin; delete from ${TABLE} where id = 1; insert into ${TABLE} values (1, '2026-03-01', 9, 'again');
               update ${TABLE} set amount = 10 where id = 1; commit`);
    await same();
    assert.equal(state.get('1')![2], 10);
    await sql(`begin; delete from ${TABLE}; rollback`);
    await sql(`insert into ${TABLE} values (5, '2026-03-02', 5, 'after what was rolled back')`);
    await same();
  });

  test('a database that is killed and comes back', async () => {
    await sql(`insert into ${TABLE} values (6, '2026-03-03', 6, 'before the crash')`);
    await crash('postgres');
    await servers('postgres');
    await sql(`insert into ${TABLE} values (7, '2026-03-04', 7, 'after the crash')`);
    await same();
  });
});
