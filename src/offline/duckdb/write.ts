/** Files that appear only when they are whole: written under another name beside, flushed to the disk, renamed. */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { SamewiseError } from '../../base/errors.ts';
import type { FileOutput } from '../contract.ts';
import { duckdbMessage, isDuckdbError, text } from './engine.ts';

/** Rows of a Parquet row group: fixed, because it is part of the bytes of a file that must come out the same. */
export const ROW_GROUP_ROWS = 122_880;

/**
 * Lets `write` make a file under a name of its own and moves it to `path`. Whatever fails, nothing is left under `path` that was
 * not there before. `offline/write-failed` for what the disk refuses. Gives the file's size.
 */
export async function writeWhole(
  path: string,
  write: (partial: string) => Promise<void>,
): Promise<number> {
  const folder = dirname(path);
  let scratch: string | null = null;
  try {
    mkdirSync(folder, { recursive: true });
    scratch = mkdtempSync(join(folder, '.samewise-'));
    const partial = join(scratch, basename(path));
    await write(partial);
    flush(partial);
    const { size } = statSync(partial);
    renameSync(partial, path);
    flush(folder);
    return size;
  } catch (error) {
    throw writeError(error, path);
  } finally {
    if (scratch !== null) rmSync(scratch, { recursive: true, force: true });
  }
}

/** Writes the rows of a query, in its order, as a whole file. Gives its size. */
export async function writeQuery(
  connection: DuckDBConnection,
  sql: string,
  { format, path }: FileOutput,
): Promise<number> {
  return writeWhole(path, (partial) =>
    format === 'arrow'
      ? // Loaded only here: the library takes longer to load than most commands to run.
        import('./arrow.ts').then(({ writeArrow }) => writeArrow(connection, sql, partial))
      : copyQuery(connection, sql, format, partial),
  );
}

/** `COPY` of a query into a file, in the query's order, the same bytes for the same rows. */
export async function copyQuery(
  connection: DuckDBConnection,
  sql: string,
  format: Exclude<FileOutput['format'], 'arrow'>,
  path: string,
): Promise<void> {
  const options =
    format === 'parquet'
      ? `FORMAT parquet, ROW_GROUP_SIZE ${ROW_GROUP_ROWS}`
      : 'FORMAT csv, HEADER';
  await connection.run(`COPY (${sql}) TO ${text(path)} (${options}, USE_TMP_FILE false)`);
}

function flush(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

const DISK = [
  'ENOSPC',
  'EDQUOT',
  'EFBIG',
  'EACCES',
  'EPERM',
  'EROFS',
  'EIO',
  'ENOTDIR',
  'EISDIR',
  'EEXIST',
];

/** What the disk refused as `offline/write-failed`; any other error as it is. */
export function writeError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  const refused =
    (code !== undefined && DISK.includes(code)) ||
    (isDuckdbError(error) &&
      /^IO Error/.test(error.message) &&
      /writ|space|open file|fsync|truncate/i.test(error.message));
  if (error instanceof SamewiseError || !refused) return error;
  return new SamewiseError(
    'offline/write-failed',
    `cannot write ${path}: ${duckdbMessage(error)}`,
    {
      where: { file: path },
      hint: 'nothing was left under that name; make room or choose another place, and run it again',
      cause: error,
    },
  );
}
