/** The server as a process: the calls as its users write them, and the same bits as in a training set. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { formatInstant } from '../../src/base/time.ts';
import { labels, naive, shopsProject } from './shops.ts';
import { json, type Server, scaffolded, sql, startServer, temporary } from './support.ts';

const { folder, remove } = temporary();
let server: Server;
let project: string;
let shops: Server;
let shopsFolder: string;

before(async () => {
  const other = join(folder, 'shops');
  mkdirSync(other);
  [project, shopsFolder] = await Promise.all([scaffolded(folder), shopsProject(other)]);
  await json(shopsFolder, 'apply', '--yes');
  await json(shopsFolder, 'materialize');
  [server, shops] = await Promise.all([startServer(project), startServer(shopsFolder)]);
});
after(async () => {
  await Promise.all([server?.stop(), shops?.stop()]);
  remove();
});

/** A training set's value and a served one, as one form: bigint for every whole number of a type int64. */
function plain(value: unknown, whole: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => plain(item, whole));
  if (value !== null && typeof value === 'object' && 'items' in value)
    return plain((value as { items: unknown }).items, whole);
  if (whole) return typeof value === 'number' ? BigInt(value) : value;
  // Whole digits beyond 2^53 are a float64 here.
  return typeof value === 'bigint' ? Number(value) : value;
}

/** -0 is not 0 here. */
function same(served: unknown, trained: unknown, what: string): void {
  if (Array.isArray(trained) && Array.isArray(served)) {
    assert.equal(served.length, trained.length, what);
    for (const [i, item] of trained.entries()) same(served[i], item, what);
  } else assert.ok(Object.is(served, trained), `${what}: served ${served}, trained ${trained}`);
}

test('every value of a training set is what the server answers for its time', async () => {
  await json(
    project,
    'train',
    '--service',
    'fraud_v1',
    '--labels',
    'labels.csv',
    '--time',
    'at',
    '--out',
    't.parquet',
  );
  const rows = await sql(`SELECT *, epoch_us("at") AS us FROM '${project}/t.parquet'`);
  assert.equal(rows.length, 60);
  let present = 0;
  for (const [i, row] of rows.entries()) {
    const entity = { customer_id: Number(row.customer_id), amount: row.amount };
    const at = formatInstant(Number(row.us));
    const { status, body } = await server.post('/api/v1/services/fraud_v1/vectors', {
      entities: [entity],
      at,
      full: true,
    });
    assert.equal(status, 200);
    const names = ['tx_count_1d', 'avg_amount_7d', 'last_5_amounts', 'amount_to_mean'];
    assert.deepEqual(Object.keys(body.vectors[0]), names);
    for (const name of names) {
      const whole = name === 'tx_count_1d';
      const trained = plain(row[name], whole);
      same(plain(body.vectors[0][name], whole), trained, `row ${i}, ${name}`);
      if (trained !== null) present++;
      const expected =
        entity.customer_id === 9 && name !== 'amount_to_mean' ? 'NOT_FOUND' : undefined;
      if (expected) assert.equal(body.statuses[0][name], expected);
      else if (trained === null) assert.equal(body.statuses[0][name], 'NULL_VALUE');
      else assert.equal(body.statuses[0][name], 'PRESENT');
    }
  }
  assert.ok(present > 180, `${present} values are no nulls`);
});

test('composite and unicode keys, int64, far years, µs edges: served, trained and folded alike', async () => {
  const out = 'shops.parquet';
  await json(
    shopsFolder,
    'train',
    '--service',
    'shops',
    '--labels',
    'labels.parquet',
    '--time',
    'at',
    '--out',
    out,
  );
  const rows = await sql(
    `SELECT * REPLACE (epoch_us(last_at) AS last_at) FROM '${shopsFolder}/${out}'`,
  );
  assert.equal(rows.length, labels.length);
  const whole = new Set(['n_1ms', 'n', 'top_ticket', 'last_tickets', 'shifted']);
  for (const [i, label] of labels.entries()) {
    const row = rows[i]!;
    assert.equal(row.row, i, 'label order');
    // As text: JSON.stringify has no bigint.
    const body = `{"entities":[{"country":${JSON.stringify(label.country)},"shop_id":${label.shop},"by":${label.by}}],"at":"${formatInstant(label.us)}"}`;
    const answer = await shops.post('/api/v1/services/shops/vectors', body);
    assert.equal(answer.status, 200, answer.text);
    const [vector] = answer.body.vectors;
    const expected: Record<string, unknown> = naive(label);
    for (const name of [...Object.keys(expected), 'total']) {
      const what = `label ${i} ${JSON.stringify(label.country)} ${formatInstant(label.us)}, ${name}`;
      const value = row[name];
      const trained =
        name === 'last_at' && value !== null
          ? formatInstant(Number(value))
          : plain(value, whole.has(name));
      same(plain(vector[name], whole.has(name)), trained, what);
      if (name !== 'total') same(trained, plain(expected[name], whole.has(name)), what);
    }
  }
  const one = '["日本 🏯",9007199254740993]';
  const { body } = await shops.get(
    `/api/v1/features/online?entity=shop&id=${encodeURIComponent(one)}&features=n,trade:top_ticket&at=2300-01-01`.replace(
      '2300',
      '2210',
    ),
  );
  assert.deepEqual([body.id, body.features.n], [['日本 🏯', 9007199254740993n], 20]);
});

