/** What a server is asked that it had better not be, and what holds for every answer. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request as ask } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { Bodies } from '../../src/serving/bodies.ts';
import {
  BODY_SLOT_BYTES,
  BODY_SLOT_MS,
  MAX_BODIES_BYTES,
  MAX_BODY_BYTES,
} from '../../src/serving/http_limits.ts';
import { cases } from '../support/cases.ts';
import { serverOver } from './support.ts';
import { DEFINITIONS, fill } from './world.ts';

let server: Awaited<ReturnType<typeof serverOver>>;
let port: number;
let url: string;
before(async () => {
  server = await serverOver(DEFINITIONS);
  await fill(server.online);
  await server.app.listen({ port: 0, host: '127.0.0.1' });
  port = (server.app.server.address() as AddressInfo).port;
  url = `http://127.0.0.1:${port}`;
});
after(() => server.app.close());

const VECTORS = '/api/v1/services/fraud/vectors';
const JSON_BODY = { 'content-type': 'application/json' };
const post = (path: string, body: string, headers = {}) =>
  fetch(url + path, { method: 'POST', body, headers: { ...JSON_BODY, ...headers } });
const many = (count: number) =>
  JSON.stringify({
    entities: Array.from({ length: count }, (_, i) => ({ customer_id: i, amount: 1 })),
    full: true,
  });

/** What a server says to bytes as they are, until it closes the connection. */
async function exchange(bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(bytes);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test('bodies that are nested too deeply, too long or of other bytes are refused with a code', async () => {
  const deep = (text: string) => '['.repeat(200_000) + text + ']'.repeat(200_000);
  const cases: [string, number, string][] = [
    [deep(''), 400, 'serving/malformed-json'],
    [deep('12345678901234567890'), 400, 'serving/malformed-json'],
    [`{"entities":[{"customer_id":${deep('1')},"amount":1}]}`, 400, 'serving/malformed-json'],
    [`{"a":"${']'.repeat(1e5)}","b":${deep('')}}`, 400, 'serving/malformed-json'],
    [`{"entities":[{"customer_id":"${'['.repeat(1e5)}","amount":1}]}`, 400, 'types/wrong-type'],
    [`{"entities":[{"customer_id":${'9'.repeat(100_000)},"amount":1}]}`, 400, 'types/wrong-type'],
    [`{"entities":${'[{}'}`, 400, 'serving/malformed-json'],
    ['\ud800', 400, 'serving/malformed-json'],
    [many(5_001), 400, 'serving/bad-field'],
    [' '.repeat(MAX_BODY_BYTES + 1), 413, 'serving/body-too-large'],
  ];
  for (const [body, status, code] of cases) {
    const answer = await post(VECTORS, body);
    const { error } = (await answer.json()) as any;
    assert.deepEqual([answer.status, error.code], [status, code], body.slice(0, 60));
    assert.equal(error.request_id, answer.headers.get('x-request-id'));
    assert.ok(JSON.stringify(error).length < 2_000, 'a refusal is short, whatever was sent');
  }
});

test('100,000 features are refused, however they are asked', async () => {
  const features = Array.from({ length: 100_000 }, (_, i) => `f${i}`);
  const long = await exchange(
    `GET /api/v1/features/online?entity=customer&id=1&features=${features} HTTP/1.1\r\nhost: x\r\n\r\n`,
  );
  assert.match(long, /^HTTP\/1\.1 431 .*serving\/header-too-large/s);
  const short = features.slice(0, 20_000).map((_, i) => i.toString(36));
  const many = await server.app.inject({
    url: `/api/v1/features/online?entity=customer&id=1&features=${short}`,
  });
  assert.deepEqual([many.statusCode, many.json().error.code], [400, 'serving/too-many-features']);
});

test('long answers are compressed where the client asks, short ones never are', async () => {
  const raw = (accept: string, count: number) =>
    new Promise<{ encoding: string | undefined; body: Buffer }>((resolve, reject) => {
      const headers = { ...JSON_BODY, 'accept-encoding': accept };
      const asking = ask(url + VECTORS, { method: 'POST', headers }, async (response) => {
        const body = Buffer.concat(await response.toArray());
        resolve({ encoding: response.headers['content-encoding'], body });
      });
      asking.once('error', reject);
      asking.end(many(count));
    });
  const plain = await raw('identity', 200);
  assert.equal(plain.encoding, undefined);
  const zipped = await raw('gzip', 200);
  assert.deepEqual([zipped.encoding, gunzipSync(zipped.body)], ['gzip', plain.body]);
  const brotli = await raw('gzip;q=0.5, br', 200);
  assert.deepEqual([brotli.encoding, brotliDecompressSync(brotli.body)], ['br', plain.body]);
  assert.ok(zipped.body.length * 4 < plain.body.length);
  assert.equal((await raw('gzip, br', 2)).encoding, undefined);
});

test('what is registered has an entity tag, which changes with it and with nothing else', async () => {
  for (const path of ['/api/v1/services', '/api/v1/features?q=count', '/openapi.json']) {
    const first = await fetch(url + path);
    const tag = first.headers.get('etag')!;
    assert.match(tag, /^W\/"/);
    const again = await fetch(url + path, { headers: { 'if-none-match': `"other", ${tag}` } });
    assert.deepEqual([again.status, await again.text()], [304, '']);
    const other = await fetch(url + path, { headers: { 'if-none-match': '"other"' } });
    assert.deepEqual([other.status, await other.text()], [200, await first.text()]);
  }
  const before = (await fetch(`${url}/api/v1/services`)).headers.get('etag')!;
  const service = DEFINITIONS.find(({ kind }) => kind === 'featureService')!;
  server.registry.define([{ ...service, description: 'another one' } as typeof service]);
  const changed = await fetch(`${url}/api/v1/services`, { headers: { 'if-none-match': before } });
  assert.equal(changed.status, 200);
});

test('every answer names its request, by the client’s name if that is sound', async () => {
  const plain = '/api/v1/features/online?entity=customer&id=7&features=count_1d';
  const ids = new Set<string | null>();
  for (const path of [plain, `${plain}&at=2024-03-01`, '/healthz', '/nowhere', '/metrics']) {
    for (const id of ['a-1', 'x'.repeat(200)]) {
      const named = await fetch(url + path, { headers: { 'x-request-id': id } });
      assert.equal(named.headers.get('x-request-id'), id, path);
      await named.text();
    }
    for (const id of ['x'.repeat(201), 'two words', undefined]) {
      const made = await fetch(url + path, { headers: id ? { 'x-request-id': id } : {} });
      ids.add(made.headers.get('x-request-id'));
      await made.text();
    }
  }
  assert.equal(ids.size, 15, 'made ids are never the same');
  for (const id of ids) assert.match(id!, /^r-[0-9a-z]+$/);
});

test('large bodies have leave to come together up to a bound, and give it back', () => {
  const slow: unknown[] = [];
  const bodies = new Bodies((request) => slow.push(request));
  const coming: any[] = [];
  const begin = (headers: object) => {
    const ends: (() => void)[] = [];
    const request = { headers, once: (_: string, end: () => void) => ends.push(end), ends };
    coming.push(request);
    bodies.begin(request as any);
  };
  const fit = MAX_BODIES_BYTES / MAX_BODY_BYTES;
  // Whoever does not say how much may bring as much as is allowed.
  for (let i = 0; i < fit; i++)
    begin(i % 2 ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(2 ** 40) });
  assert.throws(() => begin({ 'content-length': '70000' }), { code: 'serving/overloaded' });
  begin({ 'content-length': '1000' });
  begin({});
  for (const end of coming[0].ends) end();
  begin({ 'content-length': '70000' });
});

test('a body that is sent too slowly is ended, one that waits for us is not', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const slow: unknown[] = [];
  const bodies = new Bodies((request) => slow.push(request));
  const end = bodies.watch();
  const begin = (change: object = {}) => {
    const request = {
      headers: { 'transfer-encoding': 'chunked' },
      socket: { bytesRead: 1_000_000 },
      complete: false,
      readableLength: 0,
      once: () => {},
      ...change,
    };
    bodies.begin(request as any);
    return request;
  };
  const [drips, flows, waits, done] = [
    begin(),
    begin(),
    begin({ readableLength: 1 }),
    begin({ complete: true }),
  ];
  const slot = (dripped: number) => {
    drips.socket.bytesRead += dripped;
    flows.socket.bytesRead += BODY_SLOT_BYTES;
    t.mock.timers.tick(BODY_SLOT_MS);
  };
  slot(0);
  assert.deepEqual([...slow], [], 'it has had no whole slot yet');
  slot(BODY_SLOT_BYTES);
  assert.deepEqual([...slow], []);
  slot(BODY_SLOT_BYTES - 1);
  assert.deepEqual([...slow], [drips]);
  assert.ok(!slow.includes(waits) && !slow.includes(done));
  end();
});

