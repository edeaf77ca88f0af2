/** Rows that are sorted in memory and rows that DuckDB sorts come in one order. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { appendBatch, createTable } from '../../src/offline/duckdb/append_table.ts';
import { joinBatches } from '../../src/offline/duckdb/columns.ts';
import { wireExpression } from '../../src/offline/duckdb/read.ts';
import { readParts } from '../../src/offline/duckdb/read_parts.ts';
import { inOrder, orderOf } from '../../src/offline/duckdb/sort.ts';
import type { Batch } from '../../src/types/batch.ts';
import { columnOf, scalarAt, scalarsOf } from '../../src/types/column.ts';
import { float32, float64, int64 } from '../../src/types/dtype.ts';
import type { Scalar } from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';
import { KEYABLE, scalarOf } from '../types/arbitraries.ts';
import { openProject } from './support.ts';

const project = await openProject();
const connection = await project.engine.connect();
after(async () => {
  connection.closeSync();
  await project.close();
});

const terms = fc
  .array(
    fc.constantFrom(...KEYABLE, float64, float32).chain((dtype) =>
      fc.record({
        dtype: fc.constant(dtype),
        // Few values, so that they come again; some null.
        values: fc.array(fc.option(scalarOf(dtype), { freq: 8 }), { minLength: 1, maxLength: 9 }),
      }),
    ),
    { minLength: 1, maxLength: 3 },
  )
  .chain((columns) =>
    fc.record({
      columns: fc.constant(columns),
      rows: fc.array(fc.array(fc.nat(8), { minLength: 3, maxLength: 3 }), { maxLength: 60 }),
    }),
  );

test('a sort in memory gives what ORDER BY gives', async () => {
  await fc.assert(
    fc.asyncProperty(terms, async ({ columns, rows }) => {
      const given = columns.map(({ dtype, values }, c) =>
        columnOf(
          dtype,
          rows.map((row) => values[row[c]! % values.length]! as Scalar | null),
        ),
      );
      const schema = [
        ...columns.map(({ dtype }, c) => ({ name: `c${c}`, dtype })),
        { name: 'row', dtype: float64 },
      ];
      const table = await createTable(connection, 'rows', schema);
      try {
        const all = [
          ...given,
          columnOf(
            float64,
            Array.from(rows, (_, row) => row),
          ),
        ];
        const batch: Batch = {
          length: rows.length,
          columns: Object.fromEntries(schema.map(({ name }, i) => [name, all[i]!])),
        };
        await appendBatch(connection, table, schema, batch);
        const select = schema.map(({ name, dtype }) => wireExpression(name, dtype));
        const sql = `SELECT ${select.join(', ')} FROM ${table}`;
        const sorted = async (bytes: number): Promise<Scalar[]> => {
          const order = schema.map(({ name }) => ({ column: name, sql: name }));
          const batches: Batch[] = [];
          for await (const part of inOrder(readParts(connection, sql, schema, order, bytes)))
            batches.push(part);
          if (batches.length === 0) return [];
          const { columns: out, length } = joinBatches(batches);
          const row = scalarsOf(out.row!) as number[];
          given.forEach((column, c) => {
            for (let i = 0; i < length; i++)
              assert.deepEqual(scalarAt(out[`c${c}`]!, i), scalarAt(column, row[i]!));
          });
          return row;
        };
        assert.deepEqual(await sorted(1e9), await sorted(0));
      } finally {
        await connection.run(`DROP TABLE ${table}`);
      }
    }),
    { numRuns: cases(100) },
  );
});

test('an order that is known is taken where it is the same one, and only there', () => {
  const row = fc.tuple(fc.bigInt({ min: 0n, max: 2n }), fc.nat(3), fc.bigInt({ min: 0n, max: 2n }));
  let taken = 0;
  fc.assert(
    fc.property(fc.array(row, { maxLength: 6 }), fc.boolean(), (rows, timely) => {
      const times = rows.map(([, time]) => time);
      if (timely) times.sort();
      const time = columnOf(float64, times);
      const [x, y] = [0, 2].map((at) =>
        columnOf(
          int64,
          rows.map((values) => values[at]!),
        ),
      );
      const known = orderOf([x!, time], null);
      const order = orderOf([y!, time], known);
      if (order === known) taken++;
      assert.deepEqual(order.places, orderOf([y!, time], null).places);
      if (timely) assert.equal(orderOf([x!, time], known), known);
    }),
    { numRuns: cases(500) },
  );
  assert.ok(taken > 0);
});
