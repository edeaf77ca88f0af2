/**
 * The history of a view as the kernel wants it: it is sorted by (key, t, a, id), the view's filter and
 * row expressions run here, and repeats, corrections and retracts are resolved. Batches hold whole keys.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import { assert, SamewiseError } from '../../base/errors.ts';
import { eventIds, type ViewProgram } from '../../model/index.ts';
import {
  type Knowledge,
  type Resolved,
  resolveById,
  resolveHistory,
} from '../../timeline/index.ts';
import type { Changes } from '../../timeline/layout.ts';
import type { Batch, Schema } from '../../types/batch.ts';
import type { Column } from '../../types/column.ts';
import { bool, float64, int64 } from '../../types/dtype.ts';
import { appendBatch, createTable } from './append_table.ts';
import { joinBatches, runStarts, sliceBatch, takeRows } from './columns.ts';
import { type Engine, name } from './engine.ts';
import { NOTHING_LEFT, rowsLeftBehind, splitLeftBehind } from './left_behind.ts';
import { wireExpression } from './read.ts';
import { A, RETRACT, type Scan, T } from './scan.ts';
import { type OrderBy, readSorted } from './sort.ts';

/** Resolved events of whole keys. */
export interface KeyedBatch {
  /** The key columns; row i is key i. */
  readonly keys: readonly Column[];
  readonly resolved: Resolved;
}

export interface EventsRequest {
  readonly engine: Engine;
  readonly connection: DuckDBConnection;
  readonly program: ViewProgram;
  readonly scan: Scan;
  readonly knowledge: Knowledge;
  /** With `final` of a mutable source: also tombstones, and keys that a row was under before (see left_behind.ts). */
  readonly leftBehind?: boolean;
  /** A SQL condition over the key columns and the event time; null: all events. */
  readonly only: ((keys: readonly string[], t: string) => string) | null;
  /** Told of raw rows as they are read. */
  readonly onRows?: (rows: number) => void;
  /** Told of rows without a key, which belong to nobody. */
  readonly onKeyless?: (rows: number) => void;
}

const ARRIVAL = 'samewise:a';
const TIME = 'samewise:t';
const RETRACTED = 'samewise:retract';
const ROLE = 'samewise:role';

/** Streams the events of a view, keys ascending. Throws what `scan.explain` makes of bad data. */
export async function* keyedEvents(request: EventsRequest): AsyncGenerator<KeyedBatch> {
  try {
    yield* request.program.source.mutable ? mutableEvents(request) : appendOnlyEvents(request);
  } catch (error) {
    throw await request.scan.explain(request.connection, error);
  }
}

