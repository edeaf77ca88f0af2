/**
 * The servers that bench/http.ts and bench/grpc.ts compare: `samewise <folder>` reads features from LMDB, `bare <folder>` answers
 * with the constant in `<folder>/constant`, `bare-grpc <folder>` does so over node:http2, as gRPC. Each prints its port when it listens.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../src/base/clock.ts';
import { US_PER_DAY, US_PER_HOUR } from '../src/base/time.ts';
import { catalogOf, compileView, type FeatureService, type Member } from '../src/model/index.ts';
import type { OnlineStore } from '../src/online/contract.ts';
import { openLmdbStore } from '../src/online/lmdb.ts';
import { bool, list } from '../src/types/dtype.ts';
import { encodeKey } from '../src/types/key.ts';
import {
  entity,
  feature,
  float64,
  int64,
  materialize,
  over,
  serverOver,
  source,
  string,
  view,
} from '../test/serving/support.ts';

const [kind, folder] = process.argv.slice(2) as [string, string];
const CUSTOMERS = 1_000;
const EVENTS_EACH = 100;
/** Copies of each customer’s pages under other keys: more customers than answers are remembered. */
const COPIES = 100;
/** Views that the ten features are of. */
const COPIED = ['spending', 'profile', 'latest'];

/** The first `count` features of each view, or all. */
function service(name: string, views: readonly string[], count: number | null): FeatureService {
  const member = (of: string): Member => ({
    view: of,
    features: count === null ? null : Array.from({ length: count }, (_, f) => `${of}_${f}`),
    keys: [{ from: 'column', column: 'customer_id' }],
    as: null,
  });
  const described = { description: '', owner: 'team', tags: {} };
  return { ...described, kind: 'featureService', name, model: null, members: views.map(member) };
}

const definitions = [
  entity('customer', { customer_id: int64 }),
  source('payments', { customer_id: int64, amount: float64, city: string, online: bool }),
  source('accounts', {
    customer_id: int64,
    ...Object.fromEntries(Array.from({ length: 5 }, (_, f) => [`x${f}`, float64])),
    ...Object.fromEntries(Array.from({ length: 5 }, (_, f) => [`n${f}`, int64])),
  }),
  view('spending', 'customer', ['customer_id'], 'payments', [
    feature('count_1d', int64, 'count', null, over('1d')),
    feature('count_7d', int64, 'count', null, over('7d')),
    feature('count_30d', int64, 'count', null, over('30d')),
    feature('sum_1d', float64, 'sum', 'amount', over('1d')),
    feature('mean_7d', float64, 'avg', 'amount', over('7d')),
    feature('mean_30d', float64, 'avg', 'amount', over('30d')),
    feature('max_30d', float64, 'max', 'amount', over('30d')),
    feature('last_5', list(float64), 'last_k', 'amount', over(null), null, { k: 5 }),
  ]),
  view('profile', 'customer', ['customer_id'], 'payments', [
    feature('city', string, 'latest', 'city', over(null)),
    feature('was_online', bool, 'latest', 'online', over(null)),
  ]),
  view('latest', 'customer', ['customer_id'], 'accounts', [
    ...Array.from({ length: 5 }, (_, f) =>
      feature(`score_${f}`, float64, 'latest', `x${f}`, over(null)),
    ),
    ...Array.from({ length: 5 }, (_, f) =>
      feature(`level_${f}`, int64, 'latest', `n${f}`, over('90d')),
    ),
  ]),
  ...Array.from({ length: 10 }, (_, v) =>
    view(
      `wide_${v}`,
      'customer',
      ['customer_id'],
      'payments',
      Array.from({ length: 100 }, (_, f) =>
        f % 2 === 0
          ? feature(`wide_${v}_${f}`, float64, 'avg', 'amount', over(`${f + 1}h`))
          : feature(`wide_${v}_${f}`, int64, 'count', null, over(`${f + 1}h`)),
      ),
    ),
  ),
  service('scores', ['latest'], null),
  service(
    'five_views',
    [0, 1, 2, 3, 4].map((v) => `wide_${v}`),
    40,
  ),
];

/** Gives the pages of customer c to customers c + 1,000, c + 2,000 and so on as well. */
async function copyPages(online: OnlineStore, name: string): Promise<void> {
  const { id: view } = compileView(catalogOf(definitions), name);
  const keyOf = (customer: number) => encodeKey([BigInt(customer)], [int64]);
  for (let customer = 0; customer < CUSTOMERS; customer++) {
    const [head] = await online.heads([{ view, key: keyOf(customer) }]);
    const writes = Array.from({ length: COPIES - 1 }, (_, copy) => ({
      view,
      key: keyOf(customer + (copy + 1) * CUSTOMERS),
      expect: 0,
      head: head!.bytes,
      putBlocks: new Map(),
      dropBlocks: [],
    }));
    await online.compareAndSet(writes);
  }
}

async function listen(): Promise<number> {
  if (kind === 'bare') {
    const text = readFileSync(`${folder}/constant`, 'utf8');
    const length = Buffer.byteLength(text);
    const server = createServer((_, response) => {
      response.setHeader('content-type', 'application/json; charset=utf-8');
      response.setHeader('content-length', length);
      response.end(text);
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return (server.address() as AddressInfo).port;
  }
  if (kind === 'bare-grpc') {
    const constant = readFileSync(`${folder}/constant`);
    const server = createHttp2Server();
    server.on('stream', (stream: ServerHttp2Stream) => {
      stream.on('error', () => {});
      stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.resume();
      stream.once('end', () => {
        stream.respond({ 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
        stream.end(constant);
      });
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return (server.address() as AddressInfo).port;
  }
  const online = await openLmdbStore(`${folder}/online`);
  if ((await online.getMeta('filled')) === undefined) {
    const nowUs = systemClock.nowUs();
    const rows = Array.from({ length: CUSTOMERS * EVENTS_EACH }, (_, i) => ({
      id: BigInt(i),
      at: nowUs - Math.floor((i / CUSTOMERS / EVENTS_EACH) * 40 * US_PER_DAY) - US_PER_HOUR,
      customer_id: BigInt(i % CUSTOMERS),
      amount: Math.round(((i * 48_271) % 99_991) / 7) / 100,
      city: ['Berlin', 'Zürich', 'São Paulo'][i % 3]!,
      online: i % 2 === 0,
    }));
    const accounts = Array.from({ length: CUSTOMERS }, (_, i) => ({
      id: BigInt(i),
      at: nowUs - US_PER_DAY,
      customer_id: BigInt(i),
      ...Object.fromEntries(Array.from({ length: 5 }, (_, f) => [`x${f}`, (i * 7 + f) / 100])),
      ...Object.fromEntries(Array.from({ length: 5 }, (_, f) => [`n${f}`, BigInt(i * 31 + f)])),
    }));
    for (const each of definitions)
      if (each.kind === 'featureView')
        await materialize(
          online,
          definitions,
          each.name,
          each.source === 'accounts' ? accounts : rows,
        );
    for (const name of COPIED) await copyPages(online, name);
    await online.putMeta('filled', new Uint8Array(1));
  }
  const { app } = await serverOver(definitions, { online, clock: systemClock, refreshMs: 1000 });
  await app.listen({ port: 0, host: '127.0.0.1' });
  return (app.server.address() as AddressInfo).port;
}

process.stdout.write(`${await listen()}\n`);
