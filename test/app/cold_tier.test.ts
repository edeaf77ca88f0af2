/** Keys that leave the online store and come back: nobody who reads them can tell, whatever happens meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ColdTier } from '../../src/app/cold_tier.ts';
import { evictIdle, evictWhenDue, idleViews } from '../../src/app/eviction.ts';
import { explain } from '../../src/app/explain.ts';
import { materialize } from '../../src/app/materialize.ts';
import { readViewOf } from '../../src/app/read_keys.ts';
import { reconcileViews } from '../../src/app/reconcile_views.ts';
import { US_PER_HOUR } from '../../src/base/time.ts';
import type { HistoryRequest } from '../../src/offline/contract.ts';
import { settleKeys } from '../../src/stream/page_builder.ts';
import { buildPages, evictedHead, isEvicted, readPositions } from '../../src/timeline/index.ts';
import { int64 } from '../../src/types/dtype.ts';
import { encodeKey } from '../../src/types/key.ts';
import { scalarToJsonText } from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';
import { pushRows } from './project.ts';
import { CITIES, CUSTOMERS, FEATURES, type World, world } from './prove_world.ts';
import { world as arrays, definitions, eventsOf, keyOf, payments } from './support.ts';

const LEAVING = FEATURES.replaceAll(/entity: (customer|city), source/g, `onlineFor: '1h', $&`);

function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

async function leave({ app }: World): Promise<number> {
  const streaming = await app.streaming();
  let keys = 0;
  for (const view of idleViews(await app.registry.load())) keys += await evictIdle(streaming, view);
  return keys;
}

/** All values and statuses of a service for all customers. */
async function read(here: World, readUs = here.clock.nowUs()): Promise<string[]> {
  const customers = Array.from({ length: CUSTOMERS + 1 }, (_, i) => i);
  const vectors = await here.serve(customers, readUs);
  return customers.flatMap((row) =>
    vectors.program.plan.outputs.map(({ ref, dtype }, i) => {
      const value = scalarToJsonText(vectors.value(row, i), dtype);
      return `${row} ${ref} ${value} ${vectors.status(row, i)} ${vectors.eventTimeUs(row, i)}`;
    }),
  );
}

for (let seed = 1; seed <= cases(1); seed++)
  test(`reads are the same as of a store that keeps everything (seed ${seed})`, async (t) => {
    const below = numbers(seed * 7919);
    const [cold, whole] = await Promise.all([world(40, LEAVING), world(40)]);
    t.after(() => Promise.all([cold.app.close(), whole.app.close()]));
    const both = [cold, whole];
    const start = { id: 1, at: cold.clock.nowUs(), customer_id: 0, city: 'Oslo', amount: 2 };
    for (const here of both) {
      for (const source of ['accounts', 'orders']) await pushRows(here.app, source, [start]);
      await materialize(here.app);
    }
    const sent: Record<string, object[]> = { accounts: [], orders: [], payments: [] };
    let left = 0;
    let pushed = 0;
    for (let step = 0; step < 16; step++) {
      const us = 1 + (below(3) === 0 ? US_PER_HOUR * (1 + below(3)) : below(900) * 1e6);
      for (const { clock } of both) clock.advanceUs(us);
      const kind = below(8);
      if (kind < 4) {
        const source = ['accounts', 'orders', 'payments', 'payments'][below(4)]!;
        const before = sent[source]!;
        const old = before[below(Math.max(1, before.length))];
        const row =
          old !== undefined && below(4) === 0
            ? { ...old, ...(below(2) === 0 && { __op: 'retract' }) }
            : {
                id: source === 'accounts' ? below(6) : 10_000 + pushed,
                at: cold.clock.nowUs() - below(3_000) * 1e6,
                customer_id: below(CUSTOMERS),
                city: CITIES[below(2)],
                amount: below(5) === 0 ? null : below(1_000) / 8,
              };
        // Late ones are history's alone until they are reconciled, which bringing back does.
        const isLate =
          source !== 'accounts' && (row as typeof start).at < cold.clock.nowUs() - US_PER_HOUR / 2;
        if (isLate) continue;
        pushed++;
        before.push(row);
        for (const { app } of both) await pushRows(app, source, [row]);
      } else if (kind < 6) left += await leave(cold);
      else if (kind < 7) {
        for (const { app } of both) await materialize(app, { full: below(2) === 0 });
        await reconcileViews(cold.app, { views: null, sample: null, repair: below(2) === 0 });
      } else {
        const readUs = cold.clock.nowUs() - below(3) * US_PER_HOUR;
        assert.deepEqual(await read(cold, readUs), await read(whole, readUs), `step ${step}`);
      }
    }
    left += await leave(cold);
    assert.ok(left > 4, `${left} keys left`);
    const [found] = await reconcileViews(cold.app, { views: null, sample: null, repair: false });
    assert.equal(found!.differentKeys, 0);
    assert.deepEqual(await read(cold), await read(whole));
    const proof = await cold.prove();
    assert.deepEqual(proof.told, []);
    assert.deepEqual(proof.unprovable, {});
  });