test('a head that does not come to its end is refused, and a connection in use is not', async () => {
  const { server: http } = server.app;
  const before = http.headersTimeout;
  http.headersTimeout = 100;
  try {
    const kept = connect(port, '127.0.0.1');
    const ping = async () => {
      kept.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
      const [chunk] = await once(kept, 'data');
      return String(chunk).slice(0, 12);
    };
    assert.equal(await ping(), 'HTTP/1.1 200');
    // It is looked for every few seconds.
    const said = await exchange('GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ');
    assert.match(said, /^HTTP\/1\.1 408 .*serving\/request-timeout/s);
    assert.equal(await ping(), 'HTTP/1.1 200', 'which was silent for longer than a head may take');
    kept.destroy();
  } finally {
    http.headersTimeout = before;
  }
});

test('bytes of every kind leave the server as it was', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
        fc
          .string({ maxLength: 300 })
          .map((path) => `GET /api/v1/features/online?${path} HTTP/1.1\r\nhost: x\r\n\r\n`),
        fc
          .json()
          .map(
            (body) =>
              `POST ${VECTORS} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
          ),
      ),
      async (bytes) => {
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => {});
        socket.end(bytes);
        const said = Buffer.concat(await socket.toArray().catch(() => [])).toString();
        assert.doesNotMatch(said, /^HTTP\/1\.1 5/);
      },
    ),
    { numRuns: cases(200) },
  );
  assert.deepEqual(server.failures, []);
  assert.equal((await fetch(`${url}/readyz`)).status, 200);
});

test('a connection that was used often is made anew, at no cost to a request', async () => {
  const { server: http } = server.app;
  const most = http.maxRequestsPerSocket;
  http.maxRequestsPerSocket = 3;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const path = '/api/v1/features/online?entity=customer&id=7&features=count_1d';
  try {
    const seen = [];
    for (let i = 0; i < 7; i++) {
      const asking = ask(url + path, { agent }).end();
      const [response] = await once(asking, 'response');
      await response.toArray();
      seen.push([response.statusCode, response.headers.connection]);
    }
    const used = [200, 'keep-alive'];
    const last = [200, 'close'];
    assert.deepEqual(seen, [used, used, last, used, used, last, used]);
  } finally {
    agent.destroy();
    http.maxRequestsPerSocket = most;
  }
});