test('the three calls as they are written', async () => {
  await sql(`COPY (SELECT 'user_123' AS user_id, 12.5 AS value, TIMESTAMP '2024-03-01' AS event_timestamp
    UNION ALL SELECT 'user_123', 15.25, TIMESTAMP '2024-03-05') TO '${shopsFolder}/data/baskets.parquet'`);
  const feature = {
    name: 'avg_basket',
    entity: 'user',
    dtype: 'float64',
    description: 'mean basket of the user',
    source: {
      type: 'batch',
      query: "SELECT user_id, value, event_timestamp FROM 'data/baskets.parquet'",
    },
    owner: 'growth-team',
  };
  const defined = await shops.post('/api/v1/features', feature);
  assert.deepEqual(
    [defined.status, defined.body],
    [201, { ref: 'avg_basket:avg_basket', version: 1, created: true }],
  );
  assert.equal((await shops.post('/api/v1/features', feature)).status, 200);
  // Another process materialises under the running server.
  await json(shopsFolder, 'materialize', 'avg_basket');
  const online = (at: string) =>
    shops.get(`/api/v1/features/online?entity=user&id=user_123&features=avg_basket,clicks_1d${at}`);
  const now = await online('');
  assert.equal(now.status, 200);
  assert.deepEqual(now.body.features, { avg_basket: 15.25, clicks_1d: 0 });
  assert.deepEqual(now.body.statuses, { avg_basket: 'PRESENT', clicks_1d: 'PRESENT' });
  assert.equal(now.body.event_times.avg_basket, '2024-03-05T00:00:00Z');
  assert.deepEqual((await online('&at=2024-03-05')).body.features, {
    avg_basket: 12.5,
    clicks_1d: 0,
  });
  const nobody = await shops.get(
    '/api/v1/features/online?entity=user&id=nobody&features=avg_basket,clicks_1d',
  );
  assert.deepEqual(nobody.body.features, { avg_basket: null, clicks_1d: 0 });
  assert.deepEqual(nobody.body.statuses, { avg_basket: 'NOT_FOUND', clicks_1d: 'NOT_FOUND' });

  writeFileSync(
    join(shopsFolder, 'users.csv'),
    'user_id,event_timestamp,label\nuser_123,2024-03-02,1\n"é,1",2024-03-11,0\nuser_123,2024-03-11T12:00:00Z,1\n',
  );
  const offline = await shops.post('/api/v1/features/offline', {
    entity: 'user',
    features: ['avg_basket', 'clicks_1d'],
    entity_df: 'users.csv',
    timestamp_column: 'event_timestamp',
  });
  assert.equal(offline.status, 200, offline.text);
  const rows = await sql(
    `SELECT user_id, label, avg_basket, clicks_1d FROM '${offline.body.path}'`,
  );
  assert.deepEqual(
    rows.map((row) => [row.user_id, Number(row.label), row.avg_basket, Number(row.clicks_1d)]),
    [
      ['user_123', 1, 12.5, 0],
      ['é,1', 0, null, 10],
      ['user_123', 1, 15.25, 10],
    ],
  );
  // What is defined over HTTP survives the project's own plan.
  assert.deepEqual((await json(shopsFolder, 'plan')).changes, []);
});

test('a batch of entities, each with its own request data', async () => {
  const { body } = await server.post('/api/v1/services/fraud_v1/vectors', {
    entities: [
      { customer_id: 1, amount: 10 },
      { customer_id: 2, amount: null },
      { customer_id: 99, amount: 10 },
    ],
    at: '2024-03-20',
    full: true,
  });
  const [one, two, none] = body.vectors;
  assert.equal(one.amount_to_mean, 10 / one.avg_amount_7d);
  assert.equal(two.amount_to_mean, null);
  assert.ok(two.avg_amount_7d > 0);
  assert.deepEqual(none, {
    tx_count_1d: 0,
    avg_amount_7d: null,
    last_5_amounts: [],
    amount_to_mean: null,
  });
  assert.equal(body.statuses[2].tx_count_1d, 'NOT_FOUND');
});

