/** Every route fuzzed from its OpenAPI document: whatever comes, no 5xx, and the server goes on answering. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { startServer } from '../../src/app/server.ts';
import { python } from '../support/python.ts';
import { project } from './project.ts';

const { skip, path: interpreter } = await python('fuzz');

/** In seconds. */
const BUDGET = 10 * Number(process.env.SAMEWISE_SOAK ?? 1);

const FEATURES = `
import {
  bool, bytes, count, date, entity, featureService, featureView, float64, int64, list, onDemandView, parquet, source, string, timestamp,
} from 'samewise';
const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const route = entity({ name: 'route', key: { origin: string, day: date, raw: bytes } });
const payments = source({
  name: 'payments',
  columns: { at: timestamp, customer_id: int64, amount: float64, note: string, marks: list(float64) },
  eventTime: 'at', batch: parquet('data/*.parquet'),
});
const flights = source({
  name: 'flights', columns: { at: timestamp, origin: string, day: date, raw: bytes, late: bool }, eventTime: 'at',
});
export const spending = featureView({
  name: 'spending', entity: customer, source: payments,
  features: ({ amount, note, marks }) => ({ n: count().over('1d'), amount, note, marks }),
});
export const delays = featureView({
  name: 'delays', entity: route, source: flights, features: ({ late }) => ({ late }),
});
export const context = onDemandView({
  name: 'context', request: { price: float64, when: timestamp }, uses: { spending },
  features: ({ request, spending }) => ({ more: spending.amount.add(request.price) }),
});
export const fraud = featureService({ name: 'fraud', features: [spending, context] });
`;
const HISTORY = `SELECT TIMESTAMP '2024-01-01' AS "at", i AS customer_id, i / 4 AS amount, 'x' AS note, [1.5] AS marks
  FROM range(100) t(i)`;

test('schemathesis finds no request that breaks the server', { skip }, async (t) => {
  const made = await project(FEATURES, HISTORY);
  const app = await made.open();
  const broken: unknown[] = [];
  const fails = (error: unknown) => {
    broken.push(error);
  };
  const server = await startServer(app, {
    host: '127.0.0.1',
    port: 0,
    version: '0',
    stream: true,
    onFailure: (error, { method, url }) => broken.push(`${method} ${url}`, error),
    onStreamFailure: (_, error) => fails(error),
    onSchemaChange: () => fails('schema change'),
    health: {
      onMismatch: () => fails('mismatch'),
      onFailure: (_, error) => fails(error),
      onLevelFailure: fails,
    },
  });
  t.after(async () => {
    await server.close();
    await app.close();
    made.remove();
  });
  const what = [
    ['-m', 'schemathesis.cli', 'run', `${server.url}/openapi.json`],
    [
      '--checks',
      'not_a_server_error,content_type_conformance,status_code_conformance,response_schema_conformance',
    ],
    ['--phases', 'examples,coverage,fuzzing', '--max-time', `${BUDGET}`, '--continue-on-failure'],
    ['--seed', process.env.SAMEWISE_SOAK === undefined ? '1' : `${Math.floor(Date.now() / 1000)}`],
    ['--suppress-health-check', 'all', '--warnings', 'off', '--no-color'],
  ].flat();
  const fuzzer = spawn(interpreter, what, {
    cwd: made.folder,
    env: { ...process.env, PYTHONPATH: import.meta.dirname, SCHEMATHESIS_HOOKS: 'fuzz_hooks' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [fuzzer.stdout, fuzzer.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  const [code] = await once(fuzzer, 'close');
  assert.deepEqual(broken, [], said);
  assert.equal(code, 0, said);
  // What it found once.
  for (const path of [
    `/api/v1/services/${'x'.repeat(200)}/vectors`,
    '/api/v1/services/%ff/vectors',
  ]) {
    const refused = await fetch(server.url + path, { method: 'POST' });
    assert.equal(refused.status, 400);
    assert.equal(((await refused.json()) as any).error.code, 'serving/bad-request');
  }
  const alive = await fetch(`${server.url}/readyz`);
  assert.equal(alive.status, 200);
});
