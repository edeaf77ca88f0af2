/** What was retracted stays so: after pages are built in bulk, online is what history says, whatever is delivered again. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { tableFromIPC } from 'apache-arrow';
import { materialize } from '../../src/app/materialize.ts';
import type { App } from '../../src/app/open.ts';
import { manualClock } from '../../src/base/clock.ts';
import { parseInstant } from '../../src/base/time.ts';
import { compileView } from '../../src/model/index.ts';
import { catalogAt } from '../../src/plan/index.ts';
import { readTimeline } from '../../src/timeline/index.ts';
import { int64 } from '../../src/types/dtype.ts';
import { encodeKey } from '../../src/types/key.ts';
import { type Project, project, pushRows } from './project.ts';

const FEATURES = `
import { count, entity, featureView, float64, int64, parquet, source, string, sum, timestamp } from 'samewise';
const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const columns = { id: int64, at: timestamp, customer_id: int64, amount: float64, op: string, seen: timestamp };
const source_ = { columns, eventTime: 'at', eventId: 'id', op: 'op', arrivalTime: 'seen', lateness: '1h' };
const payments = source({ name: 'payments', ...source_, batch: parquet('data/*.parquet') });
const accounts = source({ name: 'accounts', ...source_, mutable: true, batch: parquet('data/*.parquet') });
const features = ({ amount }) => ({ n: count().lifetime(), total: sum(amount).lifetime() });
export const spending = featureView({ name: 'spending', entity: customer, source: payments, features });
export const held = featureView({ name: 'held', entity: customer, source: accounts, features });
`;

let here: Project;
let app: App;
beforeEach(async () => {
  here = await project(FEATURES, rowsSql([]));
  app = await here.open({ clock: manualClock(parseInstant('2024-06-10')) });
});
afterEach(async () => {
  await app.close();
  here.remove();
});

/** A delivery of a file; customer null: it comes without a key. It arrived on that day of June 2024. */
interface FileRow {
  readonly id: number;
  readonly customer: number | null;
  readonly amount: number;
  readonly op?: 'upsert' | 'retract';
  readonly day: number;
}

/** All deliveries, and one of another customer. */
function rowsSql(rows: readonly FileRow[]): string {
  const values = [...rows, { id: 999, customer: 9, amount: 1, day: 1 }].map(
    ({ id, customer, amount, op = 'upsert', day }: FileRow) =>
      `(${id}::BIGINT, TIMESTAMP '${AT}', ${customer}::BIGINT, ${amount}::DOUBLE, '${op}', TIMESTAMP '2024-06-01' + to_days(${day - 1}))`,
  );
  return `SELECT * FROM (VALUES ${values.join(', ')}) t(id, "at", customer_id, amount, op, seen)`;
}

const AT = '2024-01-01 00:00:00';
const READ_US = parseInstant('2024-07-01');
let files = 0;

/** A file more that the sources find. */
async function writeFile(rows: readonly FileRow[]): Promise<void> {
  const duckdb = await DuckDBInstance.create(':memory:');
  const connection = await duckdb.connect();
  const path = join(here.folder, `data/more-${files++}.parquet`);
  await connection.run(`COPY (${rowsSql(rows)}) TO '${path}'`);
  connection.closeSync();
  duckdb.closeSync();
}

const tick = () => (app.clock as ReturnType<typeof manualClock>).advanceUs(1e6);
const row = (id: number, customer: number, amount: number) => ({
  id,
  at: parseInstant(AT),
  customer_id: customer,
  amount,
});

/** Online, the number of a customer's events and their sum. */
async function online(view: string, customer: number): Promise<unknown> {
  const catalog = catalogAt(await app.registry.load(), { kind: 'featureView', name: view });
  const { id, layout } = compileView(catalog, view);
  const [head] = await app.online.heads([
    { view: id, key: encodeKey([BigInt(customer)], [int64]) },
  ]);
  return readTimeline(layout, head?.bytes, () => undefined, READ_US).values;
}

/** In a training set. */
async function offline(view: string, customer: number): Promise<unknown> {
  const catalog = await app.definitions();
  const path = join(here.folder, 'training.arrow');
  await app.offline.train({
    catalog,
    service: null,
    members: [
      { view, features: null, keys: [{ from: 'column', column: 'customer_id' }], as: null },
    ],
    labels: { type: 'rows', rows: [{ customer_id: customer, at: READ_US }] },
    timeColumn: 'at',
    through: false,
    knowledge: 'final',
    output: { format: 'arrow', path },
  });
  const [trained] = tableFromIPC(readFileSync(path)).toArray();
  return [trained.n, trained.total];
}

