/** The TypeScript client against a server over pages in memory, and against servers that misbehave. */
import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { connect, SamewiseError } from '../../src/client/index.ts';
import {
  avg,
  bool,
  bytes,
  collect,
  count,
  date,
  entity,
  featureService,
  featureView,
  float32,
  float64,
  int32,
  int64,
  lastK,
  list,
  onDemandView,
  source,
  string,
  timestamp,
  vector,
} from '../../src/dsl/index.ts';
import { materialize, NOW_US, serverOver } from '../serving/support.ts';

const BIG = 2n ** 53n + 1n;
const customer = entity({ name: 'customer', key: { customer_id: int64 } });
const payments = source({
  name: 'payments',
  columns: {
    id: int64,
    at: timestamp,
    customer_id: int64,
    amount: float64,
    big: int64,
    small: int32,
    short: float32,
    ok: bool,
    text: string,
    raw: bytes,
    day: date,
    since: timestamp,
    words: list(string),
    point: vector(2),
  },
  eventTime: 'at',
  eventId: 'id',
});
const spending = featureView({
  name: 'spending',
  entity: customer,
  source: payments,
  features: ({ amount, big, small, short, ok, text, raw, day, since, words, point }) => ({
    n: count().over('1d'),
    mean: avg(amount).over('7d'),
    last_3: lastK(amount, 3).over('7d'),
    ...{ big, small, short, ok, text, raw, day, since, words, point },
  }),
});
const context = onDemandView({
  name: 'context',
  request: { price: float64 },
  uses: { spending },
  features: ({ request, spending }) => ({ to_mean: request.price.div(spending.mean) }),
});
const fraud = featureService({
  name: 'fraud',
  features: [
    spending,
    spending.on({ customer_id: 'payer_id' }).as('payer').pick('n'),
    spending.on({ customer_id: 'payee_id' }).as('payee').features.mean,
    context,
  ],
});
const DEFINITIONS = collect({ fraud });

const row = (id: bigint, customer_id: bigint, hoursAgo: number, amount: number) => ({
  id,
  at: NOW_US - hoursAgo * 3_600_000_000,
  customer_id,
  amount,
  big: BIG,
  small: -3,
  short: Math.fround(0.1),
  ok: true,
  text: 'Zoë "☃"',
  raw: Uint8Array.of(0, 255),
  day: 19_000,
  since: 1_000_001,
  words: ['a', null],
  point: Float32Array.of(1, -0.5),
});

let server: Awaited<ReturnType<typeof serverOver>>;
let url: string;
const others: Server[] = [];
before(async () => {
  server = await serverOver(DEFINITIONS);
  const rows = [row(1n, BIG, 30, 10), row(2n, BIG, 2, 5), row(3n, 8n, 1, 4)];
  await materialize(server.online, DEFINITIONS, 'spending', rows);
  url = await server.app.listen({ port: 0 });
});
after(async () => {
  await server.app.close();
  for (const other of others) other.close().closeAllConnections();
});

/** A server of one's own; its address. */
async function serve(listener: RequestListener): Promise<string> {
  const other = createServer(listener);
  others.push(other);
  await new Promise<void>((resolve) => other.listen(0, resolve));
  return `http://localhost:${(other.address() as AddressInfo).port}`;
}
async function codeOf(promise: Promise<unknown>): Promise<SamewiseError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof SamewiseError) return error;
    throw error;
  }
  throw new Error('it succeeded');
}
const ASKED = { customer_id: BIG, payer_id: 8, payee_id: null, price: 15 };

test('values come in the types of the definitions, with statuses and times', async () => {
  const store = connect(`${url}/`);
  const answer = await store.get(fraud, ASKED);
  assert.deepEqual(answer.values, {
    n: 1n,
    mean: 7.5,
    last_3: [10, 5],
    big: BIG,
    small: -3,
    short: Math.fround(0.1),
    ok: true,
    text: 'Zoë "☃"',
    raw: Uint8Array.of(0, 255),
    day: 19_000,
    since: 1_000_001,
    words: ['a', null],
    point: Float32Array.of(1, -0.5),
    payer_n: 1n,
    payee_mean: null,
    to_mean: 2,
  });
  assert.equal(answer.statuses.payee_mean, 'NOT_FOUND');
  assert.equal(answer.statuses.big, 'PRESENT');
  assert.equal(answer.eventTimesUs.big, NOW_US - 2 * 3_600_000_000);
  assert.equal(answer.eventTimesUs.to_mean, null);
  assert.deepEqual([answer.atUs, answer.version, answer.partial], [NOW_US, 1, false]);

  // What the compiler knows.
  const mean: number | null = answer.values.mean;
  const many: bigint | null = answer.values.payer_n;
  const last: readonly (number | null)[] | null = answer.values.last_3;
  assert.ok(mean !== null && many !== null && last !== null);
  // @ts-expect-error an int64 is a bigint
  const wrong: number | null = answer.values.big;
  // @ts-expect-error no such output: it has a prefix
  answer.values.payer_mean;
  assert.ok(wrong !== undefined);
});

const slim = featureService({ name: 'slim', features: [spending.features.n] });

