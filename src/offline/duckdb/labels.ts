/** Labels: what a training set is asked for, kept as a DuckDB table in label order, whose rowid is the label's number. */
import type { DuckDBConnection } from '@duckdb/node-api';
import { nearest, SamewiseError, type Where } from '../../base/errors.ts';
import { type BatchLocation, planService } from '../../model/index.ts';
import type { Field, Schema } from '../../types/batch.ts';
import { columnOf } from '../../types/column.ts';
import {
  bool,
  type Dtype,
  float64,
  int64,
  printDtype,
  string,
  timestamp,
} from '../../types/dtype.ts';
import { coerce, INT64_MAX, INT64_MIN, type Scalar } from '../../types/scalar.ts';
import type { TrainingRequest } from '../contract.ts';
import { castExpression, castOf, textCast } from './casts.ts';
import { type Engine, name, rowsOf, text, withConnection } from './engine.ts';
import type { Feeds } from './feed.ts';
import { type FileLocation, filesSql, listFiles } from './files.ts';
import { describe, explain, fileError, type Relation } from './scan.ts';
import { writeQuery } from './write.ts';

export interface Labels {
  readonly table: string;
  readonly rows: number;
  /** The columns that pass through, as DuckDB types. */
  readonly columns: ReadonlyMap<string, string>;
  readonly files: readonly string[];
  /** SQL of a declared column (a key, request or time column) over the table, in its own DuckDB type. */
  value(column: string): string;
}

export interface LabelsRequest {
  readonly labels: BatchLocation;
  /** Null: labels have no time. */
  readonly timeColumn: string | null;
  /** Key and request columns with their types. */
  readonly needed: Schema;
  readonly projectDir: string;
  /** The table to make. */
  readonly table: string;
}

const WHERE: Where = { source: 'labels' };

/** Loads labels. What is wrong with them is `offline/bad-labels` (or `types/nan`) with column and row. */
export async function openLabels(
  connection: DuckDBConnection,
  request: LabelsRequest,
): Promise<Labels> {
  const { labels, table } = request;
  const declared = declaredColumns(request.needed, request.timeColumn);
  const files = await loadLocation(connection, labels, declared, request);

  const columns = await describe(connection, name(table), null, WHERE, 'the labels');
  const cast = declared.map((field) => {
    const type = columns.get(field.name);
    if (type === undefined) throw missing(field, columns);
    const value = name(field.name);
    const found = castOf(value, type, field.dtype);
    if (found === null) {
      throw new SamewiseError(
        'offline/bad-labels',
        `the label column ${field.name} is ${type}, not ${printDtype(field.dtype)}`,
        { where: { column: field.name }, hint: 'cast it in a query' },
      );
    }
    return { field, cast: found };
  });
  const relation: Relation = {
    title: 'the labels',
    files: null,
    from: () => name(table),
    columns: cast,
  };
  await check(connection, relation, request.timeColumn);
  const [counted] = await rowsOf(connection, `SELECT count(*) AS n FROM ${name(table)}`);
  return {
    table,
    rows: Number(counted!.n),
    columns,
    files,
    value: (column) => {
      const found = cast.find(({ field }) => field.name === column)!;
      return castExpression(found.cast, name(column), found.field.dtype);
    },
  };
}

async function loadLocation(
  connection: DuckDBConnection,
  labels: BatchLocation,
  declared: Schema,
  { projectDir, table }: LabelsRequest,
): Promise<readonly string[]> {
  if (labels.type === 'query') {
    try {
      await connection.run(`CREATE TABLE ${name(table)} AS ${labels.sql.trim().replace(/;$/, '')}`);
    } catch (error) {
      throw fileError(error, null, WHERE, 'the labels');
    }
    return [];
  }
  const files = await listFiles(connection, labels, projectDir);
  const relation = await openFiles(connection, labels, files, declared);
  const replaced = relation.columns.map(
    ({ field, cast }) =>
      `${castExpression(cast, name(field.name), field.dtype)} AS ${name(field.name)}`,
  );
  const replace = replaced.length === 0 ? '' : ` REPLACE (${replaced.join(', ')})`;
  try {
    await connection.run(
      `CREATE TABLE ${name(table)} AS SELECT *${replace} FROM ${relation.from()}`,
    );
  } catch (error) {
    const explained = await explain(connection, relation, error, WHERE, null);
    if (!(explained instanceof SamewiseError)) throw fileError(error, files, WHERE, labels.path);
    throw explained.code === 'offline/unreadable-file' ? explained : badLabels(explained);
  }
  return files;
}

/**
 * Text files have no types: declared columns are read as text and become their declared types (so that the key "007" is
 * not 7), the others are what DuckDB takes all their values for.
 */
