import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  dependenciesOf,
  dependentsOf,
  lineageOf,
  printDefinitionRef,
  referencesOf,
} from '../../src/model/index.ts';
import { catalog } from './fixtures.ts';

test('what a definition refers to, directly and through others', () => {
  const view = catalog.featureViews.user_stats!;
  assert.deepEqual(referencesOf(view, catalog).map(printDefinitionRef), [
    'entity/user',
    'source/orders',
  ]);
  const { ratios } = catalog.onDemandViews;
  assert.deepEqual(referencesOf(ratios!, catalog).map(printDefinitionRef), [
    'featureView/user_stats',
    'featureView/city_stats',
    'featureView/profile',
  ]);
  const all = dependenciesOf(catalog.featureServices.checkout_v1!, catalog).map(printDefinitionRef);
  assert.equal(new Set(all).size, 9);
  assert.ok(all.indexOf('source/profiles') < all.indexOf('featureView/profile'));
  assert.ok(all.indexOf('onDemandView/ratios') < all.indexOf('onDemandView/twice'));
});

test('what uses a definition', () => {
  const users = dependentsOf({ kind: 'source', name: 'profiles' }, catalog);
  assert.deepEqual(users.map(printDefinitionRef), [
    'featureView/profile',
    'onDemandView/ratios',
    'onDemandView/twice',
    'featureService/checkout_v1',
  ]);
});

test('where a value comes from, and who has it', () => {
  const stored = lineageOf(catalog, 'user_stats:big_7d');
  assert.deepEqual(stored.sources, [{ source: 'orders', columns: ['amount'] }]);
  assert.deepEqual(stored.usedByServices, []);
  const computed = lineageOf(catalog, 'twice:double');
  assert.deepEqual(computed, {
    ref: 'twice:double',
    sources: [
      { source: 'orders', columns: ['amount'] },
      { source: 'profiles', columns: ['home'] },
    ],
    request: ['price'],
    features: ['ratios:to_city', 'city_stats:city_mean', 'profile:home'],
    entities: ['city', 'user'],
    usedByFeatures: [],
    usedByServices: ['checkout_v1'],
    models: ['checkout'],
  });
  const key = lineageOf(catalog, 'profile:home');
  assert.deepEqual(key.usedByFeatures, ['ratios:to_city', 'twice:double']);
  assert.deepEqual(key.models, ['checkout']);
  assert.deepEqual(lineageOf(catalog, 'user_stats:last_city').usedByServices, ['checkout_v1']);
  assert.throws(() => lineageOf(catalog, 'user_stats:nope'), { code: 'model/unknown-feature' });
});
