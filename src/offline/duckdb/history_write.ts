/** The files of a commit: rows by the date of their event, and dead letters. */
import { join } from 'node:path';
import { assert } from '../../base/errors.ts';
import { US_PER_DAY } from '../../base/time.ts';
import type { Schema } from '../../types/batch.ts';
import type { Column } from '../../types/column.ts';
import { bool, int32, int64, string, timestamp } from '../../types/dtype.ts';
import type { HistoryCommit } from '../history_contract.ts';
import { appendBatch, createTable } from './append_table.ts';
import { encodeDeadLetters } from './dead_letters.ts';
import { type Engine, name, text, withConnection } from './engine.ts';
import { filePrint } from './fingerprints.ts';
import type { DeadLetterFile, HistoryFile, Range } from './history_manifest.ts';
import { commitFile, DEAD_LETTERS, dateFolder, SCRATCH } from './history_names.ts';
import type { HistoryPlace } from './history_store.ts';

/** What a commit adds, as far as it is written. */
export interface Written {
  readonly files: HistoryFile[];
  readonly deadLetters: DeadLetterFile[];
}

interface WriteContext {
  readonly engine: Engine;
}

/** Greatest position that DuckDB's own integers hold. */
const MAX_INT64 = 2n ** 63n - 1n;

/** Distinct values up to which a column has a dictionary: to find out that there are many takes long, and compaction writes these files anew. */
const DICTIONARY = 1_000;

/** Days that are written at a time: DuckDB holds a file of each open. */
const DAYS = 64;

/** Writes the files of a commit, durably, under names that are theirs alone. Each is in `written` as soon as it has its name. */
export async function writeCommit(
  place: HistoryPlace,
  context: WriteContext,
  commit: HistoryCommit,
  written: Written,
): Promise<void> {
  const { disk, folder } = place;
  if (commit.rows.length === 0 && commit.deadLetters.length === 0) return;
  await disk.folder(join(folder, SCRATCH));
  const scratch = await disk.scratch(join(folder, SCRATCH));
  try {
    if (commit.rows.length > 0) await writeRows(place, context, scratch, commit, written);
    if (commit.deadLetters.length > 0) await writeDeadLetters(place, scratch, commit, written);
    // A folder of a day may be new to another process as well, which then waits for nobody to make it durable.
    await disk.flush(folder);
  } finally {
    await disk.remove(scratch);
  }
}

async function writeRows(
  place: HistoryPlace,
  { engine }: WriteContext,
  scratch: string,
  commit: HistoryCommit,
  written: Written,
): Promise<void> {
  const dayOf = daysOf(commit);
  const days = daysIn(commit, dayOf);
  const schema = tableSchema(commit);
  const columns = tableColumns(commit, schema, dayOf);
  const table = engine.tableName('commit');
  await withConnection(engine, undefined, async (connection) => {
    // By way of a table: a query that waits for JavaScript would wait for whatever else this thread has to do.
    await createTable(connection, table, schema);
    try {
      await appendBatch(connection, table, schema, { length: commit.rows.length, columns });
      for (let at = 0; at < days.length; at += DAYS) {
        const some = days.slice(at, at + DAYS);
        const into = join(scratch, `days-${at}`);
        const between = `${DAY} BETWEEN ${some[0]!.day} AND ${some.at(-1)!.day}`;
        await connection.run(
          `COPY (${fileQuery(commit, name(table))} WHERE ${between}) TO ${text(into)} (FORMAT parquet, DICTIONARY_SIZE_LIMIT ${DICTIONARY}, PARTITION_BY (${DAY}), FILENAME_PATTERN 'rows')`,
        );
        const placed = some.map(({ day, rows, range }) =>
          placeDay(place, join(into, `${DAY}=${day}`), { day, rows, range }, written),
        );
        for (const one of await Promise.allSettled(placed))
          if (one.status === 'rejected') throw one.reason;
      }
    } finally {
      await connection.run(`DROP TABLE ${name(table)}`);
    }
  });
}

async function placeDay(
  place: HistoryPlace,
  from: string,
  { day, rows, range }: Day,
  { files }: Written,
): Promise<void> {
  const names = await place.disk.names(from);
  assert(names.length === 1, 'all rows of a day are in one file');
  const partial = join(from, names[0]!);
  const print = filePrint(partial, from);
  await placeFile(place, partial, dateFolder(day), range, 'parquet', (path) =>
    files.push({ ...print, path, rows, ranges: [range] }),
  );
}

