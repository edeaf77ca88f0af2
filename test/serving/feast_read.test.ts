/** Reading as from Feast: the bytes that its clients sent to Feast's server, sent to ours, and what they do not show. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { parseExactJson } from '../../src/base/exact_json.ts';
import { formatInstant, parseInstant } from '../../src/base/time.ts';
import type { FeatureService } from '../../src/model/index.ts';
import { fromFeast, toFeast } from '../../src/serving/feast_values.ts';
import {
  bool,
  bytes,
  date,
  float32,
  float64,
  int32,
  int64,
  list,
  string,
  timestamp,
  vector,
} from '../../src/types/dtype.ts';
import type { Scalar } from '../../src/types/scalar.ts';
import { sharedData } from '../support/shared.ts';
import { entity, feature, materialize, NOW_US, over, serverOver, source, view } from './support.ts';
import { BIG, DEFINITIONS, fill } from './world.ts';

const recorded = sharedData('feast/http');
const DTYPES = { i: int64, d: float64, s: string, b: bool };
const NAMES = ['i0', 'i2', 'd0', 'd3', 's0', 'b0'] as const;
const dtypeOf = (name: string) => DTYPES[name[0] as keyof typeof DTYPES];

const latest = (names: readonly string[]) =>
  names.map((name) => feature(name, dtypeOf(name), 'latest', name, over(null)));
const described = { description: '', owner: 'team', tags: {} };
const svc: FeatureService = {
  ...described,
  kind: 'featureService',
  name: 'svc',
  model: null,
  members: [
    {
      view: 'fv',
      features: ['d0', 'b0', 'i0', 's0'],
      keys: [{ from: 'column', column: 'entity_id' }],
      as: null,
    },
  ],
};
const BENCH = [
  entity('one', { entity_id: int64 }),
  source('push', {
    entity_id: int64,
    ...Object.fromEntries(NAMES.map((name) => [name, dtypeOf(name)])),
  }),
  view('fv', 'one', ['entity_id'], 'push', latest(NAMES)),
  svc,
];
/** What Feast's server held when it was recorded, as far as it told. */
const HELD: readonly Readonly<Record<string, Scalar | string | null>>[] = [
  {
    entity_id: 1n,
    at: '2025-01-05T02:47:53Z',
    i0: 918n,
    i2: 1304713317533353443n,
    d0: 1.471963646036375,
    d3: 25.323515770336343,
    s0: 'silver',
    b0: false,
  },
  {
    entity_id: 2n,
    at: '2025-01-05T02:36:14Z',
    i0: 183n,
    i2: null,
    d0: -0.5126186922195584,
    d3: null,
    s0: 'vip',
    b0: false,
  },
  {
    entity_id: 42n,
    at: '2025-01-05T02:51:09Z',
    i0: 416n,
    i2: 4523866963412685466n,
    d0: null,
    d3: 82.84700157328074,
    s0: 'dormant',
    b0: false,
  },
];

let bench: Awaited<ReturnType<typeof serverOver>>;
let world: Awaited<ReturnType<typeof serverOver>>;
before(async () => {
  bench = await serverOver(BENCH);
  bench.clock.advanceUs(parseInstant('2026-11-21') - NOW_US);
  const rows = HELD.map((row, i) => ({
    ...row,
    id: BigInt(i),
    at: parseInstant(row.at as string),
  }));
  await materialize(bench.online, BENCH, 'fv', rows as Record<string, Scalar | null>[]);
  world = await serverOver(DEFINITIONS);
  await fill(world.online);
});
after(async () => {
  await bench.app.close();
  await world.app.close();
});

interface Said {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** Our answer to a recorded request, and Feast's. */
async function replay(name: string): Promise<{ ours: Said; feasts: Said }> {
  const { request, response } = JSON.parse(
    readFileSync(join(recorded.path, `${name}.json`), 'utf8'),
  );
  const [head, payload] = request.raw.split('\r\n\r\n') as [string, string];
  const lines = head.split('\r\n').slice(1);
  const headers = Object.fromEntries(lines.map((line) => line.split(': ')));
  const answer = await bench.app.inject({
    method: 'POST',
    url: '/get-online-features',
    headers,
    payload,
  });
  const [said, text] = response.raw.split('\r\n\r\n') as [string, string];
  return {
    ours: {
      status: answer.statusCode,
      type: String(answer.headers['content-type']).split(';')[0]!,
      text: answer.payload,
    },
    feasts: {
      status: Number(said.split(' ')[1]),
      type: /content-type: ([^\r;]*)/.exec(said)![1]!,
      text,
    },
  };
}

/** The text of each column by its name: Feast says columns in any order, which differs from run to run. */
function columnsOf(text: string): Record<string, string> {
  const [, results, names] =
    /^\{"results":\[(.*)\],"metadata":\{"feature_names":(\[.*\])\}\}$/.exec(text)!;
  const columns = results!.split(/(?<=\]\}),/);
  return Object.fromEntries((JSON.parse(names!) as string[]).map((name, i) => [name, columns[i]!]));
}

