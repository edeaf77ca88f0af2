/** The offline store's other calls: manifests, snapshots, pushed history, estimates, history for materialisation, formats. */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, beforeEach, test } from 'node:test';
import { RecordBatchReader } from 'apache-arrow';
import { canonicalJson, sha256Hex } from '../../src/base/hash.ts';
import { compileView } from '../../src/model/index.ts';
import type { HistoryRequest, TrainingRequest } from '../../src/offline/contract.ts';
import type { Field } from '../../src/types/batch.ts';
import { scalarAt } from '../../src/types/column.ts';
import { float64, int64, string } from '../../src/types/dtype.ts';
import { decodeKey } from '../../src/types/key.ts';
import { naiveOutputs, type Row } from '../oracle/training.ts';
import { commitRows } from './history_support.ts';
import { openProject } from './support.ts';
import { catalog, members } from './world.ts';

const project = await openProject();
after(() => project.close());

const BASE = Date.UTC(2024, 0, 1) * 1000;
const S = 1_000_000;
const SCHEMA = catalog.sources.quotes!.columns;

function quote(id: string, t: number, late: number, user: string | null, price: number): Row {
  const at = BASE + t * S;
  return { quote: id, at, seen: at + late * S, user, item: 1n, price, size: 2n, town: 'x' };
}

const QUOTES = [
  quote('a', 0, 0, 'u', 1),
  quote('b', 1, 0, 'u', 2),
  // The same time, later arrival: the newest.
  quote('c', 1, 5, 'u', 3),
  quote('d', 2, 0, 'v', 4),
  quote('d', 2, 9, 'v', 5),
  quote('e', 3, 0, null, 6),
];

beforeEach(async () => {
  rmSync(project.path('history'), { recursive: true, force: true });
  await project.write('quotes/1.parquet', SCHEMA, QUOTES);
  // A fallback is read from it.
  await project.write('people/1.parquet', catalog.sources.people!.columns, []);
});

function request(more: Partial<TrainingRequest> = {}): TrainingRequest {
  return {
    catalog,
    service: { name: 'newest', version: 3 },
    members: members.newest,
    labels: {
      type: 'rows',
      rows: [
        { user: 'u', item: 1, T: '2024-01-01T00:00:02Z', label: true, note: 'ü' },
        { user: 'v', item: '1', T: BASE + 10 * S, label: false, note: null },
      ],
    },
    timeColumn: 'T',
    through: false,
    knowledge: 'final',
    output: { format: 'parquet', path: project.path('out.parquet') },
    ...more,
  };
}

test('the manifest rebuilds the identical file and verify finds what changed', async () => {
  const { manifestPath, rows, bytes } = await project.store.train(request());
  assert.equal(rows, 2);
  const file = readFileSync(project.path('out.parquet'));
  assert.equal(bytes, file.length);
  const manifest = readFileSync(manifestPath, 'utf8');
  assert.deepEqual(await project.store.verify(manifestPath), { ok: true, findings: [] });

  const again = await project.store.rebuild(manifestPath, project.path('again.parquet'));
  assert.deepEqual(again.warnings, ['1 events of plain have no key and belong to nobody']);
  assert.equal(
    sha256Hex(readFileSync(project.path('again.parquet'))),
    sha256Hex(file),
    'the same bytes',
  );
  await project.store.rebuild(manifestPath, null);
  assert.equal(readFileSync(manifestPath, 'utf8'), manifest, 'the same manifest');

  appendFileSync(project.path('out.parquet'), 'x');
  const changed = await project.store.verify(manifestPath);
  assert.deepEqual([changed.ok, changed.findings.length], [false, 1]);
  await project.store.rebuild(manifestPath, null);

  await project.write('quotes/1.parquet', SCHEMA, QUOTES.slice(0, 4));
  const other = await project.store.verify(manifestPath);
  assert.match(other.findings.join('\n'), /source quotes: quotes\/1\.parquet/);
  await project.write('quotes/1.parquet', SCHEMA, QUOTES.slice(0, 1));
  const differs = await project.store.rebuild(manifestPath, project.path('again.parquet'));
  assert.match(differs.warnings.join(), /differs/);

  writeFileSync(manifestPath, manifest.replace('"through": false', '"through": true'));
  const damaged = await project.store.verify(manifestPath);
  assert.match(damaged.findings.join(), /damaged/);
  await assert.rejects(project.store.rebuild(manifestPath, null), { code: 'offline/bad-manifest' });
  writeFileSync(manifestPath, manifest.slice(0, 100));
  assert.match((await project.store.verify(manifestPath)).findings.join(), /damaged/);
  assert.match((await project.store.verify('nowhere.json')).findings.join(), /no such manifest/);
});

