/** A project folder with an offline store, and Parquet files from rows. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { manualClock } from '../../src/base/clock.ts';
import { type Engine, openEngine, text } from '../../src/offline/duckdb/engine.ts';
import { Feeds } from '../../src/offline/duckdb/feed.ts';
import { type DuckdbStore, openDuckdbStore } from '../../src/offline/duckdb/index.ts';
import { readAll, wireExpression } from '../../src/offline/duckdb/read.ts';
import { describe } from '../../src/offline/duckdb/scan.ts';
import { copyQuery } from '../../src/offline/duckdb/write.ts';
import type { Schema } from '../../src/types/batch.ts';
import { columnOf, scalarAt } from '../../src/types/column.ts';
import { sqlType } from '../../src/types/sql.ts';
import type { Row } from '../oracle/training.ts';

export interface Project {
  readonly dir: string;
  readonly store: DuckdbStore;
  readonly engine: Engine;
  /** Path of a file of the project. */
  path(file: string): string;
  /** Writes rows as Parquet, in the types of the schema. */
  write(file: string, schema: Schema, rows: readonly Row[]): Promise<void>;
  /** Writes what a query gives. */
  writeSql(file: string, sql: string, options?: string): Promise<void>;
  /** Reads a file back, in the types of the schema. */
  read(file: string, schema: Schema): Promise<Row[]>;
  /** Column names and DuckDB types of a file. */
  columns(file: string): Promise<Map<string, string>>;
  close(): Promise<void>;
}

/**
 * `sortsInSql`: nothing is sorted in JavaScript's memory, as if all data were large. `inThreads`: each look-up has a thread, as if there
 * were many labels.
 */
export async function openProject({
  sortsInSql = false,
  inThreads = false,
} = {}): Promise<Project> {
  const dir = mkdtempSync(join(tmpdir(), 'samewise-offline-'));
  const path = (file: string): string => join(dir, file);
  const store = await openDuckdbStore({
    historyDir: path('history'),
    projectDir: dir,
    tempDir: path('temp'),
    clock: manualClock(0),
    threads: 2,
    memoryLimit: '256MB',
    ...(sortsInSql ? { sortBytes: 0 } : {}),
    ...(inThreads ? { threadRows: 1 } : {}),
  });
  const engine = await openEngine({
    tempDir: path('temp'),
    projectDir: dir,
    threads: 1,
    memoryLimit: '256MB',
  });
  const feeds = new Feeds();
  const connection = await engine.connect();
  return {
    dir,
    store,
    engine,
    path,
    write: async (file, schema, rows) => {
      mkdirSync(dirname(path(file)), { recursive: true });
      const columns = schema.map(({ name, dtype }) =>
        columnOf(
          dtype,
          rows.map((row) => row[name] ?? null),
        ),
      );
      await feeds.use(connection, { schema, pieces: [columns].values() }, (from) =>
        copyQuery(connection, `SELECT * FROM ${from}`, 'parquet', path(file)),
      );
    },
    writeSql: async (file, sql, options = '') => {
      mkdirSync(dirname(path(file)), { recursive: true });
      await connection.run(`COPY (${sql}) TO ${text(path(file))} ${options}`);
    },
    read: async (file, schema) => {
      const select = schema.map(({ name, dtype }) =>
        wireExpression(`"${name}"::${sqlType(dtype)}`, dtype),
      );
      const batch = await readAll(
        connection,
        `SELECT ${select.join(', ')} FROM ${text(path(file))}`,
        schema,
      );
      return Array.from({ length: batch.length }, (_, row) =>
        Object.fromEntries(schema.map(({ name }) => [name, scalarAt(batch.columns[name]!, row)])),
      );
    },
    columns: (file) => describe(connection, text(path(file)), null, {}, file),
    close: async () => {
      await store.close();
      connection.closeSync();
      engine.close();
      rmSync(dir, { recursive: true });
    },
  };
}
