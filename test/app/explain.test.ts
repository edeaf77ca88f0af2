/** What is said of a value: the events that counted, what was made of them, and which event makes a difference. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask } from '../../src/app/ask.ts';
import { type Explanation, explain, explainTexts, explainTraining } from '../../src/app/explain.ts';
import { getVector } from '../../src/app/get.ts';
import { materialize } from '../../src/app/materialize.ts';
import { US_PER_HOUR } from '../../src/base/time.ts';
import { compileView } from '../../src/model/index.ts';
import { catalogAt } from '../../src/plan/index.ts';
import { applyChanges, dumpEvents } from '../../src/timeline/index.ts';
import { gather } from '../../src/types/column.ts';
import { int64 } from '../../src/types/dtype.ts';
import { encodeKey } from '../../src/types/key.ts';
import { scalarToJsonText } from '../../src/types/scalar.ts';
import { pushRows } from './project.ts';
import { START_US, world } from './prove_world.ts';

/** What anybody gets to see of it. */
const seen = (value: unknown) => JSON.parse(JSON.stringify(value));
const asked = { service: null, atUs: null, through: false, events: 20 };

async function filled() {
  const here = await world();
  const { app } = here;
  await materialize(app);
  const at = START_US - US_PER_HOUR / 2;
  const row = (id: number, amount: number | null, change = {}) => ({
    id,
    at: at + id,
    customer_id: 1,
    city: 'Rome',
    amount,
    ...change,
  });
  await pushRows(app, 'payments', [row(1001, 60), row(1002, null), row(1003, 12.5)]);
  await pushRows(app, 'accounts', [row(1, 5), row(1, 7, { city: 'Oslo', at: at + 50 })]);
  await pushRows(app, 'orders', [row(1, 50, { at: at + 100 })]);
  return here;
}

