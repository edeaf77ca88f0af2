/** Every rule of validation is broken once; the problem says what and where. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Window } from '../../src/aggregate/window.ts';
import { SamewiseError } from '../../src/base/errors.ts';
import { US_PER_DAY, US_PER_HOUR } from '../../src/base/time.ts';
import {
  type Catalog,
  DEFAULT_STREAM,
  type Feature,
  type FeatureView,
  type Member,
  problemsOf,
  validateCatalog,
} from '../../src/model/index.ts';
import { float64, int64, string } from '../../src/types/dtype.ts';
import { catalog, changed } from './fixtures.ts';

function problems(broken: Catalog): readonly SamewiseError[] {
  try {
    validateCatalog(broken);
  } catch (error) {
    if (error instanceof SamewiseError) return problemsOf(error);
    throw error;
  }
  return [];
}

function expect(broken: Catalog, code: string | RegExp, where: object = {}): void {
  const found = problems(broken);
  const match = found.find((p) => (typeof code === 'string' ? p.code === code : code.test(p.code)));
  assert.ok(
    match,
    `${code} among ${found.map((p) => `${p.code}: ${p.message}`).join('; ') || 'none'}`,
  );
  for (const [name, value] of Object.entries(where))
    assert.equal((match.where as Record<string, unknown>)[name], value, `where.${name}`);
}

test('the fixtures are valid', () => {
  assert.deepEqual(problems(catalog), []);
});

test('entities', () => {
  const broken = (key: object[]) => changed('entity', 'city', () => ({ key }));
  expect(broken([]), 'model/bad-columns', { entity: 'city' });
  expect(broken([{ name: 'city', dtype: float64 }]), 'model/bad-key', { entity: 'city' });
  const twice = [
    { name: 'city', dtype: string },
    { name: 'City', dtype: string },
  ];
  expect(broken(twice), 'model/duplicate-column', { column: 'City' });
  expect(broken([{ name: ' ', dtype: string }]), 'model/bad-name');
});

test('sources', () => {
  const broken = (change: object) => changed('source', 'profiles', () => change);
  const place = { source: 'profiles' };
  expect(broken({ eventTime: 'att' }), 'model/unknown-column', { ...place, field: 'eventTime' });
  expect(broken({ eventTime: 'home' }), 'model/bad-column-type', { ...place, field: 'eventTime' });
  expect(broken({ eventTime: undefined }), 'model/no-event-time', place);
  expect(broken({ arrivalTime: 'op' }), 'model/bad-column-type', { field: 'arrivalTime' });
  expect(broken({ op: 'id' }), 'model/bad-column-type', { field: 'op' });
  expect(broken({ eventId: 'idd' }), 'model/unknown-column', { field: 'eventId' });
  expect(broken({ eventId: null }), 'model/mutable-without-id', place);
  expect(broken({ latenessUs: -1 }), 'model/bad-duration', place);
  expect(broken({ batch: { type: 'query', sql: ' ' } }), 'model/bad-location', place);
  const streaming = (change: object) => broken({ stream: { ...DEFAULT_STREAM, ...change } });
  expect(streaming({ maxAheadUs: 0.5 }), 'model/bad-duration', { field: 'stream.maxAhead' });
  expect(streaming({ topic: '' }), 'model/bad-stream', { field: 'stream.topic' });
  expect(streaming({ format: 'protobuf' }), 'model/bad-stream', { field: 'stream.message' });
  expect(streaming({ message: 'a.B' }), 'model/bad-stream', { field: 'stream.message' });
  const floating = changed('source', 'orders', ({ columns }) => ({
    columns: columns.map((c) => (c.name === 'order_id' ? { ...c, dtype: float64 } : c)),
  }));
  expect(floating, 'model/bad-event-id', { source: 'orders', column: 'order_id' });
});

const brokenView = (change: (view: FeatureView) => object) =>
  changed('featureView', 'user_stats', change);
const brokenFeature = (name: string, change: object) =>
  brokenView((view) => ({
    features: view.features.map((f): Feature => (f.name === name ? { ...f, ...change } : f)),
  }));
const brokenWindow = (name: string, change: Partial<Window>) =>
  brokenView((view) => ({
    features: view.features.map((f) =>
      f.name === name ? { ...f, window: { ...f.window, ...change } } : f,
    ),
  }));

test('feature views: what they refer to', () => {
  const place = { view: 'user_stats' };
  expect(
    brokenView(() => ({ entity: 'usr' })),
    'model/unknown-entity',
    place,
  );
  expect(
    brokenView(() => ({ source: 'order' })),
    'model/unknown-source',
    place,
  );
  expect(
    brokenView(() => ({ keys: [] })),
    'model/bad-keys',
    place,
  );
  expect(
    brokenView(() => ({ keys: ['usr_id'] })),
    'model/unknown-column',
    { column: 'usr_id' },
  );
  expect(
    brokenView(() => ({ keys: ['city'] })),
    'model/bad-keys',
    { column: 'city' },
  );
  expect(
    brokenView(() => ({ features: [] })),
    'model/bad-features',
    place,
  );
  expect(
    brokenView((v) => ({ features: [v.features[0], { ...v.features[1], name: 'N_1d' }] })),
    'model/duplicate-name',
    { view: 'user_stats', feature: 'N_1d' },
  );
  expect(
    brokenView(() => ({ where: { kind: 'column', name: 'amount' } })),
    'model/bad-filter',
    { ...place, field: 'where' },
  );
});

test('feature views: types', () => {
  const place = { view: 'user_stats', feature: 'spent_7d' };
  const column = (name: string) => ({ input: { kind: 'column', name } });
  expect(brokenFeature('spent_7d', column('amout')), 'expr/unknown-column', place);
  expect(brokenFeature('spent_7d', column('city')), /^aggregate\//, place);
  expect(brokenFeature('spent_7d', { dtype: int64, default: null }), 'model/bad-dtype', place);
  expect(brokenFeature('spent_7d', { default: 'none' }), 'types/wrong-type', {
    ...place,
    field: 'default',
  });
  const incomplete = { fn: 'quantile', params: { q: 0.5 } };
  expect(brokenFeature('mean_30d', { aggregate: incomplete }), 'model/incomplete-aggregate');
  expect(
    brokenFeature('spent_7d', { aggregate: { fn: 'summ', params: {} } }),
    /^aggregate\//,
    place,
  );
});

test('windows', () => {
  const place = { view: 'user_stats', feature: 'mean_30d', field: 'window' };
  const hour = US_PER_HOUR;
  expect(brokenWindow('mean_30d', { hopUs: 7 * hour }), 'model/bad-window', place);
  expect(brokenWindow('mean_30d', { hopUs: 24 * hour, delayUs: hour }), 'model/bad-window', place);
  assert.deepEqual(problems(brokenWindow('mean_30d', { hopUs: 24 * hour })), []);
  expect(brokenWindow('mean_30d', { sizeUs: 0 }), 'model/bad-window', place);
  expect(brokenWindow('mean_30d', { sizeUs: 0.5 }), 'model/bad-window', place);
  expect(brokenWindow('mean_30d', { delayUs: -1 }), 'model/bad-window', place);
  expect(brokenWindow('mean_30d', { sinceStartOf: 'day' }), 'model/bad-window', place);
  expect(brokenWindow('mean_30d', { last: 0 }), 'model/bad-window', place);
});

test('retention reaches over the longest window, its delay and the lateness', () => {
  const needed = 31 * US_PER_DAY + US_PER_HOUR;
  const retained = (retentionUs: number) => brokenView(() => ({ retentionUs }));
  assert.deepEqual(problems(retained(needed)), []);
  expect(retained(needed - 1), 'model/retention-too-short', {
    view: 'user_stats',
    feature: 'mean_30d',
  });
  // Of older rows a lifetime keeps a partial.
  const lifetime = changed('featureView', 'city_stats', () => ({ retentionUs: 8 * US_PER_DAY }));
  assert.deepEqual(problems(lifetime), []);
  const newest = changed('featureView', 'city_stats', ({ features }) => ({
    retentionUs: 900 * US_PER_DAY,
    features: features.slice(1).map((f) => ({ ...f, window: { ...f.window, last: 3 } })),
  }));
  expect(newest, 'model/retention-too-short', { view: 'city_stats', feature: 'last_seen_city' });
  expect(retained(0.5), 'model/bad-duration', { view: 'user_stats', field: 'retention' });
});

test('on-demand views', () => {
  const broken = (change: (view: (typeof catalog.onDemandViews)[string]) => object) =>
    changed('onDemandView', 'ratios', change);
  const feature = (change: object) =>
    broken((view) => ({
      features: [{ ...view.features[0], ...change }, ...view.features.slice(1)],
    }));
  const place = { view: 'ratios', feature: 'to_mean' };
  const column = (name: string) => ({ expr: { kind: 'column', name } });
  expect(feature(column('request.prize')), 'expr/unknown-column', place);
  expect(feature(column('stats.last_city')), 'model/bad-dtype', place);
  expect(feature({ default: 'x' }), 'types/wrong-type', place);
  const use = (alias: string, member: Partial<Member>) =>
    broken(({ uses }) => ({ uses: { ...uses, [alias]: { ...uses.stats, ...member } } }));
  expect(use('stats', { view: 'user_stat' }), 'model/unknown-view', { field: 'uses.stats' });
  expect(use('stats', { features: ['n_2d'] }), 'model/unknown-feature', { feature: 'n_2d' });
  expect(use('stats', { features: ['n_1d'] }), 'expr/unknown-column', place);
  expect(use('request', {}), 'model/bad-name');
  expect(use('stats', { view: 'twice' }), 'model/bad-keys');
  expect(use('again', { view: 'twice', keys: [] }), 'model/cycle', { view: 'ratios' });
  const itself = { view: 'twice', features: null, keys: [], as: null };
  expect(
    changed('onDemandView', 'twice', () => ({ uses: { ratios: itself } })),
    'model/cycle',
    { view: 'twice' },
  );
});

test('services', () => {
  const members = (...change: Partial<Member>[]) =>
    changed('featureService', 'checkout_v1', (s) => ({
      members: change.map((c, i) => ({ ...s.members[i], ...c })),
    }));
  const place = { service: 'checkout_v1' };
  expect(members(), 'model/bad-features', place);
  expect(members({ view: 'user_statz' }), 'model/unknown-view', place);
  expect(members({ features: ['n_8d'] }), 'model/unknown-feature', { ...place, feature: 'n_8d' });
  expect(members({ keys: [] }), 'model/bad-keys', place);
  expect(members({ as: '1st' }), 'model/bad-name', place);
  expect(members({ features: ['n_1d', 'n_1d'] }), 'model/output-clash', { feature: 'n_1d' });
  const onUserId = { keys: [{ from: 'column' as const, column: 'user_id' }], as: 'ship' };
  expect(members({}, onUserId), 'model/column-conflict', { ...place, column: 'user_id' });
  const via = (feature: string, view = 'user_stats'): Partial<Member> => ({
    view: 'city_stats',
    features: null,
    keys: [
      {
        from: 'feature',
        feature,
        member: {
          view,
          features: null,
          keys: view === 'twice' ? [] : [{ from: 'column', column: 'user_id' }],
          as: null,
        },
      },
    ],
  });
  assert.deepEqual(problems(members(via('last_city'))), []);
  expect(members(via('n_1d')), 'model/bad-keys', place);
  expect(members(via('usual_town')), 'model/unknown-feature', place);
  expect(members(via('double', 'twice')), 'model/bad-keys', place);
  let deep = via('last_city');
  for (let i = 0; i < 4; i++) {
    const member = { as: null, ...deep } as Member;
    deep = { ...deep, keys: [{ from: 'feature', feature: 'last_seen_city', member }] };
  }
  expect(members(deep), 'model/lookup-too-deep', place);
});

test('an output may not be called like a column of the label', () => {
  const broken = changed('featureService', 'checkout_v1', (s) => ({
    members: [{ ...s.members[0], keys: [{ from: 'column', column: 'n_7d' }] }],
  }));
  expect(broken, 'model/output-clash', { feature: 'n_7d' });
});

test('all problems are told at once', () => {
  const broken = brokenView((view) => ({
    entity: 'usr',
    features: view.features.map((f) => ({ ...f, dtype: string, default: null })),
  }));
  assert.throws(
    () => validateCatalog(broken),
    (error: SamewiseError) => {
      assert.equal(error.code, 'model/invalid');
      assert.equal(problemsOf(error).length, 6);
      assert.match(error.message, /6 problems/);
      assert.match(error.message, /\[model\/unknown-entity\] .*usr.*did you mean "user"\?/);
      assert.match(error.message, /\[model\/bad-dtype\] user_stats:n_1d/);
      return true;
    },
  );
});
