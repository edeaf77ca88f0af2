/** Results that are wanted in order: small ones as they come, to be sorted in memory; larger ones DuckDB sorts out of core. */
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Schema } from '../../types/batch.ts';
import { emptyBatch, rowBytes } from './columns.ts';
import { readBatches } from './read.ts';
import type { Part } from './sort.ts';

/** By what to sort, ascending with nulls last: a column of the result, and its SQL within the query. */
export interface OrderBy {
  readonly column: string;
  readonly sql: string;
}

/** Reads the result of `sql` (see `readBatches`) for `inOrder`. Up to `sortBytes` of it are left to be sorted there. */
export async function* readParts(
  connection: DuckDBConnection,
  sql: string,
  schema: Schema,
  order: readonly OrderBy[],
  sortBytes: number,
): AsyncGenerator<Part> {
  const most = Math.floor(sortBytes / rowBytes(schema.map(({ dtype }) => dtype)));
  let all = emptyBatch(schema);
  for await (const batch of readBatches(connection, sql, schema, most + 1)) {
    all = batch;
    break;
  }
  if (all.length <= most) {
    yield { batch: all, sortBy: order.map(({ column }) => column) };
    return;
  }
  const by = order.map((term) => `${term.sql} NULLS LAST`);
  for await (const batch of readBatches(connection, `${sql} ORDER BY ${by.join(', ')}`, schema))
    yield { batch, sortBy: null };
}
