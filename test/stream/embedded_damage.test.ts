/** What lies in the embedded log's file: its format stays, and a value that was damaged is noticed and named. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { open } from 'lmdb';
import { manualClock } from '../../src/base/clock.ts';
import type { LogRecord, NewRecord } from '../../src/stream/contract.ts';
import { type EmbeddedLog, openEmbeddedLog } from '../../src/stream/embedded/log.ts';
import {
  contentOf,
  nextWithin,
  readAll,
  record,
  textOf,
} from '../conformance/event_log_fixture.ts';

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'samewise-log-'));
  folders.push(path);
  return path;
}

/** All values by key, both in hex, of each database. */
type Dump = Record<'chunks' | 'meta', Record<string, string>>;

async function edit(path: string, change: (dump: Dump) => void): Promise<Dump> {
  const root = open({ path, noSubdir: false, maxDbs: 2 });
  const dump: Dump = { chunks: {}, meta: {} };
  const binary = { encoding: 'binary', keyEncoding: 'binary' } as const;
  const databases = {
    chunks: root.openDB<Uint8Array, Uint8Array>('chunks', binary),
    meta: root.openDB<Uint8Array, Uint8Array>('meta', binary),
  };
  const both = ['chunks', 'meta'] as const;
  for (const name of both)
    for (const { key, value } of databases[name].getRange())
      dump[name][Uint8Array.from(key).toHex()] = Uint8Array.from(value).toHex();
  const before = structuredClone(dump);
  change(dump);
  root.transactionSync(() => {
    for (const name of both) {
      for (const [key, value] of Object.entries(dump[name]))
        if (before[name][key] !== value)
          databases[name].put(Uint8Array.fromHex(key), Uint8Array.fromHex(value));
      for (const key of Object.keys(before[name]))
        if (dump[name][key] === undefined) databases[name].remove(Uint8Array.fromHex(key));
    }
  });
  await root.close();
  return dump;
}

const openAt = (path: string, partitions = 2) =>
  openEmbeddedLog({ path, clock: manualClock(1_700_000_000_000_000), partitions });

test('the format is what it was', async () => {
  const file = join(import.meta.dirname, '../golden/event_log.json');
  const records: NewRecord[] = [
    record('a', 'first'),
    record('b', 'second'),
    record(null, 'without a key'),
    record('tombstone', null),
    { ...record('h', ''), headers: new Map([['name', Uint8Array.of(1, 2, 255)]]) },
  ];
  const path = folder();
  const log = await openAt(path);
  await log.append('golden', records);
  await log.append('golden', records.slice(0, 1));
  await log.append('other', records.slice(1, 2));
  await log.close();
  const found = await edit(path, () => {});
  if (!existsSync(file)) writeFileSync(file, `${JSON.stringify(found, null, 1)}\n`);
  const golden = JSON.parse(readFileSync(file, 'utf8')) as Dump;
  assert.deepEqual(found, golden);

  const again = folder();
  await (await openAt(again)).close();
  await edit(again, (dump) => Object.assign(dump, golden));
  const reopened = await openAt(again);
  const read = [...(await readAll(reopened, 'golden', 'g')).values()].flat();
  const contents = (of: readonly (NewRecord | LogRecord)[]) =>
    of.map((one) => JSON.stringify(contentOf(one))).sort();
  assert.deepEqual(contents(read), contents([...records, records[0]!]));
  await reopened.close();
});

/** A log with three chunks of ten records, in the state in which `change` leaves its file. */
async function damagedLog(change: (dump: Dump) => void): Promise<EmbeddedLog> {
  const path = folder();
  const log = await openAt(path, 1);
  for (let chunk = 0; chunk < 3; chunk++)
    await log.append(
      't',
      Array.from({ length: 10 }, (_, i) => record(`k${chunk * 10 + i}`)),
    );
  await log.close();
  await edit(path, change);
  return openAt(path, 1);
}

const chunkAt = (dump: Dump, i: number) => Object.entries(dump.chunks)[i]!;
const flipped = (hex: string, at: number) => {
  const bytes = Uint8Array.fromHex(hex);
  bytes[at]! ^= 1 << (at % 8);
  return bytes.toHex();
};
const NOTICED = {
  code: 'stream/damaged',
  where: { topic: 't', partition: '0', position: '10' },
};

