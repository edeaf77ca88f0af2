/** A project on disk as a user has it, with Parquet that DuckDB wrote. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { type App, openApp } from '../../src/app/open.ts';
import { type PushResult, push } from '../../src/app/push.ts';
import type { Streaming } from '../../src/app/streaming.ts';
import { applyHere } from '../../src/app/streams.ts';
import type { Clock } from '../../src/base/clock.ts';
import { applyPlan, preparePlan } from '../../src/plan/index.ts';

const FEATURES = `
import { avg, count, entity, featureView, float64, int64, parquet, source, timestamp } from 'samewise';
const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const payments = source({
  name: 'payments',
  columns: { id: int64, at: timestamp, customer_id: int64, amount: float64 },
  eventTime: 'at', eventId: 'id', lateness: '1h',
  batch: parquet('data/*.parquet'),
});
export const spending = featureView({
  name: 'spending', entity: customer, source: payments,
  features: ({ amount }) => ({ n: count().over('1d'), mean: avg(amount).over('7d') }),
});
export const latest = featureView({
  name: 'latest', entity: customer, source: payments,
  features: ({ amount }) => ({ amount }),
});
`;

export interface Project {
  readonly folder: string;
  /** Opens the app; `online` names another online store than the project's, by URL or by the folder of an embedded one, `clock` another clock than the machine's. */
  open(options?: { readonly online?: string; readonly clock?: Clock }): Promise<App>;
  remove(): void;
}

/** `rows` payments of `customers` customers, one a second; definitions applied. */
export function paymentsProject(rows: number, customers: number): Promise<Project> {
  return project(
    FEATURES,
    `SELECT i AS id, TIMESTAMP '2024-01-01' + to_seconds(i) AS "at",
       (i * 7919) % ${customers} AS customer_id, (i % 1000) / 4 AS amount
     FROM range(${rows}) t(i)`,
  );
}

/** A project of these definitions, applied, with the result of `sql` in data/payments.parquet. */
export async function project(features: string, sql: string): Promise<Project> {
  const folder = mkdtempSync(join(tmpdir(), 'samewise-project-'));
  writeFileSync(join(folder, 'samewise.config.json'), '{}');
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'features.ts'), features);
  mkdirSync(join(folder, 'data'));
  const duckdb = await DuckDBInstance.create(':memory:');
  const connection = await duckdb.connect();
  await connection.run(`COPY (${sql}) TO '${join(folder, 'data/payments.parquet')}'`);
  connection.closeSync();
  duckdb.closeSync();
  const open: Project['open'] = ({ online, clock } = {}) =>
    openApp({
      projectDir: folder,
      environment:
        online === undefined
          ? {}
          : { SAMEWISE_ONLINE: online.includes(':') ? online : `lmdb:${online}` },
      clock,
    });
  const app = await open();
  const plan = await preparePlan(app.registry, await app.definitions());
  await applyPlan(app.registry, plan, { author: 'test', message: '', clock: app.clock });
  await app.close();
  return { folder, open, remove: () => rmSync(folder, { recursive: true }) };
}

/** Pushes rows, and has them applied in this process: in pages and in history when it resolves. */
export async function pushRows(
  app: App,
  source: string,
  rows: readonly object[],
  change: Partial<Streaming> = {},
): Promise<PushResult> {
  const streaming = await app.streaming();
  const request = { source, rows: rows as Record<string, unknown>[], wait: 'applied' } as const;
  return push(streaming, request, (of, places) =>
    applyHere({ ...streaming, ...change }, of, places),
  );
}
