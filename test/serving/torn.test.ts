/** While pages are written, every answer is a state that existed: all features of a view come from one version of its page. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { catalogOf, compileView } from '../../src/model/index.ts';
import type { OnlineStore } from '../../src/online/contract.ts';
import { openLmdbStore } from '../../src/online/lmdb.ts';
import { buildPages, nextBlock } from '../../src/timeline/index.ts';
import { columnOf } from '../../src/types/column.ts';
import { encodeKey } from '../../src/types/key.ts';
import { cases } from '../support/cases.ts';
import {
  entity,
  feature,
  float64,
  int64,
  memoryOnline,
  over,
  serverOver,
  source,
  view,
} from './support.ts';

/** So small that a page has blocks, of which the window's edge needs one. */
const SMALL_PAGES = { pageBytes: 300, indexBytes: 200, minRows: 2, minEntries: 2 };
const KEYS = [1, 2, 3];
const DAY_US = 86_400_000_000;
const MOST_EVENTS = 200;
/** All of them lie within two days. */
const STEP_US = (2 * DAY_US) / MOST_EVENTS - 1;

/**
 * In each state two of them are the number of events, by a partial and by the newest row, and two the number of those of the last
 * day, for which the block in which that day begins is read.
 */
const DEFINITIONS = [
  entity('user', { user_id: int64 }),
  source('clicks', { user_id: int64, one: float64, so_far: int64 }),
  {
    ...view('counts', 'user', ['user_id'], 'clicks', [
      feature('rows', int64, 'count', null, over('1d')),
      feature('ones', float64, 'sum', 'one', over('1d')),
      feature('newest', int64, 'latest', 'so_far', over(null)),
      feature('all', float64, 'sum', 'one', over(null)),
    ]),
    // So that a cache keeps pages.
    freshnessUs: 20_000,
  },
  {
    kind: 'featureService' as const,
    name: 'svc',
    description: '',
    owner: 'team',
    tags: {},
    model: null,
    members: [
      {
        view: 'counts',
        features: null,
        keys: [{ from: 'column' as const, column: 'user_id' }],
        as: null,
      },
    ],
  },
];

/** Replaces the page of a key by one of `count` events. */
async function write(online: OnlineStore, id: number, count: number): Promise<void> {
  const { id: viewId, layout, keyDtypes } = compileView(catalogOf(DEFINITIONS), 'counts');
  const key = encodeKey([BigInt(id)], keyDtypes);
  const startUs = systemClock.nowUs() - 2 * DAY_US;
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  const byName: Record<string, ReturnType<typeof columnOf>> = {
    one: columnOf(
      float64,
      numbers.map(() => 1),
    ),
    so_far: columnOf(int64, numbers.map(BigInt)),
  };
  const columns = layout.columns.map(({ kind }) => byName[kind === 'int64' ? 'so_far' : 'one']!);
  const timeUs = Float64Array.from(numbers, (n) => startUs + n * STEP_US);
  const events = {
    length: count,
    timeUs,
    arrivalUs: null,
    id: BigInt64Array.from(numbers, BigInt),
    columns,
  };
  const [before] = await online.heads([{ view: viewId, key }]);
  const firstBlock = nextBlock(layout, before?.bytes);
  const { head, blocks } = buildPages(layout, events, 0, count, SMALL_PAGES, firstBlock);
  const dropBlocks = Array.from({ length: firstBlock - 1 }, (_, i) => i + 1).slice(-100);
  const [applied] = await online.compareAndSet([
    {
      view: viewId,
      key,
      expect: before?.version ?? 0,
      head,
      putBlocks: blocks,
      dropBlocks,
    },
  ]);
  assert.equal(applied, true);
}

for (const kind of ['lmdb', 'away'] as const)
  test(`every answer is a state that existed, by every way to ask: ${kind}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'samewise-torn-'));
    const online = kind === 'lmdb' ? await openLmdbStore(folder) : memoryOnline();
    const { app } = await serverOver(DEFINITIONS, {
      online,
      clock: systemClock,
      refreshMs: 60_000,
    });
    try {
      for (const id of KEYS) await write(online, id, 1);
      const url = await app.listen({ port: 0, host: '127.0.0.1' });
      const path = (id: number) =>
        `/api/v1/features/online?entity=user&id=${id}&features=rows,ones,newest,all`;
      const asked: (() => Promise<Record<string, number>[]>)[] = [
        async () => [((await (await fetch(url + path(1))).json()) as any).features],
        async () => [(await app.inject({ url: path(2) })).json().features],
        async () => {
          const entities = Array.from({ length: 300 }, (_, i) => ({ user_id: KEYS[i % 3] }));
          const answer = await app.inject({
            method: 'POST',
            url: '/api/v1/services/svc/vectors',
            headers: { 'content-type': 'application/json' },
            payload: JSON.stringify({ entities }),
          });
          assert.equal(answer.statusCode, 200, answer.body);
          return answer.json().vectors;
        },
      ];
      let isDone = false;
      let answers = 0;
      const seen = new Set<number>();
      const readers = asked.map(async (ask) => {
        while (!isDone) {
          // A store that answers at once leaves nobody else a turn.
          await new Promise((done) => setImmediate(done));
          for (const { rows, ones, newest, all } of await ask()) {
            assert.deepEqual([ones ?? 0, newest], [rows, all]);
            assert.ok(rows! <= all! && all! >= 1 && all! <= MOST_EVENTS, `${rows} of ${all}`);
            seen.add(all!);
            answers++;
          }
        }
      });
      const rounds = cases(20);
      for (let round = 1; round <= rounds; round++) {
        await Promise.all(
          KEYS.map((id) => write(online, id, 1 + ((round * 7 + id * 31) % MOST_EVENTS))),
        );
        await new Promise((done) => setImmediate(done));
      }
      isDone = true;
      await Promise.all(readers);
      assert.ok(answers > 0 && seen.size > 3, `${answers} answers, ${seen.size} states`);
    } finally {
      await app.close();
      await online.close();
      rmSync(folder, { recursive: true });
    }
  });
