/**
 * A scan of a source: its batch location together with what its stream wrote, as one query whose columns have the declared types.
 * Besides the source's columns it gives "samewise:t" (event time), "samewise:a" (arrival, null: a = t), "samewise:retract",
 * and of what a stream wrote "samewise:partition" and "samewise:position" (its digits). What is wrong with the data is found by a second query, after the first has failed.
 */
import type { DuckDBConnection } from '@duckdb/node-api';
import { nearest, SamewiseError, type Where } from '../../base/errors.ts';
import type { BatchLocation, Source } from '../../model/definitions.ts';
import type { Field, Schema } from '../../types/batch.ts';
import { printDtype } from '../../types/dtype.ts';
import { sqlType } from '../../types/sql.ts';
import { type Cast, castExpression, castFails, castOf, textCast } from './casts.ts';
import { duckdbMessage, isDuckdbError, name, rowsOf, text } from './engine.ts';
import { filesSql, listFiles } from './files.ts';
import { openStream, type Positions } from './history_scan.ts';

export const T = '"samewise:t"';
export const A = '"samewise:a"';
export const RETRACT = '"samewise:retract"';
export const PARTITION = '"samewise:partition"';
export const POSITION = '"samewise:position"';

export interface Paths {
  readonly projectDir: string;
  /** What streams wrote lies in `<historyDir>/<source>/`, see history_names.ts. */
  readonly historyDir: string;
}

/** A readable table with declared columns: files or a query. */
export interface Relation {
  /** What it is called in messages. */
  readonly title: string;
  readonly files: readonly string[] | null;
  /** FROM item; with `file` only over that one, with a `filename` column if asked. */
  from(options?: { readonly file?: string; readonly filename?: boolean }): string;
  /** Each declared column that was asked for, and how to get at it. */
  readonly columns: readonly { readonly field: Field; readonly cast: Cast }[];
}

/** A scan of the rows of a view, with what they look up; `close` gives back what it took. */
export interface ViewScan {
  readonly scan: Scan;
  close(): Promise<void>;
}

export interface Scan {
  readonly source: Source;
  /** `SELECT` of the asked columns and of those named at the head of this file. */
  readonly sql: string;
  /** False: a = t in every row. */
  readonly hasArrival: boolean;
  /** False: there are no retracts. */
  readonly hasRetract: boolean;
  /** Those of the batch location; what a stream wrote is known by its positions. */
  readonly files: readonly string[];
  /** What an error that came out of running `sql` says to a person: with file and row where they can be found. */
  explain(connection: DuckDBConnection, error: unknown): Promise<unknown>;
}

/**
 * Opens the scan of `wanted` columns of a source (in the source's order). Checks names and types against the files'
 * metadata: `offline/missing-column`, `offline/wrong-type`, `offline/no-files`, `offline/unreadable-file`. Extra columns are ignored.
 * Of what a stream wrote only what lies within `upTo`; null: all. A source without any history is `offline/no-history`, unless it
 * `mayBeEmpty`.
 */
export async function openScan(
  connection: DuckDBConnection,
  source: Source,
  wanted: readonly string[],
  paths: Paths,
  upTo: Positions | null = null,
  mayBeEmpty = false,
): Promise<Scan> {
  const needed = new Set([...wanted, source.eventTime]);
  if (source.arrivalTime !== null) needed.add(source.arrivalTime);
  if (source.op !== null) needed.add(source.op);
  const schema = source.columns.filter((field) => needed.has(field.name));
  const where = { source: source.name };
  const parts: { relation: Relation; sql: string }[] = [];
  if (source.batch !== null) {
    const relation = await openRelation(connection, source.batch, schema, paths.projectDir, where);
    const sound = await hasNoNulls(connection, source, relation);
    parts.push({ relation, sql: batchSelect(source, relation, sound) });
  }
  const stream = await openStream(source.name, paths.historyDir, upTo);
  const streamed = stream.files.length > 0;
  if (streamed) {
    const relation = await openHistory(connection, stream, schema, where);
    parts.push({ relation, sql: historySelect(source, relation) });
  }
  if (parts.length === 0 && !mayBeEmpty) {
    throw new SamewiseError('offline/no-history', `the source ${source.name} has no history`, {
      where,
      hint: 'give it a batch location, or push events into it',
    });
  }
  return {
    source,
    sql: parts.length === 0 ? noRows(schema) : parts.map(({ sql }) => sql).join('\nUNION ALL\n'),
    hasArrival: source.arrivalTime !== null || streamed,
    hasRetract: source.op !== null || streamed,
    files: parts.flatMap(({ relation }) =>
      relation.files === stream.files ? [] : (relation.files ?? []),
    ),
    explain: async (failed, error) => {
      for (const { relation } of parts) {
        const explained = await explain(failed, relation, error, where, source.eventTime);
        if (explained !== null) return explained;
      }
      return error;
    },
  };
}