async function* appendOnlyEvents(request: EventsRequest): AsyncGenerator<KeyedBatch> {
  const { program, scan } = request;
  const { view, source } = program;
  const order = [
    ...view.keys.map(byColumn),
    { column: TIME, sql: T },
    ...(scan.hasArrival ? [{ column: ARRIVAL, sql: `COALESCE(${A}, ${T})` }] : []),
    // An id that is a number sorts here as the kernel sorts it; other ids are hashes, which are made later.
    ...(source.eventId === null ? [] : [byColumn(source.eventId)]),
  ];
  const rows = scanSorted(request, order);
  for await (const whole of wholeKeys(rows, view.keys)) {
    request.onRows?.(whole.length);
    const batch = keptRows(request, whole);
    const starts = runStarts(keysOf(batch, view.keys), batch.length);
    if (batch.length === 0) continue;
    const changes = changesOf(program, scan, batch, null);
    const resolved = resolveHistory(false, changes, starts, request.knowledge);
    yield {
      keys: keysOf(batch, view.keys).map((key) => takeRows(key, starts.subarray(0, -1))),
      resolved,
    };
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
    const rows = scanSorted({ ...request, only: null }, [byColumn(source.eventId)]);
    // The appender needs the connection that the scan is read from, so it has one of its own.
    const writer = await engine.connect();
    try {
      for await (const batch of wholeKeys(rows, [source.eventId])) {
        request.onRows?.(batch.length);
        const leaves = leavesView(request, batch);
        const changes = changesOf(program, scan, batch, leaves);
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
    const sorted = readSorted(
      connection,
      `SELECT ${stood.map((field) => wireExpression(name(field.name), field.dtype)).join(', ')} FROM ${name(table)} ${only}`,
      stood,
      [...keyNames, TIME, ARRIVAL, 'samewise:id'].map(byColumn),
      engine.sortBytes,
    );
    for await (const batch of wholeKeys(sorted, keyNames)) {
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

/** The scan's rows in wire form, sorted. */
function scanSorted(
  { engine, connection, program, scan, only }: EventsRequest,
  order: readonly OrderBy[],
): AsyncGenerator<Batch> {
  const wanted = new Set(program.sourceColumns);
  const fields = program.source.columns.filter((field) => wanted.has(field.name));
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
  const where = only === null ? '' : `WHERE ${only(program.view.keys.map(name), T)}`;
  const sql = `SELECT ${select.join(', ')} FROM (${scan.sql}) ${where}`;
  return readSorted(connection, sql, schema, order, engine.sortBytes);
}

function byColumn(column: string): OrderBy {
  return { column, sql: name(column) };
}

/**
 * Regroups a stream sorted by `keys` so that each batch holds whole runs of equal keys. Only the rows of keys that lie across batches
 * are copied.
 */
export async function* wholeKeys(
  batches: AsyncIterable<Batch>,
  keys: readonly string[],
): AsyncGenerator<Batch> {
  /** Parts of one key, which may go on. */
  let pending: Batch[] = [];
  for await (const batch of batches) {
    const starts = runStarts(keysOf(batch, keys), batch.length);
    const last = pending.at(-1);
    const continues =
      last !== undefined &&
      runStarts(
        keysOf(
          joinBatches([sliceBatch(last, last.length - 1, last.length), sliceBatch(batch, 0, 1)]),
          keys,
        ),
        2,
      ).length === 2;
    const lastStart = starts[starts.length - 2]!;
    if (continues && lastStart === 0) {
      pending.push(batch);
      continue;
    }
    const first = continues ? starts[1]! : 0;
    if (continues) pending.push(sliceBatch(batch, 0, first));
    if (pending.length > 0) yield joinBatches(pending);
    if (lastStart > first) yield sliceBatch(batch, first, lastStart);
    pending = [sliceBatch(batch, lastStart, batch.length)];
  }
  if (pending.length > 0) yield joinBatches(pending);
}

/** Without rows that the filter leaves out (retracts always pass) and rows without a key. */
function keptRows(request: EventsRequest, batch: Batch): Batch {
  const leaves = leavesView(request, batch);
  if (leaves === null) return batch;
  const keyless = keylessRows(request.program, batch);
  const retract = retractOf(batch);
  const rows = new Int32Array(batch.length);
  let kept = 0;
  for (let row = 0; row < batch.length; row++)
    if (keyless?.[row] !== 1 && (leaves[row] === 0 || retract?.[row] === 1)) rows[kept++] = row;
  if (kept === batch.length) return batch;
  const columns: Record<string, Column> = {};
  for (const [column, data] of Object.entries(batch.columns))
    columns[column] = takeRows(data, rows.subarray(0, kept));
  return { length: kept, columns };
}

/** 1 for each row that is no event of the view: the filter leaves it out, or it has no key. Null: all are. */
function leavesView(request: EventsRequest, batch: Batch): Uint8Array | null {
  const { filter } = request.program;
  const keyless = keylessRows(request.program, batch);
  if (filter === null) {
    if (keyless !== null) request.onKeyless?.(keyless.reduce((sum, one) => sum + one, 0));
    return keyless;
  }
  const [passes] = filter.run(batch);
  assert(passes?.kind === 'bool', 'a filter gives one bool column');
  const leaves = new Uint8Array(batch.length);
  for (let row = 0; row < batch.length; row++)
    leaves[row] =
      passes.data[row] === 1 && passes.validity?.[row] !== 0 && keyless?.[row] !== 1 ? 0 : 1;
  if (keyless !== null) request.onKeyless?.(keyless.reduce((sum, one) => sum + one, 0));
  return leaves;
}

function keylessRows(program: ViewProgram, batch: Batch): Uint8Array | null {
  let keyless: Uint8Array | null = null;
  for (const { validity } of keysOf(batch, program.view.keys)) {
    if (validity === null) continue;
    keyless ??= new Uint8Array(batch.length);
    for (let row = 0; row < batch.length; row++) if (validity[row] === 0) keyless[row] = 1;
  }
  return keyless;
}

/** Rows as changes of timelines; `leaves` marks rows that take their event away instead of standing for it. */
function changesOf(
  program: ViewProgram,
  scan: Scan,
  batch: Batch,
  leaves: Uint8Array | null,
): Changes {
  const time = batch.columns[TIME]!;
  const nullRow = time.validity?.indexOf(0) ?? -1;
  if (nullRow >= 0)
    throw new SamewiseError(
      'offline/null-event-time',
      `the event time ${program.source.eventTime} is null`,
      { where: { source: program.source.name, column: program.source.eventTime } },
    );
  let retract = retractOf(batch);
  if (leaves !== null) {
    const given = retract;
    retract = leaves.map((left, row) => (left === 1 || given?.[row] === 1 ? 1 : 0));
  }
  return {
    length: batch.length,
    timeUs: floats(time),
    arrivalUs: scan.hasArrival ? floats(batch.columns[ARRIVAL]!) : null,
    id: eventIds(program.source, batch),
    columns: program.rowProgram.run(batch),
    retract,
  };
}

function retractOf(batch: Batch): Uint8Array | null {
  const column = batch.columns[RETRACTED];
  return column?.kind === 'bool' ? column.data : null;
}

function withRows(rows: Int32Array, more: readonly number[]): Int32Array {
  if (more.length === 0) return rows;
  const all = new Int32Array(rows.length + more.length);
  all.set(rows);
  all.set(more, rows.length);
  return all;
}

function keysOf(batch: Batch, keys: readonly string[]): Column[] {
  return keys.map((key) => batch.columns[key]!);
}

function floats(column: Column): Float64Array {
  assert(column.kind === 'float64', 'a column of numbers');
  return column.data;
}

function ids(column: Column): BigInt64Array {
  assert(column.kind === 'int64', 'a column of ids');
  return column.data;
}

function number(data: Float64Array): Column {
  return { kind: 'float64', dtype: float64, length: data.length, validity: null, data };
}
