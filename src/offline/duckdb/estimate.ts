/** How much history a source has, from metadata only. */
import { statSync } from 'node:fs';
import type { DuckDBConnection } from '@duckdb/node-api';
import { type InstantUs, parseInstant } from '../../base/time.ts';
import type { Source } from '../../model/index.ts';
import { rowsOf, text } from './engine.ts';
import { listFiles } from './files.ts';
import { historyOf } from './history_scan.ts';
import { fileError, type Paths } from './scan.ts';

export interface Estimate {
  readonly rows: number | null;
  readonly bytes: number | null;
  readonly newestUs: InstantUs | null;
}

/** Nothing is scanned: what neither the files' footers nor the manifest of the stream's history say is null. */
export async function estimateSource(
  connection: DuckDBConnection,
  source: Source,
  paths: Paths,
): Promise<Estimate> {
  const batch = await estimateFiles(connection, source, paths);
  const { files, partitions } = await historyOf(source.name, paths.historyDir);
  if (files.length === 0) return batch;
  const times = [batch.newestUs, ...[...partitions.values()].map(({ newestUs }) => newestUs)];
  return {
    rows: batch.rows === null ? null : batch.rows + files.reduce((sum, { rows }) => sum + rows, 0),
    bytes:
      batch.bytes === null ? null : batch.bytes + files.reduce((sum, { bytes }) => sum + bytes!, 0),
    newestUs: times.reduce((a, b) => (a === null || (b !== null && b > a) ? b : a)),
  };
}

async function estimateFiles(
  connection: DuckDBConnection,
  source: Source,
  paths: Paths,
): Promise<Estimate> {
  const { batch } = source;
  const files =
    batch === null || batch.type === 'query'
      ? []
      : await listFiles(connection, batch, paths.projectDir);
  const local = files.every((file) => !file.includes('://'));
  const known = batch?.type !== 'query';
  const bytes = known && local ? files.reduce((sum, file) => sum + statSync(file).size, 0) : null;
  if (batch !== null && batch.type !== 'parquet') return { rows: null, bytes, newestUs: null };
  if (files.length === 0) return { rows: 0, bytes: 0, newestUs: null };
  const list = `[${files.map(text).join(', ')}]`;
  try {
    const [counted] = await rowsOf(
      connection,
      `SELECT sum(num_rows)::BIGINT AS n FROM parquet_file_metadata(${list})`,
    );
    const [newest] = await rowsOf(
      connection,
      `SELECT max(stats_max_value) AS t FROM parquet_metadata(${list}) WHERE path_in_schema = ${text(source.eventTime)}`,
    );
    return { rows: Number(counted!.n), bytes, newestUs: instantOrNull(newest?.t) };
  } catch (error) {
    throw fileError(error, files, { source: source.name }, source.name);
  }
}

function instantOrNull(value: unknown): InstantUs | null {
  if (typeof value !== 'string') return null;
  try {
    return parseInstant(value);
  } catch {
    return null;
  }
}
