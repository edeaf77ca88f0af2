/** What is answered while a promise of freshness is broken: a mark, nothing, what stands in, or an error. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { US_PER_MINUTE, US_PER_SECOND } from '../../src/base/time.ts';
import {
  avg,
  collect,
  count,
  entity,
  featureService,
  featureView,
  latest,
  onDemandView,
  source,
} from '../../src/dsl/index.ts';
import {
  catalogOf,
  dependenciesOf,
  fingerprint,
  printDefinitionRef,
} from '../../src/model/index.ts';
import type { ServiceLevel } from '../../src/registry/health_contract.ts';
import { float64, int64, timestamp } from '../../src/types/dtype.ts';
import { materialize, memoryRegistry, NOW_US, serverOver } from './support.ts';

const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const payments = source({
  name: 'payments',
  columns: { id: int64, at: timestamp, customer_id: int64, amount: float64 },
  eventTime: 'at',
  eventId: 'id',
});
const everybody = featureView({
  name: 'slow',
  entity: customer,
  source: payments,
  features: ({ amount }) => ({ mean: avg(amount).lifetime() }),
});
const spending = featureView({
  name: 'spending',
  entity: customer,
  source: payments,
  freshness: '5s',
  features: ({ amount }) => ({
    served: avg(amount).lifetime(),
    withheld: latest(amount).whenStale('null'),
    filled: latest(amount).whenStale('null').default(-1),
    fallen: latest(amount).whenStale('null').orElse(everybody.features.mean),
    patient: count().lifetime().freshness('1h').whenStale('fail'),
    guarded: count().lifetime().whenStale('fail'),
  }),
});
const ratios = onDemandView({
  name: 'ratios',
  uses: { spending },
  features: ({ spending }) => ({
    marked: spending.served.mul(2),
    nothing: spending.withheld.mul(2),
  }),
});
const lax = featureService({
  name: 'lax',
  features: [spending.pick('served', 'withheld', 'filled', 'fallen', 'patient'), ratios],
});
const strict = featureService({ name: 'strict', features: [spending.pick('guarded')] });
const definitions = collect({ lax, strict });
const catalog = catalogOf(definitions);

let levels: ServiceLevel[] = [];
const registry = memoryRegistry(definitions);
const load = registry.load.bind(registry);
registry.load = async () =>
  (await load()).map((object) => {
    const needs = dependenciesOf(object.definition, catalog).map(printDefinitionRef);
    return {
      ...object,
      fingerprint: fingerprint(object.definition, catalog),
      pins: Object.fromEntries(needs.map((need) => [need, 1])),
    };
  });
registry.serviceLevels = async () => levels;
const { app, online, clock } = await serverOver(definitions, { registry });
const base = await app.listen({ port: 0, host: '127.0.0.1' });
after(() => app.close());
for (const view of ['spending', 'slow'])
  await materialize(online, definitions, view, [
    { id: 1n, at: NOW_US - US_PER_MINUTE, customer_id: 7n, amount: 10 },
    { id: 2n, at: NOW_US - 30 * US_PER_SECOND, customer_id: 7n, amount: 20 },
  ]);

/** How the promises of the view and of `patient` are kept, `sinceUs` ago. */
function look(state: ServiceLevel['state'], lag_ms: number | null): void {
  const of = { view: 'spending', version: 1, sinceUs: 0, lookedUs: clock.nowUs() };
  levels = [
    { ...of, feature: null, state, lag_ms },
    { ...of, feature: 'patient', state: state === 'unknown' ? 'unknown' : 'fresh', lag_ms },
  ];
}