async function idle() {
  const here = await world(40, LEAVING);
  await materialize(here.app);
  const row = (id: number, customer_id = 1) => ({
    id,
    at: here.clock.nowUs() - 1e6,
    customer_id,
    city: 'Rome',
    amount: id,
  });
  const first = row(5001);
  await pushRows(here.app, 'payments', [first]);
  here.clock.advanceUs(3 * US_PER_HOUR);
  const view = idleViews(await here.app.registry.load()).find(({ name }) => name === 'spending')!;
  const page = { view: view.program.id, key: encodeKey([1n], [int64]) };
  const head = async () => (await here.app.online.heads([page]))[0]!;
  return { ...here, row, first, view, page, head, streaming: await here.app.streaming() };
}

test('an event for a key that has left is not counted without those before it', async (t) => {
  const { app, row, first, view, head, streaming, clock, serveList } = await idle();
  t.after(() => app.close());
  const before = await serveList(1);
  const bytes = (await app.online.size(view.program.id)).bytes;
  assert.ok((await evictIdle(streaming, view)) >= CUSTOMERS);
  assert.equal(isEvicted((await head()).bytes), true);
  assert.ok((await app.online.size(view.program.id)).bytes < bytes);
  assert.equal(await evictIdle(streaming, view), 0, 'what has left leaves no more');
  await pushRows(app, 'payments', [row(5002), first]);
  assert.equal(isEvicted((await head()).bytes), true);
  clock.advanceUs(1e6);
  const after = await serveList(1);
  assert.equal(after.value(0, 0), (before.value(0, 0) as number) + 5002);
  assert.equal(isEvicted((await head()).bytes), false);
  const told = await explain(app, {
    feature: 'spending:total',
    service: null,
    given: { customer_id: 1 },
    atUs: null,
    through: false,
    events: 5,
  });
  assert.equal(told.agrees, true);
  assert.match(
    await app.coldTier.metrics(),
    /samewise_cold_keys_total\{feature_view="spending"\} 1/,
  );
});

test('a key that changes while it is looked at stays', async (t) => {
  const { app, row, view, head, streaming } = await idle();
  t.after(() => app.close());
  const online = {
    ...streaming.online,
    heads: streaming.online.heads.bind(streaming.online),
    blocks: streaming.online.blocks.bind(streaming.online),
    scan: streaming.online.scan.bind(streaming.online),
    getMeta: streaming.online.getMeta.bind(streaming.online),
    async compareAndSet(writes: Parameters<typeof app.online.compareAndSet>[0]) {
      await pushRows(app, 'payments', [row(6000)]);
      return streaming.online.compareAndSet(writes);
    },
  };
  const evicted = await evictIdle({ ...streaming, online: online as typeof app.online }, view);
  assert.ok(evicted >= CUSTOMERS - 1);
  assert.equal(isEvicted((await head()).bytes), false);
  const [found] = await reconcileViews(app, { views: ['spending'], sample: null, repair: false });
  assert.equal(found!.differentKeys, 0);
});

test('what history does not have stays online', async (t) => {
  const { app, view, head, streaming } = await idle();
  t.after(() => app.close());
  const history = {
    ...app.history,
    state: async () => ({ version: 0, partitions: new Map(), files: 0, bytes: 0 }),
  };
  await evictIdle({ ...streaming, history }, view);
  assert.equal(isEvicted((await head()).bytes), false);
});

test('keys that are read at once come back by one scan, and what fails is told and tried again', async (t) => {
  const { app, view, serve } = await idle();
  t.after(() => app.close());
  await leave({ app } as World);
  const { history } = app.offline;
  let scans = 0;
  let broken = true;
  app.offline.history = (request) => {
    scans++;
    if (broken) throw new Error('the disk is gone');
    return history(request);
  };
  await assert.rejects(serve([0, 1, 2, 3]), /the disk is gone/);
  const after = scans;
  await assert.rejects(serve([0, 1, 2, 3]), /the disk is gone/);
  assert.equal(scans, after, 'it rests');
  broken = false;
  scans = 0;
  while (
    await serve([0]).then(
      () => false,
      () => true,
    )
  )
    await new Promise((go) => setTimeout(go, 50));
  scans = 0;
  await leave({ app } as World);
  scans = 0;
  await Promise.all(
    [0, 1, 2, 3, 1, 2].map((customer) =>
      app.coldTier.bringBack(view.program, encodeKey([BigInt(customer)], [int64])),
    ),
  );
  assert.ok(scans <= 1, `${scans} scans`);
});

