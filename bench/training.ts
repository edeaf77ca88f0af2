/**
 * A training set of the twelve fraud features over 1,754,155 transactions, Parquet in and Parquet out: ours against the same
 * features as DuckDB's RANGE window SQL. Growth at 1×, 3× and 10× (copies with other customers and terminals).
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { systemClock } from '../src/base/clock.ts';
import { collect, definitionOf } from '../src/dsl/index.ts';
import { catalogOf } from '../src/model/index.ts';
import { openDuckdbStore } from '../src/offline/duckdb/index.ts';
import { answer, type Run, runChild } from './child.ts';
import { printBenchReport } from './report.ts';

const ROUNDS = 5;
const OUT = join(import.meta.dirname, '../bench-out/training');
const REAL = join(import.meta.dirname, '../../shared/data/fraud/transactions.parquet');
const data = (times: number): string => join(OUT, `transactions-${times}.parquet`);
const output = (who: string, times: number): string => join(OUT, `${who}-${times}.parquet`);

async function sql(statement: string): Promise<unknown[][]> {
  const duckdb = await DuckDBInstance.create(':memory:');
  const connection = await duckdb.connect();
  const reader = await connection.runAndReadAll(statement);
  return reader.getRowsJson();
}

/** The real data where it is at hand, else data of the same shape. */
async function prepare(times: number): Promise<void> {
  mkdirSync(OUT, { recursive: true });
  if (existsSync(data(times))) return;
  const once = existsSync(REAL)
    ? `SELECT * FROM '${REAL}'`
    : `SELECT i AS TRANSACTION_ID, TIMESTAMP '2018-04-01' + to_seconds(hash(i) % 15811200) AS TX_DATETIME, (hash(i + 1) % 5000)::BIGINT AS CUSTOMER_ID,
        (hash(i + 2) % 10000)::BIGINT AS TERMINAL_ID, (hash(i + 3) % 20000) / 100 AS TX_AMOUNT, (hash(i + 4) % 120 = 0)::BIGINT AS TX_FRAUD FROM range(1754155) t(i)`;
  await sql(`COPY (
    SELECT TRANSACTION_ID + c * 10000000 AS TRANSACTION_ID, TX_DATETIME, CUSTOMER_ID + c * 100000 AS CUSTOMER_ID, TERMINAL_ID + c * 100000 AS TERMINAL_ID, TX_AMOUNT, TX_FRAUD
    FROM (${once}) CROSS JOIN range(${times}) r(c) ORDER BY TX_DATETIME, TRANSACTION_ID
  ) TO '${data(times)}'`);
}

async function ours(times: number): Promise<void> {
  const { fraudFeatures } = await import('../examples/fraud/features.ts');
  const features = fraudFeatures(data(times));
  const store = await openDuckdbStore({
    historyDir: join(OUT, 'history'),
    projectDir: OUT,
    tempDir: join(OUT, 'temp'),
    clock: systemClock,
  });
  await store.train({
    catalog: catalogOf(collect(features)),
    service: null,
    members: definitionOf(features.fraudDetection).members,
    labels: { type: 'parquet', path: data(times), hivePartitioned: false },
    timeColumn: 'TX_DATETIME',
    through: true,
    knowledge: 'final',
    output: { format: 'parquet', path: output('ours', times) },
  });
  await store.close();
}

async function duckdb(times: number): Promise<void> {
  const days = [1, 7, 30];
  const window = (name: string, key: string, day: number, delay: number): string =>
    `${name}${day} AS (PARTITION BY ${key} ORDER BY TX_DATETIME RANGE BETWEEN to_microseconds(${(day + delay) * 86_400_000_000 - 1}) PRECEDING AND ${delay === 0 ? 'CURRENT ROW' : `to_days(${delay}) PRECEDING`})`;
  const columns = days.flatMap((day) => [
    `count(*) OVER c${day} AS CUSTOMER_ID_NB_TX_${day}DAY_WINDOW`,
    `avg(TX_AMOUNT) OVER c${day} AS CUSTOMER_ID_AVG_AMOUNT_${day}DAY_WINDOW`,
    `count(*) OVER t${day} AS TERMINAL_ID_NB_TX_${day}DAY_WINDOW`,
    `COALESCE(avg(TX_FRAUD) OVER t${day}, 0) AS TERMINAL_ID_RISK_${day}DAY_WINDOW`,
  ]);
  const windows = days.flatMap((day) => [
    window('c', 'CUSTOMER_ID', day, 0),
    window('t', 'TERMINAL_ID', day, 7),
  ]);
  await sql(
    `COPY (SELECT *, ${columns.join(', ')} FROM '${data(times)}' WINDOW ${windows.join(', ')}) TO '${output('duckdb', times)}'`,
  );
}

