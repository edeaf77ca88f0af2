import assert from 'node:assert/strict';
import { appendFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { doctor } from '../../src/app/doctor.ts';
import { materialize } from '../../src/app/materialize.ts';
import { type Project, paymentsProject } from './project.ts';

let here: Project;
before(async () => {
  here = await paymentsProject(500, 20);
});
after(() => here.remove());

async function troubles(): Promise<string[]> {
  const checks = await doctor({ projectDir: here.folder, environment: {} });
  for (const { ok, detail, hint } of checks) {
    assert.ok(detail.length > 0);
    assert.ok(ok ? hint === null : hint !== null && hint.length > 0, detail);
  }
  return checks
    .filter(({ ok }) => !ok)
    .map(({ check, detail }) => `${check}: ${detail.split(':')[0]}`);
}

test('a project that works has nothing to say but how it is', async () => {
  assert.deepEqual(
    await troubles(),
    ['pages of spending@1: app/not-materialized', 'pages of latest@1: app/not-materialized'].sort(),
  );
  const app = await here.open();
  await materialize(app);
  await app.close();
  assert.deepEqual(await troubles(), []);
});

test('what is broken is found, and does not hide the rest', async () => {
  assert.deepEqual(
    (await doctor({ projectDir: join(here.folder, 'data'), environment: {} }))
      .at(-1)!
      .detail.split(':')[0],
    'app/no-project',
  );
  appendFileSync(join(here.folder, 'features.ts'), 'export const = 1;');
  assert.deepEqual(await troubles(), ['definitions: app/definitions-failed']);
  truncateSync(join(here.folder, 'data/payments.parquet'), 1_000);
  assert.deepEqual(await troubles(), [
    'definitions: app/definitions-failed',
    'source payments: offline/unreadable-file',
  ]);
  rmSync(join(here.folder, '.samewise/online'), { recursive: true });
  writeFileSync(join(here.folder, '.samewise/online'), 'not a folder');
  assert.deepEqual(await troubles(), [
    'definitions: app/definitions-failed',
    'online store: online/unavailable',
    'source payments: offline/unreadable-file',
  ]);
});