test('many entities, at a past time', async () => {
  const store = connect(url);
  const entities = [ASKED, { ...ASKED, customer_id: 8n }, { ...ASKED, customer_id: null }];
  const at = NOW_US - 2 * 3_600_000_000;
  const past = await store.getMany(fraud, entities, { at });
  assert.deepEqual(
    past.map(({ values, statuses, atUs }) => [values.n, statuses.n, values.mean, atUs]),
    [
      [0n, 'PRESENT', 10, at],
      [0n, 'NOT_FOUND', null, at],
      [0n, 'NOT_FOUND', null, at],
    ],
  );
  const through = await store.get(fraud, ASKED, { at: new Date(at / 1000), through: true });
  assert.equal(through.values.n, 1n);
  assert.deepEqual(await store.getMany(fraud, []), []);
});

test('mistakes are told before anything is sent', async () => {
  const store = connect('http://localhost:1');
  // @ts-expect-error price is left out
  const missing = await codeOf(store.get(fraud, { customer_id: 1, payer_id: 1, payee_id: 1 }));
  assert.deepEqual([missing.code, missing.where.field], ['client/missing-field', '[0].price']);
  // @ts-expect-error nothing is called prize
  const unknown = await codeOf(store.get(fraud, { ...ASKED, prize: 1 }));
  assert.deepEqual([unknown.code, unknown.where.field], ['client/unknown-field', '[0].prize']);
  // @ts-expect-error a price is no text
  const typed = await codeOf(store.getMany(fraud, [ASKED, { ...ASKED, price: 'much' }]));
  assert.deepEqual([typed.code, typed.where.field], ['types/wrong-type', '[1].price']);
});

test('what the server refuses is told as it says it', async () => {
  const error = await codeOf(connect(url).get(slim, { customer_id: 1 }));
  assert.equal(error.code, 'serving/unknown-service');
  const tooMany = Array.from({ length: 5_001 }, () => ASKED);
  assert.match((await codeOf(connect(url).getMany(fraud, tooMany))).code, /^serving\//);
});

test('a server that defines the service otherwise is found out', async () => {
  const fewer = featureService({ name: 'fraud', features: [spending.pick('n')] });
  const error = await codeOf(connect(url).get(fewer, { customer_id: 1 }));
  // The server wants fields that this program does not know of.
  assert.equal(error.code, 'serving/missing-field');
  for (const vectors of [[{}], [{ n: 1, m: 2 }], [{ n: 'many' }]]) {
    const body = {
      version: 3,
      at: '2024-01-01T00:00:00Z',
      vectors,
      statuses: [{}],
      event_times: [{}],
    };
    const at = await serve((_, response) => response.end(JSON.stringify(body)));
    const differ = await codeOf(connect(at).get(slim, { customer_id: 1 }));
    assert.equal(differ.code, 'client/definitions-differ');
    assert.match(differ.message, /version 3 of slim/);
  }
});

const SLIM = {
  version: 1,
  at: '2024-01-01T00:00:00Z',
  vectors: [{ n: 1 }],
  statuses: [{ n: 'PRESENT' }],
  event_times: [{ n: null }],
};

test('what passes is tried again while time is left; the deadline and headers are sent', async () => {
  const seen: (string | undefined)[][] = [];
  const at = await serve((request, response) => {
    const { authorization, 'x-deadline-ms': deadline } = request.headers;
    seen.push([authorization, deadline as string]);
    if (seen.length === 1) request.socket.destroy();
    else if (seen.length === 2)
      response.writeHead(503).end('{"error":{"code":"serving/not-ready","message":"not yet"}}');
    else if (seen.length === 3) response.writeHead(429, { 'retry-after': '0' }).end('{}');
    else response.end(JSON.stringify({ ...SLIM, partial: true, stale: ['n'] }));
  });
  const store = connect(at, { deadlineMs: 60_000, headers: { authorization: 'Bearer t' } });
  const answer = await store.get(slim, { customer_id: 1 });
  assert.deepEqual([answer.values.n, answer.partial, answer.stale], [1n, true, ['n']]);
  assert.equal(seen.length, 4);
  for (const [authorization, deadline] of seen) {
    assert.equal(authorization, 'Bearer t');
    assert.ok(Number(deadline) > 0 && Number(deadline) <= 60_000);
  }
});

test('nothing is tried again when the rest that is asked for is longer than what is left', async () => {
  let asked = 0;
  const at = await serve((_, response) => {
    asked++;
    const body = '{"error":{"code":"serving/overloaded","message":"too much"}}';
    response.writeHead(429, { 'retry-after': '3600' }).end(body);
  });
  const error = await codeOf(connect(at, { deadlineMs: 60_000 }).get(slim, { customer_id: 1 }));
  assert.deepEqual([error.code, asked], ['serving/overloaded', 1]);
});

test('a server that is away, hangs, or is none', async () => {
  const away = await codeOf(
    connect('http://localhost:1', { deadlineMs: 50 }).get(slim, { customer_id: 1 }),
  );
  assert.equal(away.code, 'client/unreachable');
  const hanging = await serve(() => {});
  const slow = await codeOf(connect(hanging, { deadlineMs: 10 }).get(slim, { customer_id: 1 }));
  assert.equal(slow.code, 'client/deadline-passed');
  const stranger = await serve((_, response) => response.writeHead(404).end('<html>'));
  const none = await codeOf(connect(stranger).get(slim, { customer_id: 1 }));
  assert.equal(none.code, 'client/not-an-answer');
});
