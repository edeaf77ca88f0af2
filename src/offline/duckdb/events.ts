/**
 * The history of a view as the kernel wants it: it is sorted by (key, t, a, id), the view's filter and
 * row expressions run here, and repeats, corrections and retracts are resolved. Batches hold whole keys.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import { assert } from '../../base/errors.ts';
import { resolveById } from '../../timeline/index.ts';
import type { Schema } from '../../types/batch.ts';
import type { Column } from '../../types/column.ts';
import { bool, float64, int64 } from '../../types/dtype.ts';
import { appendBatch, createTable } from './append_table.ts';
import { runStarts, takeRows } from './columns.ts';
import { type Engine, name } from './engine.ts';
import {
  ARRIVAL,
  appendOnlyEvents,
  changesOf,
  eventOrder,
  floats,
  ids,
  type KeyedBatch,
  keysOf,
  leavesView,
  RETRACTED,
  type Reading,
  TIME,
  wholeKeys,
} from './event_batches.ts';
import { NOTHING_LEFT, rowsLeftBehind, splitLeftBehind } from './left_behind.ts';
import { wireExpression } from './read.ts';
import { type OrderBy, readParts } from './read_parts.ts';
import { A, RETRACT, type Scan, T } from './scan.ts';
import { inOrder, type Part } from './sort.ts';

export interface EventsRequest extends Reading {
  readonly engine: Engine;
  readonly connection: DuckDBConnection;
  /** Of the program's rows: with what they look up. */
  readonly scan: Scan;
  /** With `final` of a mutable source: also tombstones, and keys that a row was under before (see left_behind.ts). */
  readonly leftBehind?: boolean;
  /** A SQL condition over the key columns and the event time; null: all events. */
  readonly only: ((keys: readonly string[], t: string) => string) | null;
  /** Of a mutable source: a SQL condition over rows that every version of a wanted row meets; others need not be resolved. */
  readonly among?: string;
}

const ROLE = 'samewise:role';

/** Streams the events of a view, keys ascending. Throws what `scan.explain` makes of bad data. */
export async function* keyedEvents(request: EventsRequest): AsyncGenerator<KeyedBatch> {
  try {
    yield* request.program.source.mutable
      ? mutableEvents(request)
      : appendOnlyEvents(inOrder(scanParts(request)), request);
  } catch (error) {
    throw await request.scan.explain(request.connection, error);
  }
}

/**
 * A row of a mutable source is its id, which may move between keys: all versions of an id are resolved together first,
 * and what stood goes back to DuckDB to be sorted by key.
 */
