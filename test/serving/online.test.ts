/** GET /api/v1/features/online, over pages in memory. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SamewiseError } from '../../src/base/errors.ts';
import { MAX_FEATURES_ASKED } from '../../src/serving/asked.ts';
import { parseExactJson } from '../../src/serving/json.ts';
import { feature, int64, over, serverOver, view } from './support.ts';
import { BIG, DEFINITIONS, fill } from './world.ts';

type Server = Awaited<ReturnType<typeof serverOver>>;
let server: Server;
before(async () => {
  server = await serverOver(DEFINITIONS);
  await fill(server.online);
});
after(() => server.app.close());

async function get(query: string, from: Server = server) {
  const response = await from.app.inject({ url: `/api/v1/features/online?${query}` });
  assert.equal(response.headers['content-type'], 'application/json; charset=utf-8');
  return { status: response.statusCode, body: parseExactJson(response.body) as any };
}
async function refused(query: string, status: number, code: string) {
  const { status: got, body } = await get(query);
  assert.equal(body.error?.code, code, JSON.stringify(body));
  assert.equal(got, status);
  assert.ok(body.error.message.length > 0);
  return body.error;
}

test('values, statuses and event times of one entity, under the names asked', async () => {
  const { status, body } = await get(
    'entity=customer&id=7&features=count_1d,spending:mean_7d,last_ticket,profile:city,last_3',
  );
  assert.equal(status, 200);
  const last = '2024-03-09T13:00:00.000001Z';
  assert.deepEqual(body, {
    entity: 'customer',
    id: 7,
    features: {
      count_1d: 2,
      'spending:mean_7d': (10 + 20 + 0.1) / 3,
      last_ticket: BIG,
      'profile:city': 'Zürich',
      last_3: [10, 20, 0.1],
    },
    statuses: {
      count_1d: 'PRESENT',
      'spending:mean_7d': 'PRESENT',
      last_ticket: 'PRESENT',
      'profile:city': 'PRESENT',
      last_3: 'PRESENT',
    },
    event_times: {
      count_1d: last,
      'spending:mean_7d': last,
      last_ticket: last,
      'profile:city': last,
      last_3: last,
    },
    at: '2024-03-10T00:00:00Z',
  });
});

test('a past time is read as it was; events at that very time count only with through', async () => {
  const at = '2024-03-09T13:00:00.000001Z';
  const before = await get(`entity=customer&id=7&features=count_1d&at=${at}`);
  assert.equal(before.body.features.count_1d, 1);
  assert.equal(before.body.at, at);
  const through = await get(`entity=customer&id=7&features=count_1d&at=${at}&through=true`);
  assert.equal(through.body.features.count_1d, 2);
  const us = await get('entity=customer&id=7&features=count_1d&at=1709989200000002');
  assert.equal(us.body.features.count_1d, 2);
  const long = await get('entity=customer&id=7&features=count_1d,mean_7d&at=1900-01-01');
  assert.deepEqual(long.body.statuses, { count_1d: 'NOT_FOUND', mean_7d: 'NOT_FOUND' });
});

test('an unknown entity has the value of an empty history', async () => {
  const { status, body } = await get(
    'entity=customer&id=404&features=count_1d,mean_7d,total,spending:note,last_3',
  );
  assert.equal(status, 200);
  assert.deepEqual(body.features, {
    count_1d: 0,
    mean_7d: null,
    total: 0,
    'spending:note': 'nothing',
    last_3: [],
  });
  assert.deepEqual(body.statuses, {
    count_1d: 'NOT_FOUND',
    mean_7d: 'NOT_FOUND',
    total: 'DEFAULTED',
    'spending:note': 'DEFAULTED',
    last_3: 'NOT_FOUND',
  });
  assert.deepEqual(new Set(Object.values(body.event_times)), new Set([null]));
});

test('a default stands in for every null, and the status says so', async () => {
  const names = 'spending:note,profile:note,total';
  const seven = await get(`entity=customer&id=7&features=${names}`);
  assert.deepEqual(seven.body.features, {
    'spending:note': 'nothing',
    'profile:note': null,
    total: 20.1,
  });
  assert.deepEqual(seven.body.statuses, {
    'spending:note': 'DEFAULTED',
    'profile:note': 'NULL_VALUE',
    total: 'PRESENT',
  });
  const old = await get(`entity=customer&id=${BIG}&features=${names}`);
  assert.deepEqual(old.body.features, {
    'spending:note': 'nothing',
    'profile:note': '日本',
    total: 0,
  });
  assert.equal(old.body.statuses['spending:note'], 'DEFAULTED');
  assert.equal(old.body.statuses.total, 'DEFAULTED');
});

test('keys beyond 2^53 are exact, in and out', async () => {
  const { body } = await get(`entity=customer&id=${BIG}&features=last_ticket`);
  assert.equal(body.id, BIG);
  assert.equal(body.features.last_ticket, -BIG);
  const neighbour = await get(`entity=customer&id=${BIG - 1n}&features=last_ticket`);
  assert.equal(neighbour.body.statuses.last_ticket, 'NOT_FOUND');
});

test('composite keys: repeated or as an array; no two keys meet', async () => {
  const tokyo = encodeURIComponent('東京');
  for (const id of [`id=${tokyo}&id=${BIG}`, `id=${encodeURIComponent(`["東京",${BIG}]`)}`]) {
    const { body } = await get(`entity=route&${id}&features=worst`);
    assert.deepEqual(body.id, ['東京', BIG]);
    assert.deepEqual(body.features, { worst: -3 });
  }
  const nul = await get('entity=route&id=JFK%00&id=1&features=worst');
  assert.equal(nul.body.features.worst, 99);
  const plain = await get('entity=route&id=JFK&id=1&features=worst');
  assert.equal(plain.body.features.worst, 12.5);
});

test('a repeated or doubly named feature is answered under each name', async () => {
  const { body } = await get(
    'entity=customer&id=7&features=total,spending:total,total&features=count_1d',
  );
  assert.deepEqual(body.features, { total: 20.1, 'spending:total': 20.1, count_1d: 2 });
});

test('two views with a feature of one name are told apart', async () => {
  const error = await refused(
    'entity=customer&id=7&features=note',
    400,
    'serving/ambiguous-feature',
  );
  assert.match(error.hint, /spending:note, profile:note/);
});

test('what does not exist is 404 with the nearest name', async () => {
  const typo = await refused(
    'entity=customer&id=7&features=count_1dd',
    404,
    'serving/unknown-feature',
  );
  assert.match(typo.hint, /count_1d/);
  assert.equal(typo.field, 'features');
  const ref = await refused(
    'entity=customer&id=7&features=spending:mean',
    404,
    'serving/unknown-feature',
  );
  assert.match(ref.hint, /spending:mean_7d/);
  const wrongView = await refused(
    'entity=customer&id=7&features=spendin:total',
    404,
    'serving/unknown-view',
  );
  assert.match(wrongView.hint, /spending/);
  await refused('entity=customer&id=7&features=city_stats:city_mean', 404, 'serving/unknown-view');
  await refused(
    'entity=customer&id=7&features=context:amount_to_mean',
    404,
    'serving/unknown-view',
  );
  await refused('entity=customer&id=7&features=constructor:toString', 404, 'serving/unknown-view');
  await refused('entity=customer&id=7&features=toString', 404, 'serving/unknown-feature');
  const entityTypo = await refused(
    'entity=custome&id=7&features=total',
    404,
    'model/unknown-entity',
  );
  assert.match(entityTypo.hint, /customer/);
});

test('a wrong query is 400 and names the field', async () => {
  const bad: [string, string, string][] = [
    ['id=7&features=total', 'serving/missing-field', 'entity'],
    ['entity=customer&features=total', 'serving/missing-field', 'id'],
    ['entity=customer&id=7', 'serving/missing-field', 'features'],
    ['entity=customer&id=7&features=', 'serving/bad-field', 'features'],
    ['entity=customer&id=seven&features=total', 'types/wrong-type', 'id'],
    ['entity=customer&id=7&id=8&features=total', 'serving/bad-key', 'id'],
    ['entity=customer&id=7&features=total&at=yesterday', 'time/unreadable', 'at'],
    ['entity=customer&id=7&features=total&through=yes', 'serving/bad-field', 'through'],
    ['entity=customer&id=7&feature=total', 'serving/missing-field', 'features'],
    ['entity=customer&id=7&features=total&att=2024-01-01', 'serving/unknown-field', 'att'],
    [`entity=city&id=${'x'.repeat(2000)}&features=city_mean`, 'types/bad-key', ''],
  ];
  for (const [query, code, field] of bad) {
    const error = await refused(query, 400, code);
    if (field !== '') assert.equal(error.field, field, query);
  }
  const near = await refused(
    'entity=customer&id=7&features=total&att=2024-01-01',
    400,
    'serving/unknown-field',
  );
  assert.match(near.hint, /did you mean at\?/);
});

test('a hundred thousand features are refused, a thousand are answered', async () => {
  const many = Array.from({ length: 100_000 }, (_, i) => `f${i}`).join();
  await refused(`entity=customer&id=7&features=${many}`, 400, 'serving/too-many-features');
  assert.ok(MAX_FEATURES_ASKED >= 1000);
  const wide = view(
    'wide',
    'customer',
    ['customer_id'],
    'payments',
    Array.from({ length: 1000 }, (_, i) => feature(`f${i}`, int64, 'count', null, over('1d'))),
  );
  const other = await serverOver([...DEFINITIONS, wide]);
  const list = wide.features.map(({ name }) => name).join();
  const { body } = await get(`entity=customer&id=7&features=${list}`, other);
  assert.equal(Object.keys(body.features).length, 1000);
  await other.app.close();
});

test('a damaged page is an error that names the key, never a value', async () => {
  const other = await serverOver(DEFINITIONS);
  await fill(other.online);
  for (const page of other.online.pages.values())
    page.head.bytes[page.head.bytes.length >> 1]! ^= 1;
  const { status, body } = await get('entity=customer&id=7&features=total', other);
  assert.equal(status, 500);
  assert.equal(body.error.code, 'timeline/damaged-page');
  assert.deepEqual(body.error.where, {
    view: 'spending',
    entity: 'customer',
    key: 'customer_id=7',
  });
  assert.equal(other.failures.length, 1);
  await other.app.close();
});

test('a store that is away is 503; a bug is 500 and tells nothing', async () => {
  const other = await serverOver(DEFINITIONS);
  other.online.before = () => {
    throw new SamewiseError('online/unreachable', 'the store is away');
  };
  const away = await get('entity=customer&id=7&features=total', other);
  assert.equal(away.status, 503);
  assert.equal(away.body.error.code, 'online/unreachable');
  other.online.before = () => {
    throw new TypeError('secret is undefined');
  };
  const bug = await get('entity=customer&id=7&features=total', other);
  assert.equal(bug.status, 500);
  assert.doesNotMatch(JSON.stringify(bug.body), /secret|stack|\.ts/);
  assert.equal(bug.body.error.code, 'serving/internal');
  assert.equal(other.failures.length, 2);
  await other.app.close();
});

test('a new version is served as soon as the registry has it', async () => {
  const other = await serverOver(DEFINITIONS);
  await fill(other.online);
  await refused('entity=customer&id=7&features=fresh', 404, 'serving/unknown-feature');
  other.registry.define([
    view('more', 'customer', ['customer_id'], 'payments', [
      feature('fresh', int64, 'count', null, over('1d')),
    ]),
  ]);
  const { body } = await get('entity=customer&id=7&features=fresh', other);
  assert.deepEqual(body.statuses, { fresh: 'NOT_FOUND' });
  await other.app.close();
});
