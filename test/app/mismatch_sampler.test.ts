/** Pages that are not what history says are found, told once, shown by every process, and forgotten when they are repaired. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { liveViews } from '../../src/app/live_views.ts';
import { materialize } from '../../src/app/materialize.ts';
import {
  type FoundMismatch,
  MismatchSampler,
  type Sampling,
} from '../../src/app/mismatch_sampler.ts';
import { mismatchMetrics } from '../../src/app/mismatches.ts';
import type { App } from '../../src/app/open.ts';
import { push } from '../../src/app/push.ts';
import { reconcileViews } from '../../src/app/reconcile_views.ts';
import { Streams } from '../../src/app/streams.ts';
import { sourceHealth } from '../../src/app/view_health.ts';
import { manualClock } from '../../src/base/clock.ts';
import { type Project, paymentsProject, project as projectOf, pushRows } from './project.ts';
import { keyOf } from './support.ts';

const FEATURES = `
import { count, entity, featureView, int64, source, timestamp } from 'samewise';
const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const visits = source({ name: 'visits', columns: { at: timestamp, customer_id: int64 }, eventTime: 'at' });
export const view = featureView({
  name: 'visits', entity: customer, source: visits, features: () => ({ n: count().over('1d') }),
});
`;
/** A source of events, and a table whose rows move from key to key. */
const LIVE = `
import { avg, count, entity, featureView, float64, int64, source, sum, timestamp } from 'samewise';
const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const columns = { id: int64, at: timestamp, customer_id: int64, amount: float64 };
const payments = source({ name: 'payments', columns, eventTime: 'at', eventId: 'id' });
const users = source({ name: 'users', columns, eventTime: 'at', eventId: 'id', mutable: true });
export const spending = featureView({
  name: 'spending', entity: customer, source: payments,
  features: ({ amount }) => ({ n: count().over('1d'), mean: avg(amount).over('7d') }),
});
export const kept = featureView({
  name: 'kept', entity: customer, source: users,
  features: ({ amount }) => ({ amount, n: sum(amount).lifetime() }),
});
`;
const CUSTOMERS = 300;
const EVERY_MS = 30_000;

let project: Project;
let app: App;
before(async () => {
  project = await paymentsProject(3_000, CUSTOMERS);
  app = await project.open();
});
after(async () => {
  await app.close();
  project.remove();
});

const clock = manualClock(1_800_000_000_000_000);
let cpuMs = 0;

function samplerOf(change: Partial<Sampling> = {}) {
  const told: FoundMismatch[] = [];
  let seed = 1;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const sampler = new MismatchSampler(
    { ...app, clock, random, cpuMs: () => cpuMs, ...change },
    {
      everyMs: EVERY_MS,
      onMismatch: (found) => told.push(found),
      onFailure: (_, error) => assert.fail(error as Error),
    },
  );
  return { sampler, told };
}

/** Turns until each view was looked at from both sides, twice. */
async function turns(sampler: MismatchSampler, count = 8): Promise<(string | null)[]> {
  const looked: (string | null)[] = [];
  for (let i = 0; i < count; i++) {
    clock.advanceUs(EVERY_MS * 1000);
    looked.push(await sampler.turn());
  }
  return looked;
}

async function rateOf(view: string) {
  const [source] = await sourceHealth(await app.streaming(), ['payments']);
  const [rate] = source!.views.find((one) => one.view === view)!.mismatches;
  return rate;
}

const programOf = async (view: string) => liveViews(await app.registry.load(), [view])[0]!.program;

async function replaceHead(
  view: string,
  customer: number,
  head: (old: Uint8Array) => Uint8Array | null,
) {
  const page = { view: (await programOf(view)).id, key: keyOf(customer) };
  const [old] = await app.online.heads([page]);
  const written = await app.online.compareAndSet([
    { ...page, expect: old!.version, head: head(old!.bytes), putBlocks: new Map(), dropBlocks: [] },
  ]);
  assert.deepEqual(written, [true]);
}

test('a view of files that were never materialised is left alone', async () => {
  const { sampler } = samplerOf();
  assert.deepEqual(new Set(await turns(sampler, 2)), new Set(['spending', 'latest']));
  assert.equal(await rateOf('spending'), undefined);
});

