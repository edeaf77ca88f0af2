/** Manifests of training sets whose sources look up: what was looked up is as much a part of them as what looked it up. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { proveNoLeakage } from '../../src/app/leakage.ts';
import type { Member } from '../../src/model/index.ts';
import type { TrainingRequest } from '../../src/offline/contract.ts';
import { string } from '../../src/types/dtype.ts';
import type { Delivered, Row } from '../oracle/training.ts';
import { catalog } from './enriched_world.ts';
import { commitRows } from './history_support.ts';
import { openProject } from './support.ts';

const project = await openProject();
after(() => project.close());

const S = 1_000_000;
const BASE = Date.UTC(2024, 0, 1) * 1000;
const at = (seconds: number): number => BASE + seconds * S;

/** A user's home from a time on, as it arrived. */
function person(person: bigint, user: string, city: string, t: number, a: number): Delivered {
  const row: Row = { person, at: at(t), seen: at(a), op: 'upsert', user, city };
  return { row, a: at(a), retract: false };
}

function purchase(purchase: string, buyer: string, t: number, a: number): Row {
  const when = { at: at(t), seen: at(a), op: 'upsert' };
  return { purchase, ...when, buyer, giver: null, amount: 1 };
}

const members: readonly Member[] = [
  { view: 'newest', features: ['city'], keys: [{ from: 'column', column: 'user' }], as: null },
];

function request(more: Partial<TrainingRequest> = {}): TrainingRequest {
  return {
    catalog,
    service: null,
    members,
    labels: { type: 'rows', rows: [{ user: 'a', T: at(60) }] },
    timeColumn: 'T',
    through: false,
    knowledge: 'final',
    output: { format: 'parquet', path: project.path('out.parquet') },
    ...more,
  };
}

const cityIn = async (file: string) =>
  (await project.read(file, [{ name: 'city', dtype: string }]))[0]!.city;

test('a rebuild looks up what was there, whatever came since; verify sees what changed', async () => {
  const { people, purchases } = catalog.sources;
  await project.write('purchases/1.parquet', purchases!.columns, [purchase('p', 'a', 30, 40)]);
  for (const name of ['visits', 'clicks'])
    await project.write(`${name}/1.parquet`, catalog.sources[name]!.columns, []);
  await project.write('people/1.parquet', people!.columns, [person(1n, 'a', 'x', 0, 0).row]);
  await commitRows(project.store, people!, '0', [person(1n, 'a', 'y', 10, 10)]);

  const { manifestPath, scannedRows } = await project.store.train(request());
  assert.equal(await cityIn('out.parquet'), 'y');
  const manifest = JSON.parse(readFileSync(manifestPath, 'utf8'));
  assert.deepEqual(Object.keys(manifest.sources).toSorted(), ['people', 'purchases', 'visits']);
  assert.deepEqual(manifest.sources.people.positions, { 0: '1' });
  assert.equal(manifest.sources.people.files.length, 1);
  assert.equal(manifest.sources.people.scannedRows, 2);
  assert.equal(scannedRows.purchases, 1);
  assert.ok(
    manifest.definitions.some(
      ({ name, ir }: { name: string; ir: number }) => name === 'purchases' && ir === 2,
    ),
  );

  // It arrived before the purchase did, but history had not got it when the set was built.
  await commitRows(project.store, people!, '1', [person(1n, 'a', 'Zürich', 20, 20)]);
  assert.deepEqual(await project.store.verify(manifestPath), { ok: true, findings: [] });
  const again = await project.store.rebuild(manifestPath, project.path('again.parquet'));
  assert.deepEqual(again.warnings, []);
  assert.equal(await cityIn('again.parquet'), 'y');
  assert.deepEqual(
    readFileSync(project.path('again.parquet')),
    readFileSync(project.path('out.parquet')),
  );
  const output = { format: 'parquet' as const, path: project.path('now.parquet') };
  const now = await project.store.train(request({ output }));
  assert.equal(await cityIn('now.parquet'), 'Zürich');

  // What arrives after the purchase changes none, not even when it tells of a time before it.
  await commitRows(project.store, people!, '2', [person(1n, 'a', 'late', 25, 41)]);
  await project.store.train(request({ output }));
  assert.equal(await cityIn('now.parquet'), 'Zürich');
  assert.deepEqual((await proveNoLeakage(project.store, now.manifestPath, 10)).leaks, []);

  await project.write('people/1.parquet', people!.columns, [
    person(1n, 'a', 'elsewhere', 0, 0).row,
  ]);
  const { findings } = await project.store.verify(now.manifestPath);
  assert.match(findings.join(), /source people: /);
});

test('where nothing was ever told of what is looked up, nothing is found', async () => {
  const { people, ...sources } = catalog.sources;
  const nowhere = { ...people!, batch: null };
  const without = { ...catalog, sources: { ...sources, people: nowhere } };
  rmSync(project.path('history'), { recursive: true });
  await project.store.train(request({ catalog: without }));
  assert.equal(await cityIn('out.parquet'), 'nowhere', 'the default of the view');
  const asked = [{ ...members[0]!, view: 'home' }];
  await assert.rejects(project.store.train(request({ catalog: without, members: asked })), {
    code: 'offline/no-history',
  });
});