async function* mutableEvents(request: EventsRequest): AsyncGenerator<KeyedBatch> {
  const { program, scan, engine, connection } = request;
  const { view, source, layout } = program;
  assert(source.eventId !== null, 'a mutable source has an event id');
  const keyFields = view.keys.map((key, i) => ({ name: key, dtype: program.keyDtypes[i]! }));
  const columnFields = layout.columns.map((dtype, i) => ({ name: `samewise:c${i}`, dtype }));
  const stood: Schema = [
    ...keyFields.map(({ dtype }, i) => ({ name: `samewise:k${i}`, dtype })),
    { name: TIME, dtype: float64 },
    { name: ARRIVAL, dtype: float64 },
    { name: 'samewise:id', dtype: int64 },
    { name: 'samewise:to', dtype: float64 },
    { name: ROLE, dtype: float64 },
    ...columnFields,
  ];
  const table = await createTable(connection, engine.tableName('stood'), stood);
  try {
    const rows = inOrder(
      scanBy({ ...request, only: request.among === undefined ? null : () => request.among! }, [
        byColumn(source.eventId),
      ]),
    );
    // The appender needs the connection that the scan is read from, so it has one of its own.
    const writer = await engine.connect();
    try {
      for await (const batch of wholeKeys(rows, [source.eventId])) {
        request.onRows?.(batch.length);
        const leaves = leavesView(request, batch);
        const changes = changesOf(program, scan.hasArrival, batch, leaves);
        // Of two rows of one id and one arrival the content decides, and where a row lies is part of it.
        const place = [...view.keys.map((key) => batch.columns[key]!), number(changes.timeUs)];
        const whole = { ...changes, columns: [...place, ...changes.columns] };
        const { rows: standing, visibleTo, buried } = resolveById(whole, request.knowledge);
        const keyColumns = keysOf(batch, view.keys);
        const left = request.leftBehind
          ? rowsLeftBehind(
              runStarts([batch.columns[source.eventId]!], batch.length),
              keyColumns,
              changes.arrivalUs ?? changes.timeUs,
              standing,
              buried,
            )
          : NOTHING_LEFT;
        const stand = withRows(standing, left.rows);
        const keyRows = withRows(standing, left.keyRows);
        const columns: Record<string, Column> = {};
        keyColumns.forEach((key, i) => {
          columns[`samewise:k${i}`] = takeRows(key, keyRows);
        });
        const roles = new Float64Array(stand.length);
        roles.set(left.roles, standing.length);
        columns[ROLE] = number(roles);
        columns[TIME] = takeRows(number(changes.timeUs), stand);
        columns[ARRIVAL] = takeRows(number(changes.arrivalUs ?? changes.timeUs), stand);
        columns['samewise:id'] = takeRows(
          {
            kind: 'int64',
            dtype: int64,
            length: changes.length,
            validity: null,
            data: changes.id,
          },
          stand,
        );
        columns['samewise:to'] = number(
          visibleTo ?? new Float64Array(stand.length).fill(Number.POSITIVE_INFINITY),
        );
        changes.columns.forEach((column, i) => {
          columns[`samewise:c${i}`] = takeRows(column, stand);
        });
        await appendBatch(writer, table, stood, { length: stand.length, columns });
      }
    } finally {
      writer.closeSync();
    }
    const keyNames = stood.slice(0, keyFields.length).map((field) => field.name);
    const keys = keyNames.map(name);
    const only =
      request.only === null
        ? ''
        : `WHERE ${request.only(keys, `make_timestamp(${name(TIME)}::BIGINT)`)}`;
    const sorted = readParts(
      connection,
      `SELECT ${stood.map((field) => wireExpression(name(field.name), field.dtype)).join(', ')} FROM ${name(table)} ${only}`,
      stood,
      [...keyNames, TIME, ARRIVAL, 'samewise:id'].map(byColumn),
      engine.sortBytes,
    );
    for await (const batch of wholeKeys(inOrder(sorted), keyNames)) {
      const starts = runStarts(keysOf(batch, keyNames), batch.length);
      const arrivalUs = floats(batch.columns[ARRIVAL]!);
      const split = splitLeftBehind(starts, floats(batch.columns[ROLE]!), {
        length: batch.length,
        timeUs: floats(batch.columns[TIME]!),
        arrivalUs,
        id: ids(batch.columns['samewise:id']!),
        columns: columnFields.map((field) => batch.columns[field.name]!),
      });
      const visibleFrom = split.events.arrivalUs!;
      yield {
        keys: keysOf(batch, keyNames).map((key) => takeRows(key, starts.subarray(0, -1))),
        resolved: {
          ...split,
          events: scan.hasArrival ? split.events : { ...split.events, arrivalUs: null },
          visibleFrom,
          visibleTo:
            request.knowledge === 'as-served' ? floats(batch.columns['samewise:to']!) : null,
        },
      };
    }
  } finally {
    await connection.run(`DROP TABLE IF EXISTS ${name(table)}`);
  }
}

/** The rows of an append-only source's scan for `appendOnlyEvents`, once they are in order. */
export function scanParts(request: EventsRequest): AsyncGenerator<Part> {
  const by = eventOrder(request.program, request.scan.hasArrival);
  const sqlOf: Readonly<Record<string, string>> = { [TIME]: T, [ARRIVAL]: `COALESCE(${A}, ${T})` };
  return scanBy(
    request,
    by.map((column) => ({ column, sql: sqlOf[column] ?? name(column) })),
  );
}

/** The scan's rows in wire form. */
function scanBy(
  { engine, connection, program, scan, only }: EventsRequest,
  order: readonly OrderBy[],
): AsyncGenerator<Part> {
  const condition = only === null ? '' : only(program.view.keys.map(name), T);
  const { sql, schema } = wiredScan(scan, program.rowSchema, condition);
  return readParts(connection, sql, schema, order, engine.sortBytes);
}

/** A query of these columns of the scan's rows in wire form, where an SQL condition holds ('': of all rows), and what it gives. */
export function wiredScan(
  scan: Scan,
  fields: Schema,
  condition: string,
): { readonly sql: string; readonly schema: Schema } {
  const schema: Schema = [
    ...fields,
    { name: TIME, dtype: float64 },
    ...(scan.hasArrival ? [{ name: ARRIVAL, dtype: float64 }] : []),
    ...(scan.hasRetract ? [{ name: RETRACTED, dtype: bool }] : []),
  ];
  const select = [
    ...fields.map((field) => wireExpression(name(field.name), field.dtype)),
    `epoch_us(${T})::DOUBLE`,
    ...(scan.hasArrival ? [`epoch_us(COALESCE(${A}, ${T}))::DOUBLE`] : []),
    ...(scan.hasRetract ? [RETRACT] : []),
  ];
  const where = condition === '' ? '' : `WHERE ${condition}`;
  return { sql: `SELECT ${select.join(', ')} FROM (${scan.sql}) ${where}`, schema };
}

function byColumn(column: string): OrderBy {
  return { column, sql: name(column) };
}

function withRows(rows: Int32Array, more: readonly number[]): Int32Array {
  if (more.length === 0) return rows;
  const all = new Int32Array(rows.length + more.length);
  all.set(rows);
  all.set(more, rows.length);
  return all;
}

function number(data: Float64Array): Column {
  return { kind: 'float64', dtype: float64, length: data.length, validity: null, data };
}
