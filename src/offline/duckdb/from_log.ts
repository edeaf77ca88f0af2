/** Training sets of what was served: labels joined to the vectors of the feature log, whose values are taken as they were answered. */
import { writeFileSync } from 'node:fs';
import type { DuckDBConnection } from '@duckdb/node-api';
import { SamewiseError } from '../../base/errors.ts';
import { parseExactJson } from '../../base/exact_json.ts';
import { canonicalJson, sha256Hex } from '../../base/hash.ts';
import type { Batch, Schema } from '../../types/batch.ts';
import { columnOf, scalarAt } from '../../types/column.ts';
import { float64, int32, list, string, timestamp } from '../../types/dtype.ts';
import { scalarFromJson } from '../../types/json.ts';
import type { Scalar } from '../../types/scalar.ts';
import type { ServedSet, ServedSetRequest } from '../feature_log_contract.ts';
import { appendBatch, createTable } from './append_table.ts';
import { castExpression, castOf } from './casts.ts';
import { type Engine, name, rowsOf, text, withConnection } from './engine.ts';
import { filesOfLog } from './feature_log.ts';
import { filePrint, sha256OfFile } from './fingerprints.ts';
import { type Labels, openLabels } from './labels.ts';
import { manifestPath } from './manifest.ts';
import { readAll, wireExpression } from './read.ts';
import type { Paths } from './scan.ts';
import { samewiseVersion } from './version.ts';
import { writeQuery, writeWhole } from './write.ts';

/** Of the manifest, which `samewise rebuild` does not take: what was served is in the log alone. */
const FORMAT = 'samewise-served-set';
const VERSION = 1;
/** Rows that go through JavaScript at a time. */
const ROWS_AT_ONCE = 8_192;

/** What is told of each vector, after the features. */
const SERVED_AT = 'served_at';
const SERVED_VERSION = 'served_version';
const SERVED_STATUSES = 'served_statuses';

const ROW = 'samewise:row';
const MATCHED: Schema = [
  { name: 'features', dtype: list(string) },
  { name: 'refs', dtype: list(string) },
  { name: 'values', dtype: list(string) },
  { name: 'statuses', dtype: list(string) },
  { name: 'service_version', dtype: int32 },
  { name: 'served_at', dtype: timestamp },
];

/** See the contract. */
export async function trainFromLog(
  { engine, paths }: { readonly engine: Engine; readonly paths: Paths },
  folder: string,
  request: ServedSetRequest,
): Promise<ServedSet> {
  const files = await filesOfLog(engine, folder);
  if (files.length === 0)
    throw new SamewiseError('offline/no-feature-log', 'nothing has been logged', {
      where: { file: folder },
      hint: 'a server logs what it serves: see docs/feature-log.md',
    });
  return withConnection(engine, request.signal, async (connection) => {
    const tables = ['labels', 'matched', 'served'].map((what) => engine.tableName(what));
    const [labelTable, matched, served] = tables as [string, string, string];
    try {
      const labels = await openLabels(connection, {
        labels: request.labels,
        timeColumn: request.match.by === 'entity' ? request.match.timeColumn : null,
        needed: neededOf(request),
        projectDir: paths.projectDir,
        table: labelTable,
      });
      checkNames(request, labels);
      await connection.run(`CREATE TABLE ${name(matched)} AS ${matchSql(request, labels, files)}`);
      const schema = servedSchema(request);
      await createTable(connection, served, schema);
      for (let from = 0; from < labels.rows; from += ROWS_AT_ONCE) {
        request.signal?.throwIfAborted();
        const some = await readMatched(connection, matched, from);
        await appendBatch(connection, served, schema, servedRows(request, some, from));
        const rows = from + some.length;
        request.onProgress?.({ phase: 'served', rows, totalRows: labels.rows });
      }
      const columns = schema.slice(1).map((field) => `s.${name(field.name)}`);
      const bytes = await writeQuery(
        connection,
        `SELECT l.*, ${columns.join(', ')} FROM ${name(labelTable)} l JOIN ${name(served)} s ON s.${name(ROW)} = l.rowid ORDER BY l.rowid`,
        request.output,
      );
      const counted = await rowsOf(
        connection,
        `SELECT ${name(SERVED_VERSION)} AS version, count(*) AS n FROM ${name(served)} GROUP BY 1 ORDER BY 1`,
      );
      const versions = Object.fromEntries(
        counted
          .filter(({ version }) => version !== null)
          .map(({ version, n }) => [String(version), Number(n)]),
      );
      const found = Object.values(versions).reduce((sum, n) => sum + n, 0);
      const result = { rows: labels.rows, matched: found, versions, bytes };
      const path = manifestPath(request.output.path);
      await writeManifest(path, request, result, labels.files, files, paths);
      return { ...result, path: request.output.path, manifestPath: path };
    } finally {
      for (const table of tables) await connection.run(`DROP TABLE IF EXISTS ${name(table)}`);
    }
  });
}

