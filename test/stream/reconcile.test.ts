/** Reconciliation names each difference with its cause, repairs it, and then finds nothing; a poison row or page holds nobody up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  collect,
  entity,
  featureView,
  float64,
  int64,
  source as sourceOf,
  string,
  sum,
  timestamp,
} from '../../src/dsl/index.ts';
import { catalogOf, compileView } from '../../src/model/index.ts';
import type { Checkpoint } from '../../src/offline/history_contract.ts';
import { applyRows } from '../../src/stream/apply_rows.ts';
import { writeCheckpoint } from '../../src/stream/checkpoint.ts';
import { decoderFor } from '../../src/stream/decode/index.ts';
import { HistoryBuffer } from '../../src/stream/history_buffer.ts';
import { readBatch } from '../../src/stream/read_batch.ts';
import { type Difference, reconcile } from '../../src/stream/reconcile.ts';
import { simulatedOffline } from './simulator/offline.ts';
import { NO_FAULTS, Process } from './simulator/process.ts';
import { Random } from './simulator/random.ts';
import { START_US, scenarioOf } from './simulator/scenario.ts';
import { Scheduler } from './simulator/scheduler.ts';
import { SimulatedHistory, SimulatedStore } from './simulator/stores.ts';

const random = new Random(1);
const scheduler = new Scheduler(START_US);
const process = new Process('test', scheduler, random, NO_FAULTS);
const settle = <T>(promise: Promise<T>) => scheduler.until(promise, 100_000);

type Given = readonly [id: number, user: number, ago: number];

const FEW: readonly Given[] = [
  [1, 1, 3],
  [2, 2, 2],
  [3, 1, 1],
  [4, 1, 60],
  [5, 2, 0],
];

/** Events in the pages of a view and in history, by the worker's own steps: so many at once. */
async function world(scenario = scenarioOf(false, true), given = FEW, atOnce = given.length) {
  const { catalog, programs, source } = scenario;
  const program = programs.find(({ view }) => view.name === 'totals')!;
  const store = new SimulatedStore();
  const history = new SimulatedHistory();
  const online = store.for(process);
  const records = given.map(([id, user, ago], i) => {
    const row = { id, at: START_US - ago * 1e6, user_id: user, amount: id, note: '' };
    return {
      position: BigInt(i),
      timestampUs: START_US,
      key: null,
      value: new TextEncoder().encode(JSON.stringify(row)),
      headers: new Map(),
    };
  });
  const buffer = new HistoryBuffer(source, 'p', null);
  let to: Checkpoint | null = null;
  for (let from = 0; from < records.length; from += atOnce) {
    const some = records.slice(from, from + atOnce);
    const batch = readBatch(source, 'p', to, some, await decoderFor(source).decode(some));
    await settle(applyRows(online, program, [{ batch, first: 0 }]));
    buffer.add(batch);
    to = batch.to;
  }
  history.commit(buffer.take()!);
  const place = { source: source.name, partition: 'p', viewId: program.id };
  await settle(writeCheckpoint(online, place, { at: to, whole: true }, { rewind: 0, handed: 0 }));
  const look = async (repair: boolean) => {
    const found: Difference[] = [];
    const done = await settle(
      reconcile({
        online,
        offline: simulatedOffline(process, new Map([[source.name, history]])),
        log: history.for(process),
        catalog,
        program,
        keys: null,
        repair,
        onDifference: (difference) => found.push(difference),
      }),
    );
    return {
      ...done,
      found: found.map(({ cause, event }) => `${cause} ${event?.id ?? ''}`).sort(),
    };
  };
  return { store, history, look };
}

test('an event that came too late is in history alone until it is reconciled', async () => {
  const { look } = await world();
  const first = await look(false);
  assert.deepEqual([first.found, first.keys, first.events, first.repaired], [['late 4'], 2, 5, 0]);
  assert.equal((await look(true)).repaired, 1);
  assert.deepEqual((await look(false)).found, []);
});

test('a page that lost or gained events is named and mended', async () => {
  const { store, history, look } = await world();
  await look(true);
  // History gets a row that no page has, and loses one that a page has.
  history.rows = history.rows.filter(({ values }) => values.id !== 3n);
  const [one] = history.rows;
  history.rows.push({ ...one!, values: { ...one!.values, id: 9n } });
  const { found } = await look(true);
  assert.deepEqual(found, ['extra 3', 'missing 9']);
  assert.deepEqual((await look(true)).found, []);
  const [page] = [...store.pages.values()];
  page!.head = { bytes: page!.head.bytes.slice(0, 20), version: page!.head.version };
  assert.deepEqual((await look(true)).found, ['damaged ']);
  const { differentKeys } = await look(false);
  assert.equal(differentKeys, 0);
});

/** A view that keeps a minute. */
function keptScenario() {
  const user = entity({ name: 'user', key: { user_id: int64 } });
  const columns = { id: int64, at: timestamp, user_id: int64, amount: float64, note: string };
  const events = sourceOf({
    name: 'events',
    columns,
    eventTime: 'at',
    eventId: 'id',
    lateness: '10s',
  });
  const totals = featureView({
    name: 'totals',
    entity: user,
    source: events,
    retention: '60s',
    features: ({ amount }) => ({ recent: sum(amount).over('45s'), all: sum(amount).lifetime() }),
  });
  const catalog = catalogOf(collect({ user, events, totals }));
  const program = compileView(catalog, 'totals');
  return { catalog, programs: [program], source: program.source };
}

test('what blocks still hold of what retention may drop is no difference', async () => {
  // Blocks go as a whole, so the oldest one reaches back beyond the horizon.
  const given = Array.from({ length: 1_000 }, (_, i): Given => [i, 1, (1_000 - i) / 4]);
  const { look } = await world(keptScenario(), given, 10);
  assert.deepEqual((await look(false)).found, []);
});

test('an event that came too late is told also where retention may drop it, as long as the page holds older ones', async () => {
  const given = Array.from({ length: 1_000 }, (_, i): Given => [i, 1, (1_000 - i) / 4]);
  const { look } = await world(keptScenario(), [...given, [1_000, 1, 60.6]], 10);
  assert.deepEqual((await look(false)).found, ['late 1000']);
  assert.equal((await look(true)).repaired, 1);
  assert.deepEqual((await look(false)).found, []);
});
