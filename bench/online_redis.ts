/**
 * Redis: one entity of five views by the store, beside a bare ioredis that gets the same bytes; and bytes an entity beside Feast's
 * layout of the same values. One Redis, one connection each, auto-pipelining; rounds alternate, and the median counts. CPU time is
 * the client's own.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { liveViews } from '../src/app/live_views.ts';
import { materialize } from '../src/app/materialize.ts';
import { RedisKeys } from '../src/online/redis_keys.ts';
import { int64 } from '../src/types/dtype.ts';
import { encodeKey } from '../src/types/key.ts';
import { project } from '../test/app/project.ts';
import { type BenchReport, printBenchReport } from './report.ts';

const ROOT = join(import.meta.dirname, '..');
const ENTITIES = 20_000;
const VIEWS = 5;
const ROUNDS = 3;
const READS = 10_000;
const AT_ONCE = 32;
const NAMESPACE = 'sw';
const NAMES = Array.from({ length: VIEWS }, (_, v) => [`d${v}`, `i${v}`] as const);

const FEATURES = `
import { entity, featureView, float64, int64, parquet, source, timestamp } from 'samewise';
const one = entity({ name: 'one', key: { entity_id: int64 } });
const rows = source({
  name: 'rows',
  columns: { entity_id: int64, at: timestamp, ${NAMES.map(([d, i]) => `${d}: float64, ${i}: int64`)} },
  eventTime: 'at', batch: parquet('data/*.parquet'),
});
${NAMES.map(([d, i], v) => `export const fv${v} = featureView({ name: 'fv${v}', entity: one, source: rows, features: ({ ${d}, ${i} }) => ({ ${d}, ${i} }) });`).join('\n')}
export const fv = featureView({ name: 'fv', entity: one, source: rows, features: ({ ${NAMES.flat()} }) => ({ ${NAMES.flat()} }) });
`;
const ROWS = `SELECT i AS entity_id, TIMESTAMP '2024-01-01' + to_seconds(i) AS "at",
  ${NAMES.map(([d, i], v) => `(i * ${v + 7}) / 8 AS ${d}, (i * ${v + 31}) AS ${i}`)} FROM range(${ENTITIES}) t(i)`;

/** Feast's layout (its Redis store of 0.67): a hash an entity; a field a feature named by 4 bytes, and a time a view; values as messages. */
function feastHash(entity: number, views: readonly string[]): [string | Buffer, ...Buffer[]] {
  const key = Buffer.alloc(8);
  key.writeBigInt64LE(BigInt(entity));
  const word = (n: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(n);
    return bytes;
  };
  // The names of the key, the type and the length of its value, its value, then the project.
  const name = Buffer.from('entity_id');
  const parts = [
    word(1),
    word(2),
    word(name.length),
    name,
    word(4),
    word(8),
    key,
    Buffer.from('p'),
  ];
  const fields: Buffer[] = [];
  NAMES.flat().forEach((feature, at) => {
    const value = feature.startsWith('d')
      ? doubleMessage((entity * (at + 7)) / 8)
      : intMessage(entity * (at + 31));
    fields.push(word((0x9e3779b1 * (at + 1)) & 0x7fffffff), value);
  });
  for (const view of views)
    fields.push(Buffer.from(`_ts:${view}`), timeMessage(1_704_067_200 + entity));
  return [Buffer.concat(parts), ...fields];
}

function doubleMessage(value: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes[0] = 0x31;
  bytes.writeDoubleLE(value, 1);
  return bytes;
}
function varint(value: number): number[] {
  const out: number[] = [];
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) out.push((left % 128) | 128);
  return [...out, left];
}
const intMessage = (value: number) => Buffer.from([0x20, ...varint(value)]);
const timeMessage = (seconds: number) => Buffer.from([0x08, ...varint(seconds)]);

const folder = mkdtempSync(join(tmpdir(), 'samewise-bench-redis-'));
const redisScript = (what: string) =>
  execFileSync(join(ROOT, 'scripts/services/redis'), [what], {
    env: { ...process.env, SAMEWISE_SERVICES_DIR: folder },
    encoding: 'utf8',
  }).trim();

async function usedBytes(redis: Redis): Promise<number> {
  return Number(/^used_memory_dataset:(\d+)/m.exec(await redis.info('memory'))![1]);
}

/** Reads a second, and microseconds of this process' CPU time a read. */
async function rate(
  read: (i: number) => Promise<unknown>,
): Promise<{ perSecond: number; cpuUs: number }> {
  const before = process.cpuUsage();
  const startedMs = performance.now();
  let next = 0;
  const reader = async () => {
    while (next < READS) await read((next++ * 7919) % ENTITIES);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, reader));
  const seconds = (performance.now() - startedMs) / 1e3;
  const { user, system } = process.cpuUsage(before);
  return { perSecond: READS / seconds, cpuUs: (user + system) / READS };
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;

