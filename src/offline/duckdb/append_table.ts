/** Tables of intermediate results inside DuckDB, which spills them. */
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Batch, Schema } from '../../types/batch.ts';
import { sqlType } from '../../types/sql.ts';
import { CHUNK_ROWS, fillChunk, newChunk } from './chunks.ts';
import { name } from './engine.ts';

/** Creates a table with the columns of `schema`; gives its name back. */
export async function createTable(
  connection: DuckDBConnection,
  table: string,
  schema: Schema,
): Promise<string> {
  const columns = schema.map((field) => `${name(field.name)} ${sqlType(field.dtype)}`);
  await connection.run(`CREATE TABLE ${name(table)} (${columns.join(', ')})`);
  return table;
}

/** Appends a batch, in order. */
export async function appendBatch(
  connection: DuckDBConnection,
  table: string,
  schema: Schema,
  batch: Batch,
): Promise<void> {
  const columns = schema.map((field) => batch.columns[field.name]!);
  const dtypes = schema.map((field) => field.dtype);
  const appender = await connection.createAppender(table);
  try {
    for (let from = 0; from < batch.length; from += CHUNK_ROWS) {
      const chunk = newChunk(dtypes);
      fillChunk(chunk, columns, from, Math.min(CHUNK_ROWS, batch.length - from));
      appender.appendDataChunk(chunk);
    }
  } finally {
    appender.closeSync();
  }
}
