/** Plain calls that read vectors are answered ahead of the framework; the routes behind, which `inject` asks, say the same. */
import assert from 'node:assert/strict';
import { tracingChannel } from 'node:diagnostics_channel';
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { LoggedVector } from '../../src/offline/feature_log_contract.ts';
import { FeatureLog } from '../../src/serving/feature_log.ts';
import { RequestIds } from '../../src/serving/request_ids.ts';
import { cases } from '../support/cases.ts';
import { memoryOnline, serverOver } from './support.ts';
import { BIG, DEFINITIONS, fill } from './world.ts';

type Online = ReturnType<typeof memoryOnline>;
type Server = Awaited<ReturnType<typeof serverOver>>;

const VECTORS = '/api/v1/services/fraud/vectors';
const FEAST = '/get-online-features';

/** Over a store that answers later, and over one that answers at once. */
const servers: { server: Server; port: number }[] = [];
const online = memoryOnline();
const agent = new Agent({ keepAlive: true });
let nearOnline: Online;
before(async () => {
  const name = ({ view, key }: { view: string; key: Uint8Array }) => `${view}/${key.toHex()}`;
  const atOnce = {
    ...online,
    heads: (keys: Parameters<Online['heads']>[0]) =>
      keys.map((key) => online.pages.get(name(key))?.head),
    versions: (keys: Parameters<Online['heads']>[0]) =>
      keys.map((key) => online.pages.get(name(key))?.head.version ?? 0),
  };
  nearOnline = atOnce as unknown as Online;
  for (const store of [online, atOnce]) {
    const server = await serverOver(DEFINITIONS, { online: store, refreshMs: 60_000 });
    const url = await server.app.listen({ port: 0, host: '127.0.0.1' });
    servers.push({ server, port: Number(new URL(url).port) });
  }
  await fill(online);
});
after(async () => {
  agent.destroy();
  await Promise.all(servers.map(({ server }) => server.app.close()));
});

/** Requests that the framework has handled. */
let handled = 0;
tracingChannel('fastify.request.handler').subscribe({
  start: () => {
    handled++;
  },
});