/** Online and training agree, on a value that is known here. */
async function assertValues(
  view: string,
  customer: number,
  n: bigint,
  total: number | null,
): Promise<void> {
  assert.deepEqual(await offline(view, customer), [n, total], 'in training');
  assert.deepEqual(await online(view, customer), [n, total], 'online');
}

for (const full of [true, false])
  test(`an event that was retracted does not come back after ${full ? 'a full' : 'an incremental'} build`, async () => {
    await pushRows(app, 'payments', [row(1, 1, 5), row(2, 1, 7)]);
    tick();
    await pushRows(app, 'payments', [{ ...row(1, 1, 5), __op: 'retract' }]);
    await materialize(app, { full });
    tick();
    await pushRows(app, 'payments', [row(1, 1, 5)]);
    await assertValues('spending', 1, 1n, 7);
    const [again] = await materialize(app, { views: ['spending'], full: true });
    assert.deepEqual(
      [again!.written, again!.removed],
      [0, 0],
      'built pages are those that pushes made',
    );
  });

test('a key of which all was retracted refuses what comes again, also if the retract came first and by file', async () => {
  await materialize(app);
  await writeFile([{ id: 1, customer: 1, amount: 5, op: 'retract', day: 20 }]);
  await materialize(app);
  await pushRows(app, 'payments', [row(1, 1, 5)]);
  await assertValues('spending', 1, 0n, null);
  const [, [head]] = [await materialize(app, { full: true }), [await online('spending', 1)]];
  assert.deepEqual(head, [0n, null]);
  tick();
  await pushRows(app, 'payments', [row(1, 1, 5), row(3, 1, 2)]);
  await assertValues('spending', 1, 1n, 2);
});

/** An online store that refuses pages, as if the process had ended when the log had the push. */
function cutOff(): App['online'] {
  const refuse = async () => {
    throw new Error('cut off');
  };
  return new Proxy(app.online, {
    get: (target, name) => (name === 'compareAndSet' ? refuse : (target as any)[name].bind(target)),
  });
}

/** The app in which history must not be asked for single keys: who has neither page nor events needs no second look. */
function unasked(): App {
  const history: App['offline']['history'] = (request) => {
    assert.equal(request.keys, null);
    return app.offline.history(request);
  };
  return { ...app, config: undefined as never, offline: { ...app.offline, history } };
}

test('a row of a mutable source that was retracted does not come back by an older correction', async () => {
  await pushRows(app, 'accounts', [row(1, 1, 5), row(2, 1, 7)]);
  tick();
  const older = [row(1, 1, 6)];
  await assert.rejects(pushRows(app, 'accounts', older, { online: cutOff() }), /cut off/);
  tick();
  await pushRows(app, 'accounts', [{ ...row(1, 1, 6), __op: 'retract' }]);
  await assertValues('held', 1, 1n, 7);
  await materialize(app, { full: true });
  await assertValues('held', 1, 1n, 7);
});

for (const customer of [1, null])
  test(`nor if it was retracted by a file ${customer === null ? 'without its key' : ''} and built in bulk`, async () => {
    await writeFile([{ id: 1, customer: 1, amount: 5, day: 2 }]);
    await materialize(app);
    await writeFile([{ id: 1, customer, amount: 5, op: 'retract', day: 20 }]);
    await materialize(app);
    await assertValues('held', 1, 0n, null);
    await materialize(unasked(), { full: true });
    await pushRows(app, 'accounts', [row(1, 1, 6), row(2, 1, 7)]);
    await assertValues('held', 1, 1n, 7);
    await materialize(app, { full: true });
    await assertValues('held', 1, 1n, 7);
  });

test('a row of a mutable source that moved by file is no longer where it was', async () => {
  await writeFile([{ id: 1, customer: 1, amount: 5, day: 2 }]);
  await materialize(app);
  await assertValues('held', 1, 1n, 5);
  await writeFile([{ id: 1, customer: 2, amount: 6, day: 3 }]);
  const results = await materialize(app, { views: ['held'] });
  assert.equal(results[0]!.mode, 'incremental');
  await assertValues('held', 1, 0n, null);
  await assertValues('held', 2, 1n, 6);
});
