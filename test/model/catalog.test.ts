import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  catalogOf,
  definitionsOf,
  entityOf,
  membersFor,
  parseRef,
  printRef,
  viewOf,
} from '../../src/model/index.ts';
import { catalog, definitions } from './fixtures.ts';

const entity = (name: string, column = 'id') =>
  ({
    kind: 'entity',
    name,
    description: '',
    owner: '',
    tags: {},
    key: [{ name: column, dtype: { kind: 'int64' } }],
  }) as const;

test('a catalog holds every definition once, frozen', () => {
  assert.deepEqual(new Set(definitionsOf(catalog)), new Set(definitions));
  assert.ok(Object.isFrozen(catalog.featureViews.user_stats!.features[0]!.window));
  assert.equal(definitionsOf(catalogOf([entity('a'), entity('a')])).length, 1);
});

test('two definitions under one name', () => {
  assert.throws(() => catalogOf([entity('a'), entity('a', 'other')]), {
    code: 'model/duplicate-name',
    where: { entity: 'a' },
  });
  const view = catalog.onDemandViews.twice!;
  assert.throws(() => catalogOf([...definitions, { ...view, name: 'profile' }]), {
    code: 'model/duplicate-name',
    where: { view: 'profile' },
  });
});

test('names', () => {
  for (const name of ['', '1a', 'a-b', 'a b', 'ä', '__proto__', 'a'.repeat(129)])
    assert.throws(() => catalogOf([entity(name)]), { code: 'model/bad-name' }, name);
  const named = catalogOf([entity('constructor'), entity('toString')]);
  assert.equal(entityOf(named, 'constructor').name, 'constructor');
  assert.throws(() => entityOf(catalogOf([]), 'constructor'), { code: 'model/unknown-entity' });
});

test('what is not there says what is near', () => {
  assert.throws(() => viewOf(catalog, 'user_stat'), {
    code: 'model/unknown-view',
    hint: 'did you mean "user_stats"?',
  });
});

test('references', () => {
  assert.deepEqual(parseRef('user_stats:n_1d'), { view: 'user_stats', feature: 'n_1d' });
  assert.equal(printRef('user_stats', 'n_1d'), 'user_stats:n_1d');
  for (const text of ['', 'a', 'a:', ':b', 'a:b:c', 'a.b', 'a: b'])
    assert.throws(() => parseRef(text), { code: 'model/bad-ref' }, text);
  assert.deepEqual(membersFor(catalog, ['user_stats:n_1d', 'user_stats:n_7d', 'twice:double']), [
    {
      view: 'user_stats',
      features: ['n_1d', 'n_7d'],
      keys: [{ from: 'column', column: 'user_id' }],
      as: null,
    },
    { view: 'twice', features: ['double'], keys: [], as: null },
  ]);
  assert.throws(() => membersFor(catalog, ['user_stats:n_2d']), {
    code: 'model/unknown-feature',
    where: { view: 'user_stats', feature: 'n_2d' },
  });
});
