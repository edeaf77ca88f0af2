/** Pushing a file: Parquet, CSV or JSON lines, read by the offline store's own reader, so that types mean the same. */
import { extname, resolve } from 'node:path';
import { SamewiseError } from '../base/errors.ts';
import type { BatchLocation, Source } from '../model/index.ts';
import { castExpression } from '../offline/duckdb/casts.ts';
import { name, openEngine, withConnection } from '../offline/duckdb/engine.ts';
import { readBatches, wireExpression } from '../offline/duckdb/read.ts';
import { describe, explain, openRelation } from '../offline/duckdb/scan.ts';
import { scalarAt } from '../types/column.ts';
import { string } from '../types/dtype.ts';
import type { Config } from './config.ts';
import { type Pushing, type PushResult, push } from './push.ts';
import { MAX_PUSH_ROWS, OP } from './push_rows.ts';

const TYPES: Readonly<Record<string, Exclude<BatchLocation['type'], 'query'>>> = {
  '.parquet': 'parquet',
  '.csv': 'csv',
  '.json': 'json',
  '.jsonl': 'json',
  '.ndjson': 'json',
};

/**
 * Pushes the rows of a file. Columns that the source does not declare are ignored; `__op` is read where the file has it.
 * Throws as `push`, `app/unknown-file-type`, and the `offline/…` errors with file, row and column.
 */
export async function pushFile(
  app: Pushing & { readonly config: Config },
  request: { readonly source: string; readonly path: string; readonly batchId?: string },
): Promise<PushResult> {
  const { batchId, source: sourceName } = request;
  const source = await app.registry.get('source', sourceName);
  // An unknown source is refused there, with what was meant.
  if (source === undefined) return push(app, { source: sourceName, rows: [] });
  const path = resolve(request.path);
  const rows = await readRows(app.config, source.definition as Source, path);
  try {
    return await push(app, { source: sourceName, rows, batchId });
  } catch (error) {
    throw error instanceof SamewiseError && error.where.row !== undefined
      ? error.at({ file: path })
      : error;
  }
}

async function readRows(
  { tempDir, projectDir }: Config,
  source: Source,
  path: string,
): Promise<Record<string, unknown>[]> {
  const type = TYPES[extname(path).toLowerCase()];
  if (type === undefined) {
    throw new SamewiseError('app/unknown-file-type', 'the file’s ending does not say its type', {
      where: { file: path },
      hint: `name it with one of ${Object.keys(TYPES).join(', ')}`,
    });
  }
  const where = { source: source.name };
  const engine = await openEngine({ tempDir, projectDir, threads: null, memoryLimit: '1GB' });
  try {
    return await withConnection(engine, undefined, async (connection) => {
      const location = { type, path, hivePartitioned: false };
      const open = (schema: Source['columns']) =>
        openRelation(connection, location, schema, projectDir, where);
      const declared = source.columns.filter(
        (column) => column.name !== source.arrivalTime && column.name !== source.op,
      );
      const bare = await open(declared);
      const there = await describe(connection, bare.from(), bare.files, where, path);
      const optional = source.op === null || there.has(OP) ? OP : source.op;
      const schema = there.has(optional)
        ? [...declared, { name: optional, dtype: string }]
        : declared;
      const relation = schema === declared ? bare : await open(schema);
      const values = relation.columns.map(({ field, cast }) =>
        wireExpression(castExpression(cast, name(field.name), field.dtype), field.dtype),
      );
      const sql = `SELECT ${values.join(', ')} FROM ${relation.from()} LIMIT ${MAX_PUSH_ROWS + 1}`;
      const rows: Record<string, unknown>[] = [];
      try {
        for await (const batch of readBatches(connection, sql, schema)) {
          for (let row = 0; row < batch.length; row++)
            rows.push(
              Object.fromEntries(
                schema.map((field) => [field.name, scalarAt(batch.columns[field.name]!, row)]),
              ),
            );
        }
      } catch (error) {
        throw (await explain(connection, relation, error, where, source.eventTime)) ?? error;
      }
      return rows;
    });
  } finally {
    engine.close();
  }
}
