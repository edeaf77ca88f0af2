/**
 * Reading pages as a server does, from LMDB: with the cache of opened pages before it and without, in turns. One entity a read.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { US_PER_DAY } from '../src/base/time.ts';
import { catalogOf, compileView } from '../src/model/index.ts';
import { openLmdbStore } from '../src/online/lmdb.ts';
import { PageCache } from '../src/serving/page_cache.ts';
import { type PageSource, readPages } from '../src/serving/pages.ts';
import { buildPages } from '../src/timeline/index.ts';
import { columnOf } from '../src/types/column.ts';
import { encodeKey } from '../src/types/key.ts';
import { entity, feature, float64, int64, over, source, view } from '../test/serving/support.ts';
import { printBenchReport } from './report.ts';

const END_US = 1_700_000_000_000_000;
const KEYS = 16;
const ROUNDS = 30;
const PROGRAM = compileView(
  catalogOf([
    entity('user', { user_id: int64 }),
    source('payments', { user_id: int64, amount: float64 }),
    view(
      'sums',
      'user',
      ['user_id'],
      'payments',
      [1, 7, 14, 30].flatMap((days) => [
        feature(`count_${days}d`, int64, 'count', null, over(`${days}d`)),
        feature(`sum_${days}d`, float64, 'sum', 'amount', over(`${days}d`)),
        feature(`mean_${days}d`, float64, 'avg', 'amount', over(`${days}d`)),
      ]),
    ),
  ]),
  'sums',
);
const READS = PROGRAM.layout.reads.map((_, read) => read);
const counter = { pages() {}, bytes() {} };
const bringBack = () => Promise.reject(new Error('nothing is evicted'));

const pageOf = (events: number, key: number) => ({
  view: PROGRAM.id,
  key: encodeKey([BigInt(events * KEYS + key)], PROGRAM.keyDtypes),
});

/** CPU of a read in microseconds: `calls` reads of keys with so many events in turn. */
async function cost(online: PageSource, events: number, calls: number): Promise<number> {
  const before = process.cpuUsage();
  for (let i = 0; i < calls; i++) {
    const readUs = END_US + (i % 1000) * 1_000_000;
    const wanted = {
      ...pageOf(events, i % KEYS),
      program: PROGRAM,
      reads: READS,
      readUs,
      tells: false,
    };
    const reading = readPages({ online, bringBack }, [wanted], counter, () => {});
    if (reading instanceof Promise) await reading;
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}

/** Of the later half: the compiler has settled by then. */
function settled(costs: readonly number[]): number {
  const later = costs.slice(costs.length >> 1).sort((x, y) => x - y);
  return later[later.length >> 1]!;
}

const folder = mkdtempSync(join(tmpdir(), 'samewise-bench-pages-'));
const online = await openLmdbStore(folder);
const cache = new PageCache(online, systemClock);
try {
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return seed / 0x80000000;
  };
  const rows = [];
  for (const events of [10, 100, 1_000, 10_000, 100_000]) {
    const timeUs = Float64Array.from({ length: events }, () =>
      Math.floor(END_US - random() * 30 * US_PER_DAY),
    ).sort();
    const numbers = Array.from({ length: events }, (_, i) => i);
    const amounts = columnOf(
      float64,
      numbers.map(() => Math.round(random() * 100_000) / 100),
    );
    const id = BigInt64Array.from(numbers, BigInt);
    const made = { length: events, timeUs, arrivalUs: null, id, columns: [amounts] };
    const { head, blocks } = buildPages(PROGRAM.layout, made, 0, events);
    for (let key = 0; key < KEYS; key++)
      await online.compareAndSet([
        { ...pageOf(events, key), expect: 0, head, putBlocks: blocks, dropBlocks: [] },
      ]);
    const without: number[] = [];
    const kept: number[] = [];
    const calls = events > 1_000 ? 500 : 2_000;
    for (let round = 0; round < ROUNDS; round++) {
      without.push(await cost(online, events, calls));
      kept.push(await cost(cache, events, calls));
    }
    rows.push({
      what: `${events.toLocaleString('en-US')} events (head of ${head.length.toLocaleString('en-US')} bytes, ${blocks.size} blocks): from the store / kept`,
      value: `${settled(without).toFixed(1)} / ${settled(kept).toFixed(1)} µs of CPU`,
    });
  }
  printBenchReport({
    title: 'Pages that are kept',
    command: 'node bench/pages.ts',
    about:
      'A read of one entity from LMDB as a server makes it, four windows × three aggregates: with the cache of opened pages and without, in turns, ' +
      `${KEYS} keys of each size. Pages below 1 KiB are not kept. The median of the later ${ROUNDS / 2} of ${ROUNDS} rounds.`,
    rows,
  });
} finally {
  await online.close();
  rmSync(folder, { recursive: true });
}
