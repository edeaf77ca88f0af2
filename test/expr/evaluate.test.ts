/** Evaluation as a whole: shared parts, errors that matter, nulls, batches of any length. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { coalesce, column, compile, type Value, when } from '../../src/expr/index.ts';
import { batchOf } from '../../src/types/batch.ts';
import { columnOf, scalarsOf } from '../../src/types/column.ts';
import { float64, int32, int64, string } from '../../src/types/dtype.ts';

const x = column('x', float64);
const n = column('n', int32);
const s = column('s', string);
const big = column('big', int64);
const schema = [x, n, s, big].map((v) => ({ name: (v.expr as any).name, dtype: v.dtype }));
const batch = batchOf({
  x: columnOf(float64, [1.5, null, -2, 0]),
  n: columnOf(int32, [2147483647, 3, null, 0]),
  s: columnOf(string, ['7', 'x', null, '12']),
  big: columnOf(int64, [9007199254740993n, null, 5n, -(2n ** 63n)]),
});
const run = (...values: Value<any>[]) =>
  compile(
    values.map((v) => v.expr),
    schema,
  )
    .run(batch)
    .map(scalarsOf);

test('arithmetic, comparison and null', () => {
  assert.deepEqual(run(x.add(1), x.div(n), x.gt(0), n.add(x)), [
    [2.5, null, -1, 1],
    [1.5 / 2147483647, null, null, null],
    [true, null, false, false],
    [2147483648.5, null, null, 0],
  ]);
  assert.deepEqual(run(big.gt(9007199254740992)), [[true, null, false, false]]);
});

test('overflow and bad casts say which row; rows that do not depend on them are unharmed', () => {
  assert.throws(() => run(n.add(1)), { code: 'expr/overflow', where: { row: 0 } });
  assert.throws(() => run(big.neg()), { code: 'expr/overflow', where: { row: 3 } });
  assert.throws(() => run(s.cast(int32)), { code: 'expr/bad-cast', where: { row: 1 } });
  assert.deepEqual(run(s.tryCast(int32)), [[7, null, null, 12]]);
  const guarded = when(s.regexMatch('^\\d+$')).then(s.cast(int32)).otherwise(-1);
  assert.deepEqual(run(guarded, n.lt(5).and(n.add(1).gt(1)), coalesce(n.sub(n), n.add(1))), [
    [7, -1, -1, 12],
    [false, true, null, false],
    [0, 0, null, 0],
  ]);
});

test('batches of any length, one after the other', () => {
  const program = compile(
    [x.add(1).expr, x.isNull().or(true).expr],
    [{ name: 'x', dtype: float64 }],
  );
  for (const length of [1, 0, 5000, 5000, 3]) {
    const values = Array.from({ length }, (_, i) => i);
    const [sum, all] = program.run(batchOf({ x: columnOf(float64, values) }));
    assert.deepEqual(
      scalarsOf(sum!),
      values.map((v) => v + 1),
    );
    assert.deepEqual(
      scalarsOf(all!),
      values.map(() => true),
    );
  }
});
