import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock } from '../../src/base/clock.ts';
import { compileView, fingerprint } from '../../src/model/index.ts';
import {
  applyPlan,
  catalogAt,
  currentCatalog,
  type Plan,
  preparePlan,
  retire,
} from '../../src/plan/index.ts';
import type { Registry } from '../../src/registry/contract.ts';
import { openSqliteRegistry } from '../../src/registry/sqlite.ts';
import { project, type Twist } from './definitions.ts';

const clock = manualClock(1_700_000_000_000_000);
const signature = { author: 'ann', message: 'because', clock };

async function withRegistry(body: (registry: Registry) => Promise<void>): Promise<void> {
  const registry = await openSqliteRegistry(':memory:');
  try {
    await body(registry);
  } finally {
    await registry.close();
  }
}

async function apply(registry: Registry, twist: Twist = {}): Promise<Plan> {
  const plan = await preparePlan(registry, project(twist));
  await applyPlan(registry, plan, signature);
  return plan;
}

/** Changes in short: `new-version featureView/spending 1→2`. */
const shorts = (plan: Plan) =>
  plan.changes.map((c) => `${c.change} ${c.kind}/${c.name} ${c.before ?? '-'}→${c.after ?? '-'}`);

const changeOf = (plan: Plan, name: string) => plan.changes.find((change) => change.name === name)!;

/** Every version with its state, in short: `fraud@1 pinned`. */
const states = async (registry: Registry, ...names: string[]) =>
  (await registry.load({ retired: true }))
    .filter(({ name }) => names.includes(name))
    .map(({ name, version, state }) => `${name}@${version} ${state}`);

test('a first plan creates everything, what is needed first, and a second one nothing', () =>
  withRegistry(async (registry) => {
    const plan = await apply(registry);
    assert.equal(plan.changes.length, 10);
    assert.ok(plan.changes.every(({ change, after }) => change === 'create' && after === 1));
    const order = plan.changes.map(({ name }) => name);
    assert.ok(order.indexOf('customer') < order.indexOf('spending'));
    assert.ok(order.indexOf('context') < order.indexOf('fraud'));
    assert.deepEqual(
      plan.backfills.map(({ view, version, source }) => [view, version, source]),
      [
        ['spending', 1, 'transactions'],
        ['profile', 1, 'profiles'],
        ['city_stats', 1, 'transactions'],
      ],
    );
    const again = await apply(registry);
    assert.deepEqual([again.changes, again.objects, again.backfills], [[], [], []]);
    assert.equal(await registry.head(), 1, 'a plan without changes makes no revision');
  }));

test('who owns a thing, and what it is said to be, is not its meaning', () =>
  withRegistry(async (registry) => {
    await apply(registry);
    const plan = await apply(registry, { owner: 'platform', cityText: 'by town' });
    assert.deepEqual(shorts(plan), [
      'describe entity/customer 1→1',
      'describe featureView/spending 1→1',
      'describe featureView/city_stats 1→1',
    ]);
    assert.deepEqual(changeOf(plan, 'customer').fields, [
      { path: 'owner', before: 'fraud-team', after: 'platform' },
    ]);
    assert.deepEqual(plan.backfills, []);
    assert.deepEqual(changeOf(plan, 'spending').touches, {
      features: [],
      views: [],
      onDemandViews: [],
      services: [],
      models: [],
    });
    assert.equal((await registry.get('featureView', 'spending'))?.definition.owner, 'platform');
  }));

test('a window is meaning: a new version of the view and of all that is computed from it', () =>
  withRegistry(async (registry) => {
    await apply(registry);
    const plan = await apply(registry, { window: '14d' });
    assert.deepEqual(shorts(plan), [
      'new-version featureView/spending 1→2',
      'new-version onDemandView/context 1→2',
      'new-version featureService/fraud 1→2',
    ]);
    const spending = changeOf(plan, 'spending');
    assert.deepEqual(spending.fields, [
      { path: 'features.avg_amount.window', before: 'over 7d', after: 'over 14d' },
    ]);
    // The other feature of the view, and what reads only that, keeps its values.
    assert.deepEqual(spending.touches, {
      features: ['spending:avg_amount', 'context:amount_to_mean'],
      views: [],
      onDemandViews: ['context'],
      services: ['fraud'],
      models: ['fraud-detector'],
    });
    assert.deepEqual(changeOf(plan, 'context').fields, [
      { path: 'pins.featureView/spending', before: 'version 1', after: 'version 2' },
    ]);
    assert.deepEqual(
      plan.backfills.map(({ view, version }) => [view, version]),
      [['spending', 2]],
    );
    assert.deepEqual(
      plan.warnings.map(({ code, where }) => [code, where]),
      [['plan/goes-on', { service: 'fraud' }]],
    );
  }));