type Headers = Readonly<Record<string, string>>;
interface Said {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

function send(port: number, path: string, headers: Headers, body: Buffer): Promise<Said> {
  return new Promise((resolve, reject) => {
    const options = { port, path, agent, method: 'POST', headers };
    const request = httpRequest({ host: '127.0.0.1', ...options }, async (response) => {
      const chunks = await response.toArray();
      const { statusCode, headers } = response;
      resolve({ status: statusCode!, headers, body: Buffer.concat(chunks) });
    });
    request.on('error', reject);
    request.end(body);
  });
}

function plain({ headers, body }: Said): string {
  if (headers['content-encoding'] === 'gzip') return gunzipSync(body).toString();
  if (headers['content-encoding'] === 'br') return brotliDecompressSync(body).toString();
  return body.toString();
}

const TOLD = [
  'content-type',
  'content-length',
  'content-encoding',
  'vary',
  'x-request-id',
] as const;

/** What both ways say, after having made sure that they say the same. */
async function asked(path: string, given: Headers, body: string | Buffer): Promise<Said> {
  const bytes = Buffer.from(body);
  const headers = {
    'x-request-id': 'one',
    'content-type': 'application/json',
    'content-length': String(bytes.length),
    ...given,
  };
  let said: Said | null = null;
  for (const { server, port } of servers) {
    const slow = await server.app.inject({ method: 'POST', url: path, headers, payload: bytes });
    const other = { status: slow.statusCode, headers: slow.headers as IncomingHttpHeaders };
    said = await send(port, path, headers, bytes);
    assert.equal(plain(said), plain({ ...other, body: slow.rawPayload }));
    assert.equal(said.status, slow.statusCode);
    for (const name of TOLD)
      assert.equal(String(said.headers[name]), String(slow.headers[name]), name);
    assert.equal(said.headers.connection === 'close', slow.headers.connection === 'close');
  }
  return said!;
}

/** How many of the requests that the routes were not asked for anyway they have seen. */
async function seenByRoutes(ask: () => Promise<unknown>): Promise<number> {
  const before = handled;
  await ask();
  return handled - before - servers.length;
}

/** Mostly one of the usual values, else one of the odd ones. */
const mostly = (usual: fc.Arbitrary<unknown>, ...odd: unknown[]) =>
  fc.oneof({ weight: 12, arbitrary: usual }, fc.constantFrom(...odd));
const any = (...values: unknown[]) => fc.constantFrom(...values);
const id = mostly(any(7, 8, 9, 404, null), -0, 1.5, '7', 'x', true, [7], {}, 1e300, 'BIG');
const amount = mostly(any(1.5, -0, 3, null), '1.5', 'Infinity', {}, [], true);
const entity = mostly(fc.record({ customer_id: id, amount }), {}, [], null, 7, '__proto__', {
  customer_id: 7,
  amount: 1,
  other: 1,
});
/** A body, mostly with nothing but what is usual in it. */
const oneOf = (usual: fc.Arbitrary<object>, ...odd: object[]) =>
  fc
    .tuple(usual, mostly(any({}, {}), ...odd))
    .map(([body, more]) => ({ ...body, ...(more as object) }));
const vectorsBody = oneOf(
  fc.record(
    {
      entities: fc.array(entity, { minLength: 1, maxLength: 4 }),
      full: fc.boolean(),
      orientation: any('rows', 'columns'),
    },
    { requiredKeys: ['entities'] },
  ),
  ...['other', null, 1].map((orientation) => ({ orientation })),
  ...['true', null, 1].map((full) => ({ full })),
  ...[[], {}, null, 'all'].map((entities) => ({ entities })),
  ...['2024-03-09', 'soon', 7].map((at) => ({ at })),
  { types: true },
  { through: true },
  { more: 1 },
);
const FEAST_REFS = ['spending:count_1d', 'spending:note', 'profile:city', 'context:amount_to_mean'];
const feastBody = oneOf(
  fc.array(fc.tuple(id, amount), { maxLength: 4 }).chain((rows) =>
    fc.record(
      {
        entities: fc.constant({
          customer_id: rows.map(([customer]) => customer),
          amount: rows.map(([, of]) => of),
        }),
        features: fc.subarray(FEAST_REFS),
        feature_service: any('fraud', 'fraud@1'),
        full_feature_names: fc.boolean(),
      },
      { requiredKeys: ['entities', 'features'] },
    ),
  ),
  ...[null, 'all', [7], ['nothing'], ['x:y'], ['profile:note', 'spending:note']].map(
    (features) => ({ features }),
  ),
  ...['none', 'none@x', null, 7].map((feature_service) => ({ feature_service })),
  ...[{}, null, [], { customer_id: 7 }, { customer_id: [7] }, { customer_id: [7], amount: [] }].map(
    (entities) => ({ entities }),
  ),
  ...['true', null, 1].map((full_feature_names) => ({ full_feature_names })),
  { more: 1 },
);

/** Bodies of these shapes with something cut off, put in or nested, too. */
function bytesOf(shape: fc.Arbitrary<unknown>): fc.Arbitrary<string> {
  // What JSON can write, and JavaScript cannot.
  const text = shape.map((body) =>
    JSON.stringify(body).replaceAll('"BIG"', String(BIG)).replaceAll('1e+300', '1e999'),
  );
  return fc.oneof(
    { weight: 12, arbitrary: text },
    fc.tuple(text, fc.nat()).map(([whole, at]) => whole.slice(0, at % (whole.length + 1))),
    fc
      .tuple(text, fc.nat(), fc.constantFrom('\u0000', '"', '}', '日', '__proto__'))
      .map(([whole, at, put]) => {
        const place = at % (whole.length + 1);
        return whole.slice(0, place) + put + whole.slice(place);
      }),
    fc.constantFrom('', 'null', '[]', '7', '{"entities":'.repeat(70), '{}'),
  );
}

const headers = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Headers>({}) },
  fc.constantFrom<Headers>(
    { 'content-type': 'application/json; charset=utf-8' },
    { 'content-type': 'application/json;charset=latin1' },
    { 'content-type': 'text/plain' },
    { 'content-encoding': 'gzip' },
    { 'accept-encoding': 'gzip, deflate' },
    { 'x-deadline-ms': '60000' },
    { 'x-deadline-ms': 'soon' },
    { 'x-request-id': 'two' },
  ),
);

const runs = { numRuns: cases(250) };

test('the door and the route give the same answer to every body of vectors', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(VECTORS, VECTORS, VECTORS, '/api/v1/services/none/vectors', `${VECTORS}?a`),
      headers,
      bytesOf(vectorsBody),
      async (path, given, body) => {
        await asked(path, given, body);
      },
    ),
    runs,
  );
});

test('the door and the route give the same answer to every body of Feast', async () => {
  await fc.assert(
    fc.asyncProperty(headers, bytesOf(feastBody), async (given, body) => {
      await asked(FEAST, given, body);
    }),
    runs,
  );
});

test('plain calls are answered ahead of the framework, others by it', async () => {
  const vectors = { entities: [{ customer_id: 7, amount: 1 }], full: true };
  const feast = { entities: { customer_id: [7, 8] }, features: ['spending:note'] };
  const seen = (path: string, body: unknown, given: Headers = {}) =>
    seenByRoutes(() => asked(path, given, JSON.stringify(body)));
  assert.equal(await seen(VECTORS, vectors), 0);
  assert.equal(await seen('/api/v1/services/fraud@1/vectors', vectors), 0);
  assert.equal(await seen(FEAST, feast), 0);
  // As Feast's own client asks.
  const more = { feature_service: null, include_feature_view_version_metadata: false };
  assert.equal(await seen(FEAST, { ...feast, ...more }), 0);
  assert.equal(await seen(FEAST, feast, { 'accept-encoding': 'gzip, deflate' }), 0);
  assert.equal(await seen(VECTORS, { ...vectors, at: '2024-03-09' }), servers.length);
  assert.equal(await seen(VECTORS, vectors, { 'x-deadline-ms': '60000' }), servers.length);
});