test('what Feast’s clients sent is answered with Feast’s bytes', recorded, async () => {
  for (const name of [
    'get_one_entity',
    'get_several_one_missing',
    'get_feature_service',
    'get_full_feature_names',
  ]) {
    const { ours, feasts } = await replay(name);
    assert.deepEqual([ours.status, ours.type], [feasts.status, feasts.type], name);
    assert.deepEqual(columnsOf(ours.text), columnsOf(feasts.text), name);
    assert.equal(ours.text.length, feasts.text.length, name);
    assert.equal(Object.keys(columnsOf(ours.text))[0], 'entity_id');
  }
});

test('what is not there is refused with Feast’s classes', recorded, async () => {
  for (const name of ['error_unknown_view', 'error_unknown_feature_service']) {
    const { ours, feasts } = await replay(name);
    // There are no projects here.
    const expected = { ...feasts, text: feasts.text.replace(' in project bench', '') };
    assert.deepEqual(ours, expected, name);
  }
});

test('what Feast answers with 500, which its clients try again, is 4xx', recorded, async () => {
  const unknown = await replay('error_unknown_feature');
  assert.equal(unknown.ours.status, 404);
  assert.match(unknown.ours.text, /FeastObjectNotFoundException.*nope not found in projection fv/);
  const malformed = await replay('get_malformed_key_type');
  assert.equal(malformed.ours.status, 400);
  assert.match(malformed.ours.text, /FeastError.*abc.*entities\.entity_id\[0\].*types\/wrong-type/);
  const missing = await replay('get_missing_entities_422');
  const { input, ...detail } = JSON.parse(missing.feasts.text).detail[0];
  assert.deepEqual(
    [missing.ours.status, JSON.parse(missing.ours.text)],
    [422, { detail: [detail] }],
  );
});

