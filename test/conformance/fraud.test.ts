/** The twelve features of the Fraud Detection Handbook equal what its authors computed, in training and when served. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
// `samewise` in an example means the sources, as it does on the command line.
import '../../src/app/definitions.ts';
import { materialize } from '../../src/app/materialize.ts';
import { prove } from '../../src/app/prove.ts';
import { manualClock } from '../../src/base/clock.ts';
import { collect, definitionOf } from '../../src/dsl/index.ts';
import { catalogOf } from '../../src/model/index.ts';
import type { OfflineStore, TrainingResult } from '../../src/offline/contract.ts';
import { rowsOf, text } from '../../src/offline/duckdb/engine.ts';
import { openLmdbStore } from '../../src/online/lmdb.ts';
import { applyPlan, preparePlan } from '../../src/plan/index.ts';
import { openSqliteRegistry } from '../../src/registry/sqlite.ts';
import { openProject, type Project } from '../offline/support.ts';
import { sharedData } from '../support/shared.ts';

const transactions = sharedData('fraud/transactions.parquet');
const expected = sharedData('fraud/expected_features_customers_0_499.parquet');
const skip = transactions.skip || expected.skip;

const { fraudFeatures } = await import('../../examples/fraud/features.ts');
const definitions = fraudFeatures(transactions.path);
const catalog = catalogOf(collect(definitions));
const { members } = definitionOf(definitions.fraudDetection);
const names = (view: string) => catalog.featureViews[view]!.features.map(({ name }) => name);
const CUSTOMER = names('customer_spending');
const TERMINAL = names('terminal_risk');

/** Each of these has an event exactly as old as a window is long. */
const EDGES = [103869, 132505, 135082];

let project: Project;
before(async () => {
  if (skip) return;
  project = await openProject();
  await train(`CUSTOMER_ID < 500 OR TRANSACTION_ID IN (${EDGES})`, 'all.parquet');
});
after(() => project?.close());

/** The training set of the payments that a condition holds for. */
function train(condition: string, file: string): Promise<TrainingResult> {
  const sql = `SELECT TRANSACTION_ID, TX_DATETIME, CUSTOMER_ID, TERMINAL_ID FROM ${text(transactions.path)} WHERE ${condition}`;
  return project.store.train({
    catalog,
    service: { name: 'fraud_detection_v1', version: 1 },
    members,
    labels: { type: 'query', sql },
    timeColumn: 'TX_DATETIME',
    // The authors count the payment itself.
    through: true,
    knowledge: 'final',
    output: { format: 'parquet', path: project.path(file) },
  });
}

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const connection = await project.engine.connect();
  try {
    return await rowsOf(connection, sql);
  } finally {
    connection.closeSync();
  }
}

/** Ours beside the authors', and of payments of one customer in one second how many there are and what all of them cost. */
function bothSql(): string {
  return `SELECT ${[...CUSTOMER, ...TERMINAL].map((feature) => `o."${feature}" AS "our ${feature}", e."${feature}"`).join(', ')},
      TRANSACTION_ID AS id, TX_AMOUNT AS amount, o.CUSTOMER_ID AS customer, o.TX_DATETIME AS paid, count(*) OVER tie AS tied, sum(TX_AMOUNT) OVER tie AS tied_amount
    FROM ${text(project.path('all.parquet'))} o JOIN ${text(expected.path)} e USING (TRANSACTION_ID)
      JOIN ${text(transactions.path)} t USING (TRANSACTION_ID)
    WINDOW tie AS (PARTITION BY o.CUSTOMER_ID, o.TX_DATETIME)`;
}

/** True where a feature is not what the authors have. Averages are theirs to 1e-9. */
const differs = (feature: string): string =>
  `abs("our ${feature}" - "${feature}") IS NULL OR abs("our ${feature}" - "${feature}") > 1e-9`;

test('174,289 payments in, the twelve features out: no value differs', { skip }, async () => {
  const counts = [
    ...CUSTOMER.map((f) => `count(*) FILTER (tied = 1 AND (${differs(f)})) AS "${f}"`),
    ...TERMINAL.map((f) => `count(*) FILTER (${differs(f)}) AS "${f}"`),
  ];
  const [found] = await query(`SELECT count(*) AS rows, ${counts} FROM (${bothSql()})`);
  const { rows, ...mismatches } = found!;
  assert.equal(rows, 174_289n);
  assert.equal(Object.keys(mismatches).length, 12);
  for (const [feature, count] of Object.entries(mismatches)) assert.equal(count, 0n, feature);
});

