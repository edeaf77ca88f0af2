/**
 * The feature log as Parquet: `<folder>/date=YYYY-MM-DD/<served>.parquet`, by the day (UTC) on which vectors were served. Version 1
 * of the format; a file names its version in its metadata. Lists are parallel: features[i] had values[i] with statuses[i].
 */
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { assert, SamewiseError } from '../../base/errors.ts';
import { US_PER_DAY } from '../../base/time.ts';
import type { Status } from '../../model/index.ts';
import type { Schema } from '../../types/batch.ts';
import { columnOf, scalarAt } from '../../types/column.ts';
import { int32, list, string, timestamp } from '../../types/dtype.ts';
import type { Scalar } from '../../types/scalar.ts';
import type {
  FeatureLogFiles,
  FeatureLogRequest,
  LoggedPage,
  LoggedVector,
} from '../feature_log_contract.ts';
import { appendBatch, createTable } from './append_table.ts';
import {
  duckdbMessage,
  type Engine,
  isDuckdbError,
  name,
  rowsOf,
  text,
  withConnection,
} from './engine.ts';
import { type Disk, machineDisk } from './history_disk.ts';
import { dateFolder, isDateFolder, SCRATCH } from './history_names.ts';
import { readAll, wireExpression } from './read.ts';
import { writeError } from './write.ts';

export const FEATURE_LOG_FORMAT = 'samewise-feature-log';
export const FEATURE_LOG_VERSION = 1;

/** Scratch that is so old was left behind by a process that is gone. */
const ABANDONED_US = US_PER_DAY;

const SCHEMA: Schema = [
  { name: 'request_id', dtype: string },
  { name: 'row', dtype: int32 },
  { name: 'served_at', dtype: timestamp },
  { name: 'read_at', dtype: timestamp },
  { name: 'service', dtype: string },
  { name: 'service_version', dtype: int32 },
  { name: 'inputs', dtype: string },
  { name: 'features', dtype: list(string) },
  { name: 'refs', dtype: list(string) },
  { name: 'values', dtype: list(string) },
  { name: 'statuses', dtype: list(string) },
  { name: 'pages', dtype: string },
];

/** The log in a folder, which need not exist yet. `disk` is the machine's unless a test has another. */
export function openFeatureLog(
  engine: Engine,
  folder: string,
  disk: Disk = machineDisk,
): Omit<FeatureLogFiles, 'train'> {
  return {
    append: async (vectors) => {
      const days = Map.groupBy(vectors, ({ servedUs }) => Math.floor(servedUs / US_PER_DAY));
      let bytes = 0;
      for (const [day, some] of days) bytes += await appendDay(engine, disk, folder, day, some);
      return bytes;
    },
    read: (request) => readLog(engine, disk, folder, request),
    forget: (beforeUs) => forget(disk, folder, beforeUs),
  };
}

async function appendDay(
  engine: Engine,
  disk: Disk,
  folder: string,
  day: number,
  vectors: readonly LoggedVector[],
): Promise<number> {
  const into = join(folder, dateFolder(day));
  let scratch: string | null = null;
  let placed: string | null = null;
  try {
    await disk.folder(join(folder, SCRATCH));
    scratch = await disk.scratch(join(folder, SCRATCH));
    const partial = join(scratch, 'vectors.parquet');
    await writeFile(engine, vectors, partial);
    const bytes = sizeOf(disk, partial);
    await disk.flush(partial);
    await disk.folder(into);
    // Of two processes that begin a file in one microsecond each has its own.
    for (let attempt = 0; ; attempt++) {
      const called = `${vectors[0]!.servedUs}${attempt === 0 ? '' : `.${attempt}`}.parquet`;
      if (!(await disk.link(partial, join(into, called)))) continue;
      placed = join(into, called);
      break;
    }
    await disk.flush(into);
    return bytes;
  } catch (error) {
    // Whoever is told of a failure tries again, and no vector is to be there twice.
    if (placed !== null) await disk.remove(placed).catch(() => {});
    throw writeError(error, into);
  } finally {
    if (scratch !== null) await disk.remove(scratch).catch(() => {});
  }
}

function sizeOf(disk: Disk, path: string): number {
  const held = disk.hold(path)!;
  held.close();
  return held.bytes.length;
}

async function writeFile(
  engine: Engine,
  vectors: readonly LoggedVector[],
  path: string,
): Promise<void> {
  const rows = vectors.map(encode);
  const columns = Object.fromEntries(
    SCHEMA.map(({ name: column, dtype }) => [
      column,
      columnOf(
        dtype,
        rows.map((row) => row[column]!),
      ),
    ]),
  );
  await withConnection(engine, undefined, async (connection) => {
    const table = await createTable(connection, engine.tableName('served'), SCHEMA);
    try {
      await appendBatch(connection, table, SCHEMA, { length: rows.length, columns });
      const metadata = `KV_METADATA {format: ${text(FEATURE_LOG_FORMAT)}, version: ${text(String(FEATURE_LOG_VERSION))}}`;
      await connection.run(
        `COPY ${name(table)} TO ${text(path)} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false, ${metadata})`,
      );
    } finally {
      await connection.run(`DROP TABLE ${name(table)}`);
    }
  });
}

