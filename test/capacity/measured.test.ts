/** What is predicted against what is there: random events of several definitions, streamed into LMDB as a worker does it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { open } from 'lmdb';
import { type Load, predict } from '../../src/capacity/index.ts';
import {
  avg,
  collect,
  count,
  distinctCount,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  lastK,
  source,
  string,
  sum,
  timestamp,
  vector,
} from '../../src/dsl/index.ts';
import { type Catalog, catalogOf, compileView, validateCatalog } from '../../src/model/index.ts';
import { openLmdbStore } from '../../src/online/lmdb.ts';
import { KEY_ENCODER } from '../../src/online/lmdb_keys.ts';
import { applyToPages } from '../../src/stream/apply.ts';
import { type Change, changesByKey } from '../../src/stream/changes.ts';
import { evaluate } from '../../src/stream/evaluate.ts';
import { batchOf } from '../../src/types/batch.ts';
import { columnOf } from '../../src/types/column.ts';

const DAY_US = 86_400_000_000;
const START_US = 1_700_000_000_000_000;

/** Marsaglia's xorshift: other numbers than the prediction's own. */
function randomNumbers(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const member = entity({ name: 'member', key: { member: string } });
const payments = source({
  name: 'payments',
  columns: { id: int64, at: timestamp, customer_id: int64, amount: float64, shop: string },
  eventTime: 'at',
  eventId: 'id',
});
const profiles = source({
  name: 'profiles',
  columns: { id: int64, at: timestamp, member: string, country: string, taste: vector(24) },
  eventTime: 'at',
  eventId: 'id',
});
const spending = featureView({
  name: 'spending',
  entity: customer,
  source: payments,
  features: ({ amount }) => ({
    n_1d: count().over('1d'),
    mean_7d: avg(amount).over('7d'),
    total: sum(amount).lifetime(),
  }),
});
const shops = featureView({
  name: 'shops',
  entity: customer,
  source: payments,
  retention: '8d',
  features: ({ shop, amount }) => ({
    shops_7d: distinctCount(shop).over('7d'),
    last_3: lastK(amount, 3).over('7d'),
  }),
});
const large = featureView({
  name: 'large',
  entity: customer,
  source: payments,
  where: ({ amount }) => amount.gt(7_500),
  features: ({ amount }) => ({ last_large: amount }),
});
const profile = featureView({
  name: 'profile',
  entity: member,
  source: profiles,
  features: ({ country, taste }) => ({ country, taste }),
});
const service = featureService({ name: 'all', features: [spending, shops] });

const catalog: Catalog = catalogOf(collect({ spending, shops, large, profile, service }));
validateCatalog(catalog);

const EVENTS = 12_000;
const DAYS = 30;
const CUSTOMERS = 100;
const MEMBERS = 400;
const perSecond = EVENTS / (DAYS * 86_400);

function load(skew: number): Load {
  return {
    historyUs: DAYS * DAY_US,
    entities: { customer: { count: CUSTOMERS, skew }, member: { count: MEMBERS, skew: 0 } },
    sources: {
      payments: {
        perSecond,
        rows: null,
        streamed: true,
        columns: { shop: { bytes: 9, distinct: 40 } },
      },
      profiles: {
        perSecond: perSecond / 10,
        rows: null,
        streamed: true,
        columns: { member: { bytes: 11 }, country: { bytes: 2, distinct: 30 } },
      },
    },
    services: { all: { perSecond: 100, entities: 1 } },
  };
}

/** Ranks from 0 on, r-th with a share as Zipf has it. */
function ranks(count: number, skew: number, random: () => number): () => number {
  const until: number[] = [];
  let sum = 0;
  for (let r = 1; r <= count; r++) until.push((sum += r ** -skew));
  return () => {
    const at = random() * sum;
    return until.findIndex((s) => s >= at);
  };
}

/** Streams `rows` of a source into the pages of a view: batches in order of time, as a worker applies them. */
async function stream(
  online: Awaited<ReturnType<typeof openLmdbStore>>,
  view: string,
  columns: Readonly<Record<string, readonly unknown[]>>,
  rows: number,
): Promise<void> {
  const program = compileView(catalog, view);
  const times = columns.at as number[];
  for (let from = 0; from < rows; from += 1_000) {
    const to = Math.min(rows, from + 1_000);
    const batch = batchOf(
      Object.fromEntries(
        program.source.columns.map(({ name, dtype }) => [
          name,
          columnOf(dtype, columns[name]!.slice(from, to) as never),
        ]),
      ),
      to - from,
    );
    const { keys, keyOf, taken, columns: inputs } = evaluate(program, batch);
    const changes = Array.from({ length: to - from }, (_, row) => row)
      .filter((row) => keyOf[row]! >= 0 && (taken === null || taken[row] === 1))
      .map((row): Change => {
        const timeUs = times[from + row]!;
        const id = BigInt(from + row);
        return { key: keys[keyOf[row]!]!, timeUs, arrivalUs: timeUs + 2e6, id, row, position: id };
      });
    if (changes.length > 0) await applyToPages(online, program, changesByKey('0', inputs, changes));
  }
}

for (const skew of [0, 0.9])
  test(`bytes of pages and of LMDB are as predicted, with a skew of ${skew}`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'samewise-capacity-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const random = randomNumbers(42 + skew * 10);
    const who = ranks(CUSTOMERS, skew, random);
    const online = await openLmdbStore(folder);
    const at = Array.from({ length: EVENTS }, () => Math.floor(random() * DAYS * DAY_US))
      .sort((a, b) => a - b)
      .map((us) => START_US + us);
    const column = (of: (row: number) => unknown) =>
      Array.from({ length: EVENTS }, (_, i) => of(i));
    const paid = {
      id: column((i) => BigInt(i)),
      at,
      // Activity and the order of keys have nothing to do with each other.
      customer_id: column(() => BigInt((who() * 7919) % 1_000_003)),
      amount: column(() => Math.floor(random() * 1_000_000) / 100),
      shop: column(() => `shop-${String(Math.floor(random() * 40)).padStart(4, '0')}`),
    };
    for (const view of ['spending', 'shops', 'large']) await stream(online, view, paid, EVENTS);
    const known = EVENTS / 10;
    await stream(
      online,
      'profile',
      {
        id: column((i) => BigInt(i)),
        at: at.filter((_, i) => i % 10 === 0),
        member: column(() => `user-${String(Math.floor(random() * MEMBERS)).padStart(6, '0')}`),
        country: column(() => `c${Math.floor(random() * 10)}`),
        taste: column(() => Float32Array.from({ length: 24 }, random)),
      },
      known,
    );

    const predicted = predict(catalog, load(skew));
    for (const { view, keys, headBytes, blockBytes } of predicted.views) {
      const real = await online.size(compileView(catalog, view).id);
      near(keys, real.keys, `${view}: keys`);
      near(headBytes + blockBytes, real.bytes, `${view}: bytes`);
    }
    await online.close();
    near(predicted.stores[0]!.bytes, lmdbBytesOf(folder), 'LMDB');
  });

/** Within 20 %, as issue 7 asks. */
function near(predicted: number, real: number, what: string): void {
  const ratio = predicted / real;
  if (process.env.CAPACITY_RATIOS)
    process.stdout.write(`${what}: ${ratio.toFixed(3)} of ${real}\n`);
  assert.ok(ratio > 1 / 1.2 && ratio < 1.2, `${what}: predicted ${predicted}, there are ${real}`);
}

/** Bytes of the pages of LMDB that are in use: not those that are free for the next transaction. */
function lmdbBytesOf(folder: string): number {
  const root = open({ path: folder, noSubdir: false, maxDbs: 3, readOnly: true });
  let pages = 0;
  for (const name of ['heads', 'blocks']) {
    const database = root.openDB(name, {
      encoding: 'binary',
      keyEncoder: KEY_ENCODER,
      useVersions: name === 'heads',
    } as object);
    const { treeBranchPageCount, treeLeafPageCount, overflowPages } = database.getStats() as Record<
      string,
      number
    >;
    pages += treeBranchPageCount! + treeLeafPageCount! + overflowPages!;
  }
  void root.close();
  return pages * 4096;
}
