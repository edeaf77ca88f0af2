/**
 * Latest-value point-in-time join: 1M labels × 10M rows × 10 features, 1 % of the rows repeated with a later arrival. Ours
 * against DuckDB's bare ASOF join (wrong for labels that meet a repeat) and ASOF over rows that were deduplicated first.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { systemClock } from '../src/base/clock.ts';
import {
  collect,
  definitionOf,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  parquet,
  source,
  timestamp,
} from '../src/dsl/index.ts';
import { catalogOf } from '../src/model/index.ts';
import { openDuckdbStore } from '../src/offline/duckdb/index.ts';
import { answer, type Run, runChild } from './child.ts';
import { printBenchReport } from './report.ts';

const OUT = join(import.meta.dirname, '../bench-out/latest_join');
const rowsFile = (scale: string): string => join(OUT, `rows-${scale}.parquet`);
const labelsFile = (scale: string): string => join(OUT, `labels-${scale}.parquet`);
const output = (who: string, scale: string): string => join(OUT, `${who}-${scale}.parquet`);
const FEATURES = Array.from({ length: 10 }, (_, i) => `f${i}`);

async function sql(...statements: readonly string[]): Promise<unknown[][]> {
  const duckdb = await DuckDBInstance.create(':memory:', { temp_directory: join(OUT, 'temp') });
  const connection = await duckdb.connect();
  let rows: unknown[][] = [];
  for (const statement of statements)
    rows = (await connection.runAndReadAll(statement)).getRowsJson();
  return rows;
}

/** Made once: `scale` times 10M rows of 1M entities, and 1M labels. f0 lies beyond 2^53. */
async function prepare(scale: string): Promise<void> {
  mkdirSync(OUT, { recursive: true });
  if (existsSync(labelsFile(scale))) return;
  const rows = Math.round(Number(scale) * 9_900_000);
  const entities = Math.round(Number(scale) * 1_000_000);
  const labels = Math.round(Number(scale) * 1_000_000);
  const instant = (seed: number): string =>
    `make_timestamp(1700000000000000 + (hash(i, ${seed}) % 31536000000000)::BIGINT)`;
  const doubles = FEATURES.slice(1).map((f, k) => `(hash(i, ${k}) % 1000000)::DOUBLE / 7 AS ${f}`);
  const bumped = FEATURES.map((f) => `${f} + 1 AS ${f}`).join(', ');
  await sql(
    `CREATE TABLE base AS SELECT (hash(i, 101) % ${entities})::BIGINT AS entity, ${instant(102)} AS "at", "at" + INTERVAL 1 SECOND AS seen, i AS id, (9007199254740993 + i)::BIGINT AS f0, ${doubles.join(', ')} FROM range(${rows}) t(i)`,
    `COPY (SELECT * FROM base UNION ALL SELECT entity, "at", seen + INTERVAL 1 HOUR, id + 100000000, ${bumped} FROM base WHERE id % 99 = 0) TO '${rowsFile(scale)}'`,
    `COPY (SELECT (hash(i, 201) % ${entities})::BIGINT AS entity, ${instant(202)} AS T, i AS label FROM range(${labels}) t(i)) TO '${labelsFile(scale)}'`,
  );
}

async function asof(history: string, who: string, scale: string): Promise<void> {
  const values = FEATURES.map((f) => `h.${f}`).join(', ');
  await sql(
    `COPY (SELECT l.*, ${values} FROM '${labelsFile(scale)}' l ASOF LEFT JOIN ${history} h ON l.entity = h.entity AND l.T > h."at") TO '${output(who, scale)}'`,
  );
}

const bare = (scale: string): Promise<void> => asof(`'${rowsFile(scale)}'`, 'bare', scale);
const deduplicated = (scale: string): Promise<void> =>
  asof(
    `(SELECT * FROM '${rowsFile(scale)}' QUALIFY row_number() OVER (PARTITION BY entity, "at" ORDER BY seen DESC, id DESC) = 1)`,
    'deduplicated',
    scale,
  );

