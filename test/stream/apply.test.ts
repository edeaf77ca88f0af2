/** Pages while others write them: what comes in between, in a pause for the thread's other work, is not lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyRows } from '../../src/stream/apply_rows.ts';
import { decoderFor } from '../../src/stream/decode/index.ts';
import { dumpPage } from '../../src/stream/dump_page.ts';
import { type ReadBatch, readBatch } from '../../src/stream/read_batch.ts';
import { NO_FAULTS, Process } from './simulator/process.ts';
import { Random } from './simulator/random.ts';
import { START_US, scenarioOf } from './simulator/scenario.ts';
import { Scheduler } from './simulator/scheduler.ts';
import { SimulatedStore } from './simulator/stores.ts';

const USERS = 20;
const { programs, source } = scenarioOf(false, true);
const program = programs.find(({ view }) => view.name === 'totals')!;

/** One event of each user. */
async function batchOf(partition: string, firstId: number): Promise<ReadBatch> {
  const records = Array.from({ length: USERS }, (_, user) => ({
    position: BigInt(user),
    timestampUs: START_US,
    key: null,
    value: new TextEncoder().encode(
      JSON.stringify({ id: firstId + user, at: START_US, user_id: user, amount: 1, note: '' }),
    ),
    headers: new Map(),
  }));
  return readBatch(source, partition, null, records, await decoderFor(source).decode(records));
}

test('a pause between keys lets another writer in, and neither loses an event', async () => {
  const scheduler = new Scheduler(START_US);
  const process = new Process('test', scheduler, new Random(1), NO_FAULTS);
  const store = new SimulatedStore();
  const online = store.for(process);
  const [own, others] = [await batchOf('a', 0), await batchOf('b', 100)];
  let pauses = 0;
  const breathe = () => {
    if (++pauses !== USERS / 2) return null;
    return applyRows(online, program, [{ batch: others, first: 0 }]).then(() => {});
  };
  const applying = applyRows(online, program, [{ batch: own, first: 0 }], breathe);
  const [applied] = await scheduler.until(applying, 100_000);
  assert.equal(applied!.keys, USERS);
  // Those whose pages were changed meanwhile once more.
  assert.equal(pauses, 2 * USERS);
  const keys = store.keysOf(program.id);
  assert.equal(keys.length, USERS);
  for (const key of keys) {
    const [head] = store.heads([{ view: program.id, key }]);
    const { events } = await scheduler.until(
      dumpPage(online, program, { view: program.id, key }, head),
      100_000,
    );
    assert.equal(events.length, 2);
  }
});
