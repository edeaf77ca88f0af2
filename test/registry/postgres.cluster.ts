/** The registry on a real PostgreSQL: what every registry must do, and what only one over a network can get wrong. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { migrateRegistry } from '../../src/app/migrate_registry.ts';
import type { Registry } from '../../src/registry/contract.ts';
import { openPostgresRegistry } from '../../src/registry/postgres.ts';
import { openSqliteRegistry } from '../../src/registry/sqlite.ts';
import { registryConformance, step } from '../conformance/registry.ts';
import { servers } from '../stream/servers.ts';
import { cases } from '../support/cases.ts';
import { customer, view } from './objects.ts';
import { newDatabase, optionsFor, until, withDatabase } from './postgres_database.ts';
import { openProxy } from './postgres_proxy.ts';

const {
  at: [at],
} = await servers('postgres');
const open = (url: string) => openPostgresRegistry(optionsFor(url));

registryConformance('postgres', async () => open(await newDatabase(at)));

test('every process that holds the registry learns of a revision, and whatever asks is told the same', async () => {
  const url = await newDatabase(at);
  const writer = await open(url);
  const others = await Promise.all([open(url), open(url)]);
  const moved = others.map((other) => {
    const told = Promise.withResolvers<void>();
    other.onMoved(told.resolve);
    return told.promise;
  });
  const startMs = performance.now();
  await writer.apply(step(0, [customer, view('spending', ['a'])]));
  await Promise.all(moved);
  const tookMs = performance.now() - startMs;
  // It is some milliseconds; without being told it would be up to five seconds.
  assert.ok(tookMs < 3000, `${tookMs} ms`);
  for (const other of others) {
    assert.equal(await other.head(), 1);
    assert.deepEqual(await other.load(), await writer.load());
    assert.equal((await other.search('a')).length, 1);
  }
  for (const registry of [writer, ...others]) await registry.close();
});

test('connections that the server ends are made anew, and what was missed meanwhile is read', async () => {
  const url = await newDatabase(at);
  const [writer, reader] = [await open(url), await open(url)];
  for (let head = 0; head < 3; head++) {
    await withDatabase(at, (sql) =>
      sql.unsafe(`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = '${new URL(url).pathname.slice(1)}'`),
    );
    await until('it applies again', async () => {
      await writer.apply(step(head, [view(`v${head}`, ['a'])]));
      return true;
    });
    await until('the reader knows', async () => (await reader.head()) === head + 1);
    assert.equal((await reader.revisions()).length, head + 1);
  }
  for (const registry of [writer, reader]) await registry.close();
});

test('random histories: PostgreSQL and SQLite say the same, searches in the same order', async () => {
  const registry = await open(await newDatabase(at));
  const twin = await openSqliteRegistry(':memory:');
  const word = fc.constantFrom('avg', 'amount', 'am', 'tx', '7d', 'über', 'Tx', "o'clock", 'a\\b');
  const name = fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => words.join('_'));
  let versions = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(name, { minLength: 1, maxLength: 3 }),
      fc.uniqueArray(name, { minLength: 1, maxLength: 4 }),
      fc.string(),
      fc.constantFrom('current', 'pinned', 'retired'),
      fc.array(word, { maxLength: 2 }),
      async (views, features, text, before, words) => {
        const live = await twin.load();
        const objects = views.flatMap((viewName, i) => {
          const version = ++versions;
          const old = live.find((one) => one.name === viewName && one.state === 'current');
          const tags = { text: text.replaceAll('\0', ''), area: features[0]! };
          const made = view(viewName, features, {
            version,
            fingerprint: `${version}`,
            owner: `team_${i}`,
            tags,
          });
          const state = before === 'current' ? 'pinned' : before;
          return old === undefined ? [made] : [made, { ...old, state } as const];
        });
        const request = step(await twin.head(), objects);
        assert.deepEqual(await registry.apply(request), await twin.apply(request));
        assert.deepEqual(await registry.load(), await twin.load());
        assert.deepEqual(
          await registry.search(words.join(' '), {}, 1000),
          await twin.search(words.join(' '), {}, 1000),
        );
      },
    ),
    { numRuns: cases(60) },
  );
  assert.deepEqual(await registry.everything(), await twin.everything());
  await registry.close();
  await twin.close();
});

test('several processes that open an empty database at once make its tables once', async () => {
  const url = await newDatabase(at);
  const opened = await Promise.all([open(url), open(url), open(url), open(url)]);
  for (const registry of opened) {
    assert.equal(await registry.head(), 0);
    await registry.close();
  }
});

test('of many writers in several processes one wins each round, and every loser is told by whom it was beaten', async () => {
  const url = await newDatabase(at);
  const writers = await Promise.all([open(url), open(url), open(url)]);
  for (let head = 0; head < 5; head++) {
    const settled = await Promise.allSettled(
      writers.map((writer, i) =>
        writer.apply({
          ...step(head, [view(`v${head}_${i}`, ['a'])]),
          author: `writer ${i}`,
        }),
      ),
    );
    const won = settled.findIndex(({ status }) => status === 'fulfilled');
    for (const [i, one] of settled.entries()) {
      if (i === won) continue;
      assert.equal(one.status, 'rejected');
      assert.equal(one.reason.code, 'registry/stale-plan');
      assert.match(one.reason.message, new RegExp(`revision ${head + 1} by writer ${won} `));
    }
  }
  assert.equal((await writers[0]!.load({ retired: true })).length, 5);
  for (const writer of writers) await writer.close();
});

test('a commit whose answer is lost is found to have come to pass', async () => {
  const proxy = await openProxy(await newDatabase(at));
  const registry = await open(proxy.url);
  proxy.cutAt('commit', 'after');
  const revision = await registry.apply(step(0, [customer, view('spending', ['a'])]));
  assert.equal(revision.number, 1);
  assert.equal(await registry.head(), 1);
  assert.deepEqual(await registry.revisions(), [revision]);
  await registry.close();
  await proxy.close();
});

test('a commit that never came to the server applied nothing, and the user is told', async () => {
  const proxy = await openProxy(await newDatabase(at));
  const registry = await open(proxy.url);
  for (const text of ['commit', 'insert into samewise.objects', 'begin']) {
    proxy.cutAt(text, 'before');
    await assert.rejects(registry.apply(step(0, [customer])), {
      code: 'registry/unreachable',
      message: /nothing of it was/,
    });
    assert.deepEqual(await registry.load({ retired: true }), []);
  }
  assert.equal((await registry.apply(step(0, [customer]))).number, 1);
  await registry.close();
  await proxy.close();
});

test('a network that swallows everything is noticed, what is live is told all the while, and then it goes on', async () => {
  const url = await newDatabase(at);
  const proxy = await openProxy(url);
  const [reader, writer] = [await open(proxy.url), await open(url)];
  await writer.apply(step(0, [customer]));
  await until('the reader knows', async () => (await reader.head()) === 1);
  proxy.swallow(true);
  await until('it is noticed', async () => !reader.connection().connected);
  await writer.apply(step(1, [view('spending', ['a'])]));
  assert.equal((await reader.load()).length, 1);
  await assert.rejects(reader.jobs(), { code: 'registry/unreachable' });
  proxy.swallow(false);
  await until('it is back', async () => reader.connection().connected);
  await until('the reader knows', async () => (await reader.head()) === 2);
  assert.equal(reader.connection().lost, 1);
  // It listens again, too.
  const moved = Promise.withResolvers<void>();
  reader.onMoved(moved.resolve);
  await writer.apply(step(2, []));
  await moved.promise;
  for (const registry of [writer, reader]) await registry.close();
  await proxy.close();
});

test('revisions cannot be changed, not even by hand', async () => {
  const url = await newDatabase(at);
  const registry = await open(url);
  await registry.apply(step(0, [customer]));
  await registry.close();
  for (const statement of [
    `update samewise.revisions set author = 'eve'`,
    'delete from samewise.revisions',
    'truncate samewise.revisions cascade',
  ])
    await assert.rejects(
      withDatabase(url, (sql) => sql.unsafe(statement)),
      /append-only/,
    );
});

test('a newer format, and a schema of something else, are refused', async () => {
  const newer = await newDatabase(at);
  await (await open(newer)).close();
  await withDatabase(newer, (sql) => sql`update samewise.format set format = format + 1`);
  await assert.rejects(open(newer), { code: 'registry/unknown-format' });
  const foreign = await newDatabase(at);
  await withDatabase(foreign, (sql) => sql.unsafe('create schema samewise'));
  await assert.rejects(open(foreign), { code: 'registry/not-a-registry' });
});

test('who may not, or may only read, is told so; a password is told to nobody', async () => {
  const url = await newDatabase(at);
  await (await open(url)).close();
  const refused = async (change: (url: URL) => void, code: string) => {
    const other = new URL(url);
    other.password = 'hunter2';
    change(other);
    await assert.rejects(open(other.href), (error: any) => {
      assert.equal(error.code, code);
      assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /hunter2/);
      return true;
    });
  };
  await refused((other) => {
    other.username = 'nobody';
  }, 'registry/forbidden');
  await refused((other) => {
    other.pathname = 'missing';
  }, 'registry/cannot-open');
  await refused((other) => {
    other.port = '1';
  }, 'registry/unreachable');
  await refused((other) => {
    other.searchParams.set('sslmode', 'sometimes');
  }, 'registry/bad-url');
  await refused((other) => {
    // The server speaks no TLS, and what is sent to it must not be read by others.
    other.searchParams.set('sslmode', 'verify-full');
  }, 'registry/unreachable');
  await assert.rejects(open('postgres://user:hunter2@[/x'), (error: any) => {
    assert.equal(error.code, 'registry/bad-url');
    assert.doesNotMatch(inspect(error), /hunter2/);
    return true;
  });
  const readOnly = new URL(url);
  readOnly.searchParams.set('default_transaction_read_only', 'on');
  const reader: Registry = await open(readOnly.href);
  await assert.rejects(reader.apply(step(0, [customer])), { code: 'registry/read-only' });
  assert.equal(await reader.head(), 0);
  await reader.close();
});

test('a registry in a file moves to PostgreSQL whole, once, and back', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'samewise-migrate-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = await openSqliteRegistry(join(folder, 'registry.db'));
  await file.apply(step(0, [customer, view('spending', ['a'])]));
  await file.startJob({ id: 'one', kind: 'x', view: 'spending', version: 1, startedUs: 1 });
  const [from, to] = ['sqlite:registry.db', await newDatabase(at)];
  const done = { revisions: 1, objects: 2, jobs: 1 };
  assert.deepEqual(await migrateRegistry(folder, { from, to }), { ...done, moved: true });
  assert.deepEqual(await migrateRegistry(folder, { from, to }), { ...done, moved: false });
  const back = { from: to, to: 'sqlite:back.db' };
  assert.deepEqual(await migrateRegistry(folder, back), { ...done, moved: true });
  const again = await openSqliteRegistry(join(folder, 'back.db'));
  assert.deepEqual(await again.everything(), await file.everything());
  await again.close();
  await file.apply(step(1, []));
  await assert.rejects(migrateRegistry(folder, { from, to }), { code: 'registry/not-empty' });
  await assert.rejects(migrateRegistry(folder, { from: 'sqlite:missing.db', to }), {
    code: 'app/no-registry',
  });
  await assert.rejects(migrateRegistry(folder, { from: 'mysql:x', to }), { code: 'app/bad-url' });
  await file.close();
});