test('the old version of a service, and all that it pins, stays as it was until it is retired', () =>
  withRegistry(async (registry) => {
    await apply(registry);
    const before = catalogAt(await registry.load(), { kind: 'featureService', name: 'fraud' });
    await apply(registry, { window: '14d' });
    assert.deepEqual(await states(registry, 'spending', 'context', 'fraud', 'city_stats'), [
      'spending@1 pinned',
      'city_stats@1 current',
      'context@1 pinned',
      'fraud@1 pinned',
      'spending@2 current',
      'context@2 current',
      'fraud@2 current',
    ]);
    const loaded = await registry.load();
    const old = catalogAt(loaded, { kind: 'featureService', name: 'fraud', version: 1 });
    assert.deepEqual(old, before);
    const oldId = compileView(old, 'spending').id;
    const newId = compileView(currentCatalog(loaded), 'spending').id;
    assert.notEqual(oldId, newId, 'two versions, two sets of pages');
    const alone = catalogAt(loaded, { kind: 'featureView', name: 'spending', version: 1 });
    assert.equal(compileView(alone, 'spending').id, oldId);

    await assert.rejects(retire(registry, 'featureService', 'fraud', 2, signature), {
      code: 'plan/not-kept',
    });
    const revision = await retire(registry, 'featureService', 'fraud', 1, signature);
    assert.deepEqual(
      revision.changes.map(({ change, name, before }) => [change, name, before]),
      [['remove', 'fraud', 1]],
    );
    assert.deepEqual(await states(registry, 'spending', 'context', 'fraud'), [
      'spending@1 retired',
      'context@1 retired',
      'fraud@1 retired',
      'spending@2 current',
      'context@2 current',
      'fraud@2 current',
    ]);
    await assert.rejects(retire(registry, 'featureService', 'fraud', 1, signature), {
      code: 'plan/unknown-object',
    });
  }));

test('a meaning that was there before is that version again, not a third one', () =>
  withRegistry(async (registry) => {
    await apply(registry);
    await apply(registry, { window: '14d' });
    const back = await apply(registry, { window: '7d' });
    assert.deepEqual(shorts(back), [
      'new-version featureView/spending 2→1',
      'new-version onDemandView/context 2→1',
      'new-version featureService/fraud 2→1',
    ]);
    assert.deepEqual(back.backfills, [], 'it was kept fresh all the while');
    assert.deepEqual(await states(registry, 'spending', 'fraud'), [
      'spending@1 current',
      'fraud@1 current',
      'spending@2 pinned',
      'fraud@2 pinned',
    ]);
    // Once retired it is no longer fresh.
    await retire(registry, 'featureService', 'fraud', 2, signature);
    const forth = await apply(registry, { window: '14d' });
    assert.deepEqual(
      forth.backfills.map(({ view, version }) => [view, version]),
      [['spending', 2]],
    );
  }));

test('a new column of a source is a new version of the source alone', () =>
  withRegistry(async (registry) => {
    await apply(registry);
    const plan = await apply(registry, { extraColumn: true });
    assert.deepEqual(shorts(plan), ['new-version source/transactions 1→2']);
    assert.deepEqual(changeOf(plan, 'transactions').fields, [
      { path: 'columns.note', before: null, after: 'string' },
    ]);
    assert.deepEqual(changeOf(plan, 'transactions').touches.services, []);
    assert.deepEqual(plan.backfills, []);
    // Its views are the same versions and pin the new one; their pages stay where they are.
    const loaded = await registry.load();
    const fraud = catalogAt(loaded, { kind: 'featureService', name: 'fraud' });
    assert.equal(fraud.sources.transactions!.columns.length, 6);
    const spending = loaded.find(({ name }) => name === 'spending')!;
    assert.equal(fingerprint(fraud.featureViews.spending!, fraud), spending.fingerprint);
    assert.deepEqual(await states(registry, 'transactions'), [
      'transactions@1 retired',
      'transactions@2 current',
    ]);
  }));

test('a change of a source touches what it means something to, through everything', () =>
  withRegistry(async (registry) => {
    await apply(registry);
    const plan = await preparePlan(registry, project({ eventId: false }));
    assert.deepEqual(changeOf(plan, 'transactions').touches, {
      features: [
        'spending:tx_count_1d',
        'spending:avg_amount',
        'city_stats:city_avg',
        'context:is_first',
        'context:amount_to_mean',
      ],
      views: ['spending', 'city_stats'],
      onDemandViews: ['context'],
      services: ['fraud', 'local'],
      models: ['fraud-detector'],
    });
    assert.deepEqual(changeOf(plan, 'spending').fields, [
      { path: 'pins.source/transactions', before: 'version 1', after: 'version 2' },
    ]);
  }));

