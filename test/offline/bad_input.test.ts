/** What is wrong with history or labels is a coded error that says where, and no file is left under the output's name. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { after, beforeEach, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import type { SamewiseError } from '../../src/base/errors.ts';
import {
  collect,
  csv,
  definitionOf,
  entity,
  featureService,
  featureView,
  float64,
  int64,
  json,
  onDemandView,
  parquet,
  source,
  sql,
  sum,
  timestamp,
} from '../../src/dsl/index.ts';
import { type BatchLocation, catalogOf } from '../../src/model/index.ts';
import type { LabelSource, TrainingRequest } from '../../src/offline/contract.ts';
import { openDuckdbStore } from '../../src/offline/duckdb/index.ts';
import { openProject } from './support.ts';

const project = await openProject();
after(() => project.close());

const GOOD = `SELECT 1::BIGINT AS id, TIMESTAMP '2024-01-01 00:00:00' AS "at", 7::BIGINT AS who, 2.5::DOUBLE AS amount`;
const LABELS = `SELECT 7::BIGINT AS who, TIMESTAMP '2024-01-02' AS T, 1.0::DOUBLE AS asked`;

beforeEach(async () => {
  rmSync(project.path('tx'), { recursive: true, force: true });
  rmSync(project.path('out.parquet'), { force: true });
  await project.writeSql('labels.parquet', LABELS);
});

function request(batch: BatchLocation, labels?: LabelSource): TrainingRequest {
  const who = entity({ name: 'who', key: { who: int64 } });
  const tx = source({
    name: 'tx',
    columns: { id: int64, at: timestamp, who: int64, amount: float64 },
    eventTime: 'at',
    eventId: 'id',
    batch,
  });
  const spent = featureView({
    name: 'spent',
    entity: who,
    source: tx,
    features: ({ amount }) => ({ total: sum(amount).over('7d') }),
  });
  const share = onDemandView({
    name: 'share',
    request: { asked: float64 },
    uses: { spent },
    features: ({ request, spent }) => ({ share: request.asked.div(spent.total) }),
  });
  const service = featureService({ name: 's', features: [spent, share] });
  return {
    catalog: catalogOf(collect({ service })),
    service: null,
    members: definitionOf(service).members,
    labels: labels ?? { type: 'parquet', path: 'labels.parquet', hivePartitioned: false },
    timeColumn: 'T',
    through: false,
    knowledge: 'final',
    output: { format: 'parquet', path: project.path('out.parquet') },
  };
}

async function fails(
  asked: TrainingRequest,
  code: string,
  where: Partial<SamewiseError['where']> = {},
  message = /./,
): Promise<void> {
  await assert.rejects(project.store.train(asked), (error: SamewiseError) => {
    assert.equal(error.code, code, `${error.code}: ${error.message}`);
    for (const [field, value] of Object.entries(where))
      assert.equal(
        error.where[field as keyof typeof where],
        value,
        `${field} in ${JSON.stringify(error.where)}`,
      );
    assert.match(error.message, message);
    return true;
  });
  assert.ok(!existsSync(project.path('out.parquet')), 'no file under the final name');
  assert.deepEqual(
    readdirSync(project.dir).filter((file) => file.startsWith('.samewise')),
    [],
  );
}

const files = parquet('tx/*.parquet');

test('good input gives a value, extra columns are ignored', async () => {
  await project.writeSql('tx/1.parquet', `${GOOD}, 'extra' AS more`);
  await project.store.train(request(files));
  const [row] = await project.read('out.parquet', [{ name: 'total', dtype: float64 }]);
  assert.equal(row!.total, 2.5);
});

test('no files', () =>
  fails(request(files), 'offline/no-files', { file: project.path('tx/*.parquet') }));

test('a missing column, with the nearest name', async () => {
  await project.writeSql('tx/1.parquet', GOOD.replace('amount', 'amuont'));
  await fails(request(files), 'offline/missing-column', { column: 'amount', source: 'tx' });
});

test('a wrongly typed column', async () => {
  await project.writeSql('tx/1.parquet', GOOD.replace('2.5::DOUBLE', "'2.5'"));
  await fails(request(files), 'offline/wrong-type', { column: 'amount' }, /VARCHAR/);
});

test('files of different types', async () => {
  await project.writeSql('tx/1.parquet', GOOD);
  await project.writeSql('tx/2.parquet', GOOD.replace('2.5::DOUBLE', "'much'"));
  await fails(request(files), 'offline/wrong-type', { file: project.path('tx/2.parquet') });
});

test('types that lose nothing are taken', async () => {
  await project.writeSql(
    'tx/1.parquet',
    `SELECT 1::INTEGER AS id, DATE '2024-01-01' AS "at", 7::SMALLINT AS who, 2.5::DECIMAL(9, 2) AS amount`,
  );
  await project.store.train(request(files));
  const [row] = await project.read('out.parquet', [{ name: 'total', dtype: float64 }]);
  assert.equal(row!.total, 2.5);
});

test('NaN, with file and row', async () => {
  await project.writeSql('tx/1.parquet', GOOD);
  await project.writeSql(
    'tx/2.parquet',
    `SELECT * FROM (${GOOD} UNION ALL ${GOOD.replace('2.5', "'nan'")}) ORDER BY isnan(amount)`,
  );
  await fails(request(files), 'types/nan', {
    column: 'amount',
    file: project.path('tx/2.parquet'),
    row: 1,
  });
});

test('an event time that is null, with file and row', async () => {
  await project.writeSql(
    'tx/1.parquet',
    GOOD.replace("TIMESTAMP '2024-01-01 00:00:00'", 'NULL::TIMESTAMP'),
  );
  await fails(request(files), 'offline/null-event-time', {
    column: 'at',
    file: project.path('tx/1.parquet'),
    row: 0,
  });
});

test('a Parquet file cut short', async () => {
  await project.writeSql('tx/1.parquet', GOOD);
  await project.writeSql('tx/2.parquet', GOOD);
  truncateSync(
    project.path('tx/2.parquet'),
    readFileSync(project.path('tx/2.parquet')).length - 40,
  );
  await fails(request(files), 'offline/unreadable-file', { file: project.path('tx/2.parquet') });
});

test('text: times in UTC unless they have an offset, unreadable times and numbers with their row', async () => {
  mkdirSync(project.path('tx'));
  const write = (line: string): void =>
    writeFileSync(
      project.path('tx/1.csv'),
      `id,at,who,amount,more\n1,2024-01-01T23:30:00-01:00,7,1.5,x\n2,2024-01-01 00:00:00,7,1,\n${line}\n`,
    );
  write('3,2024-01-01T23:59:59.999999Z,7,0.25,');
  await project.store.train(request(csv('tx')));
  const [row] = await project.read('out.parquet', [{ name: 'total', dtype: float64 }]);
  assert.equal(row!.total, 1.25, 'the first is at 00:30 of the next day');
  rmSync(project.path('out.parquet'));
  const file = project.path('tx/1.csv');
  for (const bad of ['yesterday', '2024-02-30', '2024-01-01T00:00:00.1234567', '2024-13-01']) {
    write(`3,${bad},7,1,`);
    await fails(request(csv('tx')), 'time/unreadable', { column: 'at', file, row: 2 });
  }
  write('3,,7,1,');
  await fails(request(csv('tx')), 'offline/null-event-time', { column: 'at', file, row: 2 });
  write('3.5,2024-01-01,7,1,');
  await fails(request(csv('tx')), 'offline/wrong-value', { column: 'id', file, row: 2 }, /3\.5/);
  write('3,2024-01-01,7,nan,');
  await fails(request(csv('tx')), 'types/nan', { column: 'amount', file, row: 2 });
});

test('JSON lines: exact whole numbers, missing columns', async () => {
  mkdirSync(project.path('tx'));
  const file = project.path('tx/1.jsonl');
  const line = (id: string, who = '7') =>
    `{"id":${id},"at":"2024-01-01T00:00:00Z","who":${who},"amount":1}\n`;
  writeFileSync(file, line('9007199254740993') + line('9007199254740992'));
  await project.store.train(request(json('tx')));
  const [row] = await project.read('out.parquet', [{ name: 'total', dtype: float64 }]);
  assert.equal(row!.total, 2, 'two events, not one');
  rmSync(project.path('out.parquet'));
  writeFileSync(file, line('1') + line('2', '"seven"'));
  await fails(request(json('tx')), 'offline/wrong-value', { column: 'who', file, row: 1 });
  writeFileSync(file, '{"id":1,"at":"2024-01-01","amount":1}\n');
  await fails(request(json('tx')), 'offline/missing-column', { column: 'who' });
});

test('hive partitions and queries', async () => {
  await project.writeSql('tx/who=7/a.parquet', `SELECT * EXCLUDE who FROM (${GOOD})`);
  await project.store.train(request(parquet('tx', { hivePartitioned: true })));
  assert.equal(
    (await project.read('out.parquet', [{ name: 'total', dtype: float64 }]))[0]!.total,
    2.5,
  );
  await project.store.train(request(sql(`SELECT *, 7::BIGINT AS who FROM 'tx/who=7/*.parquet';`)));
  assert.equal(
    (await project.read('out.parquet', [{ name: 'total', dtype: float64 }]))[0]!.total,
    2.5,
  );
  rmSync(project.path('out.parquet'));
  await fails(request(sql('SELEC 1')), 'offline/bad-query', { source: 'tx' });
});

test('labels: missing columns, null times, wrong types, clashing names, all with their place', async () => {
  await project.writeSql('tx/1.parquet', GOOD);
  const labels = async (query: string): Promise<TrainingRequest> => {
    await project.writeSql('labels.parquet', query);
    return request(files);
  };
  const bad = 'offline/bad-labels';
  await fails(await labels(LABELS.replace('AS who', 'AS whom')), bad, { column: 'who' });
  await fails(await labels(LABELS.replace('AS T', 'AS at_time')), bad, { column: 'T' });
  await fails(await labels(LABELS.replace('AS asked', 'AS x')), bad, { column: 'asked' });
  await fails(await labels(LABELS.replace('7::BIGINT', "'seven'")), bad, { column: 'who' });
  await fails(await labels(`${LABELS} UNION ALL SELECT 7, NULL, 1`), bad, { column: 'T', row: 1 });
  await fails(await labels(`${LABELS}, 3 AS total`), bad, { column: 'total' });
  await fails(
    await labels(`${LABELS} UNION ALL SELECT 7, TIMESTAMP '2024-01-01', 'nan'::DOUBLE`),
    'types/nan',
    {
      column: 'asked',
      row: 1,
    },
  );
  const rows = [
    { who: 7n, T: '2024-01-02', asked: 1 },
    { who: 7.5, T: '2024-01-02', asked: 1 },
  ];
  await fails(request(files, { type: 'rows', rows }), bad, { column: 'who', row: 1 });
});

test('labels: none, duplicates, unknown entities, null keys, before all history; their columns untouched', async () => {
  await project.writeSql('tx/1.parquet', GOOD);
  await project.writeSql('labels.parquet', `${LABELS} LIMIT 0`);
  assert.equal((await project.store.train(request(files))).rows, 0);
  await project.writeSql(
    'labels.parquet',
    `SELECT who::BIGINT AS who, t::TIMESTAMP AS T, 1.0::DOUBLE AS asked, d::DECIMAL(9,3) AS "Exact", e::ENUM('a','b') AS e, {'x': d} AS s
     FROM (VALUES (7, '2024-01-02', 1.125, 'a'), (7, '2024-01-02', 1.125, 'a'), (8, '2024-01-02', 2, 'b'), (NULL, '2024-01-02', 3, 'a'), (7, '1900-01-01', 4, 'a'), (7, '2024-01-01', 5, 'a'), (7, '2200-01-01', 6, 'a')) v(who, t, d, e)`,
  );
  await project.store.train(request(files));
  const rows = await project.read('out.parquet', [{ name: 'total', dtype: float64 }]);
  assert.deepEqual(
    rows.map(({ total }) => total),
    [2.5, 2.5, null, null, null, null, null],
  );
  const before = await project.columns('labels.parquet');
  const now = await project.columns('out.parquet');
  assert.deepEqual([...now].slice(0, before.size), [...before]);
  assert.deepEqual([...now.keys()].slice(before.size), ['total', 'share']);
});

test('an abort stops the call and leaves nothing', async () => {
  await project.writeSql('tx/1.parquet', GOOD);
  const stop = new AbortController();
  const asked = {
    ...request(files),
    signal: stop.signal,
    onProgress: () => stop.abort(new Error('enough')),
  };
  await assert.rejects(project.store.train(asked), /enough/);
  assert.ok(!existsSync(project.path('out.parquet')));
});

test('a full disk', async (t) => {
  const disk = project.path('disk');
  mkdirSync(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk], { stdio: 'ignore' });
  } catch {
    return t.skip('skipped: mounting a small disk is not permitted here');
  }
  try {
    await project.writeSql('tx/1.parquet', GOOD);
    await project.writeSql(
      'labels.parquet',
      `SELECT 7::BIGINT AS who, TIMESTAMP '2024-01-02' AS T, random() AS asked FROM range(200000)`,
    );
    for (const format of ['parquet', 'csv', 'arrow'] as const) {
      const path = `${disk}/out.${format}`;
      await assert.rejects(
        project.store.train({ ...request(files), output: { format, path } }),
        { code: 'offline/write-failed' },
        format,
      );
      assert.deepEqual(readdirSync(disk), [], `${format}: nothing is left`);
    }
  } finally {
    execFileSync('umount', [disk]);
  }
});

test('a path that cannot be written', async () => {
  await project.writeSql('tx/1.parquet', GOOD);
  writeFileSync(project.path('file'), '');
  const output = { format: 'parquet' as const, path: project.path('file/out.parquet') };
  await assert.rejects(project.store.train({ ...request(files), output }), {
    code: 'offline/write-failed',
  });
});

test('two stores write the same file at once: one of the two, whole', async () => {
  await project.writeSql('tx/1.parquet', GOOD);
  const other = await openDuckdbStore({
    historyDir: project.path('history'),
    projectDir: project.dir,
    tempDir: project.path('temp'),
    clock: systemClock,
  });
  await Promise.all([project.store.train(request(files)), other.train(request(files))]);
  await other.close();
  const [row] = await project.read('out.parquet', [{ name: 'total', dtype: float64 }]);
  assert.equal(row!.total, 2.5);
  assert.deepEqual(await project.store.verify(project.path('out.parquet.manifest.json')), {
    ok: true,
    findings: [],
  });
});
