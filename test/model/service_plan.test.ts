import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assemble,
  keyColumnsOf,
  membersFor,
  planService,
  type ServicePlan,
} from '../../src/model/index.ts';
import { batchOf } from '../../src/types/batch.ts';
import { type Column, columnOf, scalarsOf } from '../../src/types/column.ts';
import { float64, int64, string } from '../../src/types/dtype.ts';
import type { Scalar } from '../../src/types/scalar.ts';
import { catalog } from './fixtures.ts';

const { members } = catalog.featureServices.checkout_v1!;
const plan = planService(catalog, members);
const summary = ({ lookups }: ServicePlan) =>
  lookups.map(({ program, keys, features, level }) => ({
    view: program.view.name,
    keys: keys.map((k) => {
      if (k.from === 'chain') return `chain ${k.chain}`;
      return k.from === 'request'
        ? k.column
        : `${k.lookup}:${lookups[k.lookup]!.features[k.index]}`;
    }),
    features: features.map((f) => program.view.features[f]!.name),
    level,
  }));

test('each view under each key is looked up once, for all who need it, after what gives it its key', () => {
  assert.deepEqual(summary(plan), [
    {
      view: 'user_stats',
      keys: ['user_id'],
      features: ['n_7d', 'spent_7d', 'last_city'],
      level: 0,
    },
    { view: 'city_stats', keys: ['ship_to'], features: ['city_mean', 'last_seen_city'], level: 0 },
    { view: 'city_stats', keys: ['0:5'], features: ['city_mean'], level: 1 },
    { view: 'profile', keys: ['user_id'], features: ['home'], level: 0 },
    { view: 'city_stats', keys: ['3:0'], features: ['city_mean'], level: 1 },
  ]);
  assert.equal(plan.depth, 2);
  assert.deepEqual(plan.keyColumns, [
    { name: 'user_id', dtype: int64 },
    { name: 'ship_to', dtype: string },
  ]);
  assert.deepEqual(plan.requestColumns, [{ name: 'price', dtype: float64 }]);
});

test('outputs in the order of the members, with their names', () => {
  assert.deepEqual(
    plan.outputs.map(({ name, ref, dtype }) => [name, ref, dtype.kind]),
    [
      ['n_7d', 'user_stats:n_7d', 'int64'],
      ['spent_7d', 'user_stats:spent_7d', 'float64'],
      ['ship_city_mean', 'city_stats:city_mean', 'float64'],
      ['ship_last_seen_city', 'city_stats:last_seen_city', 'string'],
      ['usual_city_mean', 'city_stats:city_mean', 'float64'],
      ['double', 'twice:double', 'float64'],
      ['to_city', 'ratios:to_city', 'float64'],
    ],
  );
  assert.equal(plan.outputs[6]!.description, '1: as usual there');
});

test('an on-demand view runs once, before those that use it, for the features that are needed', () => {
  assert.deepEqual(
    plan.computations.map(({ view, inputs, dtypes }) => [
      view.name,
      inputs.map(({ name }) => name),
      dtypes.length,
    ]),
    [
      ['ratios', ['request.price', 'there.city_mean'], 1],
      ['twice', ['ratios.to_city'], 1],
    ],
  );
});

const columns = (...values: [string | 'int64', (Scalar | null)[]][]): Column[] =>
  values.map(([kind, v]) => columnOf({ kind } as typeof int64, v));

test('defaults stand in for nulls before keys, computations and outputs', () => {
  const request = batchOf({
    user_id: columnOf(int64, [1n, 2n]),
    ship_to: columnOf(string, ['x', null]),
    price: columnOf(float64, [10, 20]),
  });
  const looked: Column[][] = [
    columns(['int64', [3n, 0n]], ['float64', [30, null]], ['string', ['x', null]]),
    columns(['float64', [7, null]], ['string', ['y', null]]),
  ];
  const [usual, , home] = plan.lookups.slice(2);
  assert.deepEqual(scalarsOf(keyColumnsOf(plan, usual!, looked, request)[0]!), ['x', 'nowhere']);
  looked.push(columns(['float64', [7, 9]]), columns(['string', ['x', null]]));
  assert.deepEqual(scalarsOf(keyColumnsOf(plan, home!, looked, request)[0]!), ['x', null]);
  looked.push(columns(['float64', [5, null]]));
  const out = assemble(plan, looked, request);
  const named = (part: readonly Column[]) =>
    Object.fromEntries(plan.outputs.map(({ name }, i) => [name, scalarsOf(part[i]!)]));
  assert.deepEqual(named(out.columns), {
    n_7d: [3n, 0n],
    spent_7d: [30, 0],
    ship_city_mean: [7, null],
    ship_last_seen_city: ['y', null],
    usual_city_mean: [7, 9],
    double: [4, 2],
    to_city: [2, 1],
  });
  assert.deepEqual(named(out.raw).spent_7d, [30, null]);
  assert.deepEqual(named(out.raw).to_city, [2, null]);
});

test('no rows', () => {
  const none = batchOf({ user_id: columnOf(int64, []), price: columnOf(float64, []) }, 0);
  const looked = plan.lookups.map(({ dtypes }) => dtypes.map((dtype) => columnOf(dtype, [])));
  for (const column of assemble(plan, looked, none).columns) assert.equal(column.length, 0);
});

test('a bare list of features; look-ups that no picked feature needs do not happen', () => {
  const bare = planService(catalog, membersFor(catalog, ['ratios:to_mean', 'profile:moved']));
  assert.deepEqual(
    summary(bare).map(({ view, features }) => [view, features]),
    [
      ['user_stats', ['mean_30d']],
      ['profile', ['moved']],
    ],
  );
  assert.equal(bare.depth, 1);
  const [member] = members;
  assert.throws(() => planService(catalog, [member!, member!]), {
    code: 'model/invalid',
  });
  assert.throws(() => planService(catalog, [{ ...member!, view: 'user_statz' }]), {
    code: 'model/unknown-view',
  });
});
