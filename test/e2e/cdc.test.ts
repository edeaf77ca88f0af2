/**
 * A table of a real PostgreSQL by Debezium and Kafka into features, as users run it: whatever is done to the table, the features
 * are what SQL says of it, online and in training.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { capture, until } from '../stream/debezium_fixture.ts';
import { cluster } from '../stream/kafka_fixture.ts';
import { ownServer } from '../stream/servers.ts';
import { json, type Server, sql, startServer, temporary } from './support.ts';

// The database is killed: nobody else's. Debezium has the other two with it.
const debezium = await ownServer('debezium');
const TABLE = 'orders';
const CUSTOMERS = 12;
/** Before what the last test does, and after all of it. */
const TIMES = ['2026-02-01T00:00:00Z', '2026-06-01T00:00:00Z'];

const features = (topic: string) => `
import {
  avg, count, entity, featureService, featureView, float64, int64, latest, source, stream, string, sum, timestamp,
} from 'samewise';

export const customer = entity({ name: 'customer', key: { customer_id: int64 } });

export const orders = source({
  name: 'orders',
  columns: { id: int64, customer_id: int64, updated_at: timestamp, amount: float64, status: string },
  eventTime: 'updated_at',
  eventId: 'id',
  mutable: true,
  stream: stream({ topic: '${topic}', format: 'debezium' }),
});

export const buying = featureView({
  name: 'buying',
  entity: customer,
  source: orders,
  features: ({ amount, status }) => ({
    orders: count().lifetime(),
    total: sum(amount).lifetime(),
    mean_30d: avg(amount).over('30d'),
    open: count().where(status.eq('open')).lifetime(),
    last_status: latest(status),
  }),
});

export const service = featureService({ name: 'buying_v1', features: [buying] });
`;

/** What the features are at a time, by PostgreSQL. */
const QUERY = (at: string) => `
  select coalesce(json_agg(json_build_array(c, coalesce(n, 0), total, mean_30d, coalesce(open, 0), last_status) order by c), '[]')
  from generate_series(1, ${CUSTOMERS}) c left join (
    select customer_id, count(*) as n, sum(amount) as total, count(*) filter (where status = 'open') as open,
      avg(amount) filter (where updated_at >= timestamp '${at.slice(0, -1)}' - interval '30 days') as mean_30d,
      (array_agg(status order by updated_at desc))[1] as last_status
    from ${TABLE} where updated_at < '${at.slice(0, -1)}' group by customer_id
  ) t on customer_id = c`;
const NAMES = ['orders', 'total', 'mean_30d', 'open', 'last_status'];

