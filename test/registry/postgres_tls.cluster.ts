/** The way to PostgreSQL encrypted, and the server known to be the one that was meant, as `sslmode` asks. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openPostgresRegistry } from '../../src/registry/postgres.ts';
import { ownServer } from '../stream/servers.ts';
import { newDatabase, optionsFor, until } from './postgres_database.ts';

const server = await ownServer('postgres');
const folder = mkdtempSync(join(tmpdir(), 'samewise-tls-'));
const certificate = join(folder, 'server.crt');
after(async () => {
  rmSync(folder, { recursive: true });
  await server.down();
});

/** Gives the server a certificate of its own making, for localhost. */
async function encrypt(): Promise<void> {
  const key = join(folder, 'server.key');
  const what = '-subj /CN=localhost -addext subjectAltName=DNS:localhost -days 2';
  const made = `req -new -x509 -nodes -out ${certificate} -keyout ${key} ${what}`;
  execFileSync('openssl', made.split(' '), { stdio: 'ignore' });
  const data = await server.run('sql', 'show data_directory');
  const { uid, gid } = statSync(data);
  for (const file of ['server.crt', 'server.key']) {
    copyFileSync(join(folder, file), join(data, file));
    chownSync(join(data, file), uid, gid);
    chmodSync(join(data, file), 0o600);
  }
  await server.run('sql', 'alter system set ssl = on');
  await server.run('sql', 'select pg_reload_conf()');
  await until('it encrypts', async () => (await server.run('sql', 'show ssl')) === 'on');
}

test('sslmode is what it is in libpq', { skip: server.skip }, async () => {
  await encrypt();
  const database = await newDatabase(server.at);
  const encrypted = async (host: string, options: string) => {
    const url = new URL(database);
    url.hostname = host;
    const registry = await openPostgresRegistry(optionsFor(`${url}?${options}`));
    const own = `datname = '${url.pathname.slice(1)}'`;
    const sessions = await server.run(
      'sql',
      `select bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid) where ${own}`,
    );
    await registry.close();
    await until('its sessions have ended', async () => {
      const left = `select count(*) from pg_stat_activity where ${own}`;
      return (await server.run('sql', left)) === '0';
    });
    return sessions === 't';
  };
  const trusting = `sslrootcert=${certificate}`;
  assert.equal(await encrypted('127.0.0.1', ''), true);
  assert.equal(await encrypted('127.0.0.1', 'sslmode=disable'), false);
  assert.equal(await encrypted('127.0.0.1', 'sslmode=require'), true);
  assert.equal(await encrypted('127.0.0.1', `sslmode=verify-ca&${trusting}`), true);
  assert.equal(await encrypted('localhost', `sslmode=verify-full&${trusting}`), true);
  for (const [host, options] of [
    ['localhost', 'sslmode=verify-full'],
    ['127.0.0.1', 'sslmode=verify-ca'],
    // The certificate is localhost's, and 127.0.0.1 might be anybody's.
    ['127.0.0.1', `sslmode=verify-full&${trusting}`],
  ] as const)
    await assert.rejects(encrypted(host, options), { code: 'registry/untrusted' }, options);
});