test('a view into whose source nothing was pushed is left alone', async () => {
  const empty = await projectOf(FEATURES, 'SELECT 1 AS unused');
  const other = await empty.open();
  const { sampler } = samplerOf({ ...other, clock });
  assert.deepEqual(await turns(sampler, 2), ['visits', 'visits']);
  assert.deepEqual(await other.registry.comparisons(), []);
  const [found] = await reconcileViews(other, { views: null, sample: null, repair: true });
  assert.deepEqual([found!.view, found!.keys, found!.differentKeys], ['visits', 0, 0]);
  await other.close();
  empty.remove();
});

test('pages that are right are found right, view by view', async () => {
  await materialize(app);
  await pushRows(app, 'payments', [
    { id: 90_001, at: '2024-01-02', customer_id: 7, amount: 1 },
    { id: 90_002, at: '2024-01-02', customer_id: 1_000, amount: 1 },
    // Later than allowed: in history alone, and not a mismatch.
    { id: 90_003, at: '2024-01-01', customer_id: 7, amount: 1 },
  ]);
  const { sampler, told } = samplerOf();
  const looked = await turns(sampler, 20);
  assert.deepEqual(looked.slice(0, 4).toSorted(), ['latest', 'latest', 'spending', 'spending']);
  assert.deepEqual(told, []);
  const rate = (await rateOf('spending'))!;
  assert.deepEqual([rate.ratio, rate.different], [0, 0]);
  assert.equal(rate.compared, CUSTOMERS + 1, 'all keys, each counted once');
  assert.ok(
    sampler.totals.get('spending')!.differences.get('late')! > 0,
    'and late ones are told apart',
  );
});

test('a page of another key, a damaged one and one that is gone are found, told once and kept until repaired', async () => {
  const other = (
    await app.online.heads([{ view: (await programOf('spending')).id, key: keyOf(11) }])
  )[0]!;
  await replaceHead('spending', 10, () => other.bytes);
  await replaceHead('spending', 20, (bytes) => bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1));
  await replaceHead('spending', 30, () => null);
  const { sampler, told } = samplerOf();
  await turns(sampler, 24);
  const causes = new Map(told.map(({ view, key, cause }) => [`${view} ${key}`, cause]));
  assert.equal(told.length, 3, JSON.stringify([...causes]));
  assert.ok(['missing', 'extra'].includes(causes.get('spending customer_id=10')!));
  assert.equal(causes.get('spending customer_id=20'), 'damaged');
  assert.equal(causes.get('spending customer_id=30'), 'missing');
  const rate = (await rateOf('spending'))!;
  assert.equal(rate.different, 3);
  assert.equal(rate.ratio, 3 / rate.compared);
  assert.equal(rate.causes.damaged, 1);
  assert.equal((await rateOf('latest'))!.ratio, 0);
  const metrics = await mismatchMetrics(app.registry)();
  assert.match(metrics, /samewise_mismatch_ratio\{feature_view="spending",by="reconcile"\} 0\.0/);
  assert.match(metrics, /samewise_mismatch_ratio\{feature_view="latest",by="reconcile"\} 0\n/);

  // Another process knows what was found, tells none of it again, and sees at its next turn that it is mended.
  const [repaired] = await reconcileViews(app, {
    views: ['spending'],
    sample: null,
    repair: false,
  });
  assert.equal(repaired!.differentKeys, 4, 'with the late one');
  assert.equal((await rateOf('spending'))!.different, 3);
  const first = samplerOf();
  await turns(first.sampler, 24);
  const next = samplerOf();
  await turns(next.sampler, 4);
  assert.deepEqual(next.told, []);
  assert.equal((await rateOf('spending'))!.different, 3);
  await reconcileViews(app, { views: ['spending'], sample: 1_000_000, repair: true });
  assert.equal((await rateOf('spending'))!.different, 3, 'a sample says nothing of the whole');
  await reconcileViews(app, { views: ['spending'], sample: null, repair: true });
  assert.equal((await rateOf('spending'))!.ratio, 0);
  await turns(next.sampler, 8);
  assert.deepEqual([(await rateOf('spending'))!.ratio, next.told], [0, []]);
});

