/** The files of the feature log: what was logged comes back, whole or not at all; the format is kept for ever. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseInstant, US_PER_DAY } from '../../src/base/time.ts';
import { openFeatureLog } from '../../src/offline/duckdb/feature_log.ts';
import { type Disk, machineDisk } from '../../src/offline/duckdb/history_disk.ts';
import type { LoggedVector } from '../../src/offline/feature_log_contract.ts';
import { openProject } from './support.ts';

const project = await openProject();
after(() => project.close());
const GOLDEN = join(import.meta.dirname, '../golden/feature_log_1.parquet');
const DAY_US = parseInstant('2024-03-20');
const ALL = { service: null, sinceUs: 0, limit: 1e6 };

/** Number 0 is of an ad-hoc list and of an entity that has no page; number 1 of a service. */
function vector(i: number, servedUs = DAY_US + i): LoggedVector {
  const isAdHoc = i % 2 === 0;
  return {
    requestId: `r-${i}`,
    row: i,
    servedUs,
    readUs: servedUs - 3,
    service: isAdHoc ? null : { name: 'fraud_v1', version: 2 },
    inputs: '{"customer_id":9007199254740993,"city":"Zürich, \\"ZH\\""}',
    features: ['n', 'amount', 'last_3'],
    refs: ['spending:n', 'spending:amount', 'spending:last_3'],
    values: ['9007199254740993', '0.1', '[null,"Infinity"]'],
    statuses: ['PRESENT', 'NULL_VALUE', 'OUTSIDE_MAX_AGE'],
    pages: [
      {
        view: 'spending',
        version: 3,
        id: '00112233445566ff',
        key: isAdHoc ? null : '0280ff',
        positions: isAdHoc ? null : { 'shardId-0': String(2n ** 180n) },
        features: ['n', 'amount', 'last_3'],
        values: ['9007199254740993', 'null', '[null,"Infinity"]'],
        statuses: ['PRESENT', 'NULL_VALUE', 'OUTSIDE_MAX_AGE'],
        eventTimeUs: isAdHoc ? null : servedUs - 7,
      },
    ],
  };
}

test('what was logged comes back, in the order in which it was served', async () => {
  const log = openFeatureLog(project.engine, project.path('log'));
  assert.deepEqual(await log.read(ALL), [], 'nothing yet');
  const vectors = [0, 1, 2, 3].map((i) => vector(i, DAY_US + (i % 2) * US_PER_DAY + i));
  assert.ok((await log.append(vectors)) > 0);
  await log.append([vector(4)]);
  const byTime = (a: LoggedVector, b: LoggedVector) => a.servedUs - b.servedUs;
  assert.deepEqual(await log.read(ALL), [...vectors, vector(4)].sort(byTime));
  const of = async (change: object) =>
    (await log.read({ ...ALL, ...change })).map(({ row }) => row);
  assert.deepEqual(await of({ service: 'fraud_v1' }), [1, 3]);
  assert.deepEqual(await of({ sinceUs: DAY_US + 3 }), [4, 1, 3]);
  const some = await of({ limit: 2 });
  assert.deepEqual([some.length, await of({ limit: 2 })], [2, some]);
  await log.forget(DAY_US + US_PER_DAY);
  assert.deepEqual(await of({}), [1, 3]);
});

test('two files that begin in one microsecond are two files', async () => {
  const log = openFeatureLog(project.engine, project.path('twice'));
  await Promise.all([log.append([vector(0)]), log.append([vector(0)])]);
  assert.equal((await log.read(ALL)).length, 2);
});

test('what fails at any step leaves whole files, and scratch that is removed later', async () => {
  const folder = project.path('cut');
  for (let steps = 0; ; steps++) {
    let left = steps;
    const disk = new Proxy(machineDisk, {
      get(target, step: keyof Disk) {
        if (step === 'hold' || step === 'changedUs') return target[step];
        return async (...args: unknown[]) => {
          if (left-- === 0) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
          return (target[step] as (...all: unknown[]) => unknown)(...args);
        };
      },
    });
    const log = openFeatureLog(project.engine, folder, disk);
    const one = vector(0, DAY_US + steps);
    const done = await log.append([one]).then(
      () => true,
      (error) => {
        assert.equal(error.code, 'offline/write-failed');
        return false;
      },
    );
    const found = await openFeatureLog(project.engine, folder).read({
      ...ALL,
      sinceUs: one.servedUs,
    });
    assert.deepEqual(found, done ? [one] : []);
    if (left > 0) break;
  }
  assert.ok(
    readdirSync(join(folder, 'scratch')).length > 0,
    'what could not be removed is still there',
  );
  await openFeatureLog(project.engine, folder).forget(parseInstant('2200-01-01'));
  assert.deepEqual(readdirSync(join(folder, 'scratch')), []);
});

test('a file of version 1 is read for ever', async () => {
  const folder = project.path('golden');
  mkdirSync(join(folder, 'date=2024-03-20'), { recursive: true });
  cpSync(GOLDEN, join(folder, 'date=2024-03-20/1.parquet'));
  const log = openFeatureLog(project.engine, folder);
  assert.deepEqual(await log.read(ALL), [vector(0), vector(1)]);
  await log.append([vector(0), vector(1)]);
  const [, written] = readdirSync(join(folder, 'date=2024-03-20')).sort();
  assert.deepEqual(
    await project.columns(`golden/date=2024-03-20/${written}`),
    await project.columns('golden/date=2024-03-20/1.parquet'),
  );
});

test('a file of another version, of something else or of nothing is told in words', async () => {
  const metadata = (version: string) =>
    `(FORMAT parquet, KV_METADATA {format: 'samewise-feature-log', version: '${version}'})`;
  for (const [folder, options, expected] of [
    ['newer', metadata('2'), { code: 'offline/bad-feature-log', message: /version 2 / }],
    ['other', '', { code: 'offline/bad-feature-log', message: /none of the feature log/ }],
  ] as const) {
    mkdirSync(project.path(`${folder}/date=2024-03-20`), { recursive: true });
    await project.writeSql(`${folder}/date=2024-03-20/1.parquet`, 'SELECT 1 AS x', options);
    const log = openFeatureLog(project.engine, project.path(folder));
    await assert.rejects(log.read(ALL), expected);
  }
  mkdirSync(project.path('damaged/date=2024-03-20'), { recursive: true });
  writeFileSync(project.path('damaged/date=2024-03-20/1.parquet'), 'PAR1');
  const log = openFeatureLog(project.engine, project.path('damaged'));
  await assert.rejects(log.read(ALL), { code: 'offline/unreadable-file' });
});