function neededOf({ match, keyColumns }: ServedSetRequest): Schema {
  if (match.by === 'entity') return keyColumns;
  const row = match.rowColumn === null ? [] : [{ name: match.rowColumn, dtype: int32 }];
  return [{ name: match.requestColumn, dtype: string }, ...row];
}

function servedSchema({ outputs }: ServedSetRequest): Schema {
  return [
    { name: ROW, dtype: float64 },
    ...outputs,
    { name: SERVED_AT, dtype: timestamp },
    { name: SERVED_VERSION, dtype: int32 },
    { name: SERVED_STATUSES, dtype: list(string) },
  ];
}

function checkNames(request: ServedSetRequest, { columns }: Labels): void {
  const taken = servedSchema(request).find((field) => columns.has(field.name));
  if (taken === undefined) return;
  throw new SamewiseError(
    'offline/bad-labels',
    `the labels have a column ${taken.name} already, which the training set is to have`,
    { where: { column: taken.name }, hint: 'rename it in a query: --labels "sql:select …"' },
  );
}

/** Each label's number with the newest vector that matches it, or nulls. */
function matchSql(
  { match, service, keyColumns }: ServedSetRequest,
  labels: Labels,
  files: readonly string[],
): string {
  const ofVersion = service.version === null ? '' : ` AND service_version = ${service.version}`;
  const key = (column: string) => `(inputs::JSON -> ${text(`$."${column}"`)})`;
  const keys =
    match.by === 'entity'
      ? keyColumns.map((field) => ({
          label: labels.value(field.name),
          logged: castExpression(
            castOf(key(field.name), 'JSON', field.dtype)!,
            key(field.name),
            field.dtype,
          ),
        }))
      : [];
  const log = `SELECT *${keys.map(({ logged }, i) => `, ${logged} AS ${name(`samewise:k${i}`)}`).join('')}
    FROM read_parquet([${files.map(text).join(', ')}]) WHERE service = ${text(service.name)}${ofVersion}`;
  const labelKeys = keys.map(({ label }, i) => `${label} AS ${name(`samewise:k${i}`)}`);
  const [asked, on] =
    match.by === 'entity'
      ? [
          [`${labels.value(match.timeColumn)} AS "samewise:t"`, ...labelKeys],
          [
            ...keys.map((_, i) => `l.${name(`samewise:k${i}`)} = v.${name(`samewise:k${i}`)}`),
            'v.served_at <= l."samewise:t"',
            `v.served_at >= l."samewise:t" - to_microseconds(${match.withinUs}::BIGINT)`,
          ],
        ]
      : [
          [
            `${labels.value(match.requestColumn)} AS "samewise:request"`,
            `${match.rowColumn === null ? '0' : labels.value(match.rowColumn)} AS "samewise:place"`,
          ],
          ['v.request_id = l."samewise:request"', 'v."row" = l."samewise:place"'],
        ];
  const columns = MATCHED.map((field) => `v.${name(field.name)}`);
  return `SELECT l.${name(ROW)}, ${columns.join(', ')}
    FROM (SELECT rowid AS ${name(ROW)}, ${asked.join(', ')} FROM ${name(labels.table)}) l LEFT JOIN (${log}) v ON ${on.join(' AND ')}
    QUALIFY row_number() OVER (PARTITION BY l.${name(ROW)} ORDER BY v.served_at DESC, v."row") = 1`;
}

