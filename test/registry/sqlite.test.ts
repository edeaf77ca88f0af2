import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { openSqliteRegistry } from '../../src/registry/sqlite.ts';
import { codedSqliteError } from '../../src/registry/sqlite_errors.ts';
import { registryConformance, step } from '../conformance/registry.ts';
import { customer, view } from './objects.ts';

const folder = mkdtempSync(join(tmpdir(), 'samewise-registry-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const newFile = () => join(folder, `${++files}.db`);

registryConformance('sqlite file', () => openSqliteRegistry(newFile()));
registryConformance('sqlite memory', () => openSqliteRegistry(':memory:'));

test('what was applied is there for the next process', async () => {
  const path = newFile();
  const registry = await openSqliteRegistry(path);
  await registry.apply(step(0, [customer]));
  await registry.close();
  await registry.close();
  const again = await openSqliteRegistry(path);
  assert.equal((await again.get('entity', 'customer'))?.revision, 1);
  await again.close();
});

/** Starts a process that stands ready to apply to `path`. */
function writer(path: string, name: string) {
  const child = spawn(process.execPath, [
    '--input-type=module-typescript',
    '-e',
    WRITER,
    path,
    name,
  ]);
  let said = '';
  const ready = new Promise<void>((resolve) => {
    child.stdout.on('data', (data) => {
      said += data;
      if (said.startsWith('ready')) resolve();
    });
  });
  const done = new Promise<string>((resolve) => child.on('close', () => resolve(said.trim())));
  return { child, ready, done };
}

/** A process that opens the registry, waits for a line on stdin, applies at the head it is told, and prints how it went. */
const WRITER = `
  import { openSqliteRegistry } from ${JSON.stringify(join(import.meta.dirname, '../../src/registry/sqlite.ts'))};
  import { step } from ${JSON.stringify(join(import.meta.dirname, '../conformance/registry.ts'))};
  import { view } from ${JSON.stringify(join(import.meta.dirname, 'objects.ts'))};
  const registry = await openSqliteRegistry(process.argv[1]);
  process.stdout.write('ready\\n');
  process.stdin.once('data', async () => {
    const objects = Array.from({ length: 50 }, (_, i) => view(process.argv[2] + i, ['x', 'y']));
    await registry.apply(step(0, objects)).then(() => console.log('applied'), (e) => console.log(e.code));
    process.exit();
  });
`;

test('of two processes that apply at once exactly one wins, and the other is told', async () => {
  for (let round = 0; round < 3; round++) {
    const path = newFile();
    const writers = ['ann', 'bob'].map((name) => writer(path, name));
    // Both opened (and made) the same new file at once; now both apply at once.
    await Promise.all(writers.map(({ ready }) => ready));
    for (const { child } of writers) child.stdin.write('go\n');
    const said = await Promise.all(writers.map(({ done }) => done));
    assert.deepEqual(said.toSorted(), ['ready\napplied', 'ready\nregistry/stale-plan']);
    const registry = await openSqliteRegistry(path);
    assert.equal(await registry.head(), 1);
    assert.equal(new Set((await registry.load()).map(({ name }) => name.slice(0, 3))).size, 1);
    await registry.close();
  }
});

test('a writer that is killed leaves all of its step or nothing', async () => {
  for (const afterMs of [0, 2, 5, 10]) {
    const path = newFile();
    const { child, ready, done } = writer(path, 'ann');
    await ready;
    child.stdin.write('go\n');
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    child.kill('SIGKILL');
    await done;
    const registry = await openSqliteRegistry(path);
    const head = await registry.head();
    assert.equal((await registry.load()).length, head === 0 ? 0 : 50);
    assert.equal((await registry.search('x', {}, 1000)).length, head === 0 ? 0 : 50);
    await registry.close();
  }
});

test('a reader goes on while a writer is at work, and sees all of it or nothing', async () => {
  const path = newFile();
  const reader = await openSqliteRegistry(path);
  const writer = new DatabaseSync(path);
  writer.exec(`begin immediate; insert into revisions values (1, 'ann', 0, '', '[]')`);
  assert.equal(await reader.head(), 0);
  writer.exec('commit');
  assert.equal(await reader.head(), 1);
  writer.close();
  await reader.close();
});

test('revisions cannot be changed, not even by hand', async () => {
  const path = newFile();
  const registry = await openSqliteRegistry(path);
  await registry.apply(step(0, [customer]));
  const db = new DatabaseSync(path);
  assert.throws(() => db.exec(`update revisions set author = 'eve'`), /append-only/);
  assert.throws(() => db.exec('delete from revisions'), /append-only/);
  db.close();
  await registry.close();
});

test('a file of format 1 is brought up to date in place, by whoever of several opens it first', async () => {
  const path = newFile();
  const old = new DatabaseSync(path);
  old.exec(readFileSync(join(import.meta.dirname, 'format_1.sql'), 'utf8'));
  const opened = await Promise.all([openSqliteRegistry(path), openSqliteRegistry(path)]);
  for (const registry of opened) {
    assert.equal(await registry.head(), 1);
    assert.equal((await registry.jobs())[0]?.rows, 3);
    assert.deepEqual(await registry.comparisons(), []);
    assert.deepEqual(await registry.serviceLevels(), []);
    await registry.close();
  }
  assert.deepEqual({ ...old.prepare('pragma user_version').get() }, { user_version: 2 });
  assert.throws(
    () =>
      old.exec(`insert into level_changes values (1, 'v', 1, '', 0, 'fresh', 0);
      update level_changes set state = 'stale'`),
    /append-only/,
  );
  old.close();
});

test('a file of a newer format, of something else, or of nothing readable is refused', async () => {
  const newer = newFile();
  await (await openSqliteRegistry(newer)).close();
  const db = new DatabaseSync(newer);
  db.exec('pragma user_version = 3');
  db.close();
  await assert.rejects(openSqliteRegistry(newer), { code: 'registry/unknown-format' });

  const foreign = newFile();
  const other = new DatabaseSync(foreign);
  other.exec('create table t (x)');
  other.close();
  const bytes = readFileSync(foreign);
  await assert.rejects(openSqliteRegistry(foreign), { code: 'registry/not-a-registry' });
  assert.deepEqual(readFileSync(foreign), bytes, 'and it is left as it was');

  const garbage = newFile();
  writeFileSync(garbage, 'this is not a database, '.repeat(1000));
  await assert.rejects(openSqliteRegistry(garbage), { code: 'registry/corrupt' });

  const missing = join(folder, 'no', 'such', 'folder.db');
  await assert.rejects(openSqliteRegistry(missing), (error: any) => {
    assert.equal(error.code, 'registry/cannot-open');
    assert.equal(error.where.file, missing);
    return true;
  });
});

test('a damaged page is reported, not read', async () => {
  const path = newFile();
  const registry = await openSqliteRegistry(path);
  await registry.apply(
    step(
      0,
      Array.from({ length: 200 }, (_, i) => view(`v${i}`, ['a', 'b'])),
    ),
  );
  await registry.close();
  const bytes = readFileSync(path);
  const start = Math.floor(bytes.indexOf('"description":"the view v150"') / 4096) * 4096;
  bytes.fill(0xff, start, start + 4096);
  writeFileSync(path, bytes);
  const damaged = await openSqliteRegistry(path);
  await assert.rejects(damaged.load(), { code: 'registry/corrupt' });
  await damaged.close();
});

test('what SQLite refuses is said in our words', () => {
  const path = newFile();
  const db = new DatabaseSync(path);
  db.exec('create table t (x)');
  const errorOf = (body: () => void): any => {
    try {
      body();
    } catch (error) {
      return codedSqliteError(error, path);
    }
    throw new Error('nothing was thrown');
  };
  const readOnly = new DatabaseSync(path, { readOnly: true });
  assert.equal(errorOf(() => readOnly.exec('insert into t values (1)')).code, 'registry/read-only');
  readOnly.close();
  const impatient = new DatabaseSync(path, { timeout: 0 });
  db.exec('begin immediate');
  assert.equal(errorOf(() => impatient.exec('begin immediate')).code, 'registry/locked');
  db.exec('rollback');
  db.exec('pragma max_page_count = 2');
  const big = 'insert into t select hex(zeroblob(100000))';
  assert.equal(errorOf(() => db.exec(big)).code, 'registry/disk-full');
  const bug = errorOf(() => impatient.exec('this is not SQL'));
  assert.equal(bug.code, 'ERR_SQLITE_ERROR', 'a bug of ours stays one');
  impatient.close();
  db.close();
});
