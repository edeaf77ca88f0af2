/** The DuckDB engine of one offline store: an in-memory database that spills to a folder of its own. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { SamewiseError } from '../../base/errors.ts';

export interface EngineOptions {
  /** Where sorts and temporary tables spill. */
  readonly tempDir: string;
  /** Relative paths inside SQL queries are looked up here. */
  readonly projectDir: string;
  /** DuckDB's threads; null: as many as the machine has. */
  readonly threads: number | null;
  /** DuckDB's own memory, such as `1GB`; beyond it, it spills. */
  readonly memoryLimit: string;
  /** What one sort may take in JavaScript's memory; DuckDB does larger ones out of core. 96 MiB by default. */
  readonly sortBytes?: number | undefined;
  /** Labels from which on each look-up has a thread of its own. 131,072 by default: for fewer it takes longer to start. */
  readonly threadRows?: number | undefined;
}

const SORT_BYTES = 96 * 2 ** 20;
const THREAD_ROWS = 2 ** 17;

export interface Engine {
  /** A folder that lives as long as the engine, for spilled data. */
  readonly spillDir: string;
  /** See `EngineOptions`. */
  readonly sortBytes: number;
  /** See `EngineOptions`. */
  readonly threadRows: number;
  connect(): Promise<DuckDBConnection>;
  /** A table name that no other call uses. */
  tableName(what: string): string;
  close(): void;
}

/** Opens an engine. `close` drops everything it held, its spill folder included. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  mkdirSync(options.tempDir, { recursive: true });
  const spillDir = mkdtempSync(join(options.tempDir, 'offline-'));
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: options.memoryLimit,
    temp_directory: join(spillDir, 'duckdb'),
    // A file that is rewritten within its clock's tick would be read from the cache: half old, half new.
    enable_external_file_cache: 'false',
    ...(options.threads === null ? {} : { threads: String(options.threads) }),
  });
  let tables = 0;
  return {
    spillDir,
    sortBytes: options.sortBytes ?? SORT_BYTES,
    threadRows: options.threadRows ?? THREAD_ROWS,
    tableName: (what) => `samewise_${what}_${tables++}`,
    connect: async () => {
      const connection = await instance.connect();
      await connection.run(
        `SET TimeZone = 'UTC'; SET preserve_insertion_order = true; SET file_search_path = ${text(options.projectDir)}`,
      );
      return connection;
    },
    close: () => {
      instance.closeSync();
      rmSync(spillDir, { recursive: true, force: true });
    },
  };
}

/** A connection of one's own; what runs on it is interrupted when `signal` aborts. */
export interface Lease {
  readonly connection: DuckDBConnection;
  close(): void;
}

export async function leaseConnection(
  engine: Engine,
  signal: AbortSignal | undefined,
): Promise<Lease> {
  signal?.throwIfAborted();
  const connection = await engine.connect();
  const interrupt = () => connection.interrupt();
  signal?.addEventListener('abort', interrupt);
  return {
    connection,
    close: () => {
      signal?.removeEventListener('abort', interrupt);
      connection.closeSync();
    },
  };
}

/** Runs `body` with a connection of its own; when `signal` aborts, it fails with the signal's reason. */
export async function withConnection<T>(
  engine: Engine,
  signal: AbortSignal | undefined,
  body: (connection: DuckDBConnection) => Promise<T>,
): Promise<T> {
  const lease = await leaseConnection(engine, signal);
  try {
    return await body(lease.connection);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    lease.close();
  }
}

/** The rows of a small result, as objects of DuckDB's JS values (bigint, string, number, null). */
export async function rowsOf(
  connection: DuckDBConnection,
  sql: string,
): Promise<Record<string, unknown>[]> {
  const reader = await connection.runAndReadAll(sql);
  return reader.getRowObjectsJS();
}

/** Quotes an identifier. */
export function name(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/** Quotes a string literal. */
export function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** What DuckDB said, without its stack of hints. */
export function duckdbMessage(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n\n')[0]!;
}

/** True if an error came from DuckDB (and is not one of ours or an abort). */
export function isDuckdbError(error: unknown): error is Error {
  return (
    error instanceof Error && !(error instanceof SamewiseError) && / Error: /.test(error.message)
  );
}