test('an event exactly as old as a window is long is out of it', { skip }, async () => {
  for (const id of EDGES) {
    let onEdge = 0;
    for (const days of [1, 7, 30])
      for (const [key, delay] of [
        ['CUSTOMER_ID', 0],
        ['TERMINAL_ID', 7],
      ] as const) {
        const age = (of: number) => `l.TX_DATETIME - INTERVAL ${of} DAY`;
        const [counted] = await query(
          `SELECT any_value(l."${key}_NB_TX_${days}DAY_WINDOW") AS ours,
             count(*) FILTER (t.TX_DATETIME > ${age(delay + days)} AND t.TX_DATETIME <= ${age(delay)}) AS within,
             count(*) FILTER (t.TX_DATETIME = ${age(delay + days)}) AS edge
           FROM ${text(project.path('all.parquet'))} l JOIN ${text(transactions.path)} t USING (${key})
           WHERE l.TRANSACTION_ID = ${id}`,
        );
        assert.equal(counted!.ours, counted!.within);
        onEdge += Number(counted!.edge);
      }
    assert.ok(onEdge > 0, `payment ${id} has an event on an edge`);
  }
});

test('of two payments in one second the authors let one not see the other', { skip }, async () => {
  const rows = await query(
    `SELECT * FROM (${bothSql()}) WHERE tied > 1 ORDER BY customer, paid, id`,
  );
  assert.equal(rows.length, 4, 'two pairs');
  const value = (row: Record<string, unknown>, column: string) => Number(row[column]);
  const agrees = (row: Record<string, unknown>, unseen: number): boolean =>
    ['1DAY', '7DAY', '30DAY'].every((window) => {
      const count = `CUSTOMER_ID_NB_TX_${window}_WINDOW`;
      const mean = `CUSTOMER_ID_AVG_AMOUNT_${window}_WINDOW`;
      const n = value(row, count) + (unseen > 0 ? 1 : 0);
      const whole = (value(row, mean) * value(row, count) + unseen) / n;
      return (
        value(row, `our ${count}`) === n && Math.abs(value(row, `our ${mean}`) - whole) <= 1e-9
      );
    });
  for (const pair of [rows.slice(0, 2), rows.slice(2)]) {
    const theirs = pair.map((row) => {
      const other = value(row, 'tied_amount') - value(row, 'amount');
      return agrees(row, 0) ? 'sees both' : agrees(row, other) ? 'sees itself' : 'differs';
    });
    assert.deepEqual(theirs.sort(), ['sees both', 'sees itself']);
  }
});

test('what is served for a payment at its own time is its training row, bit for bit', {
  skip,
}, async () => {
  const some = `CUSTOMER_ID < 3 OR TRANSACTION_ID IN (${EDGES})`;
  const { manifestPath, rows } = await train(some, 'some.parquet');
  const parts = await query(
    `SELECT * FROM ${text(project.path('some.parquet'))} EXCEPT ALL SELECT * FROM ${text(project.path('all.parquet'))}`,
  );
  assert.deepEqual(parts, [], 'a part of the labels has the rows that it has in the whole');

  const clock = manualClock(Date.UTC(2026, 0, 1) * 1000);
  const registry = await openSqliteRegistry(project.path('registry.db'));
  const online = await openLmdbStore(project.path('online'));
  try {
    const plan = await preparePlan(registry, catalog);
    await applyPlan(registry, plan, { author: 'test', message: '', clock });
    for (const [view, key] of [
      ['customer_spending', 'CUSTOMER_ID'],
      ['terminal_risk', 'TERMINAL_ID'],
    ] as const) {
      const entities = await query(
        `SELECT DISTINCT ${key} FROM ${text(project.path('some.parquet'))}`,
      );
      const { store: offline } = project;
      const app = { registry, online, offline, history: offline.historyLog, clock };
      const [made] = await materialize(app, { views: [view], entities });
      assert.equal(made!.keys, entities.length);
    }
    const coldTier = { bringBack: () => assert.fail('no key was evicted') };
    const app = { online, offline: project.store as OfflineStore, coldTier };
    const proof = await prove(app, manifestPath, rows);
    assert.equal(proof.values, rows * 12);
    assert.deepEqual(proof.mismatches, []);
  } finally {
    await online.close();
    await registry.close();
  }
});
