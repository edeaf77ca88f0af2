/**
 * Materialising latest values into LMDB: rows a second of one core (CPU time of the whole process, DuckDB and the disk's
 * part of the kernel included), and growth at 1×, 3× and 10×. Two shapes: ten rows an entity, and one.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { materialize } from '../src/app/materialize.ts';
import { openApp } from '../src/app/open.ts';
import { formatBytes, formatCount } from '../src/base/numbers.ts';
import { applyPlan, preparePlan } from '../src/plan/index.ts';
import { printBenchReport } from './report.ts';

const OUT = join(import.meta.dirname, '../bench-out/materialize');
const TARGET = 200_000;

const FEATURES = `
import { entity, featureView, float64, int64, parquet, source, timestamp } from 'samewise';
const user = entity({ name: 'user', key: { user_id: int64 } });
const profile = source({
  name: 'profile',
  columns: { user_id: int64, at: timestamp, balance: float64, score: float64 },
  eventTime: 'at', batch: parquet('profile.parquet'),
});
export const latest = featureView({
  name: 'latest', entity: user, source: profile,
  features: ({ balance, score }) => ({ balance, score }),
});
`;

interface Measured {
  readonly rows: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** A project with that many rows, made once. */
async function project(rows: number, users: number): Promise<string> {
  const folder = join(OUT, `${rows}-${users}`);
  if (existsSync(join(folder, 'profile.parquet'))) return folder;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'samewise.config.json'), '{}');
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'features.ts'), FEATURES);
  const duckdb = await DuckDBInstance.create(':memory:');
  const connection = await duckdb.connect();
  await connection.run(`COPY (
    SELECT hash(i) % ${users} AS user_id, TIMESTAMP '2024-01-01' + to_microseconds(i * 1000) AS "at",
      (hash(i + 1) % 100000) / 100 AS balance, (hash(i + 2) % 1000) / 1000 AS score
    FROM range(${rows}) t(i)
  ) TO '${join(folder, 'profile.parquet')}'`);
  connection.closeSync();
  duckdb.closeSync();
  return folder;
}

async function measure(rows: number, users: number, workers: number): Promise<Measured> {
  const folder = await project(rows, users);
  rmSync(join(folder, '.samewise'), { recursive: true, force: true });
  const app = await openApp({ projectDir: folder, environment: {} });
  const plan = await preparePlan(app.registry, await app.definitions());
  await applyPlan(app.registry, plan, { author: 'bench', message: '', clock: app.clock });
  const before = process.cpuUsage();
  const [done] = await materialize(app, { full: true, workers });
  const { user, system } = process.cpuUsage(before);
  await app.close();
  rmSync(join(folder, '.samewise'), { recursive: true, force: true });
  const cpuSeconds = (user + system) / 1e6;
  process.stderr.write(
    `${formatCount(rows)} rows, ${formatCount(users)} users, ${workers} workers: ${(done!.ms / 1000).toFixed(1)} s, CPU ${cpuSeconds.toFixed(1)} s\n`,
  );
  return { rows: done!.rows, bytes: done!.bytes, seconds: done!.ms / 1000, cpuSeconds };
}

const perCore = ({ rows, cpuSeconds }: Measured) => rows / cpuSeconds;
const rate = (m: Measured) =>
  `${formatCount(perCore(m))} rows/s a core (${formatCount(m.rows / m.seconds)} rows/s, ${formatBytes(m.bytes)})`;

// A smaller one first, so that compilation is not measured.
const scale = Number(process.argv[2] ?? 1);
await measure(200_000 * scale, 20_000, 1);
const one = await measure(1_000_000 * scale, 100_000 * scale, 1);
const three = await measure(3_000_000 * scale, 300_000 * scale, 1);
const ten = await measure(10_000_000 * scale, 1_000_000 * scale, 1);
const threads = await measure(10_000_000 * scale, 1_000_000 * scale, 2);
const single = await measure(3_000_000 * scale, 3_000_000_000, 1);
rmSync(OUT, { recursive: true });

printBenchReport({
  title: 'Materialisation',
  command: 'node bench/materialize.ts',
  about:
    'Latest values of two columns from Parquet into LMDB, every commit on disk. Ten rows an entity, all kept as history; ' +
    'the last row has about one row an entity. A core’s rows are rows by CPU seconds of the whole process.',
  rows: [
    {
      what: '10M rows, 1M entities, one thread',
      value: rate(ten),
      target: '≥ 200,000 rows/s a core',
      met: perCore(ten) >= TARGET,
    },
    { what: '10M rows, 1M entities, two threads', value: rate(threads) },
    { what: '3M rows, one an entity, one thread', value: rate(single) },
    {
      what: 'growth 1× / 3× / 10× (CPU seconds)',
      value: [one, three, ten].map((m) => m.cpuSeconds.toFixed(1)).join(' / '),
    },
  ],
});
