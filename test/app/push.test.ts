/** Pushing events: what the pages then hold is what a full materialisation of history would put into them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { materialize } from '../../src/app/materialize.ts';
import type { App } from '../../src/app/open.ts';
import { manualClock } from '../../src/base/clock.ts';
import { parseInstant } from '../../src/base/time.ts';
import { compileView, type ViewProgram } from '../../src/model/index.ts';
import type { OnlineStore } from '../../src/online/contract.ts';
import { openLmdbStore } from '../../src/online/lmdb.ts';
import { catalogAt } from '../../src/plan/index.ts';
import { dumpEvents, nextBlock } from '../../src/timeline/index.ts';
import { scalarAt } from '../../src/types/column.ts';
import { cases } from '../support/cases.ts';
import { type Project, project, pushRows } from './project.ts';

const FEATURES = `
import { bool, count, entity, featureView, float64, int64, parquet, source, string, sum, timestamp } from 'samewise';
const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const columns = { id: int64, at: timestamp, customer_id: int64, amount: float64 };
const payments = source({
  name: 'payments', columns, eventTime: 'at', eventId: 'id', lateness: '30d',
  batch: parquet('data/*.parquet'),
});
const accounts = source({
  name: 'accounts', columns, eventTime: 'at', eventId: 'id', mutable: true, lateness: '30d',
  batch: parquet('data/*.parquet'),
});
export const spending = featureView({
  name: 'spending', entity: customer, source: payments,
  features: ({ amount }) => ({ n: count().over('1d'), total: sum(amount).over('7d') }),
});
export const large = featureView({
  name: 'large', entity: customer, source: payments, where: ({ amount }) => amount.gt(50),
  features: ({ amount }) => ({ amount }),
});
export const held = featureView({
  name: 'held', entity: customer, source: accounts, where: ({ amount }) => amount.lt(90),
  features: ({ amount }) => ({ n: count().lifetime(), amount }),
});
`;
const VIEWS = ['spending', 'large', 'held'];

let here: Project;
let app: App;
before(async () => {
  here = await project(
    FEATURES,
    `SELECT i AS id, TIMESTAMP '2024-01-01' + to_seconds(i) AS "at", i % 5 AS customer_id, (i % 100)::DOUBLE AS amount
     FROM range(40) t(i)`,
  );
  app = await here.open({ clock: manualClock(parseInstant('2024-06-01')) });
  await materialize(app);
});
after(async () => {
  await app.close();
  here.remove();
});

async function programOf(view: string): Promise<ViewProgram> {
  return compileView(
    catalogAt(await app.registry.load(), { kind: 'featureView', name: view }),
    view,
  );
}

/** All events of a view in a store, by key. */
async function dump(online: OnlineStore, view: string): Promise<Record<string, unknown[]>> {
  const { id, layout } = await programOf(view);
  const out: Record<string, unknown[]> = {};
  for await (const key of online.scan(id)) {
    const page = { view: id, key };
    const head = (await online.heads([page]))[0]!.bytes;
    const numbers = Array.from({ length: nextBlock(layout, head) }, (_, i) => i);
    const blocks = await online.blocks(page, numbers);
    const events = dumpEvents(layout, { head, block: (n) => blocks[n] });
    // A page that holds nothing but what was taken away says what no page says.
    if (events.length === 0) continue;
    out[key.toHex()] = Array.from({ length: events.length }, (_, i) => [
      events.timeUs[i],
      (events.arrivalUs ?? events.timeUs)[i],
      events.id[i],
      ...events.columns.map((column) => scalarAt(column, i)),
    ]);
  }
  return out;
}

/** The pages are those of a full materialisation into an empty store. */
async function assertAsHistory(): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), 'samewise-push-'));
  const fresh = await openLmdbStore(path);
  await materialize({ ...app, online: fresh, config: undefined });
  for (const view of VIEWS)
    assert.deepEqual(await dump(app.online, view), await dump(fresh, view), view);
  await fresh.close();
  rmSync(path, { recursive: true });
}

const at = (second: number) => parseInstant('2024-01-01') + second * 1e6;
const tick = () => (app.clock as ReturnType<typeof manualClock>).advanceUs(1e6);

test('events get into history and into every view’s pages; the same push again changes nothing', async () => {
  const rows = [
    { id: 1_001, at: '2024-01-02T00:00:00Z', customer_id: 1, amount: 60 },
    { id: '1002', at: at(90_000), customer_id: 77, amount: 10.5 },
    { id: 1_003, at: at(5), customer_id: 2, amount: null },
    { id: 1_004, at: at(5), customer_id: null, amount: 3 },
    { id: 3, at: at(3), customer_id: 3, amount: 3, __op: 'retract' },
  ];
  const pushed = await pushRows(app, 'payments', rows);
  assert.deepEqual(pushed, { source: 'payments', rows: 5, state: 'applied' });
  await assertAsHistory();
  const before = await dump(app.online, 'spending');
  assert.deepEqual(
    Object.values(before)
      .flat()
      .flatMap((event) => ((event as bigint[])[2]! > 1000n ? [(event as bigint[])[2]] : []))
      .sort(),
    [1_001n, 1_002n, 1_003n],
  );
  tick();
  await pushRows(app, 'payments', rows);
  assert.deepEqual(await dump(app.online, 'spending'), before);
  // Other rows in the same push: each event is still one event, as it first arrived.
  await pushRows(app, 'payments', [...rows].reverse());
  assert.deepEqual(await dump(app.online, 'spending'), before);
  await assertAsHistory();
});

