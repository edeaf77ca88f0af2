import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileView, fingerprint } from '../../src/model/index.ts';
import { batchOf } from '../../src/types/batch.ts';
import { columnOf, scalarsOf } from '../../src/types/column.ts';
import { bool, float64, int64, string } from '../../src/types/dtype.ts';
import { catalog, changed } from './fixtures.ts';

test('features that share an input share its column, and its partials if the aggregate is the same', () => {
  const { layout, view, defaults, id, keyDtypes } = compileView(catalog, 'user_stats');
  // count(): none; sum and avg: amount; big_7d: a case; last: city.
  assert.deepEqual(layout.columns, [float64, float64, string]);
  assert.deepEqual(
    layout.aggregates.map(({ spec, input }) => [spec.fn, input]),
    [
      ['count', -1],
      ['sum', 0],
      ['sum', 1],
      ['avg', 0],
      ['last', 2],
    ],
  );
  assert.deepEqual(
    layout.reads.map(({ aggregate }) => aggregate),
    [0, 0, 1, 2, 3, 4],
  );
  assert.deepEqual(
    layout.reads.map(({ window }) => window),
    view.features.map(({ window }) => window),
  );
  assert.deepEqual(defaults, [null, null, 0, null, null, 'nowhere']);
  assert.equal(id, fingerprint(view, catalog).slice(0, 16));
  assert.deepEqual(keyDtypes, [int64]);
  assert.equal(layout.mutable, false);
  assert.equal(compileView(catalog, 'profile').layout.mutable, true);
});

test('only columns that are needed are scanned', () => {
  const orders = ['order_id', 'at', 'user_id', 'city', 'amount'];
  assert.deepEqual(compileView(catalog, 'user_stats').sourceColumns, orders);
  assert.deepEqual(compileView(catalog, 'profile').sourceColumns, [
    'id',
    'at',
    'seen',
    'op',
    'user_id',
    'home',
  ]);
  const anonymous = changed('source', 'orders', () => ({ eventId: null }));
  assert.deepEqual(compileView(anonymous, 'user_stats').sourceColumns, [...orders, 'note']);
});

test('rows become inputs; the filter says which rows', () => {
  const { rowProgram, filter, layout } = compileView(catalog, 'user_stats');
  const batch = batchOf({
    order_id: columnOf(int64, [1n, 2n, 3n]),
    user_id: columnOf(int64, [1n, 1n, 1n]),
    at: columnOf({ kind: 'timestamp' }, [1, 2, 3]),
    city: columnOf(string, ['a', null, 'c']),
    amount: columnOf(float64, [50, 150, null]),
  });
  assert.deepEqual(rowProgram.dtypes, layout.columns);
  assert.deepEqual(rowProgram.run(batch).map(scalarsOf), [
    [50, 150, null],
    [null, 150, null],
    ['a', null, 'c'],
  ]);
  assert.deepEqual(filter!.dtypes, [bool]);
  assert.deepEqual(scalarsOf(filter!.run(batch)[0]!), [true, true, null]);
  assert.equal(compileView(catalog, 'city_stats').filter, null);
});

test('an on-demand view has no timelines', () => {
  assert.throws(() => compileView(catalog, 'ratios'), { code: 'model/not-a-feature-view' });
  assert.throws(() => compileView(catalog, 'ratio'), { code: 'model/unknown-view' });
});
