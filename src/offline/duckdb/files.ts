/** The files of a batch location, and the SQL that reads them. */
import { statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { SamewiseError } from '../../base/errors.ts';
import type { BatchLocation } from '../../model/definitions.ts';
import type { Schema } from '../../types/batch.ts';
import { rowsOf, text } from './engine.ts';

export type FileLocation = Exclude<BatchLocation, { type: 'query' }>;

const ENDINGS: Record<FileLocation['type'], readonly string[]> = {
  parquet: ['.parquet'],
  csv: ['.csv', '.csv.gz', '.tsv', '.txt'],
  json: ['.jsonl', '.ndjson', '.json', '.jsonl.gz', '.json.gz'],
};

/** Files of a location in a fixed order; folders are searched to any depth. `offline/no-files` if there are none. */
export async function listFiles(
  connection: DuckDBConnection,
  location: FileLocation,
  projectDir: string,
): Promise<string[]> {
  const isUrl = /^[a-z][a-z0-9+]*:\/\//i.test(location.path);
  const path = isUrl || isAbsolute(location.path) ? location.path : join(projectDir, location.path);
  const folder = !isUrl && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const rows = await rowsOf(
    connection,
    `SELECT file FROM glob(${text(folder ? `${path}/**` : path)}) ORDER BY file`,
  );
  const files = rows.map(({ file }) => String(file));
  const found = folder
    ? files.filter((file) => ENDINGS[location.type].some((ending) => file.endsWith(ending)))
    : files;
  if (found.length > 0) return found;
  throw new SamewiseError('offline/no-files', `no ${location.type} files at ${location.path}`, {
    where: { file: path },
    hint: 'paths are relative to the project; use a file, a folder or a glob such as data/*.parquet',
  });
}

/** A FROM item over files. With `filename`, it has a column of that name in addition. */
export function filesSql(
  location: FileLocation,
  files: readonly string[],
  schema: Schema,
  options: { readonly filename?: boolean } = {},
): string {
  const list = `[${files.map(text).join(', ')}]`;
  const common = `hive_partitioning = ${location.hivePartitioned}${options.filename ? ', filename = true' : ''}`;
  switch (location.type) {
    case 'parquet':
      return `read_parquet(${list}, ${common})`;
    case 'csv':
      return `read_csv(${list}, ${common}, all_varchar = true, header = true, allow_quoted_nulls = false)`;
    case 'json': {
      const columns = schema.map(({ name }) => `${text(name)}: 'JSON'`).join(', ');
      return `read_json(${list}, ${common}, format = 'newline_delimited', columns = {${columns}})`;
    }
  }
}