test('keys come back from where history lies by now', async (t) => {
  const { app, view, streaming } = await idle();
  t.after(() => app.close());
  await leave({ app } as World);
  let head = await app.registry.head();
  let path = 'before/*.parquet';
  const registry = {
    head: async () => head,
    load: async () =>
      (await app.registry.load()).map((one) => {
        if (one.kind !== 'source' || one.name !== 'payments') return one;
        const batch = { type: 'parquet', path, hivePartitioned: false };
        return { ...one, definition: { ...one.definition, batch } };
      }),
  };
  const read: unknown[] = [];
  const offline = {
    async *history({ catalog }: HistoryRequest) {
      read.push((catalog.sources.payments!.batch as { path: string }).path);
      yield* [];
    },
  };
  const tier = new ColdTier({ ...streaming, registry, offline } as any);
  await tier.bringBack(view.program, encodeKey([1n], [int64]));
  path = 'after/*.parquet';
  head++;
  await tier.bringBack(view.program, encodeKey([2n], [int64]));
  assert.deepEqual(read, ['before/*.parquet', 'after/*.parquet']);
});

test('a view is gone through when it is its time', async (t) => {
  const { app, view, streaming, clock } = await idle();
  t.after(() => app.close());
  assert.ok((await evictWhenDue(streaming, view)) > 0);
  await app.coldTier.bringBack(view.program, encodeKey([1n], [int64]));
  clock.advanceUs(30e6);
  assert.equal(await evictWhenDue(streaming, view), 0);
  clock.advanceUs(31e6);
  assert.equal(await evictWhenDue(streaming, view), 0, 'who was read stays for as long again');
  clock.advanceUs(US_PER_HOUR);
  assert.equal(await evictWhenDue(streaming, view), 1);
  assert.equal((await app.online.size(readViewOf(view.program))).keys, 0, 'and is forgotten');
});

test('a page that is brought back says how far in the log all of it is', async (t) => {
  const here = await arrays();
  t.after(() => here.close());
  await here.apply(definitions());
  here.rows = payments(40, 1);
  const program = here.program('spending');
  const { layout } = program;
  const page = { view: program.id, key: keyOf(0) };
  const { events } = eventsOf(here.rows.slice(0, 20), 0, program);
  const nothing = { putBlocks: new Map(), dropBlocks: [] };
  const positions = new Map([
    ['0', 20n],
    ['1', 7n],
  ]);
  const built = buildPages(layout, events, 0, 20, undefined, 1, [], positions);
  const head = evictedHead(layout, built.head);
  assert.deepEqual(readPositions(layout, head), positions);
  await here.online.compareAndSet([{ ...page, expect: 0, head, ...nothing }]);
  const checkpoint = {
    rows: 0,
    late: 0,
    deadLetters: 0,
    newestUs: null,
    arrivalUs: here.rows[39]!.t,
  };
  const partitions = new Map([
    ['0', { ...checkpoint, position: 40n }],
    ['1', { ...checkpoint, position: 7n }],
    ['2', { ...checkpoint, position: 3n }],
  ]);
  const state = { version: 1, partitions, files: 1, bytes: 1 };
  const asked: HistoryRequest[] = [];
  here.beforeBatch = async (request) => void asked.push(request);
  const catalog = definitions();
  const history = { catalog, view: 'spending', shard: null, changedSinceUs: null, keys: null };
  const request = { ...here, log: { state: async () => state }, program, history };
  // Other builds leave it.
  await settleKeys(request, [page.key]);
  assert.equal(isEvicted((await here.online.heads([page]))[0]!.bytes), true);
  await settleKeys({ ...request, evicted: true }, [page.key]);
  const reached = [
    ['0', 40n],
    ['1', 7n],
    ['2', 3n],
  ];
  assert.deepEqual([...asked.at(-1)!.upTo!], reached);
  const [back] = await here.online.heads([page]);
  assert.deepEqual([...readPositions(layout, back!.bytes)], reached);
  assert.deepEqual(await here.stored('spending', 0), here.expected('spending', 0));
});
