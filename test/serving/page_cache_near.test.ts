/** The cache of pages before a store that tells versions: whatever is written meanwhile, it says what reading anew says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { manualClock } from '../../src/base/clock.ts';
import { US_PER_DAY } from '../../src/base/time.ts';
import { catalogOf, compileView } from '../../src/model/index.ts';
import type { Head, OnlineStore, PageKey } from '../../src/online/contract.ts';
import { PageCache } from '../../src/serving/page_cache.ts';
import { type PageAnswer, type PageRead, readPages } from '../../src/serving/pages.ts';
import { applyChanges, readTimeline } from '../../src/timeline/index.ts';
import { columnOf } from '../../src/types/column.ts';
import { encodeKey } from '../../src/types/key.ts';
import { cases } from '../support/cases.ts';
import {
  entity,
  feature,
  float64,
  int64,
  memoryOnline,
  NOW_US,
  over,
  source,
  string,
  view,
} from './support.ts';

const PROGRAM = compileView(
  catalogOf([
    entity('user', { user_id: int64 }),
    source('clicks', { user_id: int64, amount: float64, place: string }),
    view('sums', 'user', ['user_id'], 'clicks', [
      feature('rows_1d', int64, 'count', null, over('1d')),
      feature('sum_7d', float64, 'sum', 'amount', over('7d')),
      feature('max_30d', float64, 'max', 'amount', over('30d')),
      feature('place', string, 'latest', 'place', over(null)),
    ]),
  ]),
  'sums',
);
const { layout } = PROGRAM;
/** Some pages have blocks and some do not, and some are too small to be kept. */
const LIMITS = { pageBytes: 1_200, indexBytes: 500, minRows: 4, minEntries: 2 };

interface Page {
  readonly head: Head;
  readonly blocks: Map<number, Uint8Array>;
}

/** Says versions at once; blocks come later. Never uses a version twice, and remembers every page that there was. */
function nearStore() {
  const pages = new Map<string, Page>();
  const all = new Map<number, Page>();
  let version = 0;
  let reads = 0;
  const name = ({ view: id, key }: PageKey) => id + key.toHex();
  const store: OnlineStore = {
    ...memoryOnline(),
    heads: (keys) => {
      reads += keys.length;
      // As a real store: other bytes each time.
      return keys.map((key) => {
        const head = pages.get(name(key))?.head;
        return head && { ...head, bytes: head.bytes.slice() };
      });
    },
    versions: (keys) => keys.map((key) => pages.get(name(key))?.head.version ?? 0),
    async blocks(key, numbers) {
      await new Promise((done) => setImmediate(done));
      reads += numbers.length;
      return numbers.map((number) => pages.get(name(key))?.blocks.get(number)?.slice());
    },
  };
  return {
    store,
    all,
    reads: () => reads,
    versionOf: (key: PageKey) => pages.get(name(key))?.head.version ?? 0,
    remove: (key: PageKey) => pages.delete(name(key)),
    add(key: PageKey, firstUs: number, count: number, id: number) {
      const before = pages.get(name(key));
      const numbers = Array.from({ length: count }, (_, i) => id + i);
      const update = applyChanges(
        layout,
        { head: before?.head.bytes, block: (number) => before?.blocks.get(number) },
        {
          length: count,
          timeUs: Float64Array.from(numbers, (_, i) => firstUs + i * 60_000_000),
          arrivalUs: null,
          id: BigInt64Array.from(numbers, BigInt),
          retract: null,
          columns: layout.columns.map((dtype) =>
            dtype.kind === 'string'
              ? columnOf(
                  string,
                  numbers.map((n) => `place ${n}`),
                )
              : columnOf(
                  float64,
                  numbers.map((n) => n / 7),
                ),
          ),
        },
        new Map(),
        LIMITS,
      );
      if (update === null) return;
      const blocks = new Map([...(before?.blocks ?? []), ...update.putBlocks]);
      for (const number of update.dropBlocks) blocks.delete(number);
      const page = { head: { bytes: update.head, version: ++version }, blocks };
      pages.set(name(key), page);
      all.set(version, page);
    },
  };
}

function pageOf(id: number, readUs = NOW_US): PageRead {
  const key = encodeKey([BigInt(id)], PROGRAM.keyDtypes);
  return { view: PROGRAM.id, key, program: PROGRAM, reads: [0, 1, 2, 3], readUs, tells: false };
}

const counter = { pages() {}, bytes() {} };
const bringBack = () => Promise.reject(new Error('nothing is evicted'));
async function read(cache: PageCache, wanted: readonly PageRead[]): Promise<PageAnswer[]> {
  const answers: PageAnswer[] = [];
  await readPages({ online: cache, bringBack }, wanted, counter, (i, answer) => {
    answers[i] = answer;
  });
  return answers;
}