test('answers that are long are compressed, where that is asked for', async () => {
  const entities = Array.from({ length: 300 }, () => ({ customer_id: 7, amount: 1 }));
  const body = JSON.stringify({ entities, full: true });
  const whole = await asked(VECTORS, {}, body);
  const zipped = await asked(VECTORS, { 'accept-encoding': 'gzip' }, body);
  assert.equal(zipped.headers['content-encoding'], 'gzip');
  assert.equal(plain(zipped), plain(whole));
});

test('a failure of the store is told by the route, and not asked about twice', async () => {
  const body = JSON.stringify({ entities: [{ customer_id: Number(BIG), amount: 1 }] });
  let calls = 0;
  online.before = (call) => {
    if (call === 'heads') calls++;
    throw new Error('the disk is gone');
  };
  try {
    const { port } = servers[0]!;
    const given = { 'content-type': 'application/json', 'x-request-id': 'one' };
    const said = await send(port, VECTORS, given, Buffer.from(body));
    assert.equal(said.status, 500);
    assert.equal(JSON.parse(plain(said)).error.request_id, 'one');
    assert.equal(said.headers['x-request-id'], 'one');
    assert.equal(calls, 1);
  } finally {
    online.before = () => {};
  }
});

test('a body that comes byte by byte is answered; a client that goes away leaves nothing', async () => {
  const body = JSON.stringify({ entities: [{ customer_id: 7, amount: 1 }] });
  const head = `POST ${VECTORS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  const { port } = servers[1]!;
  const gone = connect(port, '127.0.0.1');
  gone.write(head + body.slice(0, 5));
  await new Promise((done) => gone.once('connect', done));
  gone.destroy();
  const socket = connect(port, '127.0.0.1');
  const come = socket.setEncoding('utf8').toArray();
  for (const character of head + body) {
    socket.write(character);
    await new Promise(setImmediate);
  }
  const text = (await come).join('');
  assert.match(text, /HTTP\/1\.1 200 /);
  assert.match(text, /"vectors":\[\{/);
});

test('requests that come in one piece are answered in their order', async () => {
  const body = (customer: number) =>
    JSON.stringify({ entities: { customer_id: [customer] }, features: ['spending:note'] });
  const post = (text: string, last = '') =>
    `POST ${FEAST} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${last}Content-Length: ${text.length}\r\n\r\n${text}`;
  const get =
    'GET /api/v1/features/online?entity=customer&id=7&features=spending:note HTTP/1.1\r\nHost: x\r\n\r\n';
  for (const { port } of servers) {
    const socket = connect(port, '127.0.0.1');
    const come = socket.setEncoding('utf8').toArray();
    socket.write(post(body(7)) + get + post('{}') + post(body(8), 'Connection: close\r\n'));
    const text = (await come).join('');
    assert.deepEqual(
      text.match(/HTTP\/1\.1 \d+|"id":7|\[\[?\d\]|"values":\[\d\]|Field required/g),
      [
        'HTTP/1.1 200',
        '"values":[7]',
        'HTTP/1.1 200',
        '"id":7',
        'HTTP/1.1 422',
        'Field required',
        'HTTP/1.1 200',
        '"values":[8]',
      ],
    );
  }
});

test('what the feature log takes of answers that are given again is logged by each of them', async () => {
  const vectors: LoggedVector[] = [];
  const log = new FeatureLog({
    files: {
      append: async (some) => {
        vectors.push(...some);
        return 0;
      },
    },
    share: 0.5,
    random: () => 0.6,
    requestIds: new RequestIds('t'),
    onFailure: assert.ifError,
  });
  const server = await serverOver(DEFINITIONS, {
    online: nearOnline,
    refreshMs: 60_000,
    featureLog: log,
  });
  const port = Number(new URL(await server.app.listen({ port: 0, host: '127.0.0.1' })).port);
  const body = Buffer.from(
    JSON.stringify({ entities: { customer_id: [7] }, features: ['spending:note'] }),
  );
  const headers = { 'content-type': 'application/json', 'content-length': String(body.length) };
  for (let i = 0; i < 8; i++) assert.equal((await send(port, FEAST, headers, body)).status, 200);
  await log.flush();
  // Of two that go by, the second one.
  assert.equal(vectors.length, 4);
  await server.app.close();
});