test('where the files lie is no meaning, and holds for the versions that are still served', () =>
  withRegistry(async (registry) => {
    await apply(registry);
    // A service version that pins the first version of the source.
    await apply(registry, { eventId: false });
    const plan = await apply(registry, { eventId: false, path: 'moved/tx.parquet' });
    assert.deepEqual(shorts(plan), ['describe source/transactions 2→2']);
    const loaded = await registry.load();
    const old = catalogAt(loaded, { kind: 'featureService', name: 'fraud', version: 1 });
    assert.equal(old.sources.transactions!.eventId, 'tx_id');
    assert.deepEqual(old.sources.transactions!.batch, {
      type: 'parquet',
      path: 'moved/tx.parquet',
      hivePartitioned: false,
    });
  }));

test('a feature more is one line, and touches no other feature', () =>
  withRegistry(async (registry) => {
    await apply(registry);
    const plan = await preparePlan(registry, project({ extraFeature: true }));
    assert.deepEqual(changeOf(plan, 'spending').fields, [
      { path: 'features.total', before: null, after: 'sum(amount) lifetime → float64' },
    ]);
    assert.deepEqual(changeOf(plan, 'spending').touches.features, ['spending:total']);
  }));

test('what a definition or a served version still needs cannot be removed', () =>
  withRegistry(async (registry) => {
    await apply(registry);
    const refused = (without: string[], pattern: RegExp) =>
      assert.rejects(preparePlan(registry, project({ without })), (error: any) => {
        assert.equal(error.code, 'plan/in-use');
        assert.match(error.message, pattern);
        return true;
      });
    await refused(
      ['spending'],
      /feature view spending is used by on-demand view context, .*service fraud/,
    );
    await refused(['profile'], /profile is used by feature service local/);
    await refused(['profiles'], /source profiles is used by feature view profile/);

    // fraud@1 becomes an older version that is still served; local simply ends.
    await apply(registry, { window: '14d' });
    await refused(
      ['context', 'fraud'],
      /on-demand view context is used by fraud@1, which is still served/,
    );
    const gone = await apply(registry, { window: '14d', without: ['local', 'city_stats', 'city'] });
    assert.deepEqual(shorts(gone), [
      'remove featureService/local 1→-',
      'remove featureView/city_stats 1→-',
      'remove entity/city 1→-',
    ]);
    assert.deepEqual(await states(registry, 'local', 'city_stats', 'city'), [
      'city@1 retired',
      'city_stats@1 retired',
      'local@1 retired',
    ]);
    await retire(registry, 'featureService', 'fraud', 1, signature);
    await apply(registry, { without: ['local', 'city_stats', 'city', 'context', 'fraud'] });
    assert.equal(await registry.get('onDemandView', 'context'), undefined);
    // Coming back is the old version again, to be built anew.
    const back = await apply(registry);
    assert.equal(changeOf(back, 'city_stats').change, 'create');
    assert.equal(changeOf(back, 'city_stats').after, 1);
    assert.ok(back.backfills.some(({ view }) => view === 'city_stats'));
  }));

test('a service that is no longer defined ends, but its older versions only when retired', () =>
  withRegistry(async (registry) => {
    await apply(registry);
    await apply(registry, { window: '14d' });
    const plan = await apply(registry, { window: '14d', without: ['fraud'] });
    assert.deepEqual(shorts(plan), ['remove featureService/fraud 2→-']);
    assert.deepEqual(
      plan.warnings.map(({ code, message }) => `${code} ${message.slice(0, 7)}`),
      ['plan/goes-on fraud@1'],
    );
    assert.deepEqual(await states(registry, 'fraud'), ['fraud@1 pinned', 'fraud@2 retired']);
  }));

test('a plan is refused when the registry has moved on', () =>
  withRegistry(async (registry) => {
    const plan = await preparePlan(registry, project());
    await apply(registry, { without: ['local'] });
    await assert.rejects(applyPlan(registry, plan, signature), { code: 'registry/stale-plan' });
  }));

test('estimates come from the source, and say how many rows cannot be told apart', () =>
  withRegistry(async (registry) => {
    const asked: string[] = [];
    const plan = await preparePlan(registry, project({ eventId: false }), {
      estimate: async (source) => ({ rows: source === 'profiles' ? null : 1_000_000 }),
      sample: async (source) => {
        asked.push(source);
        return { rows: 10_000, repeated: 120 };
      },
    });
    assert.deepEqual(asked, ['transactions'], 'only what has no id needs a sample');
    assert.deepEqual(plan.backfills, [
      { view: 'spending', version: 1, source: 'transactions', rows: 1e6, bytes: 26e6 },
      { view: 'profile', version: 1, source: 'profiles', rows: null, bytes: null },
      { view: 'city_stats', version: 1, source: 'transactions', rows: 1e6, bytes: 26e6 },
    ]);
    assert.deepEqual(plan.warnings, [
      {
        code: 'plan/no-event-id',
        where: { source: 'transactions' },
        message:
          'the source transactions names no event id, so rows of the same content count as one event: 120 of 10000 sampled rows repeat another (1.20 %)',
      },
    ]);
  }));

