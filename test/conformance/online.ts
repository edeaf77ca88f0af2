/** The suite that every online store passes; an adapter's test calls it with a way to make a fresh, empty store. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { OnlineStore, PageWrite } from '../../src/online/contract.ts';
import { compareBytes } from '../../src/types/scalar.ts';
import { cases } from '../support/cases.ts';
import { put, TEST_VIEW, testKey } from './online_fixture.ts';
import { openOnline } from './online_open.ts';

/** A fresh, empty place for a store, by URL, and how to clear it away. */
export interface OnlinePlace {
  readonly url: string;
  /** Whether a scan has the order of keys; else it may begin again, and give a key twice. */
  readonly isOrdered: boolean;
  destroy(): Promise<void>;
}

const OTHER_VIEW = '00112233445566fe';
const CHILD = join(import.meta.dirname, 'online_child.ts');

export function onlineConformance(name: string, place: () => Promise<OnlinePlace>): void {
  describe(`online store: ${name}`, () => {
    let where: OnlinePlace;
    let store: OnlineStore;
    before(async () => {
      where = await place();
      store = await openOnline(where.url);
    });
    after(async () => {
      await store.close();
      await where.destroy();
    });
    const clean = async () => {
      await store.dropView(TEST_VIEW);
      await store.dropView(OTHER_VIEW);
    };
    const head = async (key: Uint8Array, view = TEST_VIEW) =>
      (await store.heads([{ view, key }]))[0];
    const set = async (...writes: PageWrite[]) => store.compareAndSet(writes);
    const keysOf = async (view: string, from?: Uint8Array) =>
      Array.fromAsync(store.scan(view, from));

    test('an absent key has no head and no blocks', async () => {
      await clean();
      assert.equal(await head(testKey(1)), undefined);
      assert.deepEqual(await store.blocks({ view: TEST_VIEW, key: testKey(1) }, [1]), [undefined]);
      assert.deepEqual(await keysOf(TEST_VIEW), []);
    });

    test('a write applies only to the version it was derived from', async () => {
      await clean();
      const key = testKey(1);
      assert.deepEqual(await set(put(key, 7, Uint8Array.of(1))), [false]);
      assert.deepEqual(await set(put(key, 0, Uint8Array.of(1))), [true]);
      assert.deepEqual(await set(put(key, 0, Uint8Array.of(2))), [false]);
      const first = (await head(key))!;
      assert.deepEqual(first.bytes, Uint8Array.of(1));
      assert.ok(first.version !== 0);
      assert.deepEqual(await set(put(key, first.version, Uint8Array.of(3))), [true]);
      assert.deepEqual(await set(put(key, first.version, Uint8Array.of(4))), [false]);
      assert.deepEqual((await head(key))!.bytes, Uint8Array.of(3));
    });

    test('each write of a batch stands alone; of two to one key the first applies', async () => {
      await clean();
      const applied = await set(
        put(testKey(1), 0, Uint8Array.of(1)),
        put(testKey(2), 9, Uint8Array.of(2)),
        put(testKey(1), 0, Uint8Array.of(3)),
        put(testKey(3), 0, Uint8Array.of(4)),
      );
      assert.deepEqual(applied, [true, false, false, true]);
      const heads = await store.heads([1, 2, 3].map((n) => ({ view: TEST_VIEW, key: testKey(n) })));
      assert.deepEqual(
        heads.map((h) => h?.bytes[0]),
        [1, undefined, 4],
      );
      assert.deepEqual(await set(), []);
    });

    test('a key that was deleted and made again never shows an old version', async () => {
      await clean();
      const key = testKey(1);
      const seen = new Set<number>();
      for (let i = 0; i < 5; i++) {
        await set(put(key, 0, Uint8Array.of(i)));
        const { version } = (await head(key))!;
        if (store.versions !== undefined)
          assert.deepEqual(
            store.versions([key, testKey(404)].map((k) => ({ view: TEST_VIEW, key: k }))),
            [version, 0],
          );
        assert.ok(!seen.has(version));
        seen.add(version);
        assert.deepEqual(await set(put(key, version, null)), [true]);
        assert.equal(await head(key), undefined);
      }
    });

    test('a fence lies between what was written before and after it', async () => {
      await clean();
      await set(put(testKey(1), 0, Uint8Array.of(1)));
      const fence = await store.fence();
      const before = (await head(testKey(1)))!.version;
      await set(put(testKey(2), 0, Uint8Array.of(1)), put(testKey(1), before, Uint8Array.of(2)));
      assert.ok(before <= fence);
      assert.ok((await head(testKey(1)))!.version > fence);
      assert.ok((await head(testKey(2)))!.version > fence);
    });

    test('deleting a key takes its blocks and nobody else’s', async () => {
      await clean();
      // Keys of which one begins with the other, and block numbers that look like more key.
      const short = Uint8Array.of(5, 0, 0, 0, 0);
      const long = Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0, 1);
      const blocks = new Map([
        [0, Uint8Array.of(10)],
        [1, Uint8Array.of(11)],
        [0xffffffff, Uint8Array.of(12)],
      ]);
      for (const view of [TEST_VIEW, OTHER_VIEW])
        for (const key of [short, long])
          await set({ ...put(key, 0, Uint8Array.of(1)), view, putBlocks: blocks });
      await set(put(short, (await head(short))!.version, null));
      assert.deepEqual(await store.blocks({ view: TEST_VIEW, key: short }, [0, 1, 0xffffffff]), [
        undefined,
        undefined,
        undefined,
      ]);
      for (const [view, key] of [
        [TEST_VIEW, long],
        [OTHER_VIEW, short],
        [OTHER_VIEW, long],
      ] as const) {
        assert.deepEqual(
          (await store.blocks({ view, key }, [1, 0xffffffff, 2, 0])).map((b) => b?.[0]),
          [11, 12, undefined, 10],
        );
      }
    });

    test('bytes that were handed over stay as they are', async () => {
      await clean();
      const mine = Uint8Array.of(1, 2, 3);
      await set({ ...put(testKey(1), 0, mine), putBlocks: new Map([[1, mine]]) });
      mine.fill(9);
      const read = (await head(testKey(1)))!.bytes;
      const [block] = await store.blocks({ view: TEST_VIEW, key: testKey(1) }, [1]);
      await set(put(testKey(2), 0, new Uint8Array(10_000).fill(7)));
      await head(testKey(2));
      assert.deepEqual(read, Uint8Array.of(1, 2, 3));
      assert.deepEqual(block, Uint8Array.of(1, 2, 3));
      read.fill(8);
      assert.deepEqual((await head(testKey(1)))!.bytes, Uint8Array.of(1, 2, 3));
      assert.equal(read.constructor, Uint8Array, 'not a Buffer, whose slice() shares memory');
    });

    test('pages from empty to a megabyte come back whole', async () => {
      await clean();
      const pages = [0, 1, 4_000, 5_000, 70_000, 1 << 20].map((n) => new Uint8Array(n).fill(n));
      await set(
        ...pages.map((page, i) => ({
          ...put(testKey(i), 0, page),
          putBlocks: new Map([[i, page]]),
        })),
      );
      for (const [i, page] of pages.entries()) {
        assert.deepEqual((await head(testKey(i)))!.bytes, page);
        assert.deepEqual(await store.blocks({ view: TEST_VIEW, key: testKey(i) }, [i]), [page]);
      }
    });

    test('scan gives every key of the view once, and goes on from after any of them', async () => {
      await clean();
      const writes = Array.from({ length: 2_500 }, (_, i) => put(testKey(i), 0, Uint8Array.of(1)));
      await set(...writes, { ...put(testKey(5_000), 0, Uint8Array.of(1)), view: OTHER_VIEW });
      const all = await keysOf(TEST_VIEW);
      if (where.isOrdered) assert.equal(all.length, 2_500);
      assert.equal(new Set(all.map((key) => key.toHex())).size, 2_500);
      for (const at of [0, 999, 1_000, 2_498, 2_499]) {
        if (where.isOrdered) {
          assert.deepEqual(await keysOf(TEST_VIEW, all[at]), all.slice(at + 1));
          continue;
        }
        const given = new Set<string>();
        let last: Uint8Array | undefined;
        for await (const key of store.scan(TEST_VIEW)) {
          last = key;
          if (given.add(key.toHex()).size > at) break;
        }
        const rest = (await keysOf(TEST_VIEW, last)).map((key) => key.toHex());
        assert.equal(new Set([...given, ...rest]).size, 2_500);
        assert.ok(rest.length < 2_500 - at, 'it goes on where it was left off');
      }
      assert.deepEqual(await keysOf(OTHER_VIEW), [testKey(5_000)]);
    });

    test('a view can be dropped; others stay, and it can be filled again', async () => {
      await clean();
      const page = { head: Uint8Array.of(1), putBlocks: new Map([[3, Uint8Array.of(4, 5)]]) };
      await set(
        { ...put(testKey(1), 0, null), ...page },
        { ...put(testKey(1), 0, null), ...page, view: OTHER_VIEW },
      );
      assert.deepEqual(await store.size(TEST_VIEW), { keys: 1, bytes: 3 });
      await store.dropView(TEST_VIEW);
      assert.deepEqual(await store.size(TEST_VIEW), { keys: 0, bytes: 0 });
      assert.equal(await head(testKey(1)), undefined);
      assert.deepEqual(await store.blocks({ view: TEST_VIEW, key: testKey(1) }, [3]), [undefined]);
      assert.deepEqual((await head(testKey(1), OTHER_VIEW))!.bytes, Uint8Array.of(1));
      assert.deepEqual(await set({ ...put(testKey(1), 0, null), ...page }), [true]);
    });

    test('bookkeeping values are kept by name', async () => {
      assert.equal(await store.getMeta('a'), undefined);
      await store.putMeta('a', Uint8Array.of(1));
      await store.putMeta('ab', Uint8Array.of(2));
      await store.putMeta('a', Uint8Array.of(3));
      assert.deepEqual(await store.getMeta('a'), Uint8Array.of(3));
      assert.deepEqual(await store.getMeta('ab'), Uint8Array.of(2));
    });

    test('what was applied is there when the store is opened again', async () => {
      await clean();
      await set({
        ...put(testKey(1), 0, Uint8Array.of(1)),
        putBlocks: new Map([[1, Uint8Array.of(2)]]),
      });
      const before = (await head(testKey(1)))!;
      await store.close();
      store = await openOnline(where.url);
      assert.deepEqual(await head(testKey(1)), before);
      assert.deepEqual(await store.blocks({ view: TEST_VIEW, key: testKey(1) }, [1]), [
        Uint8Array.of(2),
      ]);
    });

    test('any sequence of writes gives what a map would give', async () => {
      const write = fc.record({
        key: fc.nat(3),
        stale: fc.boolean(),
        head: fc.option(fc.uint8Array({ minLength: 1, maxLength: 40 }), { freq: 4 }),
        put: fc.uniqueArray(fc.nat(5), { maxLength: 3 }),
        drop: fc.uniqueArray(fc.nat(5), { maxLength: 3 }),
      });
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(write, { maxLength: 4 }), { maxLength: 8 }),
          async (batches) => {
            await clean();
            const model = new Map<number, { head: Uint8Array; blocks: Map<number, Uint8Array> }>();
            for (const batch of batches) {
              const heads = await store.heads(
                batch.map(({ key }) => ({ view: TEST_VIEW, key: testKey(key) })),
              );
              const touched = new Set<number>();
              const expected = batch.map((w) => {
                const fresh = !w.stale && !touched.has(w.key);
                if (!fresh) return false;
                touched.add(w.key);
                if (w.head === null) model.delete(w.key);
                else {
                  const blocks = model.get(w.key)?.blocks ?? new Map();
                  for (const block of w.drop) blocks.delete(block);
                  for (const block of w.put) blocks.set(block, w.head);
                  model.set(w.key, { head: w.head, blocks });
                }
                return true;
              });
              const applied = await set(
                ...batch.map((w, i) => ({
                  view: TEST_VIEW,
                  key: testKey(w.key),
                  expect: w.stale ? 1e15 : (heads[i]?.version ?? 0),
                  head: w.head,
                  putBlocks: new Map(w.put.map((block) => [block, w.head ?? Uint8Array.of(0)])),
                  dropBlocks: w.drop,
                })),
              );
              // A second delete of a key that is absent is derived from «absent» and holds.
              for (const [i, w] of batch.entries())
                if (applied[i] !== expected[i])
                  assert.ok(w.head === null || heads[i] === undefined, 'only around deletes');
              if (applied.some((a, i) => a !== expected[i])) return;
            }
            const keys = await keysOf(TEST_VIEW);
            if (!where.isOrdered) keys.sort(compareBytes);
            assert.deepEqual(keys, [...model.keys()].map(testKey).sort(compareBytes));
            let bytes = 0;
            for (const [n, { head: page, blocks }] of model) {
              assert.deepEqual((await head(testKey(n)))!.bytes, page);
              const stored = await store.blocks(
                { view: TEST_VIEW, key: testKey(n) },
                [0, 1, 2, 3, 4, 5],
              );
              assert.deepEqual(
                stored,
                [0, 1, 2, 3, 4, 5].map((b) => blocks.get(b)),
              );
              bytes += page.length + stored.reduce((sum, b) => sum + (b?.length ?? 0), 0);
            }
            assert.deepEqual(await store.size(TEST_VIEW), { keys: model.size, bytes });
          },
        ),
        { numRuns: cases(60) },
      );
    });

    test('four processes race for the same keys: each key has one winner, no count is lost', async () => {
      await clean();
      const children = await Promise.all(
        [1, 2, 3, 4].map((me) => run('race', where.url, String(me), '50')),
      );
      const won = children.map((child) => JSON.parse(child.stdout) as number[]);
      assert.deepEqual(
        won.flat().sort((a, b) => a - b),
        Array.from({ length: 50 }, (_, i) => i),
      );
      for (const [i, keys] of won.entries())
        for (const key of keys) assert.equal((await head(testKey(key)))!.bytes[0], i + 1);
      for (let i = 0; i < 4; i++) assert.equal((await head(testKey(1_000_000 + i)))!.bytes[0], 100);
    });

    test('a process killed in mid-write leaves every key wholly old or new', async () => {
      await clean();
      let resolved = 0;
      for (const afterMs of [40, 130, 90]) {
        const child = spawn(process.execPath, [CHILD, 'rewrite', where.url, '100'], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        child.stdout.on('data', (data: Buffer) => {
          resolved = Number(String(data).trimEnd().split('\n').at(-1));
        });
        await once(child.stdout, 'data');
        await new Promise((resolve) => setTimeout(resolve, afterMs));
        child.kill('SIGKILL');
        await once(child, 'close');
        for (let i = 0; i < 100; i++) {
          const { bytes: page, version } = (await head(testKey(i)))!;
          const generation = page[0]!;
          assert.ok(generation >= resolved, `${generation} is not older than what resolved`);
          const whole = new Uint8Array(2_000).fill(generation);
          assert.deepEqual(page, whole);
          const blocks = await store.blocks({ view: TEST_VIEW, key: testKey(i) }, [
            generation - 1,
            generation,
            generation + 1,
          ]);
          // What the process had sent may still be done after its end.
          if ((await head(testKey(i)))!.version !== version) i--;
          else assert.deepEqual(blocks, [undefined, whole, undefined]);
        }
      }
      assert.deepEqual(await store.size(TEST_VIEW), { keys: 100, bytes: 400_000 });
    });
  });
}

/** Runs the child process in a role to its end. */
export async function run(...args: string[]): Promise<{ stdout: string; code: number | null }> {
  const child = spawn(process.execPath, [CHILD, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.on('data', (data: Buffer) => {
    stdout += data;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { stdout, code };
}
