/** Reconciliation names each difference with its cause, repairs it, and then finds nothing; a poison row or page holds nobody up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
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

/** Events of two users in pages and history, by the worker's own steps. */
async function world() {
  const { catalog, programs, source } = scenarioOf(false, true);
  const program = programs.find(({ view }) => view.name === 'totals')!;
  const store = new SimulatedStore();
  const history = new SimulatedHistory();
  const online = store.for(process);
  const row = (id: number, user: number, ago: number) =>
    JSON.stringify({ id, at: START_US - ago * 1e6, user_id: user, amount: id, note: '' });
  const texts = [row(1, 1, 3), row(2, 2, 2), row(3, 1, 1), row(4, 1, 60), row(5, 2, 0)];
  const records = texts.map((text, i) => ({
    position: BigInt(i),
    timestampUs: START_US,
    key: null,
    value: new TextEncoder().encode(text),
    headers: new Map(),
  }));
  const decoded = await decoderFor(source).decode(records);
  const batch = readBatch(source, 'p', null, records, decoded);
  await settle(applyRows(online, program, [{ batch, first: 0 }]));
  const buffer = new HistoryBuffer(source, 'p', null);
  buffer.add(batch);
  history.commit(buffer.take()!);
  const place = { source: source.name, partition: 'p', viewId: program.id };
  await settle(
    writeCheckpoint(online, place, { at: batch.to, whole: true }, { rewind: 0, handed: 0 }),
  );
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