/** The same over a call. */
async function call(service: string) {
  const body = JSON.stringify({ service, entities: [{ name: 'customer_id', longs: ['7'] }] });
  const method = 'samewise.v1.FeatureService/GetOnlineFeatures';
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${base}/${method}`, { method: 'POST', headers, body });
  return JSON.parse(await response.text());
}

async function read(service: string, more: object = {}) {
  const { statusCode, body } = await app.inject({
    method: 'POST',
    url: `/api/v1/services/${service}/vectors`,
    headers: { 'content-type': 'application/json' },
    payload: { entities: [{ customer_id: 7 }], full: true, ...more },
  });
  return { status: statusCode, body: JSON.parse(body) };
}

const VALUES = { served: 15, withheld: 20, filled: 20, fallen: 20, patient: 2, marked: 30 };
const WHOLE = { ...VALUES, nothing: 40 };

async function isWhole(more?: object): Promise<void> {
  const { body } = await read('lax', more);
  assert.deepEqual(body.vectors[0], WHOLE);
  assert.equal('stale' in body, false);
  assert.deepEqual(new Set(Object.values(body.statuses[0])), new Set(['PRESENT']));
  assert.equal((await read('strict', more)).status, 200);
}

async function isStale(): Promise<void> {
  const { body } = await read('lax');
  assert.deepEqual(body.vectors[0], {
    ...VALUES,
    withheld: null,
    filled: -1,
    fallen: 15,
    nothing: null,
  });
  assert.deepEqual(body.stale, ['served', 'marked']);
  const called = await call('lax');
  assert.deepEqual(called.stale, body.stale);
  const withheld = called.columns.find(({ name }: { name: string }) => name === 'withheld');
  assert.match(JSON.stringify(withheld.statuses), /STALE/);
  assert.deepEqual(body.statuses[0], {
    served: 'PRESENT',
    withheld: 'STALE',
    filled: 'DEFAULTED',
    fallen: 'FALLBACK_1',
    patient: 'PRESENT',
    marked: 'PRESENT',
    nothing: 'NULL_VALUE',
  });
}

test('nobody has looked: nothing is known to be stale', async () => {
  levels = [];
  await isWhole();
});

test('kept, broken, and kept again', async () => {
  look('fresh', 100);
  await isWhole();
  look('stale', 20_000);
  await isStale();
  const { status, body } = await read('strict');
  assert.equal(status, 503);
  assert.equal(body.error.code, 'serving/stale-feature');
  assert.deepEqual(body.error.where, { view: 'spending', feature: 'guarded' });
  assert.match(body.error.message, /spending:guarded is 20000 ms behind and promises 5s/);
  look('fresh', 0);
  await isWhole();
});

test('a read before the pages fell behind sees what was there', async () => {
  look('stale', 20_000);
  const at = (agoUs: number) => ({ at: String(clock.nowUs() - agoUs) });
  await isWhole(at(20 * US_PER_SECOND));
  assert.equal((await read('strict', at(19 * US_PER_SECOND))).status, 503);
});

test('what nobody can tell is not stale, but what nobody looks at any more is', async () => {
  look('unknown', null);
  await isWhole();
  look('fresh', 0);
  clock.advanceUs(3 * US_PER_MINUTE);
  await isWhole();
  clock.advanceUs(1);
  assert.equal((await read('strict')).status, 503);
  // Nobody has looked at the other promise either.
  const { status, body } = await read('lax');
  assert.equal(status, 503);
  assert.match(body.error.message, /spending:patient is 180000 ms behind/);
});

test('one entity: the same, also where an answer was remembered', async () => {
  const url = `${base}/api/v1/features/online?entity=customer&id=7&features=spending:served,withheld`;
  const get = async () => (await (await fetch(url)).json()) as Record<string, any>;
  for (let times = 0; times < 3; times++) {
    look('fresh', 0);
    for (let again = 0; again < 4; again++) {
      const body = await get();
      assert.deepEqual(body.features, { 'spending:served': 15, withheld: 20 });
      assert.equal('stale' in body, false);
    }
    look('stale', 20_000);
    for (let again = 0; again < 4; again++) {
      const body = await get();
      assert.deepEqual(body.features, { 'spending:served': 15, withheld: null });
      assert.deepEqual(body.stale, ['spending:served']);
      assert.deepEqual(body.statuses, { 'spending:served': 'PRESENT', withheld: 'STALE' });
    }
  }
});
