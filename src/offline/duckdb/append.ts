/** Samewise's own history of a source: one Parquet file a batch, whose name is the batch's id, so that a repeat finds it there. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { sha256Hex } from '../../base/hash.ts';
import type { InstantUs } from '../../base/time.ts';
import { type Catalog, sourceOf } from '../../model/index.ts';
import type { Schema } from '../../types/batch.ts';
import { columnOf } from '../../types/column.ts';
import { int64, string } from '../../types/dtype.ts';
import { coerce } from '../../types/scalar.ts';
import { type Engine, withConnection } from './engine.ts';
import type { Feeds } from './feed.ts';
import type { Paths } from './scan.ts';
import { copyQuery, writeNew } from './write.ts';

export interface AppendRequest {
  readonly catalog: Catalog;
  readonly source: string;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly arrivalUs: InstantUs;
  readonly batchId: string;
}

/**
 * Adds a batch; false if it is there already. A row's `__op` (or the source's own op column) says `retract`; without it, it
 * is an upsert.
 */
export async function appendHistory(
  { engine, feeds, paths }: { engine: Engine; feeds: Feeds; paths: Paths },
  { catalog, source: sourceName, rows, arrivalUs, batchId }: AppendRequest,
): Promise<boolean> {
  const source = sourceOf(catalog, sourceName);
  const path = join(paths.historyDir, source.name, `${sha256Hex(batchId).slice(0, 32)}.parquet`);
  if (existsSync(path)) return false;
  const schema: Schema = [
    ...source.columns,
    { name: '__arrival_us', dtype: int64 },
    { name: '__op', dtype: string },
  ];
  const columns = schema.map(({ name, dtype }) =>
    columnOf(
      dtype,
      rows.map((row, i) => {
        if (name === '__arrival_us') return BigInt(arrivalUs);
        if (name === '__op')
          return String(row.__op ?? (source.op === null ? null : row[source.op]) ?? 'upsert');
        return coerce(row[name], dtype, { source: source.name, column: name, row: i });
      }),
    ),
  );
  return withConnection(engine, undefined, (connection) =>
    writeNew(path, (partial) =>
      feeds.use(connection, { schema, pieces: [columns].values() }, (from) =>
        copyQuery(connection, `SELECT * FROM ${from}`, 'parquet', partial),
      ),
    ),
  );
}