test('the manifest keeps its format', async () => {
  const { manifestPath } = await project.store.train(request());
  const manifest = JSON.parse(readFileSync(manifestPath, 'utf8'));
  assert.deepEqual(Object.keys(manifest), [
    'format',
    'version',
    'samewise',
    'duckdb',
    'service',
    'members',
    'definitions',
    'labels',
    'through',
    'knowledge',
    'sources',
    'output',
    'sha256',
  ]);
  assert.equal(manifest.version, 2);
  assert.deepEqual(Object.keys(manifest.sources.quotes), ['files', 'scannedRows', 'positions']);
  assert.deepEqual(
    manifest.definitions.map((d: { kind: string; name: string }) => `${d.kind}/${d.name}`),
    [
      'entity/pair',
      'source/quotes',
      'entity/user',
      'source/people',
      'featureView/home',
      'featureView/plain',
    ],
    'what is used, as a fallback too, and nothing else',
  );
  assert.deepEqual(Object.keys(manifest.sources.quotes.files[0]), [
    'path',
    'bytes',
    'changedMs',
    'sha256',
  ]);
});

test('a manifest of version 1 builds its file from the files alone', async () => {
  const { manifestPath } = await project.store.train(request());
  const file = readFileSync(project.path('out.parquet'));
  const { sha256: _, ...written } = JSON.parse(readFileSync(manifestPath, 'utf8'));
  const { files, scannedRows } = written.sources.quotes;
  const old = { ...written, version: 1, sources: { quotes: { files, scannedRows } } };
  const sha256 = sha256Hex(canonicalJson(old));
  writeFileSync(manifestPath, JSON.stringify({ ...old, sha256 }));

  const streamed = { row: quote('f', 1.5, 0, 'u', 9), retract: false, a: BASE };
  await commitRows(project.store, catalog.sources.quotes!, '0', [streamed]);
  assert.deepEqual(await project.store.verify(manifestPath), { ok: true, findings: [] });
  await project.store.rebuild(manifestPath, null);
  assert.deepEqual(readFileSync(project.path('out.parquet')), file);
  await project.store.train(request());
  assert.notDeepEqual(readFileSync(project.path('out.parquet')), file, 'it is there for others');
});

test('CSV and Arrow hold the same rows', async () => {
  await project.store.train(request({ output: { format: 'csv', path: project.path('out.csv') } }));
  assert.equal(
    readFileSync(project.path('out.csv'), 'utf8'),
    'user,item,T,label,note,price,size,town\nu,1,2024-01-01 00:00:02,true,ü,3.0,2,x\nv,1,2024-01-01 00:00:10,false,,4.0,2,nowhere\n',
  );
  await project.store.train(
    request({ output: { format: 'arrow', path: project.path('out.arrow') } }),
  );
  const table = [...RecordBatchReader.from(readFileSync(project.path('out.arrow')))].flatMap(
    (batch) => batch.toArray().map((row): Record<string, any> => row!.toJSON()),
  );
  assert.deepEqual(
    table.map(({ user, item, label, note, price, size, town }) => [
      user,
      item,
      label,
      note,
      price,
      size,
      town,
    ]),
    [
      ['u', 1n, true, 'ü', 3, 2n, 'x'],
      ['v', 1n, false, null, 4, 2n, 'nowhere'],
    ],
  );
});

test('Arrow: label columns of many types, several batches', async () => {
  await project.writeSql(
    'wide.parquet',
    `SELECT 'u' AS "user", 1::BIGINT AS item, TIMESTAMP '2024-01-02' AS T, i::TINYINT AS tiny, i::UBIGINT AS u, (i / 7)::DECIMAL(12, 4) AS d,
      CASE WHEN i % 3 = 0 THEN NULL ELSE i % 2 = 0 END AS b, DATE '2024-01-01' + i::INTEGER AS day, [i, NULL, -i] AS l, 'text longer than twelve ' || i AS s, i::VARCHAR::BLOB AS bl
     FROM range(5000) r(i) WHERE i < 100 OR i > 200`.replace('i::TINYINT', '(i % 100)::TINYINT'),
  );
  const labels = { type: 'parquet' as const, path: 'wide.parquet', hivePartitioned: false };
  await project.store.train(
    request({ labels, output: { format: 'arrow', path: project.path('wide.arrow') } }),
  );
  const rows = [...RecordBatchReader.from(readFileSync(project.path('wide.arrow')))].flatMap(
    (batch) => batch.toArray(),
  );
  assert.equal(rows.length, 4899);
  rows.forEach((row, n) => {
    const i = n < 100 ? n : n + 101;
    assert.equal(row.tiny, i % 100);
    assert.equal(row.u, BigInt(i));
    assert.equal(row.b, i % 3 === 0 ? null : i % 2 === 0);
    assert.deepEqual([...row.l], [BigInt(i), null, BigInt(-i)]);
    assert.equal(row.s, `text longer than twelve ${i}`);
    assert.equal(Buffer.from(row.bl).toString(), String(i));
    assert.equal(Number(row.d[0]) / 1e4, Math.round((i / 7) * 1e4) / 1e4);
    assert.equal(row.price, 3);
  });
  const time = {
    type: 'query' as const,
    sql: `SELECT *, INTERVAL 1 DAY AS gap FROM 'wide.parquet'`,
  };
  await assert.rejects(
    project.store.train(
      request({ labels: time, output: { format: 'arrow', path: project.path('x.arrow') } }),
    ),
    { code: 'offline/arrow-type' },
  );
});

