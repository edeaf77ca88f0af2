/** The manifest of history: its bytes are kept for ever, and what is not one is told in words. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import {
  decodeHistory,
  encodeHistory,
  type HistoryManifest,
} from '../../src/offline/duckdb/history_manifest.ts';
import { madeBy, pathPart, sourceFolder } from '../../src/offline/duckdb/history_names.ts';
import { commitOf, commitRows, eventsIn, streamCatalog, tick } from './history_support.ts';
import { openProject } from './support.ts';

const project = await openProject();
after(() => project.close());
const folder = sourceFolder(project.path('history'), 'ticks');
const manifests = join(folder, 'manifest');
beforeEach(() => rmSync(project.path('history'), { recursive: true, force: true }));

const MANIFEST: HistoryManifest = {
  source: 'ticks',
  number: 7,
  compaction: 2,
  partitions: new Map([
    [
      'shardId-0',
      {
        position: 2n ** 180n,
        arrivalUs: 1_704_067_200_000_001,
        newestUs: null,
        rows: 3,
        late: 1,
        deadLetters: 2,
      },
    ],
  ]),
  files: [
    {
      path: 'date=2024-01-01/compacted.2.0.parquet',
      bytes: 1234,
      changedMs: null,
      sha256: '00ff',
      rows: 3,
      ranges: [{ partition: 'shardId-0', first: 1n, last: 2n ** 170n }],
    },
  ],
  deadLetters: [
    {
      path: 'dead/shardId%2d0-5-9.ndjson',
      range: { partition: 'shardId-0', first: 5n, last: 9n },
      states: [
        ['open', 1],
        ['replayed', 1],
      ],
    },
  ],
  dropped: [{ path: 'date=2024-01-01/shardId%2d0-1-4.parquet', atUs: 1_704_067_200_000_000 }],
};

test('the format is the one of the golden file', () => {
  const golden = readFileSync(join(import.meta.dirname, '../golden/history_manifest.json'));
  assert.equal(encodeHistory(MANIFEST), golden.toString());
  assert.deepEqual(decodeHistory(golden, 'ticks', 'golden'), MANIFEST);
});

test('a manifest that is damaged, foreign or newer is a coded error, and nothing is added to it', async () => {
  const { historyLog } = project.store;
  const first = commitOf('p', null, [tick(1n, 'u', 1, 1)]);
  await historyLog.commit(first);
  const path = join(manifests, readdirSync(manifests).sort().at(-1)!);
  const whole = readFileSync(path, 'utf8');
  const more = commitOf('p', first.to, [tick(2n, 'u', 2, 2)]);
  const foreign = encodeHistory({ ...MANIFEST, source: 'others', number: 1 });
  for (const [text, why] of [
    ['', /damaged/],
    [whole.slice(0, -20), /damaged/],
    [whole.replace('"rows":1', '"rows":2'), /damaged/],
    ['{"sha256":"x","history":{"format":"else"}}', /not a manifest/],
    [whole.replace('"version":1', '"version":2'), /version 2; this Samewise reads version 1/],
    [foreign, /history of others/],
    [encodeHistory({ ...MANIFEST, number: 9 }), /its manifest 1 says that it is 9/],
  ] as const) {
    writeFileSync(path, text);
    const refused = { code: 'offline/bad-history', message: why };
    await assert.rejects(historyLog.state('ticks'), refused);
    await assert.rejects(historyLog.commit(more), refused);
    await assert.rejects(eventsIn(project.store), refused);
    await assert.rejects(project.store.estimate(streamCatalog, 'ticks'), refused);
  }
  writeFileSync(path, whole);
  assert.equal(await historyLog.commit(more), true);
  assert.deepEqual(await eventsIn(project.store), { u: [1, 2] });
});

test('a file that is damaged or gone is a coded error of the scan', async () => {
  await project.store.historyLog.commit(commitOf('p', null, [tick(1n, 'u', 1, 1)]));
  const file = join(folder, 'date=2024-01-01/p-1-1.parquet');
  writeFileSync(file, 'PAR1');
  await assert.rejects(eventsIn(project.store), { code: 'offline/unreadable-file' });
  rmSync(file);
  await assert.rejects(eventsIn(project.store), { code: 'offline/unreadable-file' });
});

test('a disk that refuses is a coded error', async () => {
  mkdirSync(project.path('history'));
  writeFileSync(folder, 'a file where the folder should be');
  await assert.rejects(project.store.historyLog.commit(commitOf('p', null, [], 1n)), {
    code: 'offline/write-failed',
  });
});

test('a column that the source has since is null in the rows of before, also when they are compacted', async () => {
  const source = streamCatalog.sources.ticks!;
  const older = { ...source, columns: source.columns.filter(({ name }) => name !== 'price') };
  const row = (id: string, price: number | null) => ({
    row: { id, at: Date.UTC(2024, 0, 1) * 1000, user: 'u', price },
    a: 0,
    retract: false,
  });
  for (let i = 0; i < 6; i++) await commitRows(project.store, older, `old ${i}`, [row(`o${i}`, 1)]);
  for (let i = 0; i < 6; i++)
    await commitRows(project.store, source, `new ${i}`, [row(`n${i}`, 2)]);
  const prices = async () => (await eventsIn(project.store)).u!.toSorted();
  const expected = [0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2];
  assert.deepEqual(await prices(), expected, 'Number(null) is 0');
  assert.deepEqual(await project.store.historyLog.compact(source), { before: 12, after: 1 });
  assert.deepEqual(await prices(), expected);
});

test('names are safe in paths, however long, and tell who made a file', () => {
  assert.equal(pathPart('orders_2'), 'orders_2');
  assert.equal(pathPart('../a b'), '%2e%2e%2fa%20b');
  assert.equal(pathPart(''), '%');
  const long = ['x'.repeat(300), `${'x'.repeat(299)}y`].map(pathPart);
  assert.ok(long[0] !== long[1] && long.every((part) => part.length <= 100));
  assert.deepEqual(madeBy('shard%2d0-17-20.1.parquet'), { part: 'shard%2d0', first: 17n });
  assert.deepEqual(madeBy('compacted.3.0.ndjson'), { turn: 3 });
  assert.equal(madeBy('note.txt'), null);
});
