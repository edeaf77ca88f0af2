/** Defining, finding, training and operating over HTTP, over fakes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { SamewiseError } from '../../src/base/errors.ts';
import type { Source } from '../../src/model/index.ts';
import { serverOver } from './support.ts';
import { DEFINITIONS, fill } from './world.ts';

let server: Awaited<ReturnType<typeof serverOver>>;
before(async () => {
  server = await serverOver(DEFINITIONS);
  await fill(server.online);
});
after(() => server.app.close());

async function call(method: 'GET' | 'POST', url: string, payload?: unknown) {
  const response = await server.app.inject({
    method,
    url,
    ...(payload === undefined ? {} : { payload: payload as object }),
  });
  return { status: response.statusCode, text: response.body, body: safeJson(response.body) };
}
function safeJson(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const BASKET = {
  name: 'avg_basket',
  entity: 'customer',
  dtype: 'float64',
  description: 'mean basket',
  source: { type: 'batch', query: 'SELECT 7 AS customer_id, 2.5 AS value -- mean\n;' },
  owner: 'growth-team',
};

test('a feature is defined by a query, once', async () => {
  const first = await call('POST', '/api/v1/features', BASKET);
  assert.equal(first.status, 201, first.text);
  assert.deepEqual(first.body, { ref: 'avg_basket:avg_basket', version: 1, created: true });
  const again = await call('POST', '/api/v1/features', BASKET);
  assert.deepEqual([again.status, again.body.created], [200, false]);
  const read = await call(
    'GET',
    '/api/v1/features/online?entity=customer&id=7&features=avg_basket',
  );
  assert.equal(read.body.statuses.avg_basket, 'NOT_FOUND');
  const changed = {
    ...BASKET,
    source: { type: 'batch', query: 'SELECT 7 AS customer_id, 3 AS value' },
  };
  const next = await call('POST', '/api/v1/features', changed);
  assert.equal(next.status, 201);
});

test('the source of such a feature fills in what its query leaves out', async () => {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const run = async (query: string, dtype = 'float64') => {
    await call('POST', '/api/v1/features', {
      ...BASKET,
      name: 'filled',
      dtype,
      source: { type: 'batch', query },
    });
    const registered = await server.registry.load();
    const { batch } = registered.findLast(({ name }) => name === 'filled_query')!
      .definition as Source;
    assert.equal(batch?.type, 'query');
    const reader = await connection.runAndReadAll((batch as { sql: string }).sql);
    return reader.getRowObjectsJson();
  };
  assert.deepEqual(await run('SELECT 7 AS customer_id, 2.5 AS value -- a comment'), [
    { customer_id: 7, event_timestamp: '1970-01-01 00:00:00', filled: 2.5 },
  ]);
  assert.deepEqual(
    await run(
      "SELECT 9007199254740993 AS customer_id, 9007199254740993 AS filled, TIMESTAMP '2024-03-01 00:00:01' AS event_timestamp;",
      'int64',
    ),
    [
      {
        customer_id: '9007199254740993',
        event_timestamp: '2024-03-01 00:00:01',
        filled: '9007199254740993',
      },
    ],
  );
  await assert.rejects(run('SELECT 1 AS value'), /customer_id/);
  connection.closeSync();
});

test('a definition that cannot be is refused', async () => {
  const bad: [object, number, string][] = [
    [{ ...BASKET, entity: 'custmer' }, 404, 'model/unknown-entity'],
    [{ ...BASKET, dtype: 'number' }, 400, 'types/unknown-dtype'],
    [{ ...BASKET, name: 'spending' }, 409, 'serving/name-taken'],
    [{ ...BASKET, source: { type: 'stream', query: 'x' } }, 400, 'serving/bad-field'],
    [{ ...BASKET, source: { type: 'batch' } }, 400, 'serving/missing-field'],
    [{ ...BASKET, owners: 'x' }, 400, 'serving/unknown-field'],
    [{}, 400, 'serving/missing-field'],
  ];
  for (const [body, status, code] of bad) {
    const got = await call('POST', '/api/v1/features', body);
    assert.deepEqual([got.status, got.body.error.code], [status, code], got.text);
  }
  const { body } = await call('POST', '/api/v1/features', {
    ...BASKET,
    source: { type: 'stream', query: 'x' },
  });
  assert.equal(body.error.field, 'source.type');
  assert.match(body.error.hint, /batch/);
});

test('features are found, and shown with their lineage', async () => {
  const found = await call('GET', '/api/v1/features?q=mean&entity=customer&limit=1');
  assert.deepEqual(
    found.body.features.map((hit: { ref: string }) => hit.ref),
    ['spending:mean_7d'],
  );
  const shown = await call('GET', '/api/v1/features/spending/mean_7d');
  assert.equal(shown.status, 200);
  assert.equal(shown.body.dtype, 'float64');
  assert.deepEqual(shown.body.lineage.sources, [{ source: 'payments', columns: ['amount'] }]);
  assert.deepEqual(shown.body.lineage.usedByServices, ['fraud']);
  assert.deepEqual(shown.body.lineage.usedByFeatures, ['context:amount_to_mean']);
  const none = await call('GET', '/api/v1/features/spending/mean');
  assert.deepEqual([none.status, none.body.error.code], [404, 'model/unknown-feature']);
  assert.equal((await call('GET', '/api/v1/features?limit=0')).status, 400);
});

test('services are listed with what they take and give', async () => {
  const { body } = await call('GET', '/api/v1/services');
  assert.equal(body.services.length, 1);
  const [fraud] = body.services;
  assert.deepEqual(fraud.keys, { customer_id: 'int64' });
  assert.deepEqual(fraud.request, { amount: 'float64' });
  assert.equal(fraud.features.last_3, 'list(float64)');
  assert.equal(fraud.model, 'detector');
});

test('a training set is asked of the offline store', async () => {
  const { status, body } = await call('POST', '/api/v1/features/offline', {
    entity: 'customer',
    features: ['count_1d', 'profile:note', 'spending:note'],
    entity_df: 'labels.csv',
    timestamp_column: 'at',
  });
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body.rows, 3);
  assert.match(body.path, /^\/out\/training-[0-9a-f]{16}\.parquet$/);
  assert.equal(body.manifest, `${body.path}.manifest.json`);
  const asked = server.trained.at(-1)!;
  assert.deepEqual(asked.labels, { type: 'csv', path: '/data/labels.csv', hivePartitioned: false });
  assert.deepEqual(
    asked.members.map(({ view, features, as }) => [view, features, as]),
    [
      ['spending', ['count_1d'], null],
      ['profile', ['note'], 'profile'],
      ['spending', ['note'], 'spending'],
    ],
  );
  assert.deepEqual([asked.knowledge, asked.through, asked.timeColumn], ['final', false, 'at']);
});

test('a training set is written where and from what is allowed', async () => {
  const ask = {
    entity: 'customer',
    features: 'count_1d',
    entity_df: 'labels.csv',
    timestamp_column: 'at',
  };
  const named = await call('POST', '/api/v1/features/offline', {
    ...ask,
    output: 'mine.csv',
    format: 'csv',
  });
  assert.equal(named.body.path, '/out/mine.csv');
  for (const [change, status, code] of [
    [{ entity_df: '../labels.csv' }, 403, 'serving/forbidden-path'],
    [{ entity_df: '/etc/passwd' }, 403, 'serving/forbidden-path'],
    [{ output: '../x.csv' }, 400, 'serving/bad-field'],
    [{ output: '/x.csv' }, 400, 'serving/bad-field'],
    [{ output: '..' }, 400, 'serving/bad-field'],
    [{ format: 'xls' }, 400, 'serving/bad-field'],
    [{ features: [] }, 400, 'serving/bad-field'],
    [{ features: ['nope'] }, 404, 'serving/unknown-feature'],
  ] as const) {
    const got = await call('POST', '/api/v1/features/offline', { ...ask, ...change });
    assert.deepEqual([got.status, got.body.error.code], [status, code], got.text);
  }
});

test('health, readiness and unknown routes', async () => {
  assert.deepEqual((await call('GET', '/healthz')).body, { status: 'ok' });
  assert.deepEqual((await call('GET', '/readyz')).body, { status: 'ok' });
  server.registry.before = () => {
    throw new SamewiseError('registry/unreachable', 'no such file');
  };
  const away = await call('GET', '/readyz');
  assert.deepEqual([away.status, away.body.error.code], [503, 'serving/not-ready']);
  assert.equal((await call('GET', '/healthz')).status, 200);
  server.registry.before = () => {};
  const nowhere = await call('GET', '/api/v1/feature');
  assert.deepEqual([nowhere.status, nowhere.body.error.code], [404, 'serving/unknown-route']);
});

test('what was done is counted', async () => {
  const value = (text: string, line: RegExp) => Number(line.exec(text)?.[1] ?? 0);
  const notFound = /samewise_values_read_total\{status="NOT_FOUND"\} (\d+)/;
  const before = (await call('GET', '/metrics')).text;
  await call('GET', '/api/v1/features/online?entity=customer&id=404&features=count_1d,mean_7d');
  await call('GET', '/api/v1/features/online?entity=customer&id=7&features=nope');
  const { text } = await call('GET', '/metrics');
  assert.equal(value(text, notFound) - value(before, notFound), 2);
  const route = 'route="/api/v1/features/online"';
  assert.ok(
    text.includes(`samewise_http_request_duration_seconds_count{${route},status="404"} 1`),
    text,
  );
  assert.match(text, /samewise_vectors_read_total \d+/);
  assert.match(text, /samewise_page_bytes_read_total \d+/);
  assert.match(text, /process_cpu_seconds_total/);
});
