/** The cache of pages before a store that is away: how old an answer may be, who waits for whom, what is forgotten, and what it counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { manualClock } from '../../src/base/clock.ts';
import { US_PER_MS } from '../../src/base/time.ts';
import { catalogOf, compileView } from '../../src/model/index.ts';
import type { Head, OnlineStore } from '../../src/online/contract.ts';
import { PageCache } from '../../src/serving/page_cache.ts';
import type { PageRead } from '../../src/serving/pages.ts';
import { encodeKey } from '../../src/types/key.ts';
import { cases } from '../support/cases.ts';
import { entity, feature, int64, memoryOnline, NOW_US, over, source, view } from './support.ts';

/** Of views that promise 100 ms: `eventual`; of a source that acknowledges what can be read: `strong`; no promise: `free`. */
const clicks = source('clicks', { user_id: int64, n: int64 });
const total = feature('total', int64, 'sum', 'n', over(null));
const promising = (name: string, of: string) => ({
  ...view(name, 'user', ['user_id'], of, [total]),
  freshnessUs: 100 * US_PER_MS,
});
const DEFINITIONS = [
  entity('user', { user_id: int64 }),
  clicks,
  { ...clicks, name: 'read_back', stream: { ...clicks.stream, acknowledge: 'applied' as const } },
  promising('eventual', 'clicks'),
  promising('strong', 'read_back'),
  view('free', 'user', ['user_id'], 'clicks', [total]),
];
const BOUND_MS = 50;

function pageOf(name: string, id: number): PageRead {
  const program = compileView(catalogOf(DEFINITIONS), name);
  const key = encodeKey([BigInt(id)], program.keyDtypes);
  return { view: program.id, key, program, reads: [0], readUs: NOW_US, tells: false };
}

/** A store that answers when it is let: with a head that carries the version, and of odd ids none. */
function away() {
  const waiting: (() => void)[] = [];
  let calls = 0;
  const state = { version: 1, fails: false };
  const store: OnlineStore = {
    ...memoryOnline(),
    heads(keys) {
      calls++;
      const { version, fails } = state;
      const heads = keys.map(({ key }): Head | undefined =>
        key.at(-1)! % 2 === 1 ? undefined : { bytes: new Uint8Array(100), version },
      );
      return new Promise((resolve, reject) =>
        waiting.push(() => (fails ? reject(new Error('away')) : resolve(heads))),
      );
    },
  };
  const letGo = async () => {
    for (const done of waiting.splice(0)) done();
    await new Promise((done) => setImmediate(done));
  };
  return { store, state, letGo, calls: () => calls };
}
const versionsOf = (heads: readonly (Head | undefined)[]) =>
  heads.map((head) => head?.version ?? 0);

test('a page is answered from for half of what its view promises, an absent one too, and never longer', async () => {
  const { store, letGo, calls, state } = away();
  const clock = manualClock(NOW_US);
  const cache = new PageCache(store, clock);
  const wanted = [pageOf('eventual', 2), pageOf('eventual', 3)];
  const first = cache.heads(wanted);
  // While it was on its way, time passed: the age counts from when it was asked for.
  clock.advanceUs(20 * US_PER_MS);
  await letGo();
  assert.deepEqual(versionsOf(await first), [1, 0]);
  state.version = 2;
  clock.advanceUs((BOUND_MS - 21) * US_PER_MS);
  assert.deepEqual(versionsOf((await cache.heads(wanted)) as Head[]), [1, 0]);
  assert.ok(!(cache.heads(wanted) instanceof Promise), 'what is kept is there at once');
  assert.deepEqual(cache.versions(wanted), [1, 0]);
  assert.equal(cache.counts.oldestMs, BOUND_MS - 1);
  clock.advanceUs(US_PER_MS);
  const anew = cache.heads(wanted);
  await letGo();
  assert.deepEqual(versionsOf(await anew), [2, 0]);
  assert.equal(calls(), 2);
  assert.equal(cache.counts.absentHits, 3);
  assert.equal(cache.counts.misses, 4);
});

