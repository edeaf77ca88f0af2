/** Training sets of several processes that share one folder. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import type { OfflineStore, TrainingRequest } from '../../src/offline/contract.ts';
import { Revision } from '../../src/serving/definitions.ts';
import { type TrainingAsked, Trainings } from '../../src/serving/training.ts';
import { tidyTrainings } from '../../src/serving/training_files.ts';
import { catalogs, memoryRegistry } from './support.ts';
import { DEFINITIONS } from './world.ts';

const ASKED: TrainingAsked = {
  id: 'the-same-1',
  service: null,
  features: 'spending:count_1d',
  fullNames: false,
  timeColumn: 'at',
  through: false,
  knowledge: 'final',
  contentType: 'text/csv',
};
const goesOn = new AbortController().signal;

/** As two processes of a server: each with its own memory, over one folder. The answer is the labels as they were received. */
async function processes(t: TestContext) {
  const outputDir = mkdtempSync(join(tmpdir(), 'samewise-training-'));
  t.after(() => rmSync(outputDir, { recursive: true }));
  const revision = new Revision(1, await memoryRegistry(DEFINITIONS).load(), catalogs);
  const train = async ({ labels, output }: TrainingRequest) => {
    const received = readFileSync((labels as { path: string }).path);
    const { path } = output as { path: string };
    // What stands around the stream in an Arrow file.
    writeFileSync(path, Buffer.concat([Buffer.alloc(8), received, Buffer.alloc(10)]));
    writeFileSync(`${path}.manifest.json`, '{}');
    return { rows: 1, path, manifestPath: `${path}.manifest.json`, warnings: [] };
  };
  const made = () =>
    new Trainings({
      clock: systemClock,
      definitions: { newest: () => revision } as any,
      offline: { train } as unknown as OfflineStore,
      outputDir,
    });
  return { one: made(), other: made(), outputDir, files: () => readdirSync(outputDir) };
}

test('an id that another process is at is taken, and what that one makes is its own', async (t) => {
  const { one, other, files } = await processes(t);
  const labels = new Readable({ read() {} });
  labels.push('customer_id,at\n');
  const making = one.build(ASKED, labels, goesOn);
  while (!files().some((file) => file.endsWith('.labels.csv')))
    await new Promise((done) => setImmediate(done));
  for (const contentType of ['text/csv', 'application/x-ndjson'])
    await assert.rejects(
      other.build({ ...ASKED, contentType }, Readable.from([Buffer.from('x')]), goesOn),
      { code: 'serving/name-taken' },
    );
  // How far it is any process knows.
  assert.equal((await other.progress(ASKED.id!)).phase, 'receive');
  labels.push('7,2024-01-01\n');
  labels.push(null);
  const { stream } = await making;
  assert.equal(await text(stream), 'customer_id,at\n7,2024-01-01\n');
  assert.deepEqual(files().toSorted(), [
    'training-the-same-1.arrow.labels.csv',
    'training-the-same-1.arrow.manifest.json',
  ]);
  await assert.rejects(other.build(ASKED, Readable.from([]), goesOn), {
    code: 'serving/name-taken',
  });
  assert.equal(files().length, 2);
  await assert.rejects(other.progress(ASKED.id!), { code: 'serving/unknown-training' });
});

test('what a killed process left is removed, and what is old; what is made or kept is not', async (t) => {
  const { outputDir, files } = await processes(t);
  const MINUTE = 60_000;
  const DAY = 24 * 60 * MINUTE;
  const nowMs = 1_000 * DAY;
  const put = (name: string, ageMs: number) => {
    writeFileSync(join(outputDir, name), '');
    const at = (nowMs - ageMs) / 1000;
    utimesSync(join(outputDir, name), at, at);
  };
  put('training-killed-1.arrow.claim', 16 * MINUTE);
  put('training-killed-1.arrow.labels.csv', 16 * MINUTE);
  put('training-killed-2.arrow', 20 * MINUTE);
  put('training-killed-2.arrow.manifest.json', 20 * MINUTE);
  put('training-killed-2.arrow.claim', 20 * MINUTE);
  put('training-older-01.arrow.manifest.json', 91 * DAY);
  put('training-older-01.arrow.labels.parquet', 91 * DAY);
  const kept = [
    // Its labels came in long ago, and it is being made.
    ['training-running-1.arrow.labels.csv', 20 * MINUTE],
    ['training-running-1.arrow.claim', 4_000],
    ['training-recent-1.arrow.labels.parquet', 89 * DAY],
    ['training-recent-1.arrow.manifest.json', 89 * DAY],
    ['somebody-elses.arrow', 999 * DAY],
  ] as const;
  for (const [name, ageMs] of kept) put(name, ageMs);
  await tidyTrainings(outputDir, nowMs);
  assert.deepEqual(files().toSorted(), kept.map(([name]) => name).toSorted());
});