test('an unknown version is said to be so, with those that there are', () =>
  withRegistry(async (registry) => {
    await apply(registry);
    const loaded = await registry.load();
    const at = (name: string, version?: number) => () =>
      catalogAt(loaded, { kind: 'featureService', name, version });
    assert.throws(at('fraud', 7), (error: any) => {
      assert.equal(error.code, 'plan/unknown-object');
      assert.equal(error.hint, 'versions that are kept: 1');
      return true;
    });
    assert.throws(at('fruad'), { code: 'plan/unknown-object', hint: 'did you mean "fraud"?' });
  }));

test('a view that is looked up: who looks it up gets new versions with it, and an old version keeps the one it pins', () =>
  withRegistry(async (registry) => {
    await apply(registry);
    const added = await apply(registry, { lookup: true });
    assert.deepEqual(shorts(added), [
      'new-version source/transactions 1→2',
      'new-version featureView/spending 1→2',
      'new-version onDemandView/context 1→2',
      'new-version featureService/fraud 1→2',
    ]);
    assert.deepEqual(
      changeOf(added, 'transactions').fields.map(({ path, after }) => `${path}: ${after}`),
      ['lookups.home: profile:city by customer_id → string'],
    );
    const moved = await apply(registry, { lookup: true, noCity: 'nowhere' });
    // What is needed comes first: the view before the source that looks it up. City statistics look nothing up.
    assert.deepEqual(shorts(moved), [
      'new-version featureView/profile 1→2',
      'new-version source/transactions 2→3',
      'new-version featureView/spending 2→3',
      'new-version onDemandView/context 2→3',
      'new-version featureService/fraud 2→3',
      'new-version featureService/local 1→2',
    ]);
    assert.deepEqual(
      changeOf(moved, 'spending').fields.map(({ path }) => path),
      ['pins.source/transactions', 'pins.featureView/profile'],
    );
    const touched = changeOf(moved, 'profile').touches;
    assert.ok(touched.features.includes('spending:abroad'));
    assert.ok(touched.features.includes('context:amount_to_mean'));
    assert.deepEqual(touched.services.toSorted(), ['fraud', 'local']);

    assert.deepEqual((await states(registry, 'profile', 'spending', 'local')).toSorted(), [
      'local@1 pinned',
      'local@2 current',
      'profile@1 pinned',
      'profile@2 current',
      'spending@1 pinned',
      'spending@2 pinned',
      'spending@3 current',
    ]);
    const registered = await registry.load();
    const lookedUp = (version: number) => {
      const catalog = catalogAt(registered, { kind: 'featureService', name: 'fraud', version });
      return compileView(catalog, 'spending').lookups.map(({ program }) => program);
    };
    assert.deepEqual(lookedUp(1), []);
    assert.deepEqual(lookedUp(2)[0]!.defaults, [null]);
    assert.deepEqual(lookedUp(3)[0]!.defaults, ['nowhere']);

    await retire(registry, 'featureService', 'local', 1, signature);
    assert.ok((await states(registry, 'profile')).includes('profile@1 pinned'), 'still looked up');
    await retire(registry, 'featureService', 'fraud', 2, signature);
    assert.deepEqual(await states(registry, 'profile'), ['profile@1 retired', 'profile@2 current']);
  }));

test('a view that is looked up cannot be removed, and goes after the source that looked it up', () =>
  withRegistry(async (registry) => {
    const without = ['local', 'city_stats', 'city', 'fraud', 'context'];
    await apply(registry, { lookup: true, without });
    const all = project({ lookup: true, without });
    const { profile: _, ...featureViews } = all.featureViews;
    await assert.rejects(preparePlan(registry, { ...all, featureViews }), (error: any) => {
      assert.equal(error.code, 'plan/in-use');
      assert.match(error.message, /feature view profile is used by source transactions/);
      return true;
    });
    const nothing = project({ without: [...Object.values(all).flatMap(Object.keys), ...without] });
    const gone = shorts(await preparePlan(registry, nothing)).map((change) => change.split(' ')[1]);
    assert.ok(gone.indexOf('featureView/spending') < gone.indexOf('source/transactions'));
    assert.ok(gone.indexOf('source/transactions') < gone.indexOf('featureView/profile'));
    assert.ok(gone.indexOf('featureView/profile') < gone.indexOf('source/profiles'));
  }));
