/** POST /api/v1/services/{service}/vectors, over pages in memory. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MAX_ENTITIES } from '../../src/serving/ask.ts';
import { parseExactJson } from '../../src/serving/json.ts';
import { serverOver } from './support.ts';
import { BIG, DEFINITIONS, fill } from './world.ts';

let server: Awaited<ReturnType<typeof serverOver>>;
before(async () => {
  server = await serverOver(DEFINITIONS);
  await fill(server.online);
});
after(() => server.app.close());

async function post(service: string, body: unknown, type = 'application/json') {
  const payload =
    typeof body === 'string' || Buffer.isBuffer(body)
      ? body
      : JSON.stringify(body, (_, v) =>
          typeof v === 'bigint' ? (JSON as any).rawJSON(String(v)) : v,
        );
  const response = await server.app.inject({
    method: 'POST',
    url: `/api/v1/services/${service}/vectors`,
    headers: { 'content-type': type },
    payload,
  });
  return { status: response.statusCode, body: parseExactJson(response.body) as any };
}
async function refused(
  body: unknown,
  status: number,
  code: string,
  service = 'fraud',
  type?: string,
) {
  const got = await post(service, body, type);
  assert.equal(got.body.error?.code, code, JSON.stringify(got.body));
  assert.equal(got.status, status);
  return got.body.error;
}

const NAMES = [
  'count_1d',
  'mean_7d',
  'total',
  'last_ticket',
  'note',
  'last_3',
  'home_city_mean',
  'amount_to_mean',
];
const cityMean = (20 + 0.1 + 5) / 3;
const mean = (10 + 20 + 0.1) / 3;

test('vectors of many entities with request data and look-ups via features', async () => {
  const { status, body } = await post('fraud', {
    entities: [
      { customer_id: 7, amount: 30 },
      { customer_id: 404, amount: 1 },
      { customer_id: BIG, amount: 2 },
      { customer_id: 9, amount: null },
      { customer_id: null, amount: 3 },
    ],
  });
  assert.equal(status, 200);
  assert.deepEqual(Object.keys(body), ['service', 'version', 'at', 'vectors']);
  const [seven, unknown, big, nulls, nobody] = body.vectors;
  assert.deepEqual(Object.keys(seven), NAMES);
  assert.deepEqual(seven, {
    count_1d: 2,
    mean_7d: mean,
    total: 20.1,
    last_ticket: BIG,
    note: 'nothing',
    last_3: [10, 20, 0.1],
    home_city_mean: cityMean,
    amount_to_mean: 30 / mean,
  });
  assert.equal(unknown.count_1d, 0);
  assert.equal(unknown.home_city_mean, null);
  assert.equal(big.last_ticket, -BIG);
  assert.equal(big.home_city_mean, cityMean);
  assert.equal(nulls.amount_to_mean, null);
  assert.deepEqual(nobody, unknown);
});

test('with full, statuses and event times come beside', async () => {
  const { body } = await post('fraud', {
    entities: [
      { customer_id: 7, amount: 30 },
      { customer_id: 9, amount: 30 },
    ],
    full: true,
  });
  assert.equal(body.statuses[0].amount_to_mean, 'PRESENT');
  assert.equal(body.statuses[0].note, 'DEFAULTED');
  assert.equal(body.event_times[0].count_1d, '2024-03-09T13:00:00.000001Z');
  assert.equal(body.event_times[0].home_city_mean, '2024-03-09T13:00:00.000001Z');
  assert.equal(body.event_times[0].amount_to_mean, null);
  assert.equal(body.statuses[1].home_city_mean, 'NOT_FOUND');
  assert.equal(body.statuses[1].amount_to_mean, 'NULL_VALUE');
});

test('a list of features is read like a service, with types where they are asked for', async () => {
  const { body: service } = await post('fraud', {
    entities: [{ customer_id: 7, amount: 30 }],
    types: true,
  });
  assert.equal(service.types.amount_to_mean, 'float64');
  assert.deepEqual(Object.keys(service.types), Object.keys(service.vectors[0]));
  const list = async (payload: object) => {
    const response = await server.app.inject({
      method: 'POST',
      url: '/api/v1/features/vectors',
      payload: { entities: [{ customer_id: 7 }], ...payload },
    });
    return { status: response.statusCode, body: response.json() };
  };
  const features = ['spending:mean_7d', 'spending:total'];
  const { body } = await list({ features, types: true });
  const { mean_7d, total } = body.vectors[0];
  assert.deepEqual(Object.keys(body), ['at', 'vectors', 'types']);
  assert.equal(typeof mean_7d, 'number');
  const full = await list({ features, full_names: true });
  assert.deepEqual(full.body.vectors, [{ spending__mean_7d: mean_7d, spending__total: total }]);
  const missing = await list({ features, entities: [{}] });
  assert.equal(missing.body.error.message.split(' looks')[0], 'this list of features');
  const unknown = await list({ features: ['spending:tota'] });
  assert.deepEqual([unknown.status, unknown.body.error.code], [404, 'model/unknown-feature']);
});

test('columns say the same as rows', async () => {
  const ask = {
    entities: [7, 404, 9].map((customer_id) => ({ customer_id, amount: 3 })),
    full: true,
    at: '2024-03-09T13:00:00.000001Z',
    through: true,
  };
  const rows = (await post('fraud', ask)).body;
  const columns = (await post('fraud', { ...ask, orientation: 'columns' })).body;
  for (const [byRow, byColumn] of [
    [rows.vectors, columns.columns],
    [rows.statuses, columns.statuses],
    [rows.event_times, columns.event_times],
  ])
    assert.deepEqual(
      byColumn,
      Object.fromEntries(NAMES.map((name) => [name, byRow.map((row: any) => row[name])])),
    );
  assert.equal(rows.vectors[0].count_1d, 2);
});

test('all pages of a level take one round trip, however many entities', async () => {
  for (const count of [8, 5000]) {
    const before = server.online.roundTrips;
    const entities = Array.from({ length: count }, (_, i) => ({ customer_id: i, amount: 1 }));
    const { body } = await post('fraud', { entities });
    assert.equal(body.vectors.length, count);
    assert.equal(server.online.roundTrips - before, 2);
    assert.equal(body.vectors[7].last_ticket, BIG);
  }
});

test('services are named with or without a version', async () => {
  const ask = { entities: [{ customer_id: 7, amount: 1 }] };
  const { body } = await post('fraud@1', ask);
  assert.equal(body.version, 1);
  const error = await refused(ask, 404, 'serving/unknown-service', 'frau');
  assert.match(error.hint, /fraud/);
  const version = await refused(ask, 404, 'serving/unknown-service', 'fraud@2');
  assert.match(version.hint, /versions of fraud that are kept: 1/);
  await refused(ask, 404, 'serving/unknown-service', 'fraud@x');
});

test('a missing, unknown or wrongly typed field of an entity is named', async () => {
  const bad: [unknown, string, string][] = [
    [{ customer_id: 7 }, 'serving/missing-field', 'entities[1].amount'],
    [{ amount: 7 }, 'serving/missing-field', 'entities[1].customer_id'],
    [{ customer_id: 7, amout: 7 }, 'serving/missing-field', 'entities[1].amount'],
    [{ customer_id: 7, amount: 7, amounts: 7 }, 'serving/unknown-field', 'entities[1].amounts'],
    [{ customer_id: 7, amount: '7' }, 'types/wrong-type', 'entities[1].amount'],
    [{ customer_id: 7.5, amount: 7 }, 'types/wrong-type', 'entities[1].customer_id'],
    [{ customer_id: 2n ** 63n, amount: 7 }, 'types/out-of-range', 'entities[1].customer_id'],
  ];
  for (const [entity, code, field] of bad) {
    const error = await refused({ entities: [{ customer_id: 1, amount: 1 }, entity] }, 400, code);
    assert.equal(error.field, field);
  }
  await refused('{"entities":[{"customer_id":1,"amount":1e400}]}', 400, 'types/out-of-range');
  await refused(
    '{"entities":[{"__proto__":{"customer_id":1},"amount":1}]}',
    400,
    'serving/missing-field',
  );
});

test('a wrong body is refused', async () => {
  const one = { customer_id: 7, amount: 1 };
  await refused('{"entities":[', 400, 'serving/malformed-json');
  await refused('', 400, 'serving/malformed-json');
  await refused(Buffer.from([0x7b, 0xff]), 400, 'serving/malformed-json');
  await refused('[]', 400, 'serving/bad-field');
  await refused({}, 400, 'serving/missing-field');
  await refused({ entities: [] }, 400, 'serving/bad-field');
  await refused({ entities: [1] }, 400, 'serving/bad-field');
  await refused({ entities: one }, 400, 'serving/bad-field');
  await refused({ entities: [one], at: 'x' }, 400, 'time/unreadable');
  await refused({ entities: [one], orientation: 'diagonal' }, 400, 'serving/bad-field');
  const error = await refused({ entities: [one], ful: true }, 400, 'serving/unknown-field');
  assert.match(error.hint, /full/);
  await refused(
    'a=b',
    415,
    'serving/unsupported-media-type',
    'fraud',
    'application/x-www-form-urlencoded',
  );
  await refused({ entities: Array(MAX_ENTITIES + 1).fill(one) }, 400, 'serving/bad-field');
  await refused(`"${'x'.repeat(17 * 1024 * 1024)}"`, 413, 'serving/body-too-large');
});
