import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock } from '../../src/base/clock.ts';
import { applyPlan, planToJson, preparePlan, printPlan } from '../../src/plan/index.ts';
import { openSqliteRegistry } from '../../src/registry/sqlite.ts';
import { project } from './definitions.ts';

test('a plan is printed as people read it, and as JSON', async () => {
  const registry = await openSqliteRegistry(':memory:');
  const first = await preparePlan(registry, project());
  const created = printPlan(first).split('\n\n');
  assert.equal(
    created[4],
    `+ feature view spending (version 1)
    owner                 fraud-team
    entity                customer
    source                transactions
    keys                  customer_id
    features.tx_count_1d  count() over 1d → int64
    features.avg_amount   avg(amount) over 7d → float64`,
  );
  assert.match(
    created.at(-1)!,
    /^Plan: 10 to create, 0 to get a new version, .* 3 views to backfill\.$/,
  );
  await applyPlan(registry, first, { author: 'ann', message: '', clock: manualClock(0) });

  const estimate = async () => ({ rows: 1_754_155 });
  const changed = project({ window: '14d', owner: 'platform', without: ['local', 'city_stats'] });
  const plan = await preparePlan(registry, changed, { estimate });
  assert.equal(
    printPlan(plan),
    `. entity customer (version 1 stays)
    owner  fraud-team → platform

~ feature view spending (version 1 → 2)
    owner                       fraud-team → platform
    features.avg_amount.window  over 7d → over 14d
    touches 2 features (spending:avg_amount, context:amount_to_mean), 1 on-demand view (context), 1 service (fraud), 1 model (fraud-detector)

~ on-demand view context (version 1 → 2)
    pins.featureView/spending  version 1 → version 2
    touches 1 service (fraud), 1 model (fraud-detector)

~ feature service fraud (version 1 → 2)
    pins.featureView/spending  version 1 → version 2
    pins.onDemandView/context  version 1 → version 2
    touches 1 model (fraud-detector)

- feature service local (version 1)

- feature view city_stats (version 1)
    touches 1 feature (city_stats:city_avg)

Backfill:
  spending@2 from transactions: about 1,754,155 rows, 43.5 MiB of pages

Warnings:
  ! fraud@1 goes on being served, and its views kept fresh, until it is retired [plan/goes-on]

Plan: 0 to create, 3 to get a new version, 1 to describe anew, 2 to remove; 1 view to backfill.`,
  );
  const json = JSON.parse(JSON.stringify(planToJson(plan)));
  assert.deepEqual(Object.keys(json), ['expectedHead', 'changes', 'backfills', 'warnings']);
  await applyPlan(registry, plan, { author: 'ann', message: '', clock: manualClock(0) });
  assert.equal(
    printPlan(await preparePlan(registry, changed)),
    'Nothing changes: the registry is as the definitions say.',
  );
  await registry.close();
});
