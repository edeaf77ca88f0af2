/** The Python client against a real server: its own tests, its types, its style, its wheel. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { conformanceServer } from '../serving/conformance/world.ts';
import { python } from '../support/python.ts';
import { json, type Server, sql, startServer, temporary } from './support.ts';

const FOLDER = join(import.meta.dirname, '../../python');
const { skip, path: interpreter } = await python('client');

const FEATURES = `
import {
  avg, bool, bytes, count, date, entity, featureService, featureView, float32, float64, int32, int64, lastK, list, onDemandView,
  parquet, source, string, sum, timestamp, vector,
} from 'samewise';
const customer = entity({ name: 'customer', key: { customer_id: int64 }, owner: 'fraud-team' });
const payments = source({
  name: 'payments',
  columns: {
    id: int64, at: timestamp, customer_id: int64, amount: float64, ok: bool, small: int32, big: int64, ratio: float32,
    label: string, blob: bytes, day: date, seen: timestamp, embedding: vector(3),
  },
  eventTime: 'at', eventId: 'id', lateness: '1h',
  batch: parquet('data/payments.parquet'),
});
export const spending = featureView({
  name: 'spending', entity: customer, source: payments, owner: 'fraud-team',
  features: ({ amount, big }) => ({
    n: count().over('1d'),
    total: sum(amount).over('7d').describe('money of a week'),
    mean: avg(amount).over('7d'),
    last_3: lastK(amount, 3).over('30d'),
    bigs: lastK(big, 2).over('30d'),
  }),
});
export const newest = featureView({
  name: 'newest', entity: customer, source: payments,
  features: ({ amount, ok, small, big, ratio, label, blob, day, seen, embedding }) =>
    ({ amount, ok, small, big, ratio, label, blob, day, seen, embedding }),
});
export const context = onDemandView({
  name: 'context', request: { price: float64 }, uses: { spending },
  features: ({ request, spending }) => ({ price_to_mean: request.price.div(spending.mean) }),
});
export const all = featureService({ name: 'all_v1', model: 'tests', features: [spending, newest, context] });
`;

const PAYMENTS = `SELECT i AS id, TIMESTAMP '2024-01-01' + to_seconds(i * 61) AS "at",
  (i * 7919) % 40 AS customer_id,
  CASE WHEN i % 13 = 0 THEN NULL ELSE (i % 1000) / 7 END AS amount,
  CASE WHEN i % 5 = 0 THEN NULL ELSE i % 2 = 0 END AS ok, (i % 100)::INTEGER AS small,
  CASE WHEN i % 11 = 0 THEN NULL ELSE 9007199254740993 + i END AS big, (i / 3)::FLOAT AS ratio,
  CASE WHEN i % 7 = 0 THEN NULL ELSE 'nº ' || i END AS label, encode('ü' || i) AS blob,
  DATE '2024-01-01' + (i % 300)::INTEGER AS day,
  TIMESTAMP '2024-01-01' + to_microseconds(i * 1000003) AS seen,
  [i, i / 3, -i]::FLOAT[3] AS embedding
  FROM range(3000) t(i)`;

const LABELS = `SELECT (i * 31) % 45 AS customer_id,
  TIMESTAMP '2024-01-01' + to_microseconds((i * 982451653) % 190000000000) AS event_timestamp,
  (i % 50)::DOUBLE AS price, i % 3 = 0 AS is_fraud FROM range(600) t(i) ORDER BY i`;

let server: Server;
let held: Awaited<ReturnType<typeof conformanceServer>>;
let environment: NodeJS.ProcessEnv;
const { folder, remove } = temporary();
before(async () => {
  if (skip !== false) return;
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 'samewise.config.json'), '{}');
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'features.ts'), FEATURES);
  await sql(`COPY (${PAYMENTS}) TO '${join(folder, 'data/payments.parquet')}'`);
  await sql(`COPY (${LABELS}) TO '${join(folder, 'labels.parquet')}'`);
  await json(folder, 'apply', '--yes');
  await json(folder, 'materialize');
  const train = ['train', '--service', 'all_v1', '--time', 'event_timestamp'];
  await json(folder, ...train, '--labels', 'labels.parquet', '--out', 'training.arrow');
  server = await startServer(folder);
  held = await conformanceServer();
  environment = {
    PATH: process.env.PATH,
    HOME: folder,
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONPATH: join(FOLDER, 'src'),
    SAMEWISE_URL: server.url,
    SAMEWISE_CONFORMANCE_URL: await held.app.listen({ port: 0, host: '127.0.0.1' }),
    SAMEWISE_PROJECT: folder,
  };
});
after(async () => {
  await server?.stop();
  await held?.app.close();
  remove();
});

async function run(...args: string[]): Promise<string> {
  const ran = promisify(execFile)(interpreter, args, {
    cwd: FOLDER,
    env: environment,
    maxBuffer: 1 << 26,
  });
  const { stdout } = await ran.catch((error) => assert.fail(`${error.stdout}${error.stderr}`));
  return stdout;
}

test('its own tests', { skip }, async (t) => {
  const said = await run('-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'tests');
  t.diagnostic(said.trim().split('\n').at(-1)!);
});

test('types and style', { skip }, async () => {
  await run('-m', 'mypy', '--cache-dir', join(folder, 'mypy'), 'src');
  await run('-m', 'ruff', 'check', '--no-cache', '.');
  await run('-m', 'ruff', 'format', '--no-cache', '--check', '.');
});

test('its wheel installs, with its types', { skip }, async () => {
  const wheels = join(folder, 'wheels');
  const pip = ['-m', 'pip', '--quiet', '--disable-pip-version-check'];
  const offline = ['--no-build-isolation', '--no-index', '--no-deps'];
  await run(...pip, 'wheel', ...offline, '--wheel-dir', wheels, '.');
  const site = join(folder, 'site');
  await run(...pip, 'install', ...offline, '--find-links', wheels, '--target', site, 'samewise');
  environment.PYTHONPATH = site;
  const where = await run(
    '-c',
    'import samewise, pathlib; print(samewise.__version__, (pathlib.Path(samewise.__file__).parent / "py.typed").exists(), samewise.__file__)',
  );
  assert.match(where, /^0\.1\.0 True .*\/site\/samewise/);
});