test('a row of a mutable source is where its latest arrival put it', async () => {
  tick();
  const row = { id: 7, at: at(7), customer_id: 2, amount: 7 };
  await pushRows(app, 'accounts', [{ ...row, customer_id: 4, amount: 8 }]);
  await assertAsHistory();
  tick();
  // Twice in one push: the later row stands. Then out of the view by its filter, and in again elsewhere.
  const moves = [
    { ...row, at: at(8) },
    { ...row, at: at(9), customer_id: 1 },
  ];
  await pushRows(app, 'accounts', moves);
  await assertAsHistory();
  tick();
  await pushRows(app, 'accounts', [{ ...row, amount: 95 }]);
  await assertAsHistory();
  tick();
  await pushRows(app, 'accounts', [{ ...row, customer_id: 50 }]);
  await assertAsHistory();
  tick();
  await pushRows(app, 'accounts', [{ ...row, customer_id: 50, __op: 'retract' }]);
  await assertAsHistory();
});

test('bad rows are refused as a whole, with row and column', async () => {
  const good = { id: 1, at: at(1), customer_id: 1, amount: 1 };
  const bad: [object, object][] = [
    [
      { ...good, amount: 'x' },
      { code: 'types/wrong-type', column: 'amount' },
    ],
    [
      { ...good, amount: Number.NaN },
      { code: 'types/nan', column: 'amount' },
    ],
    [
      { ...good, id: 2 ** 60 },
      { code: 'types/out-of-range', column: 'id' },
    ],
    [
      { ...good, at: 'yesterday' },
      { code: 'time/unreadable', column: 'at' },
    ],
    [
      { ...good, at: null },
      { code: 'stream/null-event-time', column: 'at' },
    ],
    [
      { ...good, id: null },
      { code: 'stream/null-event-id', column: 'id' },
    ],
    [
      { ...good, amout: 1 },
      { code: 'app/unknown-column', column: 'amout' },
    ],
    [
      { id: 1, at: at(1), customer_id: 1 },
      { code: 'stream/missing-column', column: 'amount' },
    ],
    [
      { ...good, __op: 'delete' },
      { code: 'app/bad-op', column: '__op' },
    ],
  ];
  const before = await app.offline.estimate(await app.definitions(), 'payments');
  for (const [row, { code, column }] of bad as [object, { code: string; column: string }][]) {
    await assert.rejects(pushRows(app, 'payments', [good, row]), (error: any) => {
      assert.equal(error.code, code);
      assert.deepEqual([error.where.row, error.where.column], [1, column], error.message);
      return true;
    });
  }
  assert.deepEqual(await app.offline.estimate(await app.definitions(), 'payments'), before);
  await assert.rejects(pushRows(app, 'payment', []), {
    code: 'app/unknown-source',
    hint: 'did you mean "payments"?',
  });
});

/** An online store whose `allowed + 1`th write of any kind fails, as if the process had ended there. */
function failingAfter(allowed: number): OnlineStore {
  let left = allowed;
  const counted =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A) => {
      if (left-- <= 0) throw new Error('cut off');
      return call(...args);
    };
  const { online } = app;
  return {
    ...bound(online),
    compareAndSet: counted((writes) => online.compareAndSet(writes)),
    putMeta: counted((name, value) => online.putMeta(name, value)),
  };
}

function bound(online: OnlineStore): OnlineStore {
  return {
    heads: (keys) => online.heads(keys),
    blocks: (key, blocks) => online.blocks(key, blocks),
    compareAndSet: (writes) => online.compareAndSet(writes),
    fence: () => online.fence(),
    scan: (view, from) => online.scan(view, from),
    size: (view) => online.size(view),
    dropView: (view) => online.dropView(view),
    getMeta: (name) => online.getMeta(name),
    putMeta: (name, value) => online.putMeta(name, value),
    close: () => online.close(),
  };
}

test('a correction that was cut off before its index, and overtaken, leaves nothing behind', async () => {
  const row = { id: 20, at: at(20), customer_id: 60, amount: 1 };
  tick();
  // The log has the push, the page is written, the index is not.
  const online = failingAfter(1);
  await assert.rejects(pushRows(app, 'accounts', [row], { online }), /cut off/);
  tick();
  await pushRows(app, 'accounts', [{ ...row, customer_id: 61, amount: 2 }]);
  await assertAsHistory();
});

test('pushes that are cut off anywhere, repeated and made at once, also with builds in between, end as history says', async () => {
  const row = fc.record({
    id: fc.integer({ min: 0, max: 9 }),
    at: fc.integer({ min: 0, max: 5 }).map(at),
    customer_id: fc.option(fc.integer({ min: 0, max: 3 }), { freq: 8 }),
    amount: fc.option(fc.integer({ min: 0, max: 100 }), { freq: 8 }),
    __op: fc.constantFrom('upsert', 'upsert', 'upsert', 'retract'),
  });
  const pushed = fc.record({
    source: fc.constantFrom('payments', 'accounts'),
    rows: fc.array(row, { minLength: 1, maxLength: 5 }),
    cutOff: fc.option(fc.nat(8)),
    together: fc.boolean(),
    rebuilt: fc.nat(2).map((n) => n === 0),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(pushed, { minLength: 1, maxLength: 4 }), async (all) => {
      let open: Promise<unknown>[] = [];
      for (const { cutOff, together, rebuilt, source, rows } of all) {
        tick();
        if (cutOff !== null) {
          const online = failingAfter(cutOff);
          const failed = await pushRows(app, source, rows, { online }).catch((error) => error);
          if (failed instanceof Error) assert.equal(failed.message, 'cut off');
        }
        open.push(pushRows(app, source, rows));
        if (rebuilt) await materialize({ ...app, config: undefined }, { full: true });
        if (!together) {
          await Promise.all(open);
          open = [];
        }
      }
      await Promise.all(open);
      await assertAsHistory();
    }),
    { numRuns: cases(8) },
  );
});
