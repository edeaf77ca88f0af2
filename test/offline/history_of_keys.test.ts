/** The history of some keys is what the history of all has of them, whichever rows of a table have been under other keys. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import {
  count,
  definitionOf,
  entity,
  featureView,
  parquet,
  source,
  string,
  sum,
  timestamp,
} from '../../src/dsl/index.ts';
import { catalogOf, compileView } from '../../src/model/index.ts';
import type { HistoryRequest, KeyedEvents } from '../../src/offline/contract.ts';
import { scalarAt } from '../../src/types/column.ts';
import { int64 } from '../../src/types/dtype.ts';
import { encodeKey } from '../../src/types/key.ts';
import { cases } from '../support/cases.ts';
import { openProject } from './support.ts';

const project = await openProject();
after(() => project.close());

const customer = entity({ name: 'customer', key: { customer: int64 } });
const accounts = source({
  name: 'accounts',
  columns: {
    id: int64,
    at: timestamp,
    seen: timestamp,
    op: string,
    customer: int64,
    amount: int64,
  },
  eventTime: 'at',
  arrivalTime: 'seen',
  eventId: 'id',
  op: 'op',
  mutable: true,
  batch: parquet('accounts/*.parquet'),
});
const held = featureView({
  name: 'held',
  entity: customer,
  source: accounts,
  features: ({ amount }) => ({ n: count().lifetime(), held: sum(amount).lifetime() }),
});
const catalog = catalogOf([definitionOf(customer), definitionOf(accounts), definitionOf(held)]);
const { layout } = compileView(catalog, 'held');
const BASE = Date.UTC(2024, 0, 1) * 1000;
const CUSTOMERS = 4;
const key = (id: number) => encodeKey([BigInt(id)], [int64]);

const delivery = fc.record({
  id: fc.integer({ min: 0, max: 5 }),
  at: fc.integer({ min: 0, max: 9 }),
  after: fc.integer({ min: 0, max: 9 }),
  op: fc.constantFrom('upsert', 'upsert', 'upsert', 'retract'),
  customer: fc.option(fc.integer({ min: 0, max: CUSTOMERS - 1 }), { freq: 6 }),
  amount: fc.integer({ min: 0, max: 99 }),
});

/** All that a batch says of each key. */
function told({ keys, starts, events, tombstones }: KeyedEvents): [string, unknown][] {
  return keys.map((bytes, i) => {
    const rows = Array.from({ length: starts[i + 1]! - starts[i]! }, (_, at) => starts[i]! + at);
    const columns = layout.columns.map((_, c) =>
      rows.map((row) => scalarAt(events.columns[c]!, row)),
    );
    const at = rows.map((row) => [events.timeUs[row], events.arrivalUs?.[row], events.id[row]]);
    return [Buffer.from(bytes).toString('hex'), { at, columns, gone: tombstones.get(i) }];
  });
}

async function history(keys: HistoryRequest['keys'], knowledge: HistoryRequest['knowledge']) {
  const request = { catalog, view: 'held', shard: null, changedSinceUs: null, keys, knowledge };
  const found: [string, unknown][] = [];
  for await (const batch of project.store.history(request)) found.push(...told(batch));
  return new Map(found);
}

test('of a table under change', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(delivery, { maxLength: 20 }),
      fc.uniqueArray(fc.integer({ min: 0, max: CUSTOMERS }), { minLength: 1, maxLength: 2 }),
      fc.constantFrom('final', 'as-served'),
      async (deliveries, asked, knowledge) => {
        const rows = deliveries.map(({ at, after: late, customer: whose, ...row }) => ({
          ...row,
          id: BigInt(row.id),
          amount: BigInt(row.amount),
          at: BASE + at * 1e6,
          seen: BASE + (at + late) * 1e6,
          // Who takes a row away need not know whose it was.
          customer: whose === null ? (row.op === 'upsert' ? 0n : null) : BigInt(whose),
        }));
        await project.write('accounts/1.parquet', catalog.sources.accounts!.columns, rows);
        const all = await history(null, knowledge);
        const some = await history(asked.map(key), knowledge);
        const names = new Set(asked.map((id) => Buffer.from(key(id)).toString('hex')));
        assert.deepEqual(some, new Map([...all].filter(([name]) => names.has(name))));
      },
    ),
    { seed: 20, numRuns: cases(60) },
  );
});
