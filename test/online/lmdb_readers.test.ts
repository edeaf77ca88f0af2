/** A process that is killed while it reads must not make the file of the others grow for ever. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openLmdbStore } from '../../src/online/lmdb.ts';

const folder = mkdtempSync(join(tmpdir(), 'samewise-lmdb-readers-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Reads, and is killed before it has let go of what it read. */
const READER = `
import { open } from 'lmdb';
const env = open({ path: process.argv[1], noSubdir: false, maxDbs: 3 });
env.useReadTransaction();
process.kill(process.pid, 'SIGKILL');
`;
const MIB = 1 << 20;

test('room that a killed reader held is used again', async () => {
  const store = await openLmdbStore(folder);
  const page = new Uint8Array(MIB);
  const writeOften = async () => {
    for (let i = 0; i < 150; i++) await store.putMeta('large', page);
  };
  await store.putMeta('large', page);
  const args = ['--no-warnings', '--input-type=module', '-e', READER, folder];
  const reader = spawn(process.execPath, args, { stdio: 'inherit', cwd: import.meta.dirname });
  assert.deepEqual(await once(reader, 'exit'), [null, 'SIGKILL']);
  await writeOften();
  const held = statSync(join(folder, 'data.mdb')).size;
  await writeOften();
  await writeOften();
  const { size } = statSync(join(folder, 'data.mdb'));
  assert.ok(size <= held + 4 * MIB, `${held} bytes, then ${size}`);
  await store.close();
});
