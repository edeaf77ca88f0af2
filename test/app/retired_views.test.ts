/** Pages of view versions that are retired go with the next run; those of versions that live stay. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { materialize } from '../../src/app/materialize.ts';
import { readWatermark } from '../../src/app/materialize_state.ts';
import { catalogOf } from '../../src/model/index.ts';
import { retire } from '../../src/plan/index.ts';
import { definitions, payments, type World, world } from './support.ts';

let here: World;
before(async () => {
  here = await world();
  await here.apply(definitions());
});
after(() => here.close());

const modes = (results: Awaited<ReturnType<typeof materialize>>) =>
  results.map(({ view, version, mode, removed }) => `${view}@${version} ${mode} ${removed}`).sort();
const keysOf = async (id: string) => (await here.online.size(id)).keys;

test('a version is dropped once nothing names it, and built anew when it lives again', async () => {
  here.rows = payments(100, 10);
  await materialize(here);
  const old = here.program('spending');
  await here.apply(definitions(14));
  // The service’s first version still names the old one.
  assert.deepEqual(modes(await materialize(here)), [
    'latest@1 current 0',
    'spending@1 current 0',
    'spending@2 full 0',
  ]);

  const by = { author: 'test', message: '', clock: here.clock };
  await retire(here.registry, 'featureService', 'all', 1, by);
  const entities = [{ customer_id: 3 }];
  assert.ok((await materialize(here, { entities })).every(({ mode }) => mode === 'entities'));
  assert.ok(
    (await materialize(here, { views: ['latest'] })).every(({ mode }) => mode === 'current'),
  );
  assert.equal(await keysOf(old.id), 10);
  assert.deepEqual(modes(await materialize(here, { views: ['spending'] })), [
    'spending@1 dropped 10',
    'spending@2 current 0',
  ]);
  assert.equal((await here.registry.jobs())[0]!.kind, 'drop');
  assert.equal(await keysOf(old.id), 0);
  assert.equal(await readWatermark(here.online, old.id), null);
  for (const view of ['spending', 'latest']) assert.equal(await keysOf(here.program(view).id), 10);
  assert.equal((await materialize(here)).length, 2, 'nothing is left to drop');

  await here.apply(definitions());
  assert.ok(modes(await materialize(here)).includes('spending@1 full 0'));
  assert.deepEqual(await here.stored('spending', 3), here.expected('spending', 3));
});

test('what is defined no more is dropped, also if nothing else is left', async () => {
  const ids = ['spending', 'latest'].map((view) => here.program(view).id);
  for (const { name, version, state } of await here.registry.load())
    if (name === 'all' && state === 'pinned')
      await retire(here.registry, 'featureService', name, version, {
        author: 'test',
        message: '',
        clock: here.clock,
      });
  await here.apply(catalogOf([]));
  const dropped = await materialize(here);
  assert.ok(dropped.every(({ mode, removed }) => mode === 'dropped' && removed === 10));
  for (const id of ids) assert.equal(await keysOf(id), 0);
  await assert.rejects(materialize(here), { code: 'app/nothing-registered' });
});
