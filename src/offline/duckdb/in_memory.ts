/**
 * Look-ups over one source whose labels and history fit into memory together: both are read once for all of them, and they are sorted and
 * swept side by side, one here and the others in threads. Only a faster way to what `lookUp` gives: where it cannot go, that one does.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Window } from '../../aggregate/window.ts';
import { SamewiseError } from '../../base/errors.ts';
import {
  type BatchLocation,
  type Catalog,
  type Lookup,
  type RequestSlot,
  sweptFeatures,
  sweptLayout,
} from '../../model/index.ts';
import type { Knowledge } from '../../timeline/index.ts';
import type { Batch, Schema } from '../../types/batch.ts';
import type { Column } from '../../types/column.ts';
import { type Dtype, float64, sameDtype, timestamp } from '../../types/dtype.ts';
import { rowBytes } from './columns.ts';
import { type Engine, isDuckdbError, name, rowsOf, withConnection } from './engine.ts';
import { ARRIVAL, floats, RETRACTED, TIME } from './event_batches.ts';
import { wiredScan } from './events.ts';
import { listFiles } from './files.ts';
import type { Positions } from './history_scan.ts';
import { type SweepJob, sweepInMemory } from './in_memory_sweep.ts';
import { InMemoryThread } from './in_memory_threads.ts';
import type { Labels } from './labels.ts';
import { isLatestOnly } from './latest.ts';
import { readRange } from './lookup.ts';
import { readShared, wireExpression } from './read.ts';
import { openScan, type Paths, T } from './scan.ts';

export interface InMemoryRequest {
  readonly engine: Engine;
  readonly paths: Paths;
  /** What is read of the history of the source's stream. */
  readonly upTo: Positions;
  readonly catalog: Catalog;
  /** Of one source, with keys of the labels. */
  readonly lookups: readonly Lookup[];
  readonly labels: Labels;
  /** Where the labels lie. */
  readonly location: BatchLocation;
  readonly timeColumn: string;
  readonly through: boolean;
  readonly knowledge: Knowledge;
  readonly signal: AbortSignal | undefined;
  /** How many look-ups may be under way at a time. */
  readonly threads: number;
  /** Told of rows of history for each look-up, and of labels that one of them is done with. */
  readonly onHistory: (rows: number) => void;
  readonly onLabels: (lookup: Lookup, rows: number) => void;
}

/** Whether this way is open to a look-up. */
export function mayBeInMemory(lookup: Lookup, knowledge: Knowledge): boolean {
  const { source } = lookup.program;
  return (
    lookup.level === 0 &&
    !source.mutable &&
    lookup.program.lookups.length === 0 &&
    // Others would have to be run to be counted.
    (source.batch === null || source.batch.type === 'parquet') &&
    !isLatestOnly({ lookup, knowledge })
  );
}

/** What look-ups gave, in their order: each a column for each of its features, in label order. And the files of their source. */
export interface InMemory {
  readonly swept: readonly (readonly Column[])[];
  readonly files: readonly string[];
  /** Of all look-ups together. */
  readonly scannedRows: number;
}

/** Null where this way ends: not enough memory, or anything wrong with the data. */
export async function lookUpInMemory(request: InMemoryRequest): Promise<InMemory | null> {
  const { engine, lookups, timeColumn, through, signal } = request;
  const threads: InMemoryThread[] = [];
  try {
    return await withConnection(engine, signal, async (connection) => {
      const { source } = lookups[0]!.program;
      const wanted = new Set(lookups.flatMap(({ program }) => program.sourceColumns));
      const files = await filesThatAreLabels(connection, request);
      const scanned = files === null ? source : { ...source, batch: labelTable(request.labels) };
      const scan = await openScan(connection, scanned, [...wanted], request.paths, request.upTo);
      const fields = source.columns.filter((column) => wanted.has(column.name));
      const asks = labelColumns(request);
      const { sql: all, schema } = wiredScan(scan, fields, '');
      const most = Math.floor(engine.sortBytes / rowBytes(schema.map(({ dtype }) => dtype)));
      const few = `SELECT count(*) AS n FROM (SELECT 1 FROM (${all}) LIMIT ${most + 1})`;
      const [counted] = await rowsOf(connection, few);
      const rows = Number(counted!.n);
      const labelBytes = request.labels.rows * rowBytes(asks.schema.map(({ dtype }) => dtype));
      if (rows > most || labelBytes > engine.sortBytes) return null;
      // They start while this thread reads.
      while (threads.length + 1 < Math.min(request.threads, lookups.length))
        threads.push(new InMemoryThread());
      const readLabels = (on: DuckDBConnection) =>
        readShared(on, asks.sql, asks.schema, request.labels.rows);
      let labels: Batch | null = null;
      let history: Batch;
      if (files !== null && asksForEvents(request)) {
        history = await readShared(connection, all, schema, rows);
        // Else there are rows of a stream, too.
        labels = history.length === request.labels.rows ? eventsAsLabels(request, history) : null;
        labels ??= await readLabels(connection);
      } else {
        const asked = { from: name(request.labels.table), time: request.labels.value(timeColumn) };
        const range = await readRange(connection, asked, lookups.flatMap(windowsOf), through);
        const bounds = range.map((bound) => `${T} ${bound}`).join(' AND ');
        const { sql } = wiredScan(scan, fields, bounds);
        // While DuckDB is at one, this thread copies what came of the other.
        [labels, history] = await withConnection(engine, signal, (other) =>
          both(readLabels(other), readShared(connection, sql, schema, rows)),
        );
      }
      const swept = await sweepAll(request, threads, labels, history);
      return {
        swept,
        files: files ?? scan.files,
        scannedRows: lookups.length * history.length,
      };
    });
  } catch (error) {
    signal?.throwIfAborted();
    // What is wrong with the data the usual way says, if it meets it at all.
    if (error instanceof SamewiseError || isDuckdbError(error)) return null;
    throw error;
  } finally {
    await Promise.all(threads.map((thread) => thread.end()));
  }
}

