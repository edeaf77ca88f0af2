/** PostgreSQL killed while plans are applied: each is applied wholly or not at all, the user is told which, and readers go on. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openPostgresRegistry } from '../../src/registry/postgres.ts';
import { step } from '../conformance/registry.ts';
import { ownServer } from '../stream/servers.ts';
import { view } from './objects.ts';
import { newDatabase, optionsFor, until } from './postgres_database.ts';

const server = await ownServer('postgres');
after(() => server.down());
const SIZE = 200;

test('PostgreSQL is killed while plans are applied', { skip: server.skip }, async () => {
  const url = await newDatabase(server.at);
  const [writer, reader] = [
    await openPostgresRegistry(optionsFor(url)),
    await openPostgresRegistry(optionsFor(url)),
  ];
  let head = 0;
  const told = { applied: 0, notApplied: 0 };
  // Sooner and later in the transaction, which takes some tens of milliseconds.
  for (const [round, delayMs] of [0, 5, 15, 30, 60, 120].entries()) {
    const objects = Array.from({ length: SIZE }, (_, i) => view(`r${round}_${i}`, ['x', 'y']));
    const applying = writer.apply(step(head, objects)).then(
      () => 'applied' as const,
      (error) => error,
    );
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    await server.crash();
    // Meanwhile what is live is told, also to those who search.
    assert.ok([head, head + 1].includes(await reader.head()));
    assert.equal((await reader.load()).length, (await reader.head()) * SIZE);
    assert.equal((await reader.search('x', {}, 10_000)).length, (await reader.head()) * SIZE);
    await until('the loss is noticed', async () => !reader.connection().connected);
    await assert.rejects(reader.revisions(), { code: 'registry/unreachable' });
    await server.up();
    const outcome = await applying;
    await until('it is back', async () => reader.connection().connected);
    const now = (await reader.revisions(1))[0]?.number ?? 0;
    assert.equal((await reader.load({ retired: true })).length, now * SIZE);
    if (outcome === 'applied') {
      assert.equal(now, head + 1);
      told.applied++;
    } else {
      assert.equal(outcome.code, 'registry/unreachable', String(outcome));
      assert.equal(now, head, outcome.message);
      told.notApplied++;
    }
    head = now;
    for (const registry of [reader, writer])
      await until('it has caught up', async () => (await registry.head()) === head);
  }
  assert.equal(reader.connection().lost, 6);
  assert.ok(told.notApplied > 0, JSON.stringify(told));
  // And as if nothing had been.
  const moved = Promise.withResolvers<void>();
  reader.onMoved(moved.resolve);
  await writer.apply(step(head, [view('last', ['z'])]));
  await moved.promise;
  assert.equal(await reader.head(), head + 1);
  for (const registry of [writer, reader]) await registry.close();
});