function noRows(schema: Schema): string {
  const columns = schema.map(
    ({ name: column, dtype }) => `NULL::${sqlType(dtype)} AS ${name(column)}`,
  );
  const more = `NULL::TIMESTAMP AS ${T}, NULL::TIMESTAMP AS ${A}, false AS ${RETRACT}, NULL::VARCHAR AS ${PARTITION}, NULL::VARCHAR AS ${POSITION}`;
  return `SELECT ${[...columns, more].join(', ')} WHERE false`;
}

/** Opens a batch location and matches it with the declared columns. */
export async function openRelation(
  connection: DuckDBConnection,
  location: BatchLocation,
  schema: Schema,
  projectDir: string,
  where: Where,
): Promise<Relation> {
  const files =
    location.type === 'query' ? null : await listFiles(connection, location, projectDir);
  const from: Relation['from'] = (options = {}) =>
    location.type === 'query'
      ? `(${location.sql.trim().replace(/;$/, '')}\n)`
      : filesSql(location, options.file === undefined ? files! : [options.file], schema, options);
  const title = location.type === 'query' ? 'the query' : location.path;
  const described =
    location.type === 'json'
      ? `read_json_auto([${files!.map(text).join(', ')}], format = 'newline_delimited', hive_partitioning = ${location.hivePartitioned})`
      : from();
  const actual = await describe(connection, described, files, { ...where }, title);
  const columns = schema.map((field) => {
    const type = actual.get(field.name);
    if (type === undefined) throw missingColumn(field, actual, title, where);
    const value = name(field.name);
    const cast =
      location.type === 'csv'
        ? textCast(value, field.dtype)
        : castOf(value, location.type === 'json' ? 'JSON' : type, field.dtype);
    if (cast === null) throw wrongType(field, type, title, where);
    return { field, cast };
  });
  return { title, files, from, columns };
}

/** What the source's stream wrote: a column that older files lack is null in them. */
async function openHistory(
  connection: DuckDBConnection,
  { files, only }: { readonly files: readonly string[]; readonly only: string | null },
  schema: Schema,
  where: Where,
): Promise<Relation> {
  const from: Relation['from'] = (options = {}) => {
    const list = options.file === undefined ? files : [options.file];
    const rows = `read_parquet([${list.map(text).join(', ')}], union_by_name = true, hive_partitioning = false${options.filename ? ', filename = true' : ''})`;
    return only === null ? rows : `(SELECT * FROM ${rows} WHERE ${only})`;
  };
  const title = 'the history of its stream';
  const actual = await describe(connection, from(), files, where, title);
  const columns = schema.map((field) => {
    const type = actual.get(field.name);
    if (type === undefined)
      return { field, cast: { sql: `NULL::${sqlType(field.dtype)}`, guard: null } };
    const cast = castOf(name(field.name), type, field.dtype);
    if (cast === null) throw wrongType(field, type, title, where);
    return { field, cast };
  });
  return { title, files, from, columns };
}

/**
 * Whether the files' own statistics say that no event time is null. Otherwise a null has to be an error of the query: a condition on the time
 * would only leave it out.
 */
async function hasNoNulls(
  connection: DuckDBConnection,
  source: Source,
  relation: Relation,
): Promise<boolean> {
  if (source.batch?.type !== 'parquet') return false;
  const statistics = `SELECT bool_and(stats_null_count IS NOT NULL AND stats_null_count = 0) AS sound FROM parquet_metadata([${relation.files!.map(text).join(', ')}]) WHERE path_in_schema = ${text(source.eventTime)}`;
  try {
    const [found] = await rowsOf(connection, statistics);
    return found?.sound === true;
  } catch (error) {
    throw fileError(error, relation.files, { source: source.name }, relation.title);
  }
}