test('what a stream wrote joins the files', async () => {
  const source = catalog.sources.quotes!;
  const push = (partition: string, retract: boolean, a: number) =>
    commitRows(project.store, source, partition, [{ row: quote('f', 4, 0, 'v', 7), retract, a }]);
  const price = async (): Promise<unknown> => {
    await project.store.train(request());
    return (await project.read('out.parquet', [{ name: 'price', dtype: float64 }]))[1]!.price;
  };
  await push('0', false, BASE + 4 * S);
  assert.equal(await price(), 7);
  await push('1', true, BASE + 20 * S);
  assert.equal(await price(), 4, 'what was before it');
});

test('a snapshot has every entity with an event before T, by key', async () => {
  const fields: Field[] = [
    { name: 'user', dtype: string },
    { name: 'item', dtype: int64 },
    { name: 'price', dtype: float64 },
    { name: 'size', dtype: int64 },
  ];
  const at = async (atUs: number): Promise<Row[]> => {
    const output = { format: 'parquet' as const, path: project.path('snapshot.parquet') };
    const { rows } = await project.store.snapshot({ catalog, view: 'plain', atUs, output });
    const read = await project.read('snapshot.parquet', fields);
    assert.equal(read.length, rows);
    return read;
  };
  assert.deepEqual(await at(BASE), []);
  assert.deepEqual(await at(BASE + 1 * S), [{ user: 'u', item: 1n, price: 1, size: 2n }]);
  assert.deepEqual(await at(BASE + 12 * S), [
    { user: 'u', item: 1n, price: 3, size: null },
    { user: 'v', item: 1n, price: 4, size: 2n },
  ]);
});

test('history: resolved events of whole keys; shards part them; changed keys come whole', async () => {
  const program = compileView(catalog, 'plain');
  const all = async (more: Partial<HistoryRequest> = {}): Promise<Map<string, number[]>> => {
    const found = new Map<string, number[]>();
    const asked = {
      catalog,
      view: 'plain',
      shard: null,
      changedSinceUs: null,
      keys: null,
      ...more,
    };
    for await (const { keys, starts, events } of project.store.history(asked))
      keys.forEach((key, i) => {
        const prices = Array.from({ length: starts[i + 1]! - starts[i]! }, (_, row) =>
          Number(scalarAt(events.columns[0]!, starts[i]! + row)),
        );
        found.set(decodeKey(key, program.keyDtypes).join(), prices);
      });
    return found;
  };
  const expected = new Map([
    ['u,1', [1, 2, 3]],
    ['v,1', [4]],
  ]);
  assert.deepEqual(await all(), expected);
  const parts = await Promise.all([0, 1, 2].map((index) => all({ shard: { index, count: 3 } })));
  assert.deepEqual(new Map(parts.flatMap((part) => [...part]).sort()), expected);
  assert.deepEqual([...(await all({ changedSinceUs: BASE + 7 * S })).keys()], ['v,1']);
  const keys: Uint8Array[] = [];
  for await (const batch of project.store.history({
    catalog,
    view: 'plain',
    shard: null,
    changedSinceUs: null,
    keys: null,
  }))
    keys.push(...batch.keys);
  assert.deepEqual([...(await all({ keys: [keys[0]!] })).keys()], ['u,1']);
  assert.equal((await all({ keys: [] })).size, 0);
});

test('estimates come from metadata', async () => {
  const estimate = await project.store.estimate(catalog, 'quotes');
  assert.equal(estimate.rows, QUOTES.length);
  assert.equal(estimate.bytes, readFileSync(project.path('quotes/1.parquet')).length);
  assert.equal(estimate.newestUs, BASE + 3 * S);
});

test('the naive oracle agrees on this world too', () => {
  const history = { quotes: QUOTES.map((row) => ({ row, a: Number(row.seen), retract: false })) };
  const question = {
    catalog,
    members: members.newest,
    history,
    through: false,
    knowledge: 'final' as const,
  };
  assert.deepEqual(naiveOutputs(question, { user: 'u', item: 1n }, BASE + 2 * S), {
    price: 3,
    size: 2n,
    town: 'x',
  });
});
