/** What a single Redis can do to a store: refuse it, fill up, lose its scripts, its role, its connections, and die. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { parseOnlinePlace } from '../../src/app/online_place.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { SamewiseError } from '../../src/base/errors.ts';
import type { OnlineStore } from '../../src/online/contract.ts';
import { openRedisStore, type RedisPlace } from '../../src/online/redis.ts';
import { put, TEST_VIEW, testKey } from '../conformance/online_fixture.ts';
import { ownServer } from '../stream/servers.ts';

const server = await ownServer('redis');
const { skip } = server;
const [host, port] = server.at.split(':');
const admin = new Redis({ host, port: Number(port), lazyConnect: true });
admin.on('error', () => {});
after(async () => {
  admin.disconnect();
  await server.down();
});

/** A store of its own; a second one opens the same with `namespace`. */
function open(
  options: {
    readonly user?: string;
    readonly password?: string;
    readonly namespace?: string;
    readonly patienceMs?: number;
  } = {},
): Promise<OnlineStore> {
  const namespace = options.namespace ?? `t${randomUUID().slice(0, 8)}`;
  const user = options.user === undefined ? '' : `${options.user}@`;
  const place = parseOnlinePlace('/', `redis://${user}${server.at}?namespace=${namespace}`);
  const { password = null, patienceMs } = options;
  return openRedisStore({ place: place as RedisPlace, password, clock: systemClock, patienceMs });
}

const one = (n: number) => [{ view: TEST_VIEW, key: testKey(n) }];

test('a full memory refuses a write and stores nothing of it; reads go on', { skip }, async () => {
  const store = await open();
  const page = new Uint8Array(100_000).fill(1);
  assert.deepEqual(await store.compareAndSet([put(testKey(1), 0, page)]), [true]);
  const [before] = await store.heads(one(1));
  await admin.config('SET', 'maxmemory', '1mb');
  const write = {
    ...put(testKey(1), before!.version, Uint8Array.of(2)),
    putBlocks: new Map([[1, page]]),
  };
  await assert.rejects(store.compareAndSet([write]), { code: 'online/full' });
  await assert.rejects(store.putMeta('a', page), { code: 'online/full' });
  assert.deepEqual((await store.heads(one(1)))[0], before);
  assert.deepEqual(await store.blocks(one(1)[0]!, [1]), [undefined]);
  assert.deepEqual(await store.size(TEST_VIEW), { keys: 1, bytes: 100_000 });
  await admin.config('SET', 'maxmemory', '0');
  assert.deepEqual(await store.compareAndSet([write]), [true]);
  await store.close();
});

test('a server that drops pages as it likes is refused', { skip }, async () => {
  await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
  await assert.rejects(open(), {
    code: 'online/evicts',
    message: /allkeys-lru/,
    hint: /noeviction/,
  });
  await admin.config('SET', 'maxmemory-policy', 'noeviction');
  await (await open()).close();
});

test('a namespace that something else wrote is refused', { skip }, async () => {
  await admin.set('other/format', 'something else');
  await assert.rejects(open({ namespace: 'other' }), { code: 'online/damaged' });
});

test('users are told that they are refused, and no password is told to anybody', {
  skip,
}, async () => {
  await admin.call(
    'ACL',
    'SETUSER',
    'features',
    'on',
    '>s3cret',
    '~f*',
    // As docs/online_stores.md has it.
    '+@read',
    '+@write',
    '+@scripting',
    '+@connection',
    '+time',
    '+cluster',
    '+info',
  );
  await admin.call('ACL', 'SETUSER', 'reader', 'on', '>s3cret', '~f*', '+@read', '+info', '+hello');
  const store = await open({ user: 'features', password: 's3cret', namespace: 'f1' });
  assert.deepEqual(await store.compareAndSet([put(testKey(1), 0, Uint8Array.of(1))]), [true]);
  await store.fence();
  await store.dropView(TEST_VIEW);
  await store.close();
  for (const [user, password, namespace] of [
    ['features', 'wr0ng', 'f1'],
    ['features', 's3cret', 'g1'],
    ['reader', 's3cret', 'f2'],
  ] as const)
    await assert.rejects(open({ user, password, namespace }), (error: SamewiseError) => {
      assert.equal(error.code, 'online/refused');
      assert.doesNotMatch(JSON.stringify(error) + error.stack, /s3cret|wr0ng/);
      return true;
    });
});

