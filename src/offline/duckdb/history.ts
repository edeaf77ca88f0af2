/** The resolved history of a view for materialisation. */
import type { DuckDBConnection } from '@duckdb/node-api';
import { compileView, type ViewProgram } from '../../model/index.ts';
import { columnOf, scalarAt } from '../../types/column.ts';
import { decodeKey, encodeKey } from '../../types/key.ts';
import type { HistoryRequest, KeyedEvents } from '../contract.ts';
import { appendBatch, createTable } from './append_table.ts';
import { type Engine, leaseConnection, name } from './engine.ts';
import { enrich } from './enrich.ts';
import type { KeyedBatch } from './event_batches.ts';
import { keyedEvents } from './events.ts';
import { A, openScan, type Paths, type Scan, T, type ViewScan } from './scan.ts';

/** Streams whole keys in key order; see the contract. */
export async function* keyedHistory(
  { engine, paths }: { readonly engine: Engine; readonly paths: Paths },
  request: HistoryRequest,
): AsyncGenerator<KeyedEvents> {
  const program = compileView(request.catalog, request.view);
  const lease = await leaseConnection(engine, request.signal);
  const { connection } = lease;
  let keyTable: string | null = null;
  let rows: ViewScan | null = null;
  try {
    const { source, sourceColumns } = program;
    const upTo = request.upTo ?? null;
    const scan = await openScan(connection, source, sourceColumns, paths, upTo);
    // Nobody is asked for: that the source can be opened is all that there is to learn.
    if (request.keys?.length === 0) return;
    const report = (name: string, rows: number) =>
      request.onProgress?.({ phase: `scan ${name}`, rows, totalRows: null });
    if (request.keys !== null)
      keyTable = await tableOfKeys(connection, engine, program, request.keys);
    const conditions = (over: Scan, keys: readonly string[]): string[] => [
      ...shardCondition(request, keys),
      ...(keyTable === null ? [] : [`(${keys.join(', ')}) IN (SELECT * FROM ${name(keyTable)})`]),
      ...changedCondition(request, program, over, keys),
    ];
    const all = request.shard === null && request.keys === null && request.changedSinceUs === null;
    const only = (over: Scan) =>
      all ? null : (keys: readonly string[]) => ['true', ...conditions(over, keys)].join(' AND ');
    const { catalog, signal } = request;
    let lookedUp = 0;
    const onRows = (name: string, read: number) => report(name, (lookedUp += read));
    rows = await enrich(
      { engine, paths, catalog, program, only: only(scan), signal, onRows },
      connection,
      scan,
    );
    let read = 0;
    const events = keyedEvents({
      engine,
      connection,
      program,
      scan: rows.scan,
      knowledge: request.knowledge ?? 'final',
      leftBehind: request.knowledge !== 'as-served',
      only: only(rows.scan),
      among: keyTable === null ? undefined : amongIds(program, rows.scan, keyTable),
      onRows: (more) => report(source.name, (read += more)),
    });
    for await (const batch of events) {
      request.signal?.throwIfAborted();
      yield encoded(batch, program, request.knowledge === 'as-served');
    }
  } catch (error) {
    request.signal?.throwIfAborted();
    throw error;
  } finally {
    await rows?.close();
    if (keyTable !== null) await connection.run(`DROP TABLE IF EXISTS ${name(keyTable)}`);
    lease.close();
  }
}

/** Of a mutable source: rows of which a version lies or lay under one of the keys, with all their versions. */
function amongIds(
  { view, source }: ViewProgram,
  { sql }: Scan,
  keyTable: string,
): string | undefined {
  if (!source.mutable) return undefined;
  const id = name(source.eventId!);
  const keys = view.keys.map(name).join(', ');
  return `${id} IN (SELECT ${id} FROM (${sql}) WHERE (${keys}) IN (SELECT * FROM ${name(keyTable)}))`;
}

/** DuckDB's hash of the key: the same in every process of one version of DuckDB. */
function shardCondition({ shard }: HistoryRequest, keys: readonly string[]): string[] {
  return shard === null ? [] : [`hash(${keys.join(', ')}) % ${shard.count} = ${shard.index}`];
}

/** Keys with an event that arrived since then; of a mutable source also those that the changed rows were under before. */
function changedCondition(
  { changedSinceUs }: HistoryRequest,
  { view, source }: ViewProgram,
  scan: Scan,
  keys: readonly string[],
): string[] {
  if (changedSinceUs === null) return [];
  const changed = `COALESCE(${A}, ${T}) >= make_timestamp(${changedSinceUs}::BIGINT)`;
  const id = source.mutable ? name(source.eventId!) : null;
  const rows =
    id === null ? changed : `${id} IN (SELECT ${id} FROM (${scan.sql}) WHERE ${changed})`;
  return [
    `(${keys.join(', ')}) IN (SELECT ${view.keys.map(name).join(', ')} FROM (${scan.sql}) WHERE ${rows})`,
  ];
}

/** A new table with these keys, a row each. */
export async function tableOfKeys(
  connection: DuckDBConnection,
  engine: Engine,
  { keyDtypes }: ViewProgram,
  keys: readonly Uint8Array[],
): Promise<string> {
  const schema = keyDtypes.map((dtype, i) => ({ name: `k${i}`, dtype }));
  const table = await createTable(connection, engine.tableName('keys'), schema);
  const rows = keys.map((key) => decodeKey(key, keyDtypes));
  const columns = Object.fromEntries(
    schema.map((field, i) => [
      field.name,
      columnOf(
        field.dtype,
        rows.map((row) => row[i]!),
      ),
    ]),
  );
  if (rows.length > 0)
    await appendBatch(connection, table, schema, { length: rows.length, columns });
  return table;
}

function encoded(
  { keys, resolved }: KeyedBatch,
  { keyDtypes }: ViewProgram,
  asServed: boolean,
): KeyedEvents {
  const count = keys[0]!.length;
  const bytes = Array.from({ length: count }, (_, row) =>
    encodeKey(
      keys.map((key) => scalarAt(key, row)),
      keyDtypes,
    ),
  );
  const { starts, events, tombstones, visibleFrom, visibleTo } = resolved;
  const visible = asServed ? { visibleFrom, visibleTo } : {};
  return { keys: bytes, starts, events, tombstones, ...visible };
}