async function writeDeadLetters(
  place: HistoryPlace,
  scratch: string,
  { partition, deadLetters }: HistoryCommit,
  written: Written,
): Promise<void> {
  const partial = join(scratch, DEAD_LETTERS);
  await place.disk.write(partial, encodeDeadLetters(deadLetters));
  const first = deadLetters[0]!.position;
  const range = { partition, first, last: deadLetters.at(-1)!.position };
  await placeFile(place, partial, DEAD_LETTERS, range, 'ndjson', (path) =>
    written.deadLetters.push({ path, range, states: [['open', deadLetters.length]] }),
  );
}

/** Gives a whole file the name under which it stays; tells its path inside the source's folder. */
async function placeFile(
  { disk, folder }: HistoryPlace,
  partial: string,
  to: string,
  range: Range,
  ending: string,
  onPlaced: (path: string) => void,
): Promise<void> {
  await disk.flush(partial);
  await disk.folder(join(folder, to));
  for (let attempt = 0; ; attempt++) {
    const path = `${to}/${commitFile(range, attempt, ending)}`;
    if (!(await disk.link(partial, join(folder, path)))) continue;
    onPlaced(path);
    return disk.flush(join(folder, to));
  }
}

/** Columns that travel beside the source's own, under names that no column of a source has in common with them. */
const ARRIVAL = '__arrival_us';
const RETRACT = '__op';
const POSITION = '__position';
const DAY = '__day';

function tableSchema({ source, retract, to }: HistoryCommit): Schema {
  return [
    ...source.columns,
    // An instant is a number here and an integer in DuckDB: no bigint is made.
    { name: ARRIVAL, dtype: timestamp },
    ...(retract === null ? [] : [{ name: RETRACT, dtype: bool }]),
    { name: POSITION, dtype: to.position <= MAX_INT64 ? int64 : string },
    { name: DAY, dtype: int32 },
  ];
}

function tableColumns(
  commit: HistoryCommit,
  schema: Schema,
  dayOf: Int32Array,
): Record<string, Column> {
  const { rows, arrivalUs, retract, positions } = commit;
  const { length } = rows;
  const columnOf = ({ name: column, dtype }: Schema[number]): Column => {
    const common = { length, validity: null };
    if (column === ARRIVAL)
      return { ...common, kind: 'timestamp', dtype: timestamp, data: arrivalUs };
    if (column === RETRACT) return { ...common, kind: 'bool', dtype: bool, data: retract! };
    if (column === DAY) return { ...common, kind: 'int32', dtype: int32, data: dayOf };
    if (column === POSITION)
      return dtype.kind === 'int64'
        ? { ...common, kind: 'int64', dtype, data: BigInt64Array.from(positions) }
        : { ...common, kind: 'string', dtype: string, data: positions.map(String) };
    return rows.columns[column]!;
  };
  return Object.fromEntries(schema.map((field) => [field.name, columnOf(field)]));
}

function fileQuery({ source, partition, retract }: HistoryCommit, from: string): string {
  const columns = source.columns.map((column) => name(column.name));
  const op =
    retract === null ? `'upsert'` : `CASE WHEN ${RETRACT} THEN 'retract' ELSE 'upsert' END`;
  return `SELECT ${columns.join(', ')}, epoch_us(${ARRIVAL}) AS __arrival_us, ${op} AS __op, ${text(partition)} AS __partition, ${POSITION}::VARCHAR AS __position, ${DAY} FROM ${from}`;
}

/** The day of each row, since 1970; a retract without an event time counts as of its arrival, as it does when it is read. */
function daysOf({ source, rows, arrivalUs }: HistoryCommit): Int32Array {
  const times = rows.columns[source.eventTime]!;
  const data = times.data as Float64Array | Int32Array;
  const unit = times.kind === 'date' ? US_PER_DAY : 1;
  const days = new Int32Array(rows.length);
  for (let row = 0; row < rows.length; row++) {
    const timeUs = times.validity?.[row] === 0 ? arrivalUs[row]! : data[row]! * unit;
    days[row] = Math.floor(timeUs / US_PER_DAY);
  }
  return days;
}

interface Day {
  readonly day: number;
  readonly rows: number;
  readonly range: Range;
}

/** The days that have rows, in order. */
function daysIn({ partition, positions }: HistoryCommit, dayOf: Int32Array): Day[] {
  const found = new Map<number, { rows: number; first: number; last: number }>();
  dayOf.forEach((day, row) => {
    const known = found.get(day);
    if (known === undefined) found.set(day, { rows: 1, first: row, last: row });
    else {
      known.rows++;
      known.last = row;
    }
  });
  return [...found]
    .sort(([a], [b]) => a - b)
    .map(([day, { rows, first, last }]) => ({
      day,
      rows,
      range: { partition, first: positions[first]!, last: positions[last]! },
    }));
}
