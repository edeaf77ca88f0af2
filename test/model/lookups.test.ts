/** Sources that look up: what it means to a version, what is refused, and that a source without lookups stays as it was. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SamewiseError } from '../../src/base/errors.ts';
import {
  collect,
  count,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  latest,
  source,
  string,
  sum,
  timestamp,
} from '../../src/dsl/index.ts';
import {
  type Catalog,
  catalogOf,
  compileView,
  type Definition,
  definitionFromJson,
  definitionsOf,
  definitionToJson,
  dependenciesOf,
  dependentsOf,
  findDefinition,
  fingerprint,
  lineageOf,
  printDefinitionRef,
  problemsOf,
  referencesOf,
  type Source,
  validateCatalog,
} from '../../src/model/index.ts';

const user = entity({ name: 'user', key: { user_id: int64 } });
const town = entity({ name: 'town', key: { city: string } });
const profiles = source({
  name: 'profiles',
  columns: { id: int64, at: timestamp, user_id: int64, city: string, tier: string },
  eventTime: 'at',
  eventId: 'id',
  mutable: true,
});
const profile = featureView({
  name: 'profile',
  entity: user,
  source: profiles,
  features: ({ city, tier }) => ({
    city: latest(city).default('nowhere'),
    tier,
    moves: count().over('7d'),
  }),
});
const at = profile.on({ user_id: 'customer_id' });
const purchases = source({
  name: 'purchases',
  columns: { purchase_id: int64, at: timestamp, customer_id: int64, amount: float64, note: string },
  lookups: { city: at.features.city, tier: at.features.tier },
  eventTime: 'at',
  eventId: 'purchase_id',
});
const byCity = featureView({
  name: 'by_city',
  entity: town,
  source: purchases,
  features: ({ amount }) => ({ spent: sum(amount).over('7d') }),
});
const byUser = featureView({
  name: 'by_user',
  entity: user,
  source: purchases,
  keys: { user_id: 'customer_id' },
  where: ({ tier }) => tier.eq('gold'),
  features: ({ amount, city }) => ({ gold: sum(amount).over('7d'), in_city: latest(city) }),
});
const plain = featureView({
  name: 'plain',
  entity: user,
  source: purchases,
  keys: { user_id: 'customer_id' },
  features: ({ amount }) => ({ all: sum(amount).over('7d') }),
});
const service = featureService({ name: 'checkout', model: 'm', features: [byCity, byUser] });
const definitions = collect({ service, plain });
const catalog = catalogOf(definitions);

function changed(kind: Definition['kind'], name: string, change: object): Catalog {
  return catalogOf(
    definitions.map((d) =>
      d.kind === kind && d.name === name ? ({ ...d, ...change } as Definition) : d,
    ),
  );
}
const print = (within: Catalog, kind: Definition['kind'], name: string) =>
  fingerprint(findDefinition(within, kind, name)!, within);

test('a program says what it looks up, where, and of which columns of its own source', () => {
  validateCatalog(catalog);
  const { lookups, sourceColumns, layout, filter, rowProgram } = compileView(catalog, 'by_user');
  assert.deepEqual(
    lookups.map(({ name, dtype, keys, program, feature }) => [
      name,
      dtype,
      keys,
      program.id,
      program.view.features[feature]!.name,
      program.defaults[feature],
    ]),
    [
      ['city', string, ['customer_id'], compileView(catalog, 'profile').id, 'city', 'nowhere'],
      ['tier', string, ['customer_id'], compileView(catalog, 'profile').id, 'tier', null],
    ],
  );
  assert.equal(lookups[0]!.program, lookups[1]!.program);
  assert.deepEqual(lookups[0]!.program.lookups, []);
  assert.deepEqual(sourceColumns, ['purchase_id', 'at', 'customer_id', 'amount']);
  assert.deepEqual(layout.columns, [float64, string]);
  assert.ok(filter !== null && rowProgram !== null);

  const keyed = compileView(catalog, 'by_city');
  assert.deepEqual(
    keyed.lookups.map(({ name }) => name),
    ['city'],
  );
  assert.deepEqual(keyed.sourceColumns, ['purchase_id', 'at', 'customer_id', 'amount']);
  assert.deepEqual(compileView(catalog, 'plain').lookups, []);
});

test('what is looked up is meaning for the views that use it, and for no other', () => {
  const before = (kind: Definition['kind'], name: string) => print(catalog, kind, name);
  const moved = (within: Catalog) =>
    definitionsOf(within)
      .filter(({ kind, name }) => before(kind, name) !== print(within, kind, name))
      .map(printDefinitionRef);
  const { features } = catalog.featureViews.profile!;
  const other = changed('featureView', 'profile', {
    features: features.map((f) => (f.name === 'city' ? { ...f, default: 'elsewhere' } : f)),
  });
  assert.deepEqual(
    moved(other),
    [
      'source/purchases',
      'featureView/by_city',
      'featureView/by_user',
      'featureView/profile',
      'featureService/checkout',
    ].toSorted((a, b) => moved(other).indexOf(a) - moved(other).indexOf(b)),
  );
  const described = changed('featureView', 'profile', { description: 'where they live' });
  assert.deepEqual(moved(described), []);
  const [city, tier] = catalog.sources.purchases!.lookups;
  const turned = changed('source', 'purchases', { lookups: [tier, city] });
  assert.deepEqual(moved(turned), [], 'their order means nothing');
  const more = changed('source', 'purchases', {
    lookups: [city, tier, { ...city, name: 'town', keys: ['purchase_id'] }],
  });
  assert.deepEqual(moved(more), ['source/purchases'], 'nobody uses the new one');
  const elsewhere = changed('source', 'purchases', {
    lookups: [{ ...city, keys: ['purchase_id'] }, tier],
  });
  assert.ok(moved(elsewhere).includes('featureView/by_city'));
  assert.ok(!moved(elsewhere).includes('featureView/plain'));
});

test('a view that looks nothing up means what it would over a source without lookups', () => {
  const without = changed('source', 'purchases', { lookups: [] });
  assert.equal(print(without, 'featureView', 'plain'), print(catalog, 'featureView', 'plain'));
});

test('golden fingerprints', () => {
  assert.deepEqual(
    ['by_city', 'by_user', 'plain'].map((name) => print(catalog, 'featureView', name)),
    [
      'dcd1a2234355a77094f90dedf70ddf5760a7f044a0737d8465526e8643dfecb4',
      '5310d61a493bd190b43352e4d3d51add2cf04910b31e933ce2e9a6e7b3572581',
      '8a475ec2a7c87bf0320476f0de5821071e4e241e2a6dfdbc76086279e9784cfb',
    ],
  );
});

test('stored: in the version that an older Samewise refuses, and as ever where nothing is looked up', () => {
  const text = definitionToJson(catalog.sources.purchases!);
  assert.match(text, /"ir":2,/);
  assert.deepEqual(definitionFromJson(text), catalog.sources.purchases);
  const old = definitionToJson(catalog.sources.profiles!);
  assert.match(old, /"ir":1,/);
  assert.ok(!old.includes('lookups'));
  assert.deepEqual((definitionFromJson(old) as Source).lookups, []);
});

test('lineage: through what is looked up', () => {
  const refs = (name: string) =>
    referencesOf(catalog.featureViews[name]!, catalog).map(printDefinitionRef);
  assert.deepEqual(refs('by_city'), ['entity/town', 'source/purchases', 'featureView/profile']);
  assert.deepEqual(refs('plain'), ['entity/user', 'source/purchases']);
  const needed = dependenciesOf(catalog.featureViews.by_city!, catalog).map(printDefinitionRef);
  assert.ok(needed.indexOf('source/profiles') < needed.indexOf('featureView/profile'));
  assert.ok(needed.indexOf('featureView/profile') < needed.indexOf('source/purchases'));
  const users = dependentsOf({ kind: 'source', name: 'profiles' }, catalog).map(printDefinitionRef);
  assert.ok(users.includes('featureView/by_city') && users.includes('featureService/checkout'));

  const gold = lineageOf(catalog, 'by_user:gold');
  assert.deepEqual(gold.sources, [
    { source: 'purchases', columns: ['amount'] },
    { source: 'profiles', columns: ['tier'] },
  ]);
  assert.deepEqual(gold.features, ['profile:tier']);
  const keyed = lineageOf(catalog, 'by_city:spent');
  assert.deepEqual(keyed.features, ['profile:city']);
  assert.deepEqual(keyed.entities, ['town', 'user']);
  const city = lineageOf(catalog, 'profile:city');
  assert.deepEqual(city.usedByFeatures, ['by_city:spent', 'by_user:in_city']);
  assert.deepEqual(city.usedByServices, ['checkout']);
  assert.deepEqual(city.models, ['m']);
});

test('what is refused', () => {
  const codes = (within: Catalog) => {
    try {
      validateCatalog(within);
    } catch (error) {
      if (error instanceof SamewiseError)
        return problemsOf(error).map(({ code, where }) => `${code} ${where.field}`);
      throw error;
    }
    return [];
  };
  const [city, tier] = catalog.sources.purchases!.lookups;
  const broken = (change: object) =>
    codes(changed('source', 'purchases', { lookups: [{ ...city, ...change }, tier] }));
  const place = 'lookups.city';
  assert.ok(broken({ view: 'profil' }).includes(`model/unknown-view ${place}`));
  assert.ok(broken({ feature: 'town' }).includes(`model/unknown-feature ${place}`));
  assert.ok(broken({ dtype: int64 }).includes(`model/bad-dtype ${place}`));
  assert.ok(broken({ keys: ['custommer_id'] }).includes(`model/unknown-column ${place}`));
  assert.ok(broken({ keys: ['note'] }).includes(`model/bad-keys ${place}`));
  assert.ok(broken({ keys: [] }).includes(`model/bad-keys ${place}`));
  assert.ok(broken({ keys: ['tier'] }).includes(`model/nested-lookup ${place}`));
  assert.ok(broken({ name: 'Amount' }).includes('model/duplicate-column columns'));
  assert.ok(broken({ name: 'tier' }).includes('model/duplicate-column columns'));
  assert.ok(broken({ view: 'plain', feature: 'all' }).includes(`model/nested-lookup ${place}`));
  for (const role of ['eventTime', 'eventId', 'arrivalTime', 'op']) {
    const found = codes(changed('source', 'purchases', { [role]: 'city' }));
    assert.ok(found.includes(`model/looked-up-role ${role}`), role);
  }
  // A view of a source that looks up cannot be looked up in turn, whichever of its columns it uses.
  const deeper = { name: 'n', dtype: float64, view: 'by_city', feature: 'spent', keys: ['city'] };
  const within = changed('source', 'profiles', { lookups: [deeper] });
  assert.ok(codes(within).includes('model/nested-lookup lookups.n'));
});

test('a view that looks itself up has no fingerprint and no program, and does not hang', () => {
  const [city] = catalog.sources.purchases!.lookups;
  const itself = { ...city, dtype: float64, view: 'by_city', feature: 'spent' };
  const within = changed('source', 'purchases', { lookups: [itself] });
  assert.throws(() => print(within, 'featureView', 'by_city'), { code: 'model/cycle' });
  assert.throws(() => compileView(within, 'by_city'), { code: 'model/cycle' });
});
