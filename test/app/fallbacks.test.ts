/** Another fallback on a registry, pages and a log that are there: nothing is built again, and nothing that is shared is dropped. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { getVector } from '../../src/app/get.ts';
import { materialize } from '../../src/app/materialize.ts';
import type { App } from '../../src/app/open.ts';
import { parseInstant } from '../../src/base/time.ts';
import {
  avg,
  collect,
  count,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  parquet,
  source,
  timestamp,
} from '../../src/dsl/index.ts';
import { catalogOf } from '../../src/model/index.ts';
import { applyPlan, preparePlan, retire } from '../../src/plan/index.ts';
import { project, pushRows } from './project.ts';

const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const tier = entity({ name: 'tier', key: { tier: int64 } });
const payments = source({
  name: 'payments',
  columns: { id: int64, at: timestamp, customer_id: int64, tier: int64, amount: float64 },
  eventTime: 'at',
  eventId: 'id',
  batch: parquet('data/*.parquet'),
});
const ofTier = featureView({
  name: 'of_tier',
  entity: tier,
  source: payments,
  features: ({ amount }) => ({ mean: avg(amount).lifetime(), n: count().lifetime() }),
});
const profile = featureView({
  name: 'profile',
  entity: customer,
  source: payments,
  features: ({ tier }) => ({ tier: count().lifetime().where(tier.gt(100n)).default(0n) }),
});

/** With fallbacks or without. */
function definitions(falls: boolean) {
  const inTier = ofTier.via({ tier: profile.features.tier }).features;
  const mean = falls ? [inTier.mean] : [];
  const n = falls ? [inTier.n] : [];
  const spending = featureView({
    name: 'spending',
    entity: customer,
    source: payments,
    features: ({ amount }) => ({
      mean: avg(amount)
        .lifetime()
        .orElse(...mean),
      n: count()
        .lifetime()
        .orElse(...n),
    }),
  });
  const service = featureService({ name: 'all', features: [spending] });
  return catalogOf(collect({ service, profile, ofTier }));
}

const here = await project(
  "import { entity, int64 } from 'samewise'; export const tier = entity({ name: 'tier', key: { tier: int64 } });",
  `SELECT i AS id, TIMESTAMP '2024-01-01' + to_seconds(i) AS "at", i % 5 AS customer_id, 0::BIGINT AS tier, i::DOUBLE AS amount FROM range(50) t(i)`,
);
after(() => here.remove());

async function apply(app: App, falls: boolean) {
  const plan = await preparePlan(app.registry, definitions(falls));
  await applyPlan(app.registry, plan, { author: 'test', message: '', clock: app.clock });
  return plan.backfills.map(({ view }) => view).sort();
}
const modes = async (app: App) =>
  (await materialize(app)).map(({ view, version, mode }) => `${view}@${version} ${mode}`).sort();
const atUs = parseInstant('2024-02-01');

async function read(app: App, service: string, customer_id: string) {
  const { features } = await getVector(app, service, { customer_id }, { atUs, through: false });
  return Object.fromEntries(features.map(({ name, value, status }) => [name, [value, status]]));
}

test('another fallback backfills nothing, and drops nothing', async () => {
  const app = await here.open();
  assert.deepEqual(await apply(app, false), ['of_tier', 'profile', 'spending']);
  assert.deepEqual(await modes(app), ['of_tier@1 full', 'profile@1 full', 'spending@1 full']);
  assert.deepEqual(await apply(app, true), []);
  assert.deepEqual(await modes(app), [
    'of_tier@1 current',
    'profile@1 current',
    'spending@1 current',
    'spending@2 current',
  ]);
  const known = { mean: [24.5, 'PRESENT'], n: [10n, 'PRESENT'] };
  const nobody = { mean: [null, 'NOT_FOUND'], n: [0n, 'NOT_FOUND'] };
  const fallen = { mean: [24.5, 'FALLBACK_1'], n: [50n, 'FALLBACK_1'] };
  assert.deepEqual(await read(app, 'all@1', '2'), known);
  assert.deepEqual(await read(app, 'all', '2'), known);
  assert.deepEqual(await read(app, 'all@1', '77'), nobody);
  assert.deepEqual(await read(app, 'all', '77'), fallen);

  // Both versions live from the same pages: an event counts once.
  const at = parseInstant('2024-01-02');
  await pushRows(app, 'payments', [{ id: 900, at, customer_id: 2, tier: 0, amount: 24.5 }]);
  for (const service of ['all@1', 'all'])
    assert.deepEqual(await read(app, service, '2'), {
      mean: [24.5, 'PRESENT'],
      n: [11n, 'PRESENT'],
    });

  const by = { author: 'test', message: '', clock: app.clock };
  await retire(app.registry, 'featureService', 'all', 1, by);
  assert.deepEqual(await modes(app), [
    'of_tier@1 incremental',
    'profile@1 incremental',
    'spending@2 incremental',
  ]);
  assert.deepEqual((await read(app, 'all', '2')).n, [11n, 'PRESENT']);
  // The version without comes back, to pages that were never away.
  assert.deepEqual(await apply(app, false), []);
  assert.deepEqual((await read(app, 'all', '2')).n, [11n, 'PRESENT']);
  await app.close();
});