async function ours(scale: string): Promise<void> {
  const features = Object.fromEntries(FEATURES.slice(1).map((f) => [f, float64]));
  const rows = source({
    name: 'rows',
    columns: { entity: int64, at: timestamp, seen: timestamp, id: int64, f0: int64, ...features },
    eventTime: 'at',
    eventId: 'id',
    arrivalTime: 'seen',
    batch: parquet(rowsFile(scale)),
  });
  const view = featureView({
    name: 'latest',
    entity: entity({ name: 'entity', key: { entity: int64 } }),
    source: rows,
    features: (columns) => Object.fromEntries(FEATURES.map((f) => [f, columns[f as 'f0']])),
  });
  const service = featureService({ name: 'service', features: [view] });
  const store = await openDuckdbStore({
    historyDir: join(OUT, 'history'),
    projectDir: OUT,
    tempDir: join(OUT, 'temp'),
    clock: systemClock,
  });
  await store.train({
    catalog: catalogOf(collect({ service })),
    service: null,
    members: definitionOf(service).members,
    labels: { type: 'parquet', path: labelsFile(scale), hivePartitioned: false },
    timeColumn: 'T',
    through: false,
    knowledge: 'final',
    output: { format: 'parquet', path: output('ours', scale) },
  });
  await store.close();
}

/** Labels that differ from the deduplicated join, and labels out of order or lost. */
async function check(who: string, scale: string): Promise<unknown> {
  const differ = FEATURES.map((f) => `o.${f} IS DISTINCT FROM d.${f}`).join(' OR ');
  const [row] = await sql(
    `SELECT count(*), count(*) FILTER (WHERE ${differ}), count(*) FILTER (WHERE o.row <> o.label)
     FROM (SELECT *, row_number() OVER () - 1 AS row FROM '${output(who, scale)}') o JOIN '${output('deduplicated', scale)}' d USING (label)`,
  );
  return { labels: Number(row![0]), wrong: Number(row![1]), moved: Number(row![2]) };
}

const [mode, first = '1', second = '1'] = process.argv.slice(2);
if (mode === 'prepare') await answer(() => prepare(first));
else if (mode === 'bare') await answer(() => bare(first));
else if (mode === 'deduplicated') await answer(() => deduplicated(first));
else if (mode === 'ours') await answer(() => ours(first));
else if (mode === 'check') await answer(() => check(first, second));
else report();

function report(): void {
  const file = import.meta.filename;
  const runs = ['0.1', '0.3', '1'].map((scale) => {
    runChild(file, 'prepare', scale);
    return {
      scale,
      bare: runChild(file, 'bare', scale),
      deduplicated: runChild(file, 'deduplicated', scale),
      ours: runChild(file, 'ours', scale),
    };
  });
  const full = runs.at(-1)!;
  const checked = (who: string) =>
    runChild(file, 'check', who, '1').result as { labels: number; wrong: number; moved: number };
  const exact = checked('ours');
  const wrong = checked('bare');
  const print = (run: Run): string =>
    `${run.seconds.toFixed(1)} s (${run.cpuSeconds.toFixed(1)} s CPU), ${(run.peakMb / 1024).toFixed(2)} GiB`;
  const toDeduplicated = full.ours.seconds / full.deduplicated.seconds;
  const least = Math.min(full.bare.peakMb, full.deduplicated.peakMb);
  printBenchReport({
    title: 'Latest-value point-in-time join',
    command: 'node bench/latest_join.ts',
    about:
      '1M labels × 10M rows × 10 features (one of them int64 beyond 2^53), 1 % of the rows repeated with a later arrival and other values, Parquet in and out, each run a process of its own. DuckDB does not keep the order of the labels, Samewise does.',
    rows: [
      {
        what: 'time against ASOF over deduplicated rows',
        value: `${toDeduplicated.toFixed(2)}×`,
        target: '≤ 1×',
        met: toDeduplicated <= 1,
      },
      {
        what: 'time against the bare ASOF join, which is wrong',
        value: `${(full.ours.seconds / full.bare.seconds).toFixed(2)}×`,
        target: 'aim: 1×',
      },
      {
        what: 'labels with a wrong value, lost or moved',
        value: `${exact.wrong} wrong, ${1_000_000 - exact.labels} lost, ${exact.moved} moved`,
        target: '0',
        met: exact.wrong === 0 && exact.labels === 1_000_000 && exact.moved === 0,
      },
      { what: 'the same of the bare ASOF join', value: `${wrong.wrong} wrong` },
      {
        what: 'peak memory',
        value: `${(full.ours.peakMb / 1024).toFixed(2)} GiB`,
        target: `≤ ${(least / 1024).toFixed(2)} GiB, DuckDB's`,
        met: full.ours.peakMb <= least,
      },
      { what: 'DuckDB, bare ASOF', value: print(full.bare) },
      { what: 'DuckDB, deduplicated, then ASOF', value: print(full.deduplicated) },
      ...runs.map((run) => ({ what: `Samewise, ${run.scale} × the data`, value: print(run.ours) })),
    ],
  });
}