test('a damaged chunk is an error that names its place; what is before and after it is read', async () => {
  const log = await damagedLog((dump) => {
    const [key, value] = chunkAt(dump, 1);
    dump.chunks[key] = flipped(value, 40);
  });
  const consumer = await log.consume('t', { group: 'g' });
  await nextWithin(consumer, 1_000);
  consumer.seek('0', 0n);
  const before = await nextWithin(consumer, 1_000);
  assert.ok(before?.type === 'records' && before.records.length === 10);
  for (let i = 0; i < 2; i++)
    await assert.rejects(nextWithin(consumer, 1_000), (error: Error) => {
      assert.match(error.message, /topic t, partition 0, position 10/);
      assert.deepEqual((error as unknown as { where: unknown }).where, NOTICED.where);
      return (error as unknown as { code: string }).code === NOTICED.code;
    });
  consumer.seek('0', 20n);
  const behind = await nextWithin(consumer, 1_000);
  assert.ok(behind?.type === 'records');
  assert.equal(textOf(behind.records[0]!), 'k20');
  await consumer.close();
  await log.append('t', [record('new')]);
  await assert.rejects(log.positionsAt('t', 1_700_000_000_000_015), NOTICED);
  assert.equal((await log.retain('t', { maxBytes: 0 })).records, 31, 'it goes as others do');
  await log.close();
});

test('any byte of a chunk that changes is noticed, and so is one that is missing or in a wrong place', async () => {
  const changes: ((dump: Dump) => void)[] = [
    (dump) => {
      delete dump.chunks[chunkAt(dump, 1)[0]];
    },
    (dump) => {
      dump.chunks[chunkAt(dump, 1)[0]] = chunkAt(dump, 2)[1];
    },
    (dump) => {
      dump.chunks[chunkAt(dump, 1)[0]] = '';
    },
    (dump) => {
      const [key, value] = chunkAt(dump, 1);
      dump.chunks[key] = value.slice(0, -2);
    },
    (dump) => {
      const [key, value] = chunkAt(dump, 1);
      dump.chunks[key] = `02${value.slice(2)}`;
    },
    ...[0, 1, 4, 5, 6, 7, 8, 9, 16, 17, 18, 30, 64].map((at) => (dump: Dump) => {
      const [key, value] = chunkAt(dump, 1);
      dump.chunks[key] = flipped(value, at);
    }),
  ];
  for (const change of changes) {
    const log = await damagedLog(change);
    const consumer = await log.consume('t', { group: 'g' });
    await nextWithin(consumer, 1_000);
    consumer.seek('0', 10n);
    await assert.rejects(nextWithin(consumer, 1_000), NOTICED);
    await log.close();
  }
});

test('a damaged topic or partition is an error that names it; nothing is written over it', async () => {
  for (const [prefix, where] of [
    ['topic/t', { topic: 't' }],
    ['state/0/0', { topic: 't', partition: '0' }],
  ] as const) {
    const key = new TextEncoder().encode(prefix).toHex();
    const log = await damagedLog((dump) => {
      dump.meta[key] = flipped(dump.meta[key]!, 6);
    });
    const error = { code: 'stream/damaged', where };
    await assert.rejects(log.append('t', [record('a')]), error);
    await assert.rejects(log.ends('t'), error);
    await log.append('other', [record('a')]);
    await log.close();
  }
});

test('a folder that holds something else is not taken for a log', async () => {
  const path = folder();
  writeFileSync(join(path, 'data.mdb'), 'nothing that LMDB wrote'.repeat(1_000));
  await assert.rejects(openAt(path), { code: 'stream/damaged', where: { file: path } });
  const later = folder();
  await (await openAt(later)).close();
  const format = new TextEncoder().encode('format').toHex();
  await edit(later, (dump) => {
    dump.meta[format] = new TextEncoder().encode('samewise-log 9').toHex();
  });
  await assert.rejects(openAt(later), { code: 'stream/damaged' });
  writeFileSync(join(later, 'file'), '');
  await assert.rejects(openAt(join(later, 'file')), { code: 'stream/unavailable' });
});
