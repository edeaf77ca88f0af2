/** Values that DuckDB asks for by row arrive in their rows, whatever the blocks, and errors of their source arrive as they were. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { SamewiseError } from '../../src/base/errors.ts';
import { readAll, wireExpression } from '../../src/offline/duckdb/read.ts';
import { RowValues } from '../../src/offline/duckdb/row_values.ts';
import { columnOf, scalarsOf } from '../../src/types/column.ts';
import { float64 } from '../../src/types/dtype.ts';
import { sameScalar } from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';
import { anyDtype, nullableOf } from '../types/arbitraries.ts';
import { openProject } from './support.ts';

const project = await openProject();
const connection = await project.engine.connect();
const rowValues = new RowValues();
after(async () => {
  connection.closeSync();
  await project.close();
});

test('every row has its values', async () => {
  const world = anyDtype.chain((dtype) =>
    fc.record({
      dtype: fc.constant(dtype),
      values: fc.array(nullableOf(dtype), { minLength: 1, maxLength: 40 }),
      rows: fc.constantFrom(1, 2048, 5000),
      blockRows: fc.constantFrom(700, 2048, 3000, 9000),
    }),
  );
  await fc.assert(
    fc.asyncProperty(world, async ({ dtype, values, rows, blockRows }) => {
      const valueAt = (row: number) => values[row % values.length]!;
      const schema = [
        { name: 'row', dtype: float64 },
        { name: 'value', dtype },
      ];
      const rowsAt = (row: number) => {
        const from = row - (row % blockRows);
        const length = Math.min(blockRows, rows - from);
        const numbers = Array.from({ length }, (_, i) => from + i);
        const columns = [columnOf(float64, numbers), columnOf(dtype, numbers.map(valueAt))];
        return { from, length, columns };
      };
      await connection.run(`CREATE OR REPLACE TABLE asked AS FROM range(${rows}) t(i)`);
      const read = await rowValues.use(connection, { schema, rowsAt }, (made) =>
        readAll(
          connection,
          `SELECT i::DOUBLE, v.f0, ${wireExpression('v.f1', dtype)} FROM (SELECT *, ${made} AS v FROM asked)`,
          [{ name: 'i', dtype: float64 }, ...schema],
        ),
      );
      assert.deepEqual(read.columns.row, read.columns.i);
      scalarsOf(read.columns.value!).forEach((value, row) => {
        assert.ok(sameScalar(value, valueAt(row)), `row ${row}`);
      });
    }),
    { numRuns: cases(60) },
  );
});

test('what the source throws is what the caller gets', async () => {
  const failure = new SamewiseError('types/nan', 'no such value');
  await connection.run('CREATE OR REPLACE TABLE asked AS FROM range(10) t(i)');
  const rowsAt = () => {
    throw failure;
  };
  const schema = [{ name: 'value', dtype: float64 }];
  await assert.rejects(
    rowValues.use(connection, { schema, rowsAt }, (made) =>
      connection.run(`SELECT ${made} FROM asked`),
    ),
    (error) => error === failure,
  );
});
