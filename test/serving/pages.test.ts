/** Pages that change, or lose a block, while they are read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catalogOf, compileView } from '../../src/model/index.ts';
import type { OnlineStore } from '../../src/online/contract.ts';
import { type PageAnswer, readPages } from '../../src/serving/pages.ts';
import { evictedHead } from '../../src/timeline/index.ts';
import { encodeKey } from '../../src/types/key.ts';
import {
  entity,
  feature,
  int64,
  materialize,
  memoryOnline,
  over,
  source,
  view,
} from './support.ts';

const DEFINITIONS = [
  entity('user', { user_id: int64 }),
  source('clicks', { user_id: int64, n: int64 }),
  view('counts', 'user', ['user_id'], 'clicks', [
    feature('total', int64, 'sum', 'n', over('1s')),
    feature('oldest', int64, 'min', 'n', over('1s', { delayUs: 150 })),
  ]),
];
const program = compileView(catalogOf(DEFINITIONS), 'counts');
const key = encodeKey([7n], program.keyDtypes);
const counter = { pages() {}, bytes() {} };
const SMALL_PAGES = { pageBytes: 300, indexBytes: 200, minRows: 2, minEntries: 2 };
const page = { view: program.id, key, program, reads: [0, 1], readUs: 200, tells: false };

async function read(online: OnlineStore): Promise<PageAnswer[]> {
  const answers: PageAnswer[] = [];
  const store = { online, bringBack: async () => assert.fail('nothing was evicted') };
  await readPages(store, [page], counter, (i, answer) => {
    answers[i] = answer;
  });
  return answers;
}

async function filled(events: number) {
  const online = memoryOnline();
  const rows = Array.from({ length: events }, (_, i) => ({
    id: BigInt(i),
    at: i,
    user_id: 7n,
    n: 1n + BigInt(i),
  }));
  await materialize(online, DEFINITIONS, 'counts', rows, SMALL_PAGES);
  return online;
}
const SUM = (199n * 200n) / 2n;

test('blocks that a window needs are fetched', async () => {
  const online = await filled(199);
  let fetched = 0;
  online.before = (call) => {
    if (call === 'blocks') fetched++;
  };
  const [answer] = await read(online);
  assert.deepEqual(answer!.values, [SUM, 1n]);
  assert.ok(fetched > 0);
});

test('a reader that finds its blocks gone reads the newer head', async () => {
  const online = await filled(150);
  const newer = await filled(199);
  let calls = 0;
  const changing = {
    ...online,
    async blocks(...asked: Parameters<typeof online.blocks>) {
      if (calls++ > 0) return online.blocks(...asked);
      // Another writer has just put a newer head and dropped the blocks of the old one.
      for (const [name, { head, blocks }] of newer.pages)
        online.pages.set(name, { head: { ...head, version: 9 }, blocks });
      return asked[1].map(() => undefined);
    },
  };
  const [answer] = await read(changing);
  assert.deepEqual(answer!.values, [SUM, 1n]);
  assert.ok(calls > 1);
});

test('a block that its head names but nobody has is damage, told with the key', async () => {
  const online = await filled(199);
  for (const stored of online.pages.values()) stored.blocks.clear();
  await assert.rejects(async () => read(online), {
    code: 'timeline/damaged-page',
    where: { view: 'counts', entity: 'user', key: 'user_id=7' },
  });
});

test('a page that never settles is given up', async () => {
  const online = await filled(199);
  let version = 1;
  online.before = (call) => {
    if (call !== 'heads') return;
    const [stored] = [...online.pages.values()] as any[];
    stored.head = { ...stored.head, version: ++version };
    stored.blocks.clear();
  };
  await assert.rejects(async () => read(online), {
    code: 'serving/unsettled-page',
  });
});

test('a page that cannot be read, beside one that cannot be brought back, is one error that the reader gets', async () => {
  const online = await filled(199);
  const [stored] = [...online.pages.values()] as any[];
  const bytes = evictedHead(program.layout, stored.head.bytes);
  const heads = [
    { bytes, version: 1 },
    { bytes: new Uint8Array(16), version: 1 },
  ];
  const lost: unknown[] = [];
  const lose = (error: unknown) => lost.push(error);
  process.on('unhandledRejection', lose);
  try {
    const store = {
      online: { ...online, heads: () => heads },
      bringBack: () => Promise.reject(new Error('history is away')),
    };
    const both = async () => readPages(store, [page, page], counter, () => {});
    await assert.rejects(both, { code: 'timeline/unknown-format' });
    // What nobody waits for is told to the process when the turn is over.
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(lost, []);
  } finally {
    process.off('unhandledRejection', lose);
  }
});