function encode(vector: LoggedVector): Record<string, Scalar | null> {
  return {
    request_id: vector.requestId,
    row: vector.row,
    served_at: vector.servedUs,
    read_at: vector.readUs,
    service: vector.service?.name ?? null,
    service_version: vector.service?.version ?? null,
    inputs: vector.inputs,
    features: vector.features,
    refs: vector.refs,
    values: vector.values,
    statuses: vector.statuses,
    pages: JSON.stringify(vector.pages),
  };
}

async function readLog(
  engine: Engine,
  disk: Disk,
  folder: string,
  { service, sinceUs, limit }: FeatureLogRequest,
): Promise<LoggedVector[]> {
  const files = await filesSince(disk, folder, sinceUs);
  if (files.length === 0) return [];
  const from = `read_parquet([${files.map(text).join(', ')}])`;
  const ofService = service === null ? '' : `AND service = ${text(service)}`;
  return withConnection(engine, undefined, async (connection) => {
    try {
      await checkVersions(connection, files);
      const columns = SCHEMA.map((field) => wireExpression(name(field.name), field.dtype));
      const batch = await readAll(
        connection,
        `SELECT ${columns.join(', ')} FROM (
           SELECT * FROM ${from} WHERE served_at >= make_timestamp(${sinceUs}::BIGINT) ${ofService}
           ORDER BY hash(request_id, "row", served_at) LIMIT ${limit}
         ) ORDER BY served_at, request_id, "row"`,
        SCHEMA,
      );
      return Array.from({ length: batch.length }, (_, row) =>
        decode((column) => scalarAt(batch.columns[column]!, row)),
      );
    } catch (error) {
      if (!isDuckdbError(error)) throw error;
      throw new SamewiseError(
        'offline/unreadable-file',
        `the feature log cannot be read: ${duckdbMessage(error)}`,
        {
          where: { file: folder },
          hint: 'take the damaged file out of the folder',
          cause: error,
        },
      );
    }
  });
}

async function checkVersions(connection: DuckDBConnection, files: readonly string[]) {
  const found = await rowsOf(
    connection,
    `SELECT file_name, max(decode(value)) FILTER (decode(key) = 'format') AS format, max(decode(value)) FILTER (decode(key) = 'version') AS version
     FROM parquet_kv_metadata([${files.map(text).join(', ')}]) GROUP BY file_name ORDER BY file_name`,
  );
  const known = new Map(found.map((row) => [row.file_name, row]));
  for (const file of files) {
    const { format, version } = known.get(file) ?? {};
    if (format === FEATURE_LOG_FORMAT && version === String(FEATURE_LOG_VERSION)) continue;
    throw new SamewiseError(
      'offline/bad-feature-log',
      format === FEATURE_LOG_FORMAT
        ? `the file has version ${version} of the feature log; this Samewise reads version ${FEATURE_LOG_VERSION}`
        : 'the file is none of the feature log',
      {
        where: { file },
        hint: 'use the Samewise that wrote it, or take the file out of the folder',
      },
    );
  }
}

function decode(at: (column: string) => Scalar | null): LoggedVector {
  const texts = (column: string): string[] => {
    const found = at(column);
    assert(Array.isArray(found), `${column} is a list`);
    return found as string[];
  };
  const service = at('service') as string | null;
  return {
    requestId: at('request_id') as string,
    row: at('row') as number,
    servedUs: at('served_at') as number,
    readUs: at('read_at') as number,
    service: service === null ? null : { name: service, version: at('service_version') as number },
    inputs: at('inputs') as string,
    features: texts('features'),
    refs: texts('refs'),
    values: texts('values'),
    statuses: texts('statuses') as Status[],
    pages: JSON.parse(at('pages') as string) as LoggedPage[],
  };
}

/** All files of the log, of a version that is read here. */
export async function filesOfLog(engine: Engine, folder: string): Promise<string[]> {
  const files = await filesSince(machineDisk, folder, 0);
  if (files.length > 0)
    await withConnection(engine, undefined, (connection) => checkVersions(connection, files));
  return files;
}

/** Files of days that ended after `sinceUs`. */
async function filesSince(disk: Disk, folder: string, sinceUs: number): Promise<string[]> {
  const first = dateFolder(Math.max(0, Math.floor(sinceUs / US_PER_DAY)));
  const days = (await disk.names(folder)).filter((day) => isDateFolder(day) && day >= first);
  const files: string[] = [];
  for (const day of days.sort())
    for (const file of (await disk.names(join(folder, day))).sort())
      if (file.endsWith('.parquet')) files.push(join(folder, day, file));
  return files;
}

async function forget(disk: Disk, folder: string, beforeUs: number): Promise<void> {
  const first = dateFolder(Math.max(0, Math.floor(beforeUs / US_PER_DAY)));
  for (const day of await disk.names(folder))
    if (isDateFolder(day) && day < first) await disk.remove(join(folder, day));
  for (const left of await disk.names(join(folder, SCRATCH))) {
    const path = join(folder, SCRATCH, left);
    const changedUs = disk.changedUs(path);
    if (changedUs !== null && changedUs < beforeUs - ABANDONED_US) await disk.remove(path);
  }
}