test('a feature is explained by its events, and online and history agree', async (t) => {
  const here = await filled();
  const { app } = here;
  t.after(() => app.close());
  const given = { customer_id: 1 };

  await t.test('of a window', async () => {
    const told = seen(await explain(app, { ...asked, feature: 'spending:mean', given }));
    const [lookup] = told.lookups;
    assert.equal(told.agrees, true);
    assert.equal(lookup.definition, 'avg(amount) over 3h → float64');
    assert.equal(lookup.key, 'customer_id=1');
    assert.deepEqual(lookup.window, {
      from: '2024-03-20T09:00:00Z',
      to: '2024-03-20T12:00:00Z',
      last: null,
    });
    // Row 37 of the batch location is at 10:29, row 33 at 09:21.
    assert.equal(lookup.counted, 5);
    assert.equal(lookup.skipped, 1);
    assert.deepEqual(
      lookup.events.map((event: any) => [event.id, event.input, event.place === null]),
      [
        [1003, 12.5, false],
        [1002, null, false],
        [1001, 60, false],
        [37, 69, true],
        [33, 21, true],
      ],
    );
    assert.equal(told.value, (12.5 + 60 + 69 + 21) / 4);
    assert.equal(lookup.events[0].columns.customer_id, 1);
    assert.equal(lookup.newest.event_time, lookup.events[0].event_time);
    const rows = lookup.online.parts.reduce((sum: number, part: any) => sum + part.rows, 0);
    assert.equal(rows, 5);
    assert.deepEqual(Object.keys(lookup.online.positions).length, 1);
  });

  await t.test('no more events than are asked for', async () => {
    const told = seen(
      await explain(app, { ...asked, feature: 'spending:total', given, events: 2 }),
    );
    assert.equal(told.lookups[0].events.length, 2);
    assert.equal(told.lookups[0].counted, 13);
  });

  await t.test(
    'computed at the read, via another feature, and looked up by its source',
    async () => {
      const texts = { customer_id: '1', amount: '25' };
      const service = { ...asked, service: 'fraud' };
      const ratio = seen(await explainTexts(app, texts, { ...service, feature: 'to_mean' }));
      assert.equal(ratio.agrees, true);
      assert.equal(ratio.value, 25 / ((12.5 + 60 + 69 + 21) / 4));
      assert.deepEqual(
        ratio.computations[0].inputs.map(({ name, from }: any) => [name, from]),
        [
          ['request.amount', 'request.amount'],
          ['spending.mean', 'spending:mean'],
        ],
      );
      const key = { customer_id: '1' };
      const via = seen(await explainTexts(app, key, { ...service, feature: 'city_mean' }));
      assert.deepEqual(
        via.lookups.map(({ feature, key }: any) => [feature, key]),
        [
          ['held:home', 'customer_id=1'],
          ['local:city_mean', 'city="Oslo"'],
        ],
      );
      assert.equal(via.lookups[1].keys[0].from, 'held:home');
      const enriched = seen(await explainTexts(app, key, { ...service, feature: 'lived_in' }));
      assert.deepEqual(enriched.lookups[0].looked_up, [
        { column: 'lives_in', from: 'held:home', by: ['customer_id'] },
      ]);
      assert.equal(enriched.lookups[0].events[0].columns.lives_in, 'Oslo');
    },
  );

  await t.test('every output of the service, as `get` has it', async () => {
    const { catalog } = ask(await app.registry.load(), 'fraud');
    const texts = { customer_id: '1', amount: '25' };
    for (const atUs of [START_US, START_US - 2 * US_PER_HOUR]) {
      const time = { atUs, through: false };
      const vector = await getVector(app, 'fraud', texts, time);
      for (const { name, value, dtype } of vector.features) {
        const request = { ...asked, service: 'fraud', feature: name, ...time };
        // What other outputs need may be given, too.
        const told: Explanation = await explainTexts(app, texts, request);
        assert.equal(JSON.stringify(told.value), scalarToJsonText(value, dtype), name);
        assert.equal(told.agrees, true, name);
      }
    }
    assert.ok(catalog.featureServices.fraud);
    const request = { ...asked, service: 'fraud', feature: 'to_mean' };
    for (const [given, field] of [
      [{ amount: '25' }, '--key customer_id'],
      [{ customer_id: '1' }, '--request amount'],
      [{ ...texts, prize: '1' }, '--key prize'],
    ] as const)
      await assert.rejects(explainTexts(app, given, request), (error: any) => {
        assert.equal(error.where.field, field);
        return true;
      });
  });

  await t.test('an entity that nobody knows', async () => {
    const nobody = { customer_id: 77 };
    const told = seen(await explain(app, { ...asked, feature: 'spending:mean', given: nobody }));
    assert.equal(told.value, null);
    assert.equal(told.agrees, true);
    assert.equal(told.lookups[0].online.status, 'NOT_FOUND');
    assert.equal(told.lookups[0].counted, 0);
  });

  await t.test('a row of a training set, and what it lacks since', async () => {
    const { catalog, members, service } = ask(await app.registry.load(), 'fraud');
    const path = join(app.config.projectDir, 'set.parquet');
    await app.offline.train({
      catalog,
      members,
      service,
      labels: {
        type: 'rows',
        rows: [0, 1, 1].map((customer_id, i) => ({
          customer_id,
          amount: 25,
          at: START_US - i * US_PER_HOUR,
        })),
      },
      timeColumn: 'at',
      through: false,
      knowledge: 'final',
      output: { format: 'parquet', path },
    });
    const set = { training: path, row: 1, feature: 'mean' };
    const told = seen(await explainTraining(app, set, { events: 5 }));
    assert.equal(told.agrees, true);
    assert.equal(told.at, '2024-03-20T11:00:00Z');
    assert.equal(told.lookups[0].counted, 3);
    assert.equal(told.lookups[0].online, null);
    // What came after the set was built is not in its history.
    const late = { id: 5000, at: START_US - 90 * 60e6, customer_id: 1, city: 'Rome', amount: 1 };
    await pushRows(app, 'payments', [late]);
    assert.equal((await explainTraining(app, set, { events: 5 })).agrees, true);
    // As served, its events were not known yet: those that were pushed came after.
    const manifest = `${path}.manifest.json`;
    const { members: kept } = await app.offline.sample(manifest, { row: 0 });
    const served = join(app.config.projectDir, 'served.parquet');
    await app.offline.train({
      catalog,
      members: kept,
      service,
      labels: { type: 'rows', rows: [{ customer_id: 1, amount: 25, at: START_US - 60e6 }] },
      timeColumn: 'at',
      through: false,
      knowledge: 'as-served',
      output: { format: 'parquet', path: served },
    });
    const then = { training: served, row: 0, feature: 'mean' };
    const before = seen(await explainTraining(app, then, { events: 5 }));
    assert.deepEqual(
      [before.agrees, before.knowledge, before.lookups[0].counted],
      [true, 'as-served', 2],
    );
    await assert.rejects(explainTraining(app, { ...set, row: 3 }, { events: 5 }), {
      code: 'app/no-such-row',
    });
    await assert.rejects(explainTraining(app, { ...set, feature: 'meen' }, { events: 5 }), {
      code: 'app/unknown-feature',
    });
  });
});

test('an event that only the page has, or only history, is told', async (t) => {
  const { app } = await filled();
  t.after(() => app.close());
  const registered = await app.registry.load();
  const program = compileView(
    catalogAt(registered, { kind: 'featureView', name: 'spending' }),
    'spending',
  );
  const page = { view: program.id, key: encodeKey([1n], [int64]) };
  const [head] = await app.online.heads([page]);
  const events = dumpEvents(program.layout, { head: head!.bytes, block: () => undefined });
  const last = events.length - 1;
  const update = applyChanges(
    program.layout,
    { head: head!.bytes, block: () => undefined },
    {
      length: 2,
      timeUs: Float64Array.of(events.timeUs[last]!, START_US - 7),
      arrivalUs: Float64Array.of(START_US, START_US),
      id: BigInt64Array.of(events.id[last]!, 31337n),
      columns: events.columns.map((column) => gather(column, [last, last])),
      retract: Uint8Array.of(1, 0),
    },
  )!;
  const { head: bytes, putBlocks, dropBlocks } = update;
  await app.online.compareAndSet([
    { ...page, expect: head!.version, head: bytes, putBlocks, dropBlocks },
  ]);
  const request = { ...asked, feature: 'spending:total', given: { customer_id: 1 } };
  const told = seen(await explain(app, request));
  assert.deepEqual(
    told.lookups[0].differences.map(({ id, only }: any) => [id, only]),
    [
      [31337, 'page'],
      [1003, 'history'],
    ],
  );
});
