/** What is meaning and what is not. The golden values fail when a fingerprint changes that should not have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Catalog,
  catalogOf,
  DEFAULT_STREAM,
  type Definition,
  type DefinitionKind,
  definitionsOf,
  findDefinition,
  fingerprint,
} from '../../src/model/index.ts';
import { float64, int32, int64, string, timestamp } from '../../src/types/dtype.ts';
import { catalog, changed } from './fixtures.ts';

const print = (kind: DefinitionKind, name: string, within: Catalog) =>
  fingerprint(findDefinition(within, kind, name)!, within);
const all = (within: Catalog) =>
  Object.fromEntries(
    definitionsOf(within).map((d) => [`${d.kind}/${d.name}`, fingerprint(d, within)]),
  );
/** Names of the definitions whose fingerprints differ from the fixtures'. */
const moved = (within: Catalog) => {
  const before = all(catalog);
  return Object.entries(all(within))
    .filter(([name, hash]) => before[name] !== hash)
    .map(([name]) => name);
};

test('fingerprints are SHA-256, all different, and do not depend on the order of definitions', () => {
  const before = all(catalog);
  for (const hash of Object.values(before)) assert.match(hash, /^[0-9a-f]{64}$/);
  assert.equal(new Set(Object.values(before)).size, Object.keys(before).length);
  assert.deepEqual(all(catalogOf(definitionsOf(catalog).toReversed())), before);
});

test('descriptions, owners, tags, freshness, files, lateness and models are not meaning', () => {
  for (const { kind, name } of definitionsOf(catalog)) {
    const within = changed(kind, name, () => ({
      description: 'new',
      owner: 'someone else',
      tags: { a: 'b' },
    }));
    assert.deepEqual(moved(within), [], name);
  }
  const said = changed('featureView', 'user_stats', (view) => ({
    freshnessUs: 1,
    features: view.features.map((f) => ({
      ...f,
      description: 'x',
      tags: { pii: 'no' },
      freshnessUs: 7,
    })),
  }));
  assert.deepEqual(moved(said), []);
  const file = { type: 'csv', path: 'elsewhere.csv', hivePartitioned: false };
  assert.deepEqual(moved(changed('source', 'orders', () => ({ batch: file, latenessUs: 5 }))), []);
  assert.deepEqual(moved(changed('featureService', 'checkout_v1', () => ({ model: 'm2' }))), []);
});

const ON_USER_STATS = [
  'featureView/user_stats',
  'onDemandView/ratios',
  'onDemandView/twice',
  'featureService/checkout_v1',
];

test('a window, an input, an aggregate, a default or the order of features is meaning, also for what is built on it', () => {
  const first = (change: object) =>
    moved(
      changed('featureView', 'user_stats', ({ features: [f, ...rest] }) => ({
        features: [{ ...f, ...change }, ...rest],
      })),
    );
  const before = catalog.featureViews.user_stats!.features[0]!;
  const changes = [
    { window: { ...before.window, sizeUs: 1 } },
    { window: { ...before.window, delayUs: 1 } },
    { input: { kind: 'column', name: 'amount' } },
    { aggregate: { fn: 'count', params: { k: 1 } } },
    { default: '1' },
    { dtype: int32 },
    { name: 'n' },
  ];
  for (const change of changes)
    assert.deepEqual(new Set(first(change)), new Set(ON_USER_STATS), JSON.stringify(change));
  const reordered = changed('featureView', 'user_stats', ({ features }) => ({
    features: features.toReversed(),
  }));
  assert.deepEqual(new Set(moved(reordered)), new Set(ON_USER_STATS));
  const kept = changed('featureView', 'user_stats', () => ({ retentionUs: 1e15 }));
  assert.deepEqual(new Set(moved(kept)), new Set(ON_USER_STATS));
});