const id = fc.integer({ min: 1, max: 4 });
const daysAgo = fc.double({ min: 0, max: 35, noNaN: true });
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ add: id, daysAgo, count: fc.integer({ min: 1, max: 60 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({ read: fc.array(id, { minLength: 1, maxLength: 4 }), daysAgo }),
  },
  { weight: 1, arbitrary: fc.record({ remove: id }) },
  { weight: 1, arbitrary: fc.constant({ settle: true }) },
);

test('what is answered is what the page of that version says, and the version is one that was there while it was read', async () => {
  let hits = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const near = nearStore();
      // So small that pages push each other out.
      const cache = new PageCache(near.store, manualClock(NOW_US), 40_000);
      let events = 0;
      let under: Promise<void>[] = [];
      for (const each of steps) {
        if ('add' in each) {
          near.add(pageOf(each.add), NOW_US - each.daysAgo * US_PER_DAY, each.count, events);
          events += each.count;
        } else if ('remove' in each) {
          // Whoever reads meanwhile may meet blocks of the page that is made under the same numbers.
          await Promise.all(under);
          near.remove(pageOf(each.remove));
        } else if ('settle' in each) {
          await Promise.all(under);
          under = [];
        } else {
          const wanted = each.read.map((k) => pageOf(k, NOW_US - each.daysAgo * US_PER_DAY));
          const begun = wanted.map(near.versionOf);
          under.push(
            read(cache, wanted).then((answers) => {
              for (const [i, answer] of answers.entries()) {
                const { version, values, statuses, eventTimeUs, steadyUntilUs } = answer;
                assert.ok(version >= begun[i]! || near.versionOf(wanted[i]!) === version);
                const page = near.all.get(version);
                const anew = readTimeline(
                  layout,
                  page?.head.bytes,
                  (number) => page?.blocks.get(number),
                  wanted[i]!.readUs,
                  wanted[i]!.reads,
                );
                assert.deepEqual(
                  { values, statuses, eventTimeUs, steadyUntilUs, missing: [] },
                  anew,
                );
              }
            }),
          );
        }
        assert.ok(cache.counts.bytes <= 40_000);
      }
      await Promise.all(under);
      hits += cache.counts.hits;
    }),
    { numRuns: cases(150) },
  );
  assert.ok(hits > 100, `pages were kept: ${hits}`);
});

test('a page that is read again is read from memory, blocks and all, until it is written', async () => {
  const near = nearStore();
  near.add(pageOf(1), NOW_US - 20 * US_PER_DAY, 3_000, 0);
  near.add(pageOf(2), NOW_US - 20 * US_PER_DAY, 2, 0);
  const cache = new PageCache(near.store, manualClock(NOW_US));
  const wanted = [pageOf(1, NOW_US - 19 * US_PER_DAY), pageOf(2)];
  await read(cache, wanted);
  // From the second read on it is kept: what is read once would only push out others.
  assert.equal(cache.counts.bytes, 0);
  const second = await read(cache, wanted);
  assert.equal(cache.counts.hits, 0);
  const before = near.reads();
  assert.deepEqual(await read(cache, wanted), second);
  assert.equal(cache.counts.hits, 1);
  assert.equal(near.reads(), before + 1, 'of the small page alone');
  near.add(pageOf(1), NOW_US, 1, 5_000);
  const after = await read(cache, wanted);
  assert.equal(near.reads(), before + 3, 'the head, and no block');
  assert.deepEqual(after[0]!.values, second[0]!.values);
  assert.ok(after[0]!.version > second[0]!.version);
});

test('a key that is removed and made again has other blocks under the same numbers', async () => {
  const near = nearStore();
  const cache = new PageCache(near.store, manualClock(NOW_US));
  const wanted = [pageOf(1, NOW_US - 19.5 * US_PER_DAY)];
  for (const firstId of [1_000, 5_000]) {
    near.add(pageOf(1), NOW_US - 20 * US_PER_DAY, 1_000, firstId);
    for (let times = 0; times < 3; times++) {
      const [answer] = await read(cache, wanted);
      const page = near.all.get(near.versionOf(wanted[0]!))!;
      const block = (number: number) => page.blocks.get(number);
      const { values } = readTimeline(layout, page.head.bytes, block, wanted[0]!.readUs);
      assert.deepEqual(answer!.values, values);
    }
    near.remove(pageOf(1));
  }
  // The second time it is kept at once.
  assert.equal(cache.counts.hits, 3);
});
