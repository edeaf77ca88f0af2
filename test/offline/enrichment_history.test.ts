/** History and snapshots of views whose sources look up are what the naive oracle says, bit for bit. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { compileView, type FeatureView } from '../../src/model/index.ts';
import { sweep } from '../../src/timeline/index.ts';
import { ColumnBuilder, scalarAt } from '../../src/types/column.ts';
import { decodeKey, encodeKey } from '../../src/types/key.ts';
import { type Delivered, deliveriesOf, naiveOutputs, type Row } from '../oracle/training.ts';
import { cases } from '../support/cases.ts';
import {
  anyWorld,
  catalog,
  enrichedViews,
  expectSame,
  instant,
  type World,
  writeWorld,
} from './enriched_world.ts';
import { openProject, type Project } from './support.ts';

const projects = [await openProject(), await openProject({ sortsInSql: true })] as const;
after(async () => {
  for (const project of projects) await project.close();
});

/** The features of a view for one key at T, as the oracle has them. */
function naiveView(view: FeatureView, world: World, key: Row, atUs: number): Row {
  const columns = catalog.entities[view.entity]!.key;
  const asked = {
    view: view.name,
    features: null,
    keys: columns.map(({ name }) => ({ from: 'column' as const, column: name })),
    as: null,
  };
  const rules = { through: false, knowledge: 'final' as const };
  return naiveOutputs({ catalog, members: [asked], history: world, ...rules }, key, atUs);
}

/** The history of a view as the values of its keys at T, by key. */
async function historyAt(
  project: Project,
  view: FeatureView,
  atUs: number,
  asked: {
    keys?: readonly Uint8Array[];
    shard?: { index: number; count: number };
    changedSinceUs?: number;
  } = {},
): Promise<Map<string, { key: Uint8Array; values: Row }>> {
  const { layout, keyDtypes, entity, defaults } = compileView(catalog, view.name);
  const found = new Map<string, { key: Uint8Array; values: Row }>();
  const request = { catalog, view: view.name, changedSinceUs: null, shard: null, keys: null };
  for await (const batch of project.store.history({ ...request, ...asked }))
    batch.keys.forEach((key, i) => {
      const builders = view.features.map(({ dtype }) => new ColumnBuilder(dtype, 1));
      const [from, to] = [batch.starts[i]!, batch.starts[i + 1]!];
      sweep(layout, batch.events, from, to, Float64Array.of(atUs), 0, 1, builders);
      const values = builders.map((builder) => scalarAt(builder.finish(), 0));
      const parts = decodeKey(key, keyDtypes).map((part, j) => [entity.key[j]!.name, part]);
      const named = view.features.map(({ name }, j) => [name, values[j] ?? defaults[j]!]);
      const row = Object.fromEntries([...parts, ...named]);
      assert.ok(!found.has(key.toHex()), 'a key comes once');
      found.set(key.toHex(), { key, values: row });
    });
  return found;
}

/** The keys that deliveries came under, and when. */
function keysOf(view: FeatureView, world: World): { key: string; a: number }[] {
  const { keyDtypes } = compileView(catalog, view.name);
  return deliveriesOf({ catalog, history: world }, catalog.sources[view.source]!).flatMap(
    ({ row, a }) => {
      const parts = view.keys.map((key) => row[key] ?? null);
      return parts.includes(null) ? [] : [{ key: encodeKey(parts, keyDtypes).toHex(), a }];
    },
  );
}

/** Deliveries of some keys say what was looked up for them. */
async function checkDeliveries(
  project: Project,
  view: FeatureView,
  world: World,
  keys: readonly Uint8Array[],
): Promise<void> {
  const source = catalog.sources[view.source]!;
  const { keyDtypes, rowSchema } = compileView(catalog, view.name);
  const asked = { catalog, view: view.name, keys, limit: 1000 };
  const listed = await project.store.deliveries(asked);
  const wanted = new Set(keys.map((key) => key.toHex()));
  const isWanted = ({ row }: Delivered) => {
    const parts = view.keys.map((key) => row[key] ?? null);
    return !parts.includes(null) && wanted.has(encodeKey(parts, keyDtypes).toHex());
  };
  const all = deliveriesOf({ catalog, history: world }, source);
  const idOf = ({ row }: Delivered) => (source.mutable ? row[source.eventId!]! : null);
  // A row of a table comes with all that was delivered of it.
  const ids = new Set(all.filter(isWanted).map(idOf));
  const expected = all.filter((one) => (source.mutable ? ids.has(idOf(one)) : isWanted(one)));
  const print = (a: number, retract: boolean, values: Row) =>
    `${a} ${retract} ${rowSchema.map(({ name }) => String(values[name] ?? null)).join('|')}`;
  assert.deepEqual(
    listed.map(({ arrivalUs, retract, values }) => print(arrivalUs, retract, values)).toSorted(),
    expected.map(({ a, retract, row }) => print(a, retract, row)).toSorted(),
  );
}

test('history, whole, in shards and of some keys; deliveries; snapshots', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyWorld,
      fc.constantFrom(...enrichedViews),
      instant,
      fc.constantFrom(...projects),
      async (world, view, atUs, project) => {
        await writeWorld(project, world);
        const whole = await historyAt(project, view, atUs);
        for (const { values } of whole.values()) {
          const expected = naiveView(view, world, values, atUs);
          for (const { name } of view.features) expectSame(values[name]!, expected[name]!, name);
        }
        const shards = [];
        for (const index of [0, 1])
          shards.push(await historyAt(project, view, atUs, { shard: { index, count: 2 } }));
        assert.deepEqual(new Set(shards.flatMap((s) => [...s.keys()])), new Set(whole.keys()));
        for (const [key, { values }] of shards.flatMap((shard) => [...shard]))
          assert.deepEqual(values, whole.get(key)!.values);
        const some = [...whole.values()].slice(0, 2).map(({ key }) => key);
        for (const [key, { values }] of await historyAt(project, view, atUs, { keys: some }))
          assert.deepEqual(values, whole.get(key)!.values);

        const changed = await historyAt(project, view, atUs, { changedSinceUs: atUs });
        for (const [key, { values }] of changed) assert.deepEqual(values, whole.get(key)?.values);
        for (const { key, a } of keysOf(view, world))
          if (a >= atUs && whole.has(key)) assert.ok(changed.has(key), 'it has changed since');
        await checkDeliveries(project, view, world, some);
        const path = project.path('snapshot.parquet');
        const output = { format: 'parquet' as const, path };
        const { rows } = await project.store.snapshot({ catalog, view: view.name, atUs, output });
        const { key } = catalog.entities[view.entity]!;
        const read = await project.read('snapshot.parquet', [...key, ...view.features]);
        assert.equal(read.length, rows);
        for (const row of read) {
          const expected = naiveView(view, world, row, atUs);
          for (const { name } of view.features) expectSame(row[name]!, expected[name]!, name);
        }
        // Whoever has a value in history is in the snapshot, if it had an event by then.
        const there = new Set(read.map((row) => key.map(({ name }) => String(row[name])).join()));
        const n = view.features.find(({ aggregate }) => aggregate.fn === 'count');
        for (const { values } of whole.values())
          if (n !== undefined && values[n.name] !== 0n)
            assert.ok(there.has(key.map(({ name }) => String(values[name])).join()));
      },
    ),
    { numRuns: cases(20) },
  );
});