function batchSelect(source: Source, relation: Relation, sound: boolean): string {
  const t = declared(relation, source.eventTime);
  const a = source.arrivalTime === null ? 'NULL' : declared(relation, source.arrivalTime);
  const op = source.op === null ? 'false' : retractSql(declared(relation, source.op));
  const time = sound ? t : `COALESCE(${t}, error('null event time'))`;
  return select(source, relation, [`${a}::TIMESTAMP`, op, 'NULL::VARCHAR', 'NULL::VARCHAR'], time);
}

function historySelect(source: Source, relation: Relation): string {
  const a = 'make_timestamp(__arrival_us)';
  const t = declared(relation, source.eventTime);
  // What takes a row of a table away may not know when it happened.
  const time = source.mutable ? `COALESCE(${t}, ${a})` : t;
  return select(source, relation, [a, retractSql('__op'), '__partition', '__position'], time);
}

function select(
  source: Source,
  relation: Relation,
  [a, op, partition, position]: readonly [string, string, string, string],
  t: string,
): string {
  const columns = relation.columns.map(({ field, cast }) => {
    const value = name(field.name);
    return `${castExpression(cast, value, field.dtype)} AS ${value}`;
  });
  const isDate =
    source.columns.find(({ name }) => name === source.eventTime)!.dtype.kind === 'date';
  const time = isDate ? `(${t})::TIMESTAMP` : t;
  return `SELECT ${columns.join(', ')}, ${time} AS ${T}, ${a} AS ${A}, ${op} AS ${RETRACT}, ${partition} AS ${PARTITION}, ${position} AS ${POSITION} FROM ${relation.from()}`;
}

function retractSql(op: string): string {
  return `CASE ${op} WHEN 'retract' THEN true WHEN 'upsert' THEN false ELSE CASE WHEN ${op} IS NULL THEN false ELSE CAST('not upsert or retract: ' || ${op} AS BOOLEAN) END END`;
}

function declared(relation: Relation, column: string): string {
  const { field, cast } = relation.columns.find(({ field }) => field.name === column)!;
  return castExpression(cast, name(column), field.dtype);
}

/** Names and DuckDB types of a FROM item. */
export async function describe(
  connection: DuckDBConnection,
  from: string,
  files: readonly string[] | null,
  where: Where,
  title: string,
): Promise<Map<string, string>> {
  try {
    const rows = await rowsOf(connection, `DESCRIBE SELECT * FROM ${from}`);
    return new Map(rows.map((row) => [String(row.column_name), String(row.column_type)]));
  } catch (error) {
    throw fileError(error, files, where, title);
  }
}

/** An error of DuckDB's about a file, or about a query, in our words. */
export function fileError(
  error: unknown,
  files: readonly string[] | null,
  where: Where,
  title: string,
): unknown {
  if (!isDuckdbError(error)) return error;
  const message = duckdbMessage(error);
  if (files === null)
    return new SamewiseError('offline/bad-query', `the query cannot run: ${message}`, {
      where,
      cause: error,
    });
  const file =
    files.find((path) => message.includes(path)) ?? files.find((_) => files.length === 1);
  if (/column .*(was not found|not found|missing)|schema mismatch/i.test(message))
    return new SamewiseError('offline/missing-column', `the files of ${title} differ: ${message}`, {
      where: { ...where, file },
      cause: error,
    });
  if (/failed to cast column/i.test(message))
    return new SamewiseError('offline/wrong-type', `the files of ${title} differ: ${message}`, {
      where: { ...where, file },
      hint: 'write them with the same types, or cast in a query',
      cause: error,
    });
  return new SamewiseError('offline/unreadable-file', `cannot read ${file ?? title}: ${message}`, {
    where: { ...where, file },
    hint: 'the file is damaged or cut short: write it again, or take it out of the location',
    cause: error,
  });
}

function missingColumn(
  field: Field,
  actual: ReadonlyMap<string, string>,
  title: string,
  where: Where,
): SamewiseError {
  const near = nearest(field.name, actual.keys());
  return new SamewiseError('offline/missing-column', `${title} has no column ${field.name}`, {
    where: { ...where, column: field.name },
    hint: near === undefined ? `it has ${[...actual.keys()].join(', ')}` : `did you mean ${near}?`,
  });
}

