import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { batchOf } from '../../src/types/batch.ts';
import {
  ColumnBuilder,
  columnOf,
  gather,
  isNull,
  scalarAt,
  scalarsOf,
} from '../../src/types/column.ts';
import { float64, int64, timestamp } from '../../src/types/dtype.ts';
import { sameScalar } from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';
import { anyDtype, nullableOf } from './arbitraries.ts';

const typedValues = anyDtype.chain((dtype) =>
  fc.record({ dtype: fc.constant(dtype), values: fc.array(nullableOf(dtype), { maxLength: 40 }) }),
);

test('a column gives back what it was built from', () => {
  fc.assert(
    fc.property(typedValues, ({ dtype, values }) => {
      const column = columnOf(dtype, values);
      assert.equal(column.length, values.length);
      assert.equal(column.validity === null, !values.includes(null));
      values.forEach((value, row) => {
        assert.ok(sameScalar(scalarAt(column, row), value));
        assert.equal(isNull(column, row), value === null);
      });
      assert.ok(sameScalar(scalarsOf(column), values));
    }),
    { numRuns: cases(1000) },
  );
});

test('gather takes the named rows in their order, and null for none', () => {
  fc.assert(
    fc.property(typedValues, fc.array(fc.nat()), ({ dtype, values }, picks) => {
      const rows = picks.map((pick) => (pick % (values.length + 1)) - 1);
      const expected = rows.map((row) => values[row] ?? null);
      assert.ok(sameScalar(scalarsOf(gather(columnOf(dtype, values), rows)), expected));
    }),
    { numRuns: cases(1000) },
  );
});

test('a builder starts anew after finish and leaves the finished column alone', () => {
  fc.assert(
    fc.property(
      typedValues.chain(({ dtype, values }) =>
        fc.record({
          dtype: fc.constant(dtype),
          values: fc.constant(values),
          more: fc.array(nullableOf(dtype)),
        }),
      ),
      ({ dtype, values, more }) => {
        const builder = new ColumnBuilder(dtype, 1);
        for (const value of values) builder.push(value);
        const first = builder.finish();
        for (const value of more) builder.push(value);
        assert.ok(sameScalar(scalarsOf(builder.finish()), more));
        assert.ok(sameScalar(scalarsOf(first), values));
      },
    ),
    { numRuns: cases(500) },
  );
});

test('pushNumber makes the same column as push, int64 without a bigint', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.maxSafeInteger())), (values) => {
      for (const dtype of [int64, timestamp, float64]) {
        const builder = new ColumnBuilder(dtype, 1);
        for (const value of values)
          value === null ? builder.pushNull() : builder.pushNumber(value + 0);
        const expected = values.map((v) =>
          v === null ? null : dtype === int64 ? BigInt(v) : v + 0,
        );
        assert.ok(sameScalar(scalarsOf(builder.finish()), expected));
      }
    }),
    { numRuns: cases(500) },
  );
});

test('a batch is columns of one length', () => {
  const column = columnOf(int64, [1n, 2n]);
  assert.equal(batchOf({ a: column }).length, 2);
  assert.equal(batchOf({}, 3).length, 3);
  assert.throws(() => batchOf({ a: column, b: columnOf(int64, []) }), /length/);
});