test('a key that differs is looked at with every turn, so that its repair shows', async () => {
  await replaceHead('spending', 40, () => null);
  const { sampler, told } = samplerOf();
  for (let i = 0; told.length === 0; i++) {
    assert.ok(i < 40);
    await turns(sampler, 1);
  }
  await reconcileViews(app, { views: ['spending'], sample: 1_000_000, repair: true });
  assert.equal((await rateOf('spending'))!.different, 1);
  await materialize(app, { views: ['spending'], entities: [{ customer_id: 40 }] });
  await turns(sampler, 2);
  assert.equal((await rateOf('spending'))!.different, 0);
});

test('of several processes one takes a turn, and turns are as rare as they are dear', async () => {
  const [one, two] = [samplerOf(), samplerOf()];
  clock.advanceUs(EVERY_MS * 1000);
  const taken = await Promise.all([one.sampler.turn(), two.sampler.turn()]);
  assert.equal(taken.filter((view) => view !== null).length, 1);
  clock.advanceUs(EVERY_MS * 1000);
  // A history that costs ten seconds to read is read every thousand seconds.
  const dear: Sampling['offline'] = {
    deliveries: app.offline.deliveries,
    history: (request) => {
      cpuMs += 10_000;
      return app.offline.history(request);
    },
  };
  const { sampler } = samplerOf({ offline: dear });
  assert.notEqual(await sampler.turn(), null);
  clock.advanceUs(999e6);
  assert.equal(await sampler.turn(), null);
  clock.advanceUs(1e9);
  assert.notEqual(await sampler.turn(), null);
  clock.advanceUs(2e9);
});

test('events of files that nobody has materialised yet are no mismatch', async () => {
  const duckdb = await DuckDBInstance.create(':memory:');
  const connection = await duckdb.connect();
  await connection.run(`COPY (SELECT 1000000 + i AS id, TIMESTAMP '2024-02-01' + to_seconds(i) AS "at",
    i AS customer_id, 1.5::DOUBLE AS amount FROM range(50) t(i)) TO '${project.folder}/data/more.parquet'`);
  connection.closeSync();
  duckdb.closeSync();
  // The stream's own events have arrived after it: what was materialised ends before them.
  const { sampler, told } = samplerOf();
  await turns(sampler, 12);
  const before = told.length;
  await materialize(app, { full: true });
  await turns(sampler, 12);
  assert.equal((await rateOf('spending'))!.ratio, 0);
  assert.equal(before, 0);
});

test('while events come in, out of order, twice and corrected, nothing that is right is called wrong', async () => {
  const live = await projectOf(LIVE, 'SELECT 1 AS unused');
  const other = await live.open();
  const streaming = await other.streaming();
  const { sampler, told } = samplerOf({ ...other, clock });
  const failed = (_: string, error: unknown) => assert.fail(error as Error);
  const options = {
    sources: null,
    observer: {},
    onFailure: failed,
    onSchemaChange: () => assert.fail(),
  };
  let seed = 7;
  const below = (n: number) => (seed = (seed * 16807) % 2147483647) % n;
  const row = (id: number) => ({
    id,
    at: new Date(Date.parse('2024-01-01') + below(3_000_000)).toISOString(),
    customer_id: below(50),
    amount: below(8),
    ...(below(20) === 0 ? { __op: 'retract' } : {}),
  });
  const rowOfAnEvent = (id: number) => ({ ...row(id), at: '2024-01-01', customer_id: id % 50 });
  let next = 0;
  for (let round = 0; round < 4; round++) {
    const stop = new AbortController();
    const running = new Streams(streaming, options).run(stop.signal);
    for (let i = 0; i < 5; i++) {
      const push_ = (source: string, rows: Record<string, unknown>[]) =>
        push(streaming, { source, rows, wait: 'durable' }, async () => {});
      const ids = Array.from({ length: 100 }, () => (below(10) === 0 ? below(next + 1) : next++));
      await Promise.all([
        push_('payments', ids.map(rowOfAnEvent)),
        push_(
          'users',
          Array.from({ length: 100 }, () => row(below(300))),
        ),
        turns(sampler, 2),
      ]);
    }
    // A worker that leaves puts what it holds into history.
    stop.abort();
    await running;
  }
  await turns(sampler, 4);
  assert.deepEqual(told, []);
  const found = await other.registry.comparisons();
  assert.deepEqual(
    found.map(({ view, compared, different }) => [view, compared, different]),
    [
      ['kept', 50, 0],
      ['spending', 50, 0],
    ],
  );
  await other.close();
  live.remove();
});