test('of a view that promises nothing nothing is kept, but who asks meanwhile waits for the same; of a strong one not even that', async () => {
  for (const [name, trips] of [
    ['free', 1],
    ['strong', 2],
  ] as const) {
    const { store, letGo, calls } = away();
    const cache = new PageCache(store, manualClock(NOW_US));
    const both = [cache.heads([pageOf(name, 2)]), cache.heads([pageOf(name, 2)])];
    await letGo();
    assert.deepEqual((await Promise.all(both)).map(versionsOf), [[1], [1]]);
    assert.equal(calls(), trips, name);
    const again = cache.heads([pageOf(name, 2)]);
    await letGo();
    await again;
    assert.equal(calls(), trips + 1, name);
    assert.deepEqual(cache.versions([pageOf(name, 2)]), [-1]);
    assert.equal(cache.counts.bytes, 0);
  }
});

test('what was written is fetched anew, also if it was on its way', async () => {
  const { store, letGo, state } = away();
  const cache = new PageCache(store, manualClock(NOW_US));
  const page = pageOf('eventual', 2);
  const before = cache.heads([page]);
  state.version = 2;
  cache.forget([page]);
  const after = cache.heads([page]);
  await letGo();
  assert.deepEqual(versionsOf(await before), [1]);
  assert.deepEqual(versionsOf(await after), [2]);
  assert.deepEqual(cache.versions([page]), [2]);
  cache.forget([page]);
  assert.deepEqual(cache.versions([page]), [-1]);
});

test('a failure reaches all who wait for it, and is not remembered', async () => {
  const { store, letGo, state } = away();
  const cache = new PageCache(store, manualClock(NOW_US));
  const page = pageOf('eventual', 2);
  state.fails = true;
  const both = [cache.heads([page]), cache.heads([page])];
  const seen = Promise.allSettled(both);
  await letGo();
  assert.deepEqual(
    (await seen).map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  state.fails = false;
  const again = cache.heads([page]);
  await letGo();
  assert.deepEqual(versionsOf(await again), [1]);
});

test('its size is bounded; what was used last stays', async () => {
  const { store, letGo } = away();
  const cache = new PageCache(store, manualClock(NOW_US), 2_200);
  for (const id of [2, 4, 6]) {
    const heads = cache.heads([pageOf('eventual', id)]);
    await letGo();
    await heads;
  }
  cache.heads([pageOf('eventual', 2)]);
  const heads = cache.heads([pageOf('eventual', 8)]);
  await letGo();
  await heads;
  const kept = [2, 4, 6, 8].filter((id) => cache.versions([pageOf('eventual', id)])[0] !== -1);
  assert.deepEqual(kept, [2, 6, 8]);
  assert.equal(cache.counts.evicted, 1);
  assert.ok(cache.counts.bytes <= 2_200);
});

test('whatever is written, forgotten and waited for, no answer is older than its bound', async () => {
  const step = fc.oneof(
    fc.record({ read: fc.subarray([2, 4, 6], { minLength: 1 }) }),
    fc.record({ ms: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ write: fc.constantFrom(true, false) }),
    fc.constant({ letGo: true }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const { store, letGo, state } = away();
      const clock = manualClock(NOW_US);
      const cache = new PageCache(store, clock);
      /** When each version was overwritten. */
      const endedMs = new Map<number, number>();
      const reads: Promise<unknown>[] = [];
      for (const each of steps) {
        if ('ms' in each) clock.advanceUs(each.ms * US_PER_MS);
        else if ('write' in each) {
          endedMs.set(state.version, clock.monotonicMs());
          state.version++;
          if (each.write) cache.forget([2, 4, 6].map((id) => pageOf('eventual', id)));
        } else if ('read' in each) {
          const askedMs = clock.monotonicMs();
          const heads = cache.heads(each.read.map((id) => pageOf('eventual', id)));
          // Of what is kept; what has to be waited for is as new as its asking.
          if (heads instanceof Promise) reads.push(heads);
          else
            for (const version of versionsOf(heads))
              assert.ok((endedMs.get(version) ?? askedMs) > askedMs - BOUND_MS, String(version));
        } else await letGo();
      }
      await letGo();
      await Promise.all(reads);
    }),
    { numRuns: cases(100) },
  );
});