function readMatched(connection: DuckDBConnection, table: string, from: number): Promise<Batch> {
  const columns = MATCHED.map(
    (field) => `${wireExpression(name(field.name), field.dtype)} AS ${name(field.name)}`,
  );
  const range = `${name(ROW)} >= ${from} AND ${name(ROW)} < ${from + ROWS_AT_ONCE}`;
  return readAll(
    connection,
    `SELECT ${columns.join(', ')} FROM ${name(table)} WHERE ${range} ORDER BY ${name(ROW)}`,
    MATCHED,
  );
}

/** The values as they were answered; what a vector did not have is null, without a status. */
function servedRows(request: ServedSetRequest, { length, columns }: Batch, from: number): Batch {
  const { outputs } = request;
  const values: (Scalar | null)[][] = outputs.map(() => []);
  const statuses: (string[] | null)[] = [];
  const places = new Map<string, number[]>();
  for (let row = 0; row < length; row++) {
    const at = (column: string) => scalarAt(columns[column]!, row) as string[] | null;
    const features = at('features');
    if (features === null) {
      for (const column of values) column.push(null);
      statuses.push(null);
      continue;
    }
    const refs = at('refs')!;
    const place = places.getOrInsertComputed(features.join() + refs.join(), () =>
      outputs.map(({ name: output, ref }) =>
        features.findIndex((feature, i) => feature === output && refs[i] === ref),
      ),
    );
    const [texts, said] = [at('values')!, at('statuses')!];
    outputs.forEach(({ name: field, dtype }, i) => {
      const found = place[i]! < 0 ? 'null' : texts[place[i]!]!;
      values[i]!.push(scalarFromJson(parseExactJson(found), dtype, { field }));
    });
    statuses.push(place.map((i) => (i < 0 ? '' : said[i]!)));
  }
  const rows = Float64Array.from({ length }, (_, i) => from + i);
  return {
    length,
    columns: {
      [ROW]: columnOf(float64, [...rows]),
      ...Object.fromEntries(
        outputs.map(({ name: output, dtype }, i) => [output, columnOf(dtype, values[i]!)]),
      ),
      [SERVED_AT]: columns.served_at!,
      [SERVED_VERSION]: columns.service_version!,
      [SERVED_STATUSES]: columnOf(list(string), statuses),
    },
  };
}

async function writeManifest(
  path: string,
  request: ServedSetRequest,
  { rows, matched, versions, bytes }: Pick<ServedSet, 'rows' | 'matched' | 'versions' | 'bytes'>,
  labelFiles: readonly string[],
  logFiles: readonly string[],
  { projectDir }: Paths,
): Promise<void> {
  const { service, outputs, labels, match, output } = request;
  const manifest = {
    format: FORMAT,
    version: VERSION,
    samewise: samewiseVersion(),
    service,
    features: outputs.map(({ ref }) => ref),
    match,
    labels: { location: labels, files: labelFiles.map((file) => filePrint(file, projectDir)) },
    log: logFiles.map((file) => filePrint(file, projectDir)),
    served: { matched, missing: rows - matched, versions },
    output: { ...output, rows, bytes, sha256: sha256OfFile(output.path) },
  };
  const sha256 = sha256Hex(canonicalJson(manifest));
  await writeWhole(path, async (partial) =>
    writeFileSync(partial, `${JSON.stringify({ ...manifest, sha256 }, null, 2)}\n`),
  );
}
