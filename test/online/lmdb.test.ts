/** The embedded store: the suite of every online store, and what only LMDB can get wrong. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLmdbStore } from '../../src/online/lmdb.ts';
import { onlineConformance } from '../conformance/online.ts';
import { put, TEST_VIEW, testKey } from '../conformance/online_fixture.ts';

function folder(): string {
  return mkdtempSync(join(tmpdir(), 'samewise-lmdb-'));
}

onlineConformance('lmdb', async () => {
  const path = folder();
  return {
    url: `lmdb:${path}`,
    isOrdered: true,
    destroy: async () => rmSync(path, { recursive: true, force: true }),
  };
});

test('a store that cannot be made says so', async () => {
  const path = folder();
  writeFileSync(join(path, 'file'), 'not a folder');
  await assert.rejects(openLmdbStore(join(path, 'file')), { code: 'online/unavailable' });
  rmSync(path, { recursive: true });
});

test('a file of other bytes is damaged, not empty', async () => {
  const path = folder();
  writeFileSync(join(path, 'data.mdb'), 'nothing that LMDB wrote'.repeat(1_000));
  await assert.rejects(openLmdbStore(path), { code: 'online/damaged' });
  rmSync(path, { recursive: true });
});

test('a file cut short is damaged, and does not take the process with it', async () => {
  const path = folder();
  const store = await openLmdbStore(path);
  await store.compareAndSet(
    Array.from({ length: 1_000 }, (_, i) => put(testKey(i), 0, new Uint8Array(1_000))),
  );
  await store.close();
  const data = join(path, 'data.mdb');
  truncateSync(data, Math.floor(statSync(data).size / 8192) * 4096);
  await assert.rejects(openLmdbStore(path), { code: 'online/damaged' });
  rmSync(path, { recursive: true });
});

test('a full disk stores nothing of the write that it hits, and keeps all before', async () => {
  const path = folder();
  await (await openLmdbStore(path)).close();
  const child = join(import.meta.dirname, '../conformance/online_child.ts');
  // The shell's limit on the size of files stands for a full disk.
  const run = spawnSync(
    'bash',
    ['-c', `ulimit -f 2000; exec "$0" "$@"`, process.execPath, child, 'fill', `lmdb:${path}`],
    {
      encoding: 'utf8',
      timeout: 15_000,
    },
  );
  const { code, resolved } = JSON.parse(run.stdout) as { code: string; resolved: number };
  assert.equal(code, 'online/full');
  assert.ok(resolved > 0);
  const store = await openLmdbStore(path);
  assert.deepEqual(await store.size(TEST_VIEW), { keys: resolved, bytes: resolved * 1_000 });
  assert.equal((await Array.fromAsync(store.scan(TEST_VIEW))).length, resolved);
  const [head] = await store.heads([{ view: TEST_VIEW, key: testKey(resolved - 1) }]);
  assert.deepEqual(head!.bytes, new Uint8Array(1_000).fill(1));
  assert.deepEqual(await store.compareAndSet([put(testKey(resolved), 0, Uint8Array.of(1))]), [
    true,
  ]);
  await store.close();
  rmSync(path, { recursive: true });
});