function wrongType(field: Field, actual: string, title: string, where: Where): SamewiseError {
  const { name: column, dtype } = field;
  return new SamewiseError(
    'offline/wrong-type',
    `${column} of ${title} is ${actual}, which does not become ${printDtype(dtype)} without loss`,
    {
      where: { ...where, column },
      hint: `declare ${column} with the type that the files hold, or cast it in a query`,
    },
  );
}

/** The first value at fault as a coded error, or null if there is none in this relation. */
export async function explain(
  connection: DuckDBConnection,
  relation: Relation,
  error: unknown,
  where: Where,
  eventTime: string | null,
): Promise<unknown> {
  const coded = error instanceof SamewiseError;
  if (!coded && !isDuckdbError(error)) return null;
  const fault = relation.columns.map(({ field, cast }) => {
    const fails = castFails(cast, name(field.name), field.dtype);
    return field.name === eventTime ? `(${fails} OR TRY(${cast.sql}) IS NULL)` : fails;
  });
  try {
    const row = await firstFault(connection, relation, fault);
    if (row === null) {
      const named = !coded && relation.files?.some((file) => duckdbMessage(error).includes(file));
      return named ? fileError(error, relation.files, where, relation.title) : null;
    }
    return faultError(relation, row, where, eventTime, coded ? error : null);
  } catch {
    // The search itself met what cannot be read: the first error says as much as we know.
    return coded ? error : fileError(error, relation.files, where, relation.title);
  }
}

interface Fault {
  readonly file: string | undefined;
  readonly row: number;
  readonly column: number;
  readonly value: string | null;
}

async function firstFault(
  connection: DuckDBConnection,
  relation: Relation,
  fault: readonly string[],
): Promise<Fault | null> {
  if (fault.length === 0) return null;
  const any = fault.map((condition) => `COALESCE(${condition}, false)`).join(' OR ');
  for (const file of relation.files ?? [undefined]) {
    const from = relation.from(file === undefined ? {} : { file });
    const which = fault.map((condition, i) => `WHEN ${condition} THEN ${i}`).join(' ');
    const values = relation.columns.map(
      ({ field }, i) => `WHEN ${i} THEN left(${name(field.name)}::VARCHAR, 60)`,
    );
    const [row] = await rowsOf(
      connection,
      `SELECT "samewise:row" AS r, CASE ${which} END AS c, CASE c ${values.join(' ')} END AS v FROM (SELECT *, row_number() OVER () - 1 AS "samewise:row" FROM ${from}) WHERE ${any} ORDER BY 1 LIMIT 1`,
    );
    if (row !== undefined)
      return {
        file,
        row: Number(row.r),
        column: Number(row.c),
        value: row.v === null ? null : String(row.v),
      };
  }
  return null;
}

function faultError(
  relation: Relation,
  { file, row, column, value }: Fault,
  where: Where,
  eventTime: string | null,
  coded: SamewiseError | null,
): SamewiseError {
  const { field } = relation.columns[column]!;
  const at = { ...where, file, row, column: field.name };
  const shown = JSON.stringify(value);
  if (value === null)
    return new SamewiseError('offline/null-event-time', `the event time ${field.name} is null`, {
      where: at,
      hint: 'filter such rows out in a query',
    });
  if (/^-?nan$/i.test(value))
    return new SamewiseError('types/nan', `NaN in column ${field.name}`, {
      where: at,
      hint: 'use null for what is not known',
    });
  if (field.dtype.kind === 'timestamp' || field.dtype.kind === 'date')
    return new SamewiseError('time/unreadable', `cannot read the time ${shown} in ${field.name}`, {
      where: at,
      hint:
        field.name === eventTime || coded === null
          ? 'write it like 2024-03-01T12:30:00Z, in UTC unless it carries an offset, with at most microseconds'
          : coded.hint,
    });
  return new SamewiseError(
    'offline/wrong-value',
    `${shown} in ${field.name} is not a value of type ${printDtype(field.dtype)}`,
    { where: at, hint: 'correct the file, or cast the column in a query' },
  );
}
