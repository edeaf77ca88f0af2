/**
 * The rows of a source that looks up, with their looked-up columns. What a row gets is a label's look-up, with the row as the label:
 * T is the event's own time, and known is what had arrived before the row did. Rows and columns are tables, which DuckDB spills, and
 * stand in for the scan.
 */
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { canonicalJson } from '../../base/hash.ts';
import {
  type Catalog,
  type ColumnLookup,
  type Lookup,
  type ViewProgram,
  withDefault,
} from '../../model/index.ts';
import type { Schema } from '../../types/batch.ts';
import type { Column } from '../../types/column.ts';
import { appendBatch, createTable } from './append_table.ts';
import { type Engine, name, rowsOf } from './engine.ts';
import type { EventsRequest } from './events.ts';
import type { Positions } from './history_scan.ts';
import { lookUp } from './lookup.ts';
import { A, type Paths, type Scan, T, type ViewScan } from './scan.ts';
import { blockRowsOf, Scatter } from './scatter.ts';

/** What a look-up by rows runs on. */
export interface EnrichRequest {
  readonly engine: Engine;
  readonly paths: Paths;
  /** Of this catalog `program` was compiled. */
  readonly catalog: Catalog;
  readonly program: ViewProgram;
  /** Rows that are not wanted need not be enriched; null: all are wanted. */
  readonly only: EventsRequest['only'];
  /**
   * What is read of the history of a looked-up source's stream; null: all that there is once the rows' own has been opened. A stream
   * commits a row after everything that arrived before it and that it looks up.
   */
  readonly upToOf?: (source: string) => Positions | null;
  readonly signal: AbortSignal | undefined;
  /** Told of what was read of a looked-up source: rows as they come, and in the end its files. */
  readonly onRows?: (source: string, rows: number) => void;
  readonly onFiles?: (source: string, files: readonly string[]) => void;
}

/** The scan with the columns that `program` looks up; the scan itself if there are none. */
export async function enrich(
  request: EnrichRequest,
  connection: DuckDBConnection,
  scan: Scan,
): Promise<ViewScan> {
  const { engine, program } = request;
  if (program.lookups.length === 0) return { scan, close: async () => {} };
  const rows = engine.tableName('rows');
  const columns = engine.tableName('looked');
  const close = async () => {
    for (const table of [rows, columns])
      await connection.run(`DROP TABLE IF EXISTS ${name(table)}`);
  };
  try {
    try {
      await connection.run(`CREATE TABLE ${name(rows)} AS ${wantedRows(request, scan)}`);
    } catch (error) {
      throw await scan.explain(connection, error);
    }
    await lookUpRows(request, rows, columns);
  } catch (error) {
    await close();
    throw error;
  }
  // Both have a row for each row, in one order.
  const sql = `SELECT * FROM ${name(rows)} POSITIONAL JOIN ${name(columns)}`;
  return { scan: { ...scan, sql }, close };
}

/**
 * Rows that nobody asks for can be left out before, where that can be told from the source's own columns, and where a row counts by itself:
 * what a row of a table under change means is decided by all rows of its id.
 */
function wantedRows({ program, only }: EnrichRequest, scan: Scan): string {
  const { view, source } = program;
  const own = view.keys.every((key) => source.columns.some((column) => column.name === key));
  if (only === null || source.mutable || !own) return scan.sql;
  return `SELECT * FROM (${scan.sql}) WHERE ${only(view.keys.map(name), T)}`;
}

/** Looked-up columns of one view under one key. */
interface Group {
  readonly lookup: Lookup;
  readonly keys: readonly string[];
  readonly looked: Scatter;
}

/** Fills a new table with the looked-up columns of the rows of another, in its order. */
async function lookUpRows(request: EnrichRequest, rows: string, columns: string): Promise<void> {
  const { engine, program, signal } = request;
  const connection = await engine.connect();
  const groups: Group[] = [];
  try {
    const [counted] = await rowsOf(connection, `SELECT count(*) AS n FROM ${name(rows)}`);
    const count = Number(counted!.n);
    const dtypes = program.lookups.map(({ dtype }) => dtype);
    const blockRows = blockRowsOf(count, dtypes);
    const byKey = Map.groupBy(program.lookups, ({ program: { id }, keys }) =>
      canonicalJson([id, keys]),
    );
    for (const [i, same] of [...byKey.values()].entries()) {
      const lookup = lookupOf(same);
      const folder = join(engine.spillDir, `${columns}-${i}`);
      const looked = new Scatter(count, blockRows, [...lookup.dtypes], folder);
      groups.push({ lookup, keys: same[0]!.keys, looked });
    }
    for (const group of groups) await lookUpGroup(request, rows, group);
    const schema: Schema = program.lookups.map(({ name, dtype }) => ({ name, dtype }));
    await createTable(connection, columns, schema);
    for (let block = 0; block * blockRows < count; block++) {
      signal?.throwIfAborted();
      const blocks = new Map(groups.map((group) => [group, group.looked.block(block)]));
      const length = Math.min(blockRows, count - block * blockRows);
      const batch: Record<string, Column> = {};
      for (const { name: column, program: from, keys, feature } of program.lookups) {
        const group = groups.find(
          ({ lookup, keys: others }) =>
            lookup.program.id === from.id && canonicalJson(others) === canonicalJson(keys),
        )!;
        const at = group.lookup.features.indexOf(feature);
        batch[column] = withDefault(blocks.get(group)![at]!, group.lookup.defaults[at]!);
      }
      await appendBatch(connection, columns, schema, { length, columns: batch });
    }
  } finally {
    for (const { looked } of groups) looked.close();
    connection.closeSync();
  }
}

async function lookUpGroup(
  request: EnrichRequest,
  rows: string,
  { lookup, keys, looked }: Group,
): Promise<void> {
  const { engine, paths, catalog, signal } = request;
  const source = lookup.program.source.name;
  const files = await lookUp(
    {
      engine,
      paths,
      upTo: request.upToOf?.(source) ?? null,
      // A row may come before there is anything that it could look up.
      mayBeEmpty: true,
      catalog,
      lookup,
      asked: {
        from: name(rows),
        row: 'rowid',
        time: T,
        known: `COALESCE(${A}, ${T})`,
        keys: keys.map(name),
      },
      through: false,
      knowledge: 'as-served',
      signal,
      inThread: false,
      enrich: null,
      onHistory: (read) => request.onRows?.(source, read),
      onKeyless: () => {},
      onLabels: () => {},
    },
    looked,
  );
  request.onFiles?.(source, files);
}

/** The look-up of all columns that come from one view under one key. */
function lookupOf(columns: readonly ColumnLookup[]): Lookup {
  const { program } = columns[0]!;
  const features = [...new Set(columns.map(({ feature }) => feature))].sort((a, b) => a - b);
  return {
    program,
    keys: [],
    features,
    dtypes: features.map((feature) => program.view.features[feature]!.dtype),
    defaults: features.map((feature) => program.defaults[feature]!),
    tellsFound: false,
    level: 0,
  };
}