test('what is wrong is a 4xx with code, message and field', async () => {
  const vectors = '/api/v1/services/fraud_v1/vectors';
  const cases: [Promise<{ status: number; body: any }>, number, string, RegExp?][] = [
    [
      server.get('/api/v1/features/online?entity=custmer&id=1&features=tx_count_1d'),
      404,
      'model/unknown-entity',
      /customer/,
    ],
    [
      server.get('/api/v1/features/online?entity=customer&id=1&features=tx_cont_1d'),
      404,
      'serving/unknown-feature',
      /tx_count_1d/,
    ],
    [
      server.get('/api/v1/features/online?entity=customer&id=one&features=tx_count_1d'),
      400,
      'types/wrong-type',
      /./,
    ],
    [server.get('/api/v1/features/online?entity=customer&id=1'), 400, 'serving/missing-field'],
    [
      server.get('/api/v1/features/online?entity=customer&id=1&features=tx_count_1d&at=noon'),
      400,
      'time/unreadable',
      /2024/,
    ],
    [
      server.post('/api/v1/services/fraud/vectors', { entities: [{}] }),
      404,
      'serving/unknown-service',
      /fraud_v1/,
    ],
    [server.post(vectors, '{"entities":'), 400, 'serving/malformed-json'],
    [
      server.post(vectors, { entities: [{ customer_id: 1 }] }),
      400,
      'serving/missing-field',
      /amount/,
    ],
    [
      server.post(vectors, { entities: [{ customer_id: 1, amount: 'x' }] }),
      400,
      'types/wrong-type',
      /number/,
    ],
    [server.post(vectors, { entitys: [] }), 400, 'serving/missing-field'],
    [server.get('/api/v1/nothing'), 404, 'serving/unknown-route'],
    [
      server.post('/api/v1/features/offline', {
        entity: 'customer',
        features: 'tx_count_1d',
        entity_df: '../../etc/passwd.csv',
        timestamp_column: 'at',
      }),
      403,
      'serving/forbidden-path',
    ],
    [
      server.post('/api/v1/features/offline', {
        entity: 'customer',
        features: 'tx_count_1d',
        entity_df: 'labels.csv',
        timestamp_column: 'att',
      }),
      400,
      'offline/bad-labels',
      /did you mean at/,
    ],
  ];
  for (const [asked, status, code, hint] of cases) {
    const answer = await asked;
    const what = JSON.stringify(answer.body);
    assert.deepEqual([answer.status, answer.body.error?.code], [status, code], what);
    assert.ok(answer.body.error.message.length > 0);
    if (hint) assert.match(answer.body.error.hint ?? '', hint, what);
  }
});

test('health, readiness, metrics and the document of it all', async () => {
  assert.deepEqual((await server.get('/healthz')).body, { status: 'ok' });
  assert.deepEqual((await server.get('/readyz')).body, { status: 'ok' });
  const metrics = await server.get('/metrics');
  assert.match(metrics.text, /^# HELP /m);
  const { body } = await server.get('/openapi.json');
  assert.match(body.openapi, /^3\./);
  for (const path of ['/api/v1/features', '/api/v1/features/online', '/api/v1/features/offline'])
    assert.ok(path in body.paths, path);
});

test('SIGTERM lets a request in flight finish, takes no more, and ends with 0', {
  timeout: 30_000,
}, async () => {
  const { port } = new URL(server.url);
  const body = JSON.stringify({
    entities: Array.from({ length: 500 }, (_, i) => ({ customer_id: i % 10, amount: i })),
    at: '2024-03-20',
  });
  const socket = connect(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  const head = `POST /api/v1/services/fraud_v1/vectors HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`;
  // Half of the request has come when the signal does; its connection would be kept alive for 72 s.
  socket.write(head + body.slice(0, 100));
  await server.get('/healthz');
  const exit = once(server.child, 'exit');
  server.child.kill('SIGTERM');
  for (;;) {
    const refused = await server.get('/healthz').then(
      () => false,
      () => true,
    );
    if (refused) break;
    await setTimeout(20);
  }
  socket.write(body.slice(100));
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  assert.match(text, /^HTTP\/1\.1 200 /);
  assert.equal(text.match(/"tx_count_1d"/g)?.length, 500);
  assert.deepEqual((await exit)[0], 0);
});