test('of a source a view means what it uses', () => {
  const retyped = (column: string) =>
    moved(
      changed('source', 'orders', ({ columns }) => ({
        columns: columns.map((c) => (c.name === column ? { ...c, dtype: int32 } : c)),
      })),
    );
  assert.deepEqual(retyped('note'), ['source/orders']);
  assert.ok(retyped('amount').includes('featureView/city_stats'));
  const added = changed('source', 'orders', ({ columns }) => ({
    columns: [{ name: 'extra', dtype: int32 }, ...columns],
  }));
  assert.deepEqual(moved(added), ['source/orders']);
  const anonymous = (columns: (s: { columns: readonly object[] }) => object) =>
    changed('source', 'orders', (s) => ({ eventId: null, ...columns(s) }));
  const plain = anonymous(() => ({}));
  assert.ok(moved(plain).includes('featureView/city_stats'));
  const more = anonymous((s) => ({ columns: [{ name: 'extra', dtype: int32 }, ...s.columns] }));
  assert.notEqual(
    print('featureView', 'city_stats', plain),
    print('featureView', 'city_stats', more),
    'ids hash every column',
  );
  for (const change of [
    { mutable: false },
    { op: null },
    { arrivalTime: null },
    { eventTime: 'seen' },
  ])
    assert.ok(moved(changed('source', 'profiles', () => change)).includes('featureView/profile'));
  const query = (sql: string) =>
    changed('source', 'orders', () => ({ batch: { type: 'query', sql } }));
  assert.notEqual(
    print('featureView', 'city_stats', query('select 1')),
    print('featureView', 'city_stats', query('select 2')),
  );
});

test('keys, prefixes and picked features of a member are meaning', () => {
  for (const change of [
    { as: 'x' },
    { features: ['n_7d'] },
    { keys: [{ from: 'column', column: 'u' }] },
  ]) {
    const within = changed('featureService', 'checkout_v1', ({ members: [m, ...rest] }) => ({
      members: [{ ...m, ...change }, ...rest],
    }));
    assert.deepEqual(moved(within), ['featureService/checkout_v1']);
  }
});

test('a view that uses itself has no fingerprint, and does not hang', () => {
  const itself = { view: 'twice', features: null, keys: [], as: null };
  const within = changed('onDemandView', 'twice', () => ({ uses: { ratios: itself } }));
  for (let i = 0; i < 2; i++)
    assert.throws(() => print('onDemandView', 'twice', within), { code: 'model/cycle' });
});

test('golden fingerprints', () => {
  const described = { description: '', owner: '', tags: {} };
  const golden: [Definition, string][] = [
    [
      { kind: 'entity', name: 'user', ...described, key: [{ name: 'user_id', dtype: int64 }] },
      '3a4ee7de6a26c7ea85f17f431f5c46c063ecebf4cbb46394fe2750c435cb629c',
    ],
    [
      {
        kind: 'source',
        name: 'orders',
        ...described,
        columns: [
          { name: 'order_id', dtype: int64 },
          { name: 'at', dtype: timestamp },
          { name: 'user_id', dtype: int64 },
          { name: 'city', dtype: string },
          { name: 'amount', dtype: float64 },
        ],
        eventTime: 'at',
        eventId: 'order_id',
        lookups: [],
        arrivalTime: null,
        op: null,
        mutable: false,
        latenessUs: 0,
        batch: null,
        stream: DEFAULT_STREAM,
      },
      '89a18c13ae0659a0f5b43f2fe4c01c6cfa2ed210c715fb03e6448544a7757bc2',
    ],
    [
      {
        kind: 'featureView',
        name: 'stats',
        ...described,
        entity: 'user',
        source: 'orders',
        keys: ['user_id'],
        where: null,
        features: [
          {
            name: 'mean_7d',
            description: '',
            tags: {},
            dtype: float64,
            aggregate: { fn: 'avg', params: {} },
            input: { kind: 'column', name: 'amount' },
            window: {
              sizeUs: 604_800_000_000,
              delayUs: 0,
              hopUs: null,
              sinceStartOf: null,
              last: null,
            },
            default: null,
            freshnessUs: null,
          },
        ],
        freshnessUs: null,
        retentionUs: null,
      },
      'ff19833504846e07147cf6cd01067020ed6bae263c4f4cd1f1f791d6b3566d73',
    ],
    [
      {
        kind: 'featureService',
        name: 'model_v1',
        ...described,
        model: 'm',
        members: [
          {
            view: 'stats',
            features: null,
            keys: [{ from: 'column', column: 'user_id' }],
            as: null,
          },
        ],
      },
      '578de71cdcafed86a91b5658fd711bed085acd75cfe44340a2ce2f163b2e099a',
    ],
  ];
  const within = catalogOf(golden.map(([definition]) => definition));
  for (const [definition, hash] of golden)
    assert.equal(fingerprint(definition, within), hash, definition.name);
});
