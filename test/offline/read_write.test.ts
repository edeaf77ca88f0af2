/** Columns go into DuckDB, through a Parquet file and back without losing a bit. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { appendBatch, createTable } from '../../src/offline/duckdb/append_table.ts';
import { name, openEngine, text } from '../../src/offline/duckdb/engine.ts';
import { Feeds } from '../../src/offline/duckdb/feed.ts';
import { readAll, readBatches, wireExpression } from '../../src/offline/duckdb/read.ts';
import { copyQuery } from '../../src/offline/duckdb/write.ts';
import type { Batch, Schema } from '../../src/types/batch.ts';
import { columnOf, scalarsOf } from '../../src/types/column.ts';
import {
  bool,
  bytes,
  type Dtype,
  date,
  float32,
  float64,
  int32,
  int64,
  list,
  printDtype,
  string,
  timestamp,
  vector,
} from '../../src/types/dtype.ts';
import { type Scalar, sameScalar } from '../../src/types/scalar.ts';
import { sqlType } from '../../src/types/sql.ts';
import { cases } from '../support/cases.ts';

const folder = mkdtempSync(join(tmpdir(), 'samewise-read-write-'));
const engine = await openEngine({
  tempDir: folder,
  projectDir: folder,
  threads: 2,
  memoryLimit: '256MB',
});
const feeds = new Feeds();
after(() => {
  engine.close();
  rmSync(folder, { recursive: true });
});

function values(dtype: Dtype): fc.Arbitrary<Scalar | null> {
  const some = (): fc.Arbitrary<Scalar> => {
    switch (dtype.kind) {
      case 'bool':
        return fc.boolean();
      case 'int32':
        return fc.integer();
      case 'int64':
        return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
      case 'float32':
        return fc.float({ noNaN: true }).map((x) => x + 0);
      case 'float64':
        return fc.double({ noNaN: true }).map((x) => x + 0);
      case 'string':
        return fc.oneof(
          fc.string({ unit: 'grapheme' }),
          fc.constantFrom('', 'a', 'ünïcödé 🚀 lang'),
        );
      case 'bytes':
        return fc.uint8Array({ maxLength: 30 });
      case 'timestamp':
        return fc.oneof(
          fc.integer({ min: -2_208_988_800_000_000, max: 7_258_118_400_000_000 }),
          fc.constantFrom(-2_208_988_800_000_001, 7_258_118_400_000_001, -1, 0, 2 ** 53 - 1),
        );
      case 'date':
        return fc.integer({ min: -40_000, max: 90_000 });
      case 'list':
        return fc.array(values(dtype.of), { maxLength: 4 });
      case 'vector':
        return fc
          .array(fc.float({ noNaN: true }), { minLength: dtype.size, maxLength: dtype.size })
          .map((xs) => Float32Array.from(xs, (x) => x + 0));
    }
  };
  return fc.option(some(), { freq: 6 });
}

const DTYPES: readonly Dtype[] = [
  bool,
  int32,
  int64,
  float32,
  float64,
  string,
  bytes,
  timestamp,
  date,
  vector(3),
  list(int64),
  list(string),
  list(timestamp),
  list(list(float64)),
];

function same(actual: Batch, expected: Batch, schema: Schema): void {
  assert.equal(actual.length, expected.length);
  for (const { name: column } of schema) {
    const a = scalarsOf(actual.columns[column]!);
    const e = scalarsOf(expected.columns[column]!);
    for (let row = 0; row < e.length; row++)
      assert.ok(sameScalar(a[row]!, e[row]!), `${column}[${row}]: ${a[row]} is not ${e[row]}`);
  }
}

for (const dtype of DTYPES) {
  test(`${printDtype(dtype)}: table, feed and Parquet give back the same bits`, async () => {
    const schema: Schema = [{ name: 'x', dtype }];
    const wire = wireExpression(`x::${sqlType(dtype)}`, dtype);
    await fc.assert(
      fc.asyncProperty(
        fc.array(values(dtype), { maxLength: 40 }),
        fc.nat(3),
        async (rows, copies) => {
          // Several chunks in some cases.
          const all = Array.from({ length: copies === 3 ? 60 : 1 }, () => rows).flat();
          const batch: Batch = { length: all.length, columns: { x: columnOf(dtype, all) } };
          const connection = await engine.connect();
          const table = await createTable(connection, engine.tableName('t'), schema);
          await appendBatch(connection, table, schema, batch);
          same(
            await readAll(connection, `SELECT ${wire} FROM ${name(table)}`, schema),
            batch,
            schema,
          );
          const file = join(folder, 'x.parquet');
          const pieces = [[batch.columns.x!]].values();
          await feeds.use(connection, { schema, pieces }, (from) =>
            copyQuery(connection, `SELECT * FROM ${from}`, 'parquet', file),
          );
          same(
            await readAll(connection, `SELECT ${wire} FROM ${text(file)}`, schema),
            batch,
            schema,
          );
          await connection.run(`DROP TABLE ${name(table)}`);
          connection.closeSync();
        },
      ),
      { numRuns: cases(30) },
    );
  });
}

test('batches have the asked size, in order, and a stream may be left half read', async () => {
  const connection = await engine.connect();
  const schema: Schema = [{ name: 'i', dtype: int64 }];
  const sql = 'SELECT range FROM range(100000)';
  let rows = 0n;
  const sizes: number[] = [];
  for await (const batch of readBatches(connection, sql, schema, 10_000)) {
    sizes.push(batch.length);
    for (const value of scalarsOf(batch.columns.i!)) assert.equal(value, rows++);
  }
  assert.equal(rows, 100_000n);
  assert.ok(sizes.slice(0, -1).every((size) => size >= 10_000));
  for await (const batch of readBatches(connection, sql, schema, 10_000)) {
    assert.equal(batch.columns.i!.length, batch.length);
    break;
  }
  assert.equal((await readAll(connection, sql, schema)).length, 100_000);
  connection.closeSync();
});

test('NaN and a time beyond our range are refused', async () => {
  const connection = await engine.connect();
  await assert.rejects(
    readAll(connection, "SELECT 'nan'::DOUBLE", [{ name: 'x', dtype: float64 }]),
    { code: 'types/nan' },
  );
  await assert.rejects(
    readAll(connection, "SELECT epoch_us(TIMESTAMP '9999-01-01')::DOUBLE", [
      { name: 'x', dtype: timestamp },
    ]),
    { code: 'types/out-of-range' },
  );
  connection.closeSync();
});
