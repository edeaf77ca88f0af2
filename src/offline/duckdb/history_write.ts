/** The files of a commit: rows by the date of their event, and dead letters. */
import { join } from 'node:path';
import { US_PER_DAY } from '../../base/time.ts';
import type { Schema } from '../../types/batch.ts';
import { type Column, columnOf } from '../../types/column.ts';
import { bool, int64, string, timestamp } from '../../types/dtype.ts';
import type { HistoryCommit } from '../history_contract.ts';
import { takeRows } from './columns.ts';
import { encodeDeadLetters } from './dead_letters.ts';
import { type Engine, name, text, withConnection } from './engine.ts';
import type { Feeds } from './feed.ts';
import { filePrint } from './fingerprints.ts';
import type { DeadLetterFile, HistoryFile, Range } from './history_manifest.ts';
import { commitFile, DEAD_LETTERS, dateFolder, SCRATCH } from './history_names.ts';
import type { HistoryPlace } from './history_store.ts';
import { copyQuery } from './write.ts';

/** What a commit adds. */
export interface Written {
  readonly files: readonly HistoryFile[];
  readonly deadLetters: readonly DeadLetterFile[];
}

/** Greatest position that DuckDB's own integers hold. */
const MAX_INT64 = 2n ** 63n - 1n;

/** Writes the files of a commit, durably, under names that are theirs alone. */
export async function writeCommit(
  place: HistoryPlace,
  { engine, feeds }: { readonly engine: Engine; readonly feeds: Feeds },
  commit: HistoryCommit,
): Promise<Written> {
  const { disk, folder } = place;
  if (commit.rows.length === 0 && commit.deadLetters.length === 0)
    return { files: [], deadLetters: [] };
  await disk.folder(join(folder, SCRATCH));
  const scratch = await disk.scratch(join(folder, SCRATCH));
  try {
    const files = await withConnection(engine, undefined, async (connection) => {
      const schema = feedSchema(commit);
      const columns = feedColumns(commit, schema);
      const days = rowsByDay(commit);
      const written: HistoryFile[] = [];
      for (const [day, rows] of days) {
        const partial = join(scratch, String(day));
        const whole = days.size === 1;
        const piece = whole ? columns : columns.map((column) => takeRows(column, rows));
        await feeds.use(connection, { schema, pieces: [piece].values() }, (from) =>
          copyQuery(connection, fileQuery(commit, from), 'parquet', partial),
        );
        const range = rangeOf(commit.partition, commit.positions, rows);
        const path = await placeFile(place, partial, dateFolder(day), range, 'parquet');
        written.push({
          ...filePrint(join(folder, path), folder),
          rows: rows.length,
          ranges: [range],
        });
      }
      return written;
    });
    const deadLetters = await writeDeadLetters(place, scratch, commit);
    // A folder of a day may be new to another process as well, which then waits for nobody to make it durable.
    await disk.flush(folder);
    return { files, deadLetters };
  } finally {
    await disk.remove(scratch);
  }
}

async function writeDeadLetters(
  place: HistoryPlace,
  scratch: string,
  { partition, deadLetters }: HistoryCommit,
): Promise<DeadLetterFile[]> {
  if (deadLetters.length === 0) return [];
  const partial = join(scratch, DEAD_LETTERS);
  await place.disk.write(partial, encodeDeadLetters(deadLetters));
  const first = deadLetters[0]!.position;
  const range = { partition, first, last: deadLetters.at(-1)!.position };
  const path = await placeFile(place, partial, DEAD_LETTERS, range, 'ndjson');
  return [{ path, range, states: [['open', deadLetters.length]] }];
}

/** Moves a whole file to where it stays; gives its path inside the source's folder. */
async function placeFile(
  { disk, folder }: HistoryPlace,
  partial: string,
  to: string,
  range: Range,
  ending: string,
): Promise<string> {
  await disk.flush(partial);
  await disk.folder(join(folder, to));
  for (let attempt = 0; ; attempt++) {
    const path = `${to}/${commitFile(range, attempt, ending)}`;
    if (!(await disk.link(partial, join(folder, path)))) continue;
    await disk.flush(join(folder, to));
    return path;
  }
}

/** Columns that travel beside the source's own, under names that no column of a source has in common with them. */
const ARRIVAL = '__arrival_us';
const RETRACT = '__op';
const POSITION = '__position';

function feedSchema({ source, retract, to }: HistoryCommit): Schema {
  return [
    ...source.columns,
    // An instant is a number here and an integer in DuckDB: no bigint is made.
    { name: ARRIVAL, dtype: timestamp },
    ...(retract === null ? [] : [{ name: RETRACT, dtype: bool }]),
    { name: POSITION, dtype: to.position <= MAX_INT64 ? int64 : string },
  ];
}

function feedColumns(commit: HistoryCommit, schema: Schema): Column[] {
  const { rows, arrivalUs, retract, positions } = commit;
  const { length } = rows;
  return schema.map(({ name: column, dtype }): Column => {
    const common = { length, validity: null };
    if (column === ARRIVAL)
      return { ...common, kind: 'timestamp', dtype: timestamp, data: arrivalUs };
    if (column === RETRACT) return { ...common, kind: 'bool', dtype: bool, data: retract! };
    if (column === POSITION)
      return columnOf(dtype, dtype.kind === 'int64' ? positions : positions.map(String));
    return rows.columns[column]!;
  });
}

function fileQuery({ source, partition, retract }: HistoryCommit, from: string): string {
  const columns = source.columns.map((column) => name(column.name));
  const op =
    retract === null ? `'upsert'` : `CASE WHEN ${RETRACT} THEN 'retract' ELSE 'upsert' END`;
  return `SELECT ${columns.join(', ')}, epoch_us(${ARRIVAL}) AS __arrival_us, ${op} AS __op, ${text(partition)} AS __partition, ${POSITION}::VARCHAR AS __position FROM ${from}`;
}

/** Row numbers by day since 1970; a retract without an event time counts as of its arrival, as it does when it is read. */
function rowsByDay({ source, rows, arrivalUs }: HistoryCommit): Map<number, Int32Array> {
  const times = rows.columns[source.eventTime]!;
  const data = times.data as Float64Array | Int32Array;
  const unit = times.kind === 'date' ? US_PER_DAY : 1;
  const days = new Int32Array(rows.length);
  for (let row = 0; row < rows.length; row++) {
    const timeUs = times.validity?.[row] === 0 ? arrivalUs[row]! : data[row]! * unit;
    days[row] = Math.floor(timeUs / US_PER_DAY);
  }
  const counts = new Map<number, number>();
  for (const day of days) counts.set(day, (counts.get(day) ?? 0) + 1);
  const found = new Map(
    [...counts].sort(([a], [b]) => a - b).map(([day, n]) => [day, new Int32Array(n)]),
  );
  const filled = new Map<number, number>();
  days.forEach((day, row) => {
    const at = filled.get(day) ?? 0;
    found.get(day)![at] = row;
    filled.set(day, at + 1);
  });
  return found;
}

function rangeOf(partition: string, positions: readonly bigint[], rows: Int32Array): Range {
  return { partition, first: positions[rows[0]!]!, last: positions[rows.at(-1)!]! };
}