describe('a table under change', { skip: debezium.skip }, () => {
  const { folder, remove } = temporary();
  const project = join(folder, 'project');
  let postgres: Awaited<ReturnType<typeof ownServer>>;
  let kafka: Awaited<ReturnType<typeof ownServer>>;
  let connector: Awaited<ReturnType<typeof capture>>;
  let server: Server;
  const run = (statement: string) => postgres.run('sql', statement);

  before(async () => {
    [postgres, kafka] = await Promise.all([ownServer('postgres'), ownServer('kafka')]);
    // Amounts are quarters: sums are exact, whoever adds them up and in which order.
    await run(`
      create table ${TABLE} (
        id bigint primary key, customer_id bigint, updated_at timestamp unique, amount double precision, status text);
      insert into ${TABLE} select i, 1 + i % ${CUSTOMERS}, timestamp '2026-01-10' + i * interval '1 h 0.000001 s', i / 4.0,
        case when i % 3 = 0 then 'open' when i % 7 = 0 then null else 'paid' end from generate_series(1, 60) i`);
    connector = await capture({ connect: debezium.at, postgres: postgres.at }, TABLE);
    mkdirSync(project);
    writeFileSync(join(project, 'features.ts'), features(connector.topic));
    writeFileSync(join(project, 'samewise.config.json'), `{ "stream": "kafka:${kafka.at}" }`);
    const rows = Array.from({ length: CUSTOMERS }, (_, i) => TIMES.map((at) => `${i + 1},${at}`));
    writeFileSync(join(project, 'labels.csv'), `customer_id,at\n${rows.flat().join('\n')}\n`);
    await json(project, 'apply', '--yes');
    const topics = cluster(kafka.at);
    await until(() => topics.open().partitions(connector.topic));
    await topics.close();
    await json(project, 'materialize');
    server = await startServer(project);
  });
  after(async () => {
    await server?.stop();
    await connector?.remove();
    for (const one of [debezium, kafka, postgres]) await one?.down();
    remove();
  });

  const byDatabase = async (at: string): Promise<unknown[][]> => JSON.parse(await run(QUERY(at)));
  const online = async (at: string): Promise<unknown[][]> => {
    const entities = Array.from({ length: CUSTOMERS }, (_, i) => ({ customer_id: i + 1 }));
    const { status, text, body } = await server.post('/api/v1/services/buying_v1/vectors', {
      entities,
      at,
    });
    assert.equal(status, 200, text);
    return body.vectors.map((vector: any, i: number) => [i + 1, ...NAMES.map((n) => vector[n])]);
  };
  /** Waits until the features are what the table says; nothing but the table changes them. */
  const agree = async () => {
    for (const at of TIMES) {
      const expected = await byDatabase(at);
      const over = Date.now() + 60_000;
      for (;;) {
        const found = await online(at);
        if (JSON.stringify(found) === JSON.stringify(expected)) break;
        if (Date.now() > over) assert.deepStrictEqual(found, expected);
        await pause(50);
      }
    }
  };

  test('its rows before, and what is inserted, updated and deleted', async () => {
    await agree();
    await run(`insert into ${TABLE} select i, 1 + i % 5, timestamp '2026-03-01' + i * interval '7 h', i / 8.0, 'open'
               from generate_series(101, 140) i`);
    await run(
      `update ${TABLE} set status = 'paid', updated_at = updated_at + interval '9 d 0.5 s' where id % 6 = 0`,
    );
    // To another customer, to another time, back in time; and to nothing at all.
    await run(`update ${TABLE} set customer_id = 12, amount = null where id % 10 = 4`);
    await run(
      `update ${TABLE} set updated_at = updated_at - interval '40 d 0.25 s' where id in (103, 111, 7)`,
    );
    await run(`delete from ${TABLE} where id % 8 = 1`);
    await agree();
  });

  test('keys that change, what is rolled back, many changes of one row in a moment', async () => {
    await run(`update ${TABLE} set id = id + 1000 where id % 5 = 0`);
    await run(
      `begin; update ${TABLE} set amount = 1e6; delete from ${TABLE} where id > 100; rollback`,
    );
    await run(
      `begin; delete from ${TABLE} where id = 2; insert into ${TABLE} values (2, 3, '2026-03-05', 8, 'again'); commit`,
    );
    const updates = Array.from(
      { length: 200 },
      (_, i) => `update ${TABLE} set amount = ${(i * 7) % 50}, status = 's${i}' where id = 2`,
    );
    await run(updates.join(';'));
    await run(
      `begin; insert into ${TABLE} values (500, 4, '2026-03-06', 9, 'short'); delete from ${TABLE} where id = 500; commit`,
    );
    // Two rows change places.
    await run(`begin; update ${TABLE} set id = -1 where id = 3; update ${TABLE} set id = 3 where id = 4;
               update ${TABLE} set id = 4 where id = -1; commit`);
    await agree();
  });

  test('the database is killed and comes back', async () => {
    await run(`insert into ${TABLE} values (600, 1, '2026-04-01', 6, 'before the crash')`);
    await postgres.crash();
    await postgres.up();
    await run(
      `update ${TABLE} set status = 'after the crash', updated_at = '2026-04-02' where id = 600`,
    );
    await run(`delete from ${TABLE} where id = 110`);
    await agree();
  });

  test('training is what SQL says, and what was served', async () => {
    assert.equal(await server.stop(), 0);
    await json(project, 'stream', 'run', '--catch-up');
    const letters = await json(project, 'stream', 'dead-letters', 'orders');
    assert.deepEqual(letters, []);
    const labels = ['--labels', 'labels.csv', '--time', 'at', '--out', 'trained.parquet'];
    await json(project, 'train', '--service', 'buying_v1', ...labels);
    for (const at of TIMES) {
      const rows = await sql(
        `select * from '${project}/trained.parquet' where epoch_ms("at") = ${Date.parse(at)} order by customer_id`,
      );
      const trained = rows.map((row) =>
        ['customer_id', ...NAMES].map((name) =>
          typeof row[name] === 'bigint' ? Number(row[name]) : row[name],
        ),
      );
      assert.deepStrictEqual(trained, await byDatabase(at));
    }
    const manifest = 'trained.parquet.manifest.json';
    const { online: proof } = await json(project, 'verify', manifest, '--online', '24');
    assert.deepEqual([proof.rows, proof.mismatches], [24, []]);
    const [view] = await json(project, 'reconcile');
    assert.equal(view.differentKeys, 0);
  });
});