const address = redisScript('up');
const [host, port] = address.split(':');
const bare = new Redis({ host, port: Number(port), enableAutoPipelining: true });
const made = await project(FEATURES, ROWS);
const app = await made.open({ online: `redis://${address}?namespace=${NAMESPACE}` });
try {
  const bytes = async (fill: () => Promise<unknown>) => {
    const before = await usedBytes(bare);
    await fill();
    return ((await usedBytes(bare)) - before) / ENTITIES;
  };
  const oneView = await bytes(() => materialize(app, { views: ['fv'] }));
  const startedMs = performance.now();
  const five = NAMES.map((_, v) => `fv${v}`);
  const fiveViews = await bytes(() => materialize(app, { views: five }));
  const materialiseS = (performance.now() - startedMs) / 1e3;
  const feast = (views: readonly string[]) =>
    bytes(async () => {
      for (let from = 0; from < ENTITIES; from += 1_000) {
        const pipeline = bare.pipeline();
        for (let i = from; i < from + 1_000; i++) {
          const [key, ...fields] = feastHash(i, views);
          pipeline.hset(Buffer.concat([key as Buffer, Buffer.from(`${views.length}`)]), ...fields);
        }
        await pipeline.exec();
      }
    });
  const feastOne = await feast(['fv']);
  const feastFive = await feast(five);

  const ids = new Map(
    liveViews(await app.registry.load(), null).map(({ name, program }) => [name, program.id]),
  );
  const keys = Array.from({ length: ENTITIES }, (_, i) => encodeKey([BigInt(i)], [int64]));
  const names = new RedisKeys(NAMESPACE, false);
  const views = five.map((name) => ids.get(name)!);
  const bareNames = keys.map((key) => views.map((view) => names.head({ view, key })));
  const store = (i: number) =>
    Promise.resolve(app.online.heads(views.map((view) => ({ view, key: keys[i]! }))));
  const mget = (i: number) => bare.mgetBuffer(bareNames[i]!);
  const gets = (i: number) => Promise.all(bareNames[i]!.map((name) => bare.getBuffer(name)));
  const ways = { store, mget, gets } as const;
  const found = { store: [], mget: [], gets: [] } as Record<
    keyof typeof ways,
    { perSecond: number; cpuUs: number }[]
  >;
  for (let round = 0; round <= ROUNDS; round++)
    for (const [name, read] of Object.entries(ways)) {
      const one = await rate(read);
      // The first is for the compiler.
      if (round > 0) found[name as keyof typeof ways].push(one);
    }
  const of = (name: keyof typeof ways, what: 'perSecond' | 'cpuUs') =>
    median(found[name].map((one) => one[what]));
  const share = (name: keyof typeof ways) => of('store', 'perSecond') / of(name, 'perSecond');
  const text = (name: keyof typeof ways) =>
    `${Math.round(of(name, 'perSecond'))} reads/s, ${of(name, 'cpuUs').toFixed(0)} µs CPU`;
  const report: BenchReport = {
    title: 'Redis',
    command: 'node bench/main.ts online_redis',
    about: `${ENTITIES} entities; five views of a float64 and an int64 each, or one view of ten; ${AT_ONCE} reads at once on one connection.`,
    rows: [
      { what: 'an entity of five views, by the store', value: text('store') },
      {
        what: 'the same bytes by a bare MGET; share of its rate',
        value: `${text('mget')}; ${(100 * share('mget')).toFixed(0)} %`,
        target: '≥ 70 %',
        met: share('mget') >= 0.7,
      },
      {
        what: 'the same bytes by five pipelined GETs; share of its rate',
        value: `${text('gets')}; ${(100 * share('gets')).toFixed(0)} %`,
      },
      {
        what: 'bytes an entity in Redis, ten features of one view: ours / Feast’s layout',
        value: `${oneView.toFixed(0)} / ${feastOne.toFixed(0)} (${((100 * oneView) / feastOne).toFixed(0)} %)`,
        target: '≤ 60 %',
        met: oneView <= 0.6 * feastOne,
      },
      {
        what: 'the same of five views of two features',
        value: `${fiveViews.toFixed(0)} / ${feastFive.toFixed(0)} (${((100 * fiveViews) / feastFive).toFixed(0)} %)`,
        target: '≤ 60 %',
        met: fiveViews <= 0.6 * feastFive,
      },
      {
        what: 'materialise five views, source rows a second in all',
        value: `${Math.round((ENTITIES * VIEWS) / materialiseS)}`,
      },
    ],
  };
  printBenchReport(report);
} finally {
  await app.close();
  bare.disconnect();
  made.remove();
  redisScript('down');
  rmSync(folder, { recursive: true, force: true });
}