test('a server that has forgotten its scripts is told them again', { skip }, async () => {
  const store = await open();
  await admin.script('FLUSH');
  const writes = Array.from({ length: 200 }, (_, i) => put(testKey(i), 0, Uint8Array.of(i)));
  assert.deepEqual(await store.compareAndSet(writes), new Array(200).fill(true));
  await store.close();
});

test('a server that may only be read is waited for', { skip }, async () => {
  const patient = await open();
  const hasty = await open({ patienceMs: 300 });
  // Its primary does not answer, and it goes on with what it has.
  await admin.call('REPLICAOF', '127.0.0.1', '1');
  await assert.rejects(hasty.compareAndSet([put(testKey(1), 0, Uint8Array.of(1))]), {
    code: 'online/unavailable',
    message: /READONLY/,
  });
  const waiting = patient.compareAndSet([put(testKey(1), 0, Uint8Array.of(1))]);
  assert.equal(await Promise.race([waiting, setTimeout(300, 'waits')]), 'waits');
  await admin.call('REPLICAOF', 'NO', 'ONE');
  assert.deepEqual(await waiting, [true]);
  await patient.close();
  await hasty.close();
});

test('connections that are torn in the middle lose no event and apply none twice', {
  skip,
}, async () => {
  const namespace = 'torn';
  const writers = 4;
  const events = 20;
  let done = 0;
  const add = async (writer: number) => {
    const store = await open({ namespace });
    for (let i = 0; i < events; i++) {
      const event = writer * events + i;
      // As pages do: what the page has absorbed already is not added again.
      for (;;) {
        const [head] = await store.heads(one(1));
        if (head?.bytes.includes(event)) break;
        const page = Uint8Array.of(...(head?.bytes ?? []), event);
        if ((await store.compareAndSet([put(testKey(1), head?.version ?? 0, page)]))[0]) break;
      }
    }
    done++;
    await store.close();
  };
  const tear = async () => {
    while (done < writers) {
      await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await setTimeout(100);
    }
  };
  await Promise.all([tear(), ...Array.from({ length: writers }, (_, writer) => add(writer))]);
  const store = await open({ namespace });
  const page = (await store.heads(one(1)))[0]!.bytes;
  assert.deepEqual(
    [...page].sort((a, b) => a - b),
    Array.from({ length: writers * events }, (_, i) => i),
  );
  assert.deepEqual(await store.size(TEST_VIEW), { keys: 1, bytes: page.length });
  await store.close();
});

test('a server that is gone is told after a time, and found again', { skip }, async () => {
  const store = await open({ patienceMs: 500 });
  await server.crash();
  for (const attempt of [
    () => store.heads(one(1)),
    () => store.compareAndSet([put(testKey(1), 0, Uint8Array.of(1))]),
    () => store.fence(),
    () => store.size(TEST_VIEW),
    () => Array.fromAsync(store.scan(TEST_VIEW)),
    () => open({ patienceMs: 100 }),
  ])
    await assert.rejects(async () => attempt(), { code: 'online/unavailable' });
  await server.up();
  for (;;) {
    const applied = await store
      .compareAndSet([put(testKey(1), 0, Uint8Array.of(1))])
      .catch((error) => assert.equal(error.code, 'online/unavailable'));
    if (applied) break;
  }
  assert.equal((await store.heads(one(1)))[0]!.bytes[0], 1);
  await store.close();
});

test('over TLS, whose certificate is checked', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'samewise-tls-'));
  const key = join(folder, 'key.pem');
  const cert = join(folder, 'cert.pem');
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=DNS:localhost',
      '-keyout',
      key,
      '-out',
      cert,
    ],
    { stdio: 'ignore' },
  );
  // What listens there is TLS alone from now on.
  const tlsPort = Number(port) + 10_000;
  await admin.call(
    'CONFIG',
    'SET',
    'tls-cert-file',
    cert,
    'tls-key-file',
    key,
    'tls-ca-cert-file',
    cert,
    'tls-auth-clients',
    'no',
    'tls-port',
    String(tlsPort),
  );
  const child = (ca: string) =>
    execFileSync(
      process.execPath,
      [
        join(import.meta.dirname, '../conformance/online_child.ts'),
        'race',
        `rediss://localhost:${tlsPort}?namespace=tls`,
        '1',
        '1',
      ],
      {
        env: { ...process.env, NODE_EXTRA_CA_CERTS: ca },
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
  assert.equal(child(cert), '[0]');
  assert.throws(() => child(''), /online\/unavailable.*NODE_EXTRA_CA_CERTS/s);
  rmSync(folder, { recursive: true });
});