async function openFiles(
  connection: DuckDBConnection,
  labels: FileLocation,
  files: readonly string[],
  declared: Schema,
): Promise<Relation> {
  const title = labels.path;
  if (labels.type === 'parquet')
    return { title, files, columns: [], from: () => filesSql(labels, files, []) };
  const hive = `hive_partitioning = ${labels.hivePartitioned}`;
  const reader = (types: string, some = files): string => {
    const list = `[${some.map(text).join(', ')}]`;
    return labels.type === 'csv'
      ? `read_csv(${list}, ${hive}, header = true, sample_size = -1, allow_quoted_nulls = false${types === '' ? '' : `, types = {${types}}`})`
      : `read_json(${list}, ${hive}, format = 'newline_delimited', sample_size = -1${types === '' ? '' : `, columns = {${types}}`})`;
  };
  const found = await describe(connection, reader(''), files, WHERE, title);
  const present = declared.filter((field) => found.has(field.name));
  const types =
    labels.type === 'csv'
      ? present.map((field) => `${text(field.name)}: 'VARCHAR'`)
      : [...found].map(
          ([column, type]) =>
            `${text(column)}: ${text(present.some((field) => field.name === column) ? 'JSON' : type)}`,
        );
  const columns = present.map((field) => {
    const value = name(field.name);
    return {
      field,
      cast:
        labels.type === 'csv' ? textCast(value, field.dtype) : castOf(value, 'JSON', field.dtype)!,
    };
  });
  return {
    title,
    files,
    columns,
    from: ({ file } = {}) => reader(types.join(', '), file === undefined ? files : [file]),
  };
}

/** Keeps a caller's rows as a Parquet file. Declared columns are coerced, the others take the type of their values. */
export async function keepRows(
  { engine, feeds }: { readonly engine: Engine; readonly feeds: Feeds },
  rows: readonly Readonly<Record<string, unknown>>[],
  request: Pick<TrainingRequest, 'catalog' | 'members' | 'timeColumn' | 'signal'>,
  path: string,
): Promise<FileLocation> {
  const { keyColumns, requestColumns } = planService(request.catalog, request.members);
  const declared = declaredColumns([...keyColumns, ...requestColumns], request.timeColumn);
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  if (rows.length === 0) names.push(...declared.map((field) => field.name));
  const schema = names.map(
    (column): Field =>
      declared.find((field) => field.name === column) ?? {
        name: column,
        dtype: guessDtype(rows.map((row) => row[column])),
      },
  );
  const columns = schema.map(({ name: column, dtype }) =>
    columnOf(
      dtype,
      rows.map((row, i) => labelValue(row[column], dtype, { column, row: i })),
    ),
  );
  await withConnection(engine, request.signal, (connection) =>
    feeds.use(connection, { schema, pieces: [columns].values() }, (from) =>
      writeQuery(connection, `SELECT * FROM ${from}`, { format: 'parquet', path }),
    ),
  );
  return { type: 'parquet', path, hivePartitioned: false };
}

function labelValue(value: unknown, dtype: Dtype, where: Where): Scalar | null {
  try {
    return coerce(textOf(value, dtype), dtype, where);
  } catch (error) {
    if (!(error instanceof SamewiseError) || error.code === 'types/nan') throw error;
    throw badLabels(error);
  }
}

/** Key and request columns and the time. */
function declaredColumns(needed: Schema, timeColumn: string | null): Schema {
  return [
    ...needed.filter((field) => field.name !== timeColumn),
    ...(timeColumn === null ? [] : [{ name: timeColumn, dtype: timestamp }]),
  ];
}

function guessDtype(values: readonly unknown[]): Dtype {
  const given = values.filter((value) => value !== null && value !== undefined);
  const all = (test: (value: unknown) => boolean): boolean => given.every(test);
  if (given.length === 0) return string;
  if (all((value) => typeof value === 'boolean')) return bool;
  if (
    all(
      (v) => (typeof v === 'bigint' && v >= INT64_MIN && v <= INT64_MAX) || Number.isSafeInteger(v),
    )
  )
    return int64;
  if (all((value) => typeof value === 'number')) return float64;
  if (all((value) => value instanceof Date)) return timestamp;
  return string;
}

/** What a text column shows of a value that is not text. */
function textOf(value: unknown, dtype: Dtype): unknown {
  if (dtype.kind !== 'string' || value === null || value === undefined) return value;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function missing(field: Field, columns: ReadonlyMap<string, string>): SamewiseError {
  const near = nearest(field.name, columns.keys());
  return new SamewiseError('offline/bad-labels', `the labels have no column ${field.name}`, {
    where: { column: field.name },
    hint:
      near === undefined ? `they have ${[...columns.keys()].join(', ')}` : `did you mean ${near}?`,
  });
}

/** Looks for the first label whose time is null or whose declared value is none. */
async function check(
  connection: DuckDBConnection,
  relation: Relation,
  timeColumn: string | null,
): Promise<void> {
  const none = new SamewiseError('offline/bad-labels', 'a label is not right');
  const fault = await explain(connection, relation, none, {}, timeColumn);
  if (!(fault instanceof SamewiseError) || fault === none) return;
  if (fault.code === 'types/nan') throw fault;
  throw badLabels(fault);
}

function badLabels({ message, where, hint }: SamewiseError): SamewiseError {
  return new SamewiseError('offline/bad-labels', message, { where, hint });
}