/** The source's files, where they are the labels' as well: the labels' table then holds its rows, read already. Null: they are others. */
async function filesThatAreLabels(
  connection: DuckDBConnection,
  { lookups, labels, location, paths }: InMemoryRequest,
): Promise<readonly string[] | null> {
  const { batch } = lookups[0]!.program.source;
  if (batch?.type !== 'parquet' || location.type !== 'parquet') return null;
  if (batch.hivePartitioned !== location.hivePartitioned) return null;
  const files = await listFiles(connection, batch, paths.projectDir);
  const same = files.length === labels.files.length && files.every((f, i) => f === labels.files[i]);
  return same ? files : null;
}

function labelTable({ table }: Labels): BatchLocation {
  return { type: 'query', sql: `SELECT * FROM ${name(table)}` };
}

/** Whether labels that are rows of the source ask at the time of the event that they are, for its keys. */
function asksForEvents({ lookups, timeColumn }: InMemoryRequest): boolean {
  const { source } = lookups[0]!.program;
  const isOf = (column: string, dtype: Dtype): boolean =>
    source.columns.some((field) => field.name === column && sameDtype(field.dtype, dtype));
  return (
    timeColumn === source.eventTime &&
    isOf(timeColumn, timestamp) &&
    lookups.every(({ keys, program }) =>
      keys.every((slot, i) => {
        const { column } = slot as RequestSlot;
        return program.sourceColumns.includes(column) && isOf(column, program.keyDtypes[i]!);
      }),
    )
  );
}

/** What `labelColumns` asks for, out of the events that the labels are. */
function eventsAsLabels({ lookups, through }: InMemoryRequest, { length, columns }: Batch): Batch {
  const time = columns[TIME]!;
  const out: Record<string, Column> = { [TIME]: through ? oneLater(time, length) : time };
  for (const slot of lookups.flatMap(({ keys }) => keys)) {
    const { column } = slot as RequestSlot;
    out[keyName(column)] = columns[column]!;
  }
  return { length, columns: out };
}

/** In memory that threads share. */
function oneLater(time: Column, length: number): Column {
  const data = new Float64Array(new SharedArrayBuffer(8 * length));
  const from = floats(time);
  for (let row = 0; row < length; row++) data[row] = from[row]! + 1;
  return { ...time, data } as Column;
}

/** The labels' T in microseconds, their keys and their numbers. */
function labelColumns({ lookups, labels, timeColumn, through }: InMemoryRequest): {
  readonly sql: string;
  readonly schema: Schema;
} {
  const keys = new Map(
    lookups.flatMap(({ keys, program }) =>
      keys.map((slot, i) => [(slot as RequestSlot).column, program.keyDtypes[i]!] as const),
    ),
  );
  const wired = [...keys].map(([column, dtype]) => wireExpression(labels.value(column), dtype));
  return {
    sql: `SELECT epoch_us(${labels.value(timeColumn)})::DOUBLE${through ? ' + 1' : ''}, ${wired.join(', ')} FROM ${name(labels.table)}`,
    schema: [
      { name: TIME, dtype: float64 },
      ...[...keys].map(([column, dtype]) => ({ name: keyName(column), dtype })),
    ],
  };
}

/** Key columns of labels have names of their own. */
function keyName(column: string): string {
  return `key ${column}`;
}

/** Fails only when both have ended: what they read from is closed then. */
async function both<A, B>(one: Promise<A>, other: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([one, other]);
  return [await one, await other];
}

/** Sweeps each look-up, here or in whichever thread is free. */
async function sweepAll(
  request: InMemoryRequest,
  threads: readonly InMemoryThread[],
  labels: Batch,
  history: Batch,
): Promise<Column[][]> {
  const { lookups, signal } = request;
  const out: Column[][] = [];
  const left = [...lookups.keys()];
  const lane = async (sweep: (job: SweepJob) => Promise<Column[]>): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const lookup = lookups[next]!;
      out[next] = await sweep(jobOf(request, lookup, labels, history));
      signal?.throwIfAborted();
      request.onHistory(history.length);
      request.onLabels(lookup, labels.length);
    }
  };
  // The threads take theirs first: this one is busy from then on.
  const elsewhere = threads.map((thread) => lane((job) => thread.run(job, signal)));
  await Promise.all([...elsewhere, lane(sweepInMemory)]);
  return out;
}

function jobOf(
  { catalog, knowledge }: InMemoryRequest,
  lookup: Lookup,
  labels: Batch,
  history: Batch,
): SweepJob {
  const { program, keys } = lookup;
  const columns: Record<string, Column> = { t: labels.columns[TIME]! };
  keys.forEach((slot, i) => {
    columns[`k${i}`] = labels.columns[keyName((slot as RequestSlot).column)]!;
  });
  const wanted = new Set<string>([...program.sourceColumns, TIME, ARRIVAL, RETRACTED]);
  const read = Object.entries(history.columns).filter(([column]) => wanted.has(column));
  return {
    catalog,
    view: program.view.name,
    features: sweptFeatures(lookup),
    knowledge,
    labels: { length: labels.length, columns },
    history: { length: history.length, columns: Object.fromEntries(read) },
  };
}

function windowsOf(lookup: Lookup): Window[] {
  const { reads } = sweptLayout(lookup.program, sweptFeatures(lookup));
  return reads.map(({ window }) => window);
}