/** Rows in which the two differ: any count, or a mean by more than 1e-9 (DuckDB's sums round as they go). */
async function check(): Promise<unknown> {
  const names = [1, 7, 30].flatMap((day) => [
    `CUSTOMER_ID_NB_TX_${day}DAY_WINDOW`,
    `CUSTOMER_ID_AVG_AMOUNT_${day}DAY_WINDOW`,
    `TERMINAL_ID_NB_TX_${day}DAY_WINDOW`,
    `TERMINAL_ID_RISK_${day}DAY_WINDOW`,
  ]);
  const differ = names.map((name) => `NOT abs(o.${name} - d.${name}) <= 1e-9`).join(' OR ');
  const [row] = await sql(
    `SELECT count(*), count(*) FILTER (WHERE ${differ}) FROM '${output('ours', 1)}' o JOIN '${output('duckdb', 1)}' d USING (TRANSACTION_ID)`,
  );
  return { rows: Number(row![0]), differ: Number(row![1]) };
}

const [mode, times = '1'] = process.argv.slice(2);
if (mode === 'prepare') await answer(() => prepare(Number(times)));
else if (mode === 'ours') await answer(() => ours(Number(times)));
else if (mode === 'duckdb') await answer(() => duckdb(Number(times)));
else if (mode === 'check') await answer(check);
else {
  const file = import.meta.filename;
  for (const n of ['1', '3', '10']) runChild(file, 'prepare', n);
  const pairs = Array.from({ length: ROUNDS }, () => {
    const peer = runChild(file, 'duckdb', '1');
    const own = runChild(file, 'ours', '1');
    return { peer, own, ratio: peer.seconds / own.seconds };
  });
  // The pair in the middle: what else the machine does falls on both of it alike.
  const { peer: sqlRun, own: one, ratio } = pairs.sort((a, b) => a.ratio - b.ratio)[ROUNDS >> 1]!;
  const [three, ten] = ['3', '10'].map((n) => runChild(file, 'ours', n)) as [Run, Run];
  const same = runChild(file, 'check').result as { rows: number; differ: number };
  const print = (run: Run): string =>
    `${run.seconds.toFixed(1)} s (${run.cpuSeconds.toFixed(1)} s CPU), ${(run.peakMb / 1024).toFixed(2)} GiB`;
  printBenchReport({
    title: 'Training set: twelve fraud features',
    command: 'node bench/training.ts',
    about: `1,754,155 transactions${existsSync(REAL) ? '' : ' (made up in the shape of the real ones, which are not here)'} as labels and as history, two entities, three windows each, Parquet in and out, against the same features as RANGE windows in DuckDB's SQL. Each run is a process of its own; memory is its peak; of ${ROUNDS} pairs of runs in turns the one with the middle ratio.`,
    rows: [
      {
        what: "against DuckDB's RANGE windows",
        value: `${ratio.toFixed(2)}× as fast`,
        target: '≥ 2×',
        met: ratio >= 2,
      },
      {
        what: 'Samewise, 1×',
        value: print(one),
        target: '< 2 GiB',
        met: one.peakMb < 2048,
      },
      { what: 'DuckDB, 1×', value: print(sqlRun) },
      { what: 'Samewise, 3×', value: print(three), target: '< 2 GiB', met: three.peakMb < 2048 },
      { what: 'Samewise, 10×', value: print(ten), target: '< 2 GiB', met: ten.peakMb < 2048 },
      {
        what: 'rows that differ (means by more than 1e-9)',
        value: `${same.differ} of ${same.rows}`,
        target: '0',
        met: same.differ === 0,
      },
    ],
  });
}