async function read(body: unknown, headers: Record<string, string> = {}) {
  const answer = await world.app.inject({
    method: 'POST',
    url: '/get-online-features',
    headers: { 'content-type': 'application/json', ...headers },
    payload: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: answer.statusCode, text: answer.payload };
}

/** Values and statuses by column. */
async function table(body: unknown): Promise<Record<string, [unknown[], string[]]>> {
  const { status, text } = await read(body);
  assert.equal(status, 200, text);
  const { results, metadata } = parseExactJson(text) as any;
  return Object.fromEntries(
    metadata.feature_names.map((name: string, i: number) => [
      name,
      [results[i].values, results[i].statuses],
    ]),
  );
}

test('several views, a list, an on-demand feature, a default, and a key of two columns', async () => {
  const answer = await table({
    entities: { customer_id: [7, 8, null], amount: [1, 2, 3], other: [1] },
    features: ['spending:last_ticket', 'spending:last_3', 'profile:city', 'context:amount_to_mean'],
  });
  const present = ['PRESENT', 'PRESENT', 'PRESENT'];
  const found = ['PRESENT', 'NOT_FOUND', 'NOT_FOUND'];
  assert.deepEqual(answer.customer_id, [[7, 8, null], present]);
  assert.deepEqual(answer.last_ticket, [[BIG, null, null], found]);
  assert.deepEqual(answer.last_3, [[[10, 20, 0.1], null, null], found]);
  assert.deepEqual(answer.city, [['Zürich', null, null], found]);
  assert.deepEqual(answer.amount_to_mean![1], ['PRESENT', 'NULL_VALUE', 'NULL_VALUE']);
  assert.deepEqual(Object.keys(answer).length, 5);

  const routes = { origin: ['JFK', 'JFK\u0000', '東京'], number: ['1', 1, `${BIG}`] };
  const delays = await table({ entities: routes, features: ['delays:worst'] });
  assert.deepEqual(delays.worst![0], [12.5, 99, -3]);
});

test('a float has a point, and no default is called missing', async () => {
  const { text } = await read({
    entities: { customer_id: [7] },
    features: ['spending:last_3', 'spending:total'],
  });
  assert.match(text, /"values":\[\[10\.0,20\.0,0\.1\]\]/);
  const none = await read({ entities: { customer_id: [] }, features: ['spending:total'] });
  assert.deepEqual(JSON.parse(none.text).results[1], {
    values: [],
    statuses: [],
    event_timestamps: [],
  });
});

test('a service, by its outputs’ names or by those of its views', async () => {
  const body = { entities: { customer_id: [7], amount: [5] }, feature_service: 'fraud' };
  const short = await table(body);
  assert.ok('home_city_mean' in short && 'count_1d' in short && 'amount_to_mean' in short);
  const full = await table({ ...body, full_feature_names: true, features: ['no:such'] });
  assert.deepEqual(full.home__city_mean, short.home_city_mean);
  assert.deepEqual(full.spending__count_1d, short.count_1d);
  assert.deepEqual(full.context__amount_to_mean, short.amount_to_mean);
  assert.deepEqual(await table({ ...body, feature_service: 'fraud@1' }), short);
  const nulled = await read({ ...body, feature_service: null, features: ['spending:total'] });
  assert.equal(nulled.status, 200);
});

test('the same feature of two views, and a feature twice', async () => {
  const both = { entities: { customer_id: [7] }, features: ['spending:note', 'profile:note'] };
  await refused(both, 400, /FeatureNameCollisionError.*features named note found/);
  const full = await table({ ...both, full_feature_names: true });
  assert.deepEqual(Object.keys(full), ['customer_id', 'spending__note', 'profile__note']);
  const twice = { ...both, features: ['spending:note', 'spending:note'] };
  await refused({ ...twice, full_feature_names: true }, 400, /FeatureNameCollisionError/);
});

async function refused(body: unknown, status: number, what: RegExp): Promise<void> {
  const answer = await read(body);
  assert.equal(answer.status, status, answer.text);
  const said = JSON.parse(answer.text);
  if (status === 422) assert.match(JSON.stringify(said), what);
  else {
    const { module, class: raised, message } = JSON.parse(said);
    assert.equal(module, 'feast.errors');
    assert.match(`${raised}: ${message}`, what);
  }
}

test('what cannot be answered is refused, and why', async () => {
  const entities = { customer_id: [7], amount: [1] };
  const features = ['spending:total'];
  await refused({ entities }, 400, /^FeastError: no features are asked for.*missing-field/);
  await refused({ entities, features: [] }, 400, /missing-field/);
  await refused({ entities: {}, features }, 400, /Missing join key values for keys: customer_id/);
  await refused(
    { entities: { customer_id: [7] }, features: ['context:amount_to_mean'] },
    404,
    /^RequestDataNotFoundInEntityRowsException.*\['amount'\]/,
  );
  await refused(
    { entities: { ...entities, amount: [] }, features: ['context:amount_to_mean'] },
    400,
    /all entity rows must have the same columns/,
  );
  await refused({ entities, features: ['spending:totl'] }, 404, /FeastObject.*did you mean total/);
  for (const ref of ['total', 'a:b:c', ':', '', 'spending@v1:total', 'spending:total,profile:city'])
    await refused({ entities, features: [ref] }, 400, /^FeastError: .*model\/bad-ref/);
  for (const name of ['__proto__:x', 'constructor:name'])
    await refused({ entities, features: [name] }, /^_/.test(name) ? 400 : 404, /./);
  await refused({ entities, feature_service: 'constructor' }, 404, /FeatureServiceNotFound/);
  await refused({ entities, feature_service: '' }, 404, /FeatureServiceNotFound/);
  await refused({ entities, feature_service: 'fraud@9' }, 404, /unknown-service/);
  await refused({ entities: { customer_id: [1.5] }, features }, 400, /types\/wrong-type/);
  await refused({ entities: { customer_id: [[1]] }, features }, 400, /types\/wrong-type/);
  await refused(
    { entities: { customer_id: 7 }, features },
    422,
    /"loc":\["body","entities","customer_id"\]/,
  );
  await refused({ entities, features: [7] }, 422, /"loc":\["body","features","0"\]/);
  await refused('{"entities":', 400, /malformed-json/);
  const many = Array.from({ length: 100_000 }, (_, i) => `spending:f${i}`);
  await refused({ entities, features: many }, 400, /too-many-features/);
  const crowd = Array.from({ length: 6000 }, (_, i) => i);
  await refused({ entities: { customer_id: crowd }, features }, 400, /too-many-entities/);
  assert.deepEqual(world.failures, []);
});

test('a list that was asked before does not answer for another', async () => {
  const entities = { customer_id: [7] };
  const features = ['spending:total', 'profile:city'];
  await table({ entities, features });
  await refused({ entities, features: ['spending:total,profile:city'] }, 400, /bad-ref/);
  const full = await table({ entities, features, full_feature_names: true });
  assert.deepEqual(Object.keys(full), ['customer_id', 'spending__total', 'profile__city']);
});

test('a deadline that has passed is an answer without values', async () => {
  const slow = await serverOver(DEFINITIONS);
  await fill(slow.online);
  const heads = slow.online.heads.bind(slow.online);
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  slow.online.heads = async (keys) => released.then(() => heads(keys));
  const answer = await slow.app.inject({
    method: 'POST',
    url: '/get-online-features',
    headers: { 'x-deadline-ms': '0' },
    payload: { entities: { customer_id: [7] }, features: ['spending:total'] },
  });
  release();
  const { partial, results } = answer.json();
  assert.equal(partial, true);
  assert.deepEqual(
    results.map(({ values, statuses }: any) => [values, statuses]),
    [
      [[7], ['PRESENT']],
      [[null], ['NULL_VALUE']],
    ],
  );
  await slow.app.close();
});

test('materialising waits until it is done, and checks what it is given', async () => {
  const post = async (url: string, payload: object) => {
    const answer = await world.app.inject({ method: 'POST', url, payload });
    return [answer.statusCode, answer.payload] as const;
  };
  const range = { start_ts: '2024-01-01T00:00:00', end_ts: '2024-03-01T00:00:00+01:00' };
  const done = [200, 'null'];
  assert.deepEqual(await post('/materialize', { ...range, version: null }), done);
  assert.deepEqual(await post('/materialize', { disable_event_timestamp: true }), done);
  const incremental = { end_ts: '2024-03-01', feature_views: ['spending'] };
  assert.deepEqual(await post('/materialize-incremental', incremental), done);
  assert.deepEqual(world.materialized, [
    { views: null, full: true },
    { views: null, full: true },
    { views: ['spending'], full: false },
  ]);
  const bad = async (url: string, payload: object, status: number, what: RegExp) => {
    const [code, text] = await post(url, payload);
    assert.equal(code, status, text);
    assert.match(text, what);
  };
  await bad('/materialize', {}, 400, /start_ts and end_ts are required/);
  await bad('/materialize', { start_ts: '2024-01-01' }, 400, /end_ts/);
  await bad('/materialize', { start_ts: range.end_ts, end_ts: range.start_ts }, 400, /before/);
  await bad('/materialize', { ...range, end_ts: 'soon' }, 400, /FeastError.*soon/);
  await bad('/materialize', { ...range, feature_views: ['no'] }, 404, /FeatureViewNotFound/);
  await bad('/materialize-incremental', {}, 422, /Field required/);
  await bad('/materialize-incremental', { ...incremental, end_ts: '' }, 400, /FeastError/);
  await bad('/search', { features: ['spending:note'], query: [1] }, 400, /no-vector-search/);
  assert.equal(world.materialized.length, 3);
});

test('health is said as Feast says it', async () => {
  const well = await world.app.inject('/health');
  assert.deepEqual([well.statusCode, well.payload], [200, '']);
  world.registry.before = () => {
    throw new Error('gone');
  };
  const ill = await world.app.inject('/health');
  assert.equal(ill.statusCode, 503);
  assert.match(ill.payload, /registry cannot be reached/);
  world.registry.before = () => {};
});

test('values of every type', () => {
  const cases: readonly [Scalar | null, Parameters<typeof toFeast>[1], string][] = [
    [null, float64, 'null'],
    [true, bool, 'true'],
    [7, int32, '7'],
    [-(2n ** 63n), int64, '-9223372036854775808'],
    [7, float64, '7.0'],
    [0, float64, '0.0'],
    [-1e20, float64, '-100000000000000000000.0'],
    [1e21, float64, '1e+21'],
    [5e-324, float64, '5e-324'],
    [Math.fround(0.1), float32, '0.10000000149011612'],
    [Number.NEGATIVE_INFINITY, float64, '"-Infinity"'],
    ['"é\n', string, '"\\"é\\n"'],
    [new Uint8Array([255, 0]), bytes, '"/wA="'],
    [1_500_000, timestamp, '1'],
    [-1, timestamp, '-1'],
    [2, date, '172800'],
    [[1n, null], list(int64), '[1,null]'],
    [[1, 2.5], list(float64), '[1.0,2.5]'],
    [[0, 86_400e6], list(timestamp), '[0,86400]'],
    [[], list(string), 'null'],
    [new Float32Array([1, 0.5]), vector(2), '[1.0,0.5]'],
  ];
  for (const [value, dtype, text] of cases) assert.equal(toFeast(value, dtype), text);
});

test('a float is read back as the same float, and never as a whole number', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (given) => {
      const text = toFeast(given + 0, float64);
      assert.match(text, /[.e]/);
      assert.ok(Object.is(JSON.parse(text), given + 0));
    }),
  );
});

test('seconds of a request are instants; what is no whole number of them is left alone', () => {
  assert.equal(fromFeast(1, timestamp), formatInstant(1_000_000));
  assert.equal(fromFeast(-86_401, date), -2);
  assert.deepEqual(fromFeast([1, null], list(timestamp)), ['1970-01-01T00:00:01Z', null]);
  for (const value of ['2024-01-01', 1.5, null, 2 ** 53, 10n])
    assert.equal(fromFeast(value, timestamp), value);
  assert.equal(fromFeast(7, int64), 7);
});
