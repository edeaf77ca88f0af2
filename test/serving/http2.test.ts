/** REST over HTTP/2. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { endSlow } from '../../src/serving/every_route.ts';
import { MAX_BODIES_BYTES, MAX_BODY_BYTES } from '../../src/serving/http_limits.ts';
import { serverOver } from './support.ts';
import { DEFINITIONS, fill } from './world.ts';

const VECTORS = '/api/v1/services/fraud/vectors';
const JSON_BODY = { 'content-type': 'application/json' };
const ENTITIES =
  '{"entities":[{"customer_id":7,"amount":1},{"customer_id":8,"amount":2}],"full":true}';

test('the same over HTTP/2 without TLS, on the same port', async () => {
  const server = await serverOver(DEFINITIONS);
  await fill(server.online);
  await server.app.listen({ port: 0, host: '127.0.0.1' });
  const url = `http://127.0.0.1:${(server.app.server.address() as AddressInfo).port}`;
  const session = connect(url);
  const over2 = (headers: Record<string, string>, body?: string) =>
    new Promise<{ headers: any; body: string }>((resolve, reject) => {
      const stream = session.request(headers);
      let answer: any;
      stream.once('response', (got) => (answer = got));
      stream.once('error', reject);
      stream.toArray().then((chunks) => {
        resolve({ headers: answer, body: Buffer.concat(chunks).toString() });
      }, reject);
      stream.end(body);
    });
  try {
    const paths = [
      '/api/v1/features/online?entity=customer&id=7&features=count_1d,profile:note',
      '/api/v1/services',
      '/nowhere',
    ];
    const headers = { 'x-request-id': 'one' };
    for (const path of paths) {
      const one = await fetch(url + path, { headers });
      const two = await over2({ ':path': path, ...headers });
      assert.deepEqual(
        [two.headers[':status'], two.headers['x-request-id'], two.body],
        [one.status, 'one', await one.text()],
      );
    }
    const vectors = await over2({ ':method': 'POST', ':path': VECTORS, ...JSON_BODY }, ENTITIES);
    const posted = await fetch(url + VECTORS, {
      method: 'POST',
      body: ENTITIES,
      headers: JSON_BODY,
    });
    assert.equal(vectors.body, await posted.text());
    const large = await over2(
      { ':method': 'POST', ':path': VECTORS, ...JSON_BODY },
      ' '.repeat(100),
    );
    assert.equal(large.headers[':status'], 400);
  } finally {
    session.close();
    await server.app.close();
  }
});

test('bodies that say no length are counted, whatever the version of HTTP', async () => {
  const { app } = await serverOver(DEFINITIONS);
  await app.listen({ port: 0, host: '127.0.0.1' });
  const session = connect(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`);
  const ask = () => {
    const stream = session.request({ ':method': 'POST', ':path': VECTORS, ...JSON_BODY });
    stream.on('error', () => {});
    stream.write('{');
    return stream;
  };
  const held = Array.from({ length: MAX_BODIES_BYTES / MAX_BODY_BYTES }, ask);
  try {
    const beyond = ask();
    const status = await new Promise((resolve) => {
      beyond.once('response', (head) => resolve(head[':status']));
      // Nothing is ever said to one that may go on sending.
      beyond.setTimeout(2_000, () => resolve('it may go on'));
    });
    assert.equal(status, 429);
    held[0]!.close();
    await once(held[0]!, 'close');
    const answered = async () => {
      const stream = ask();
      stream.end('"entities":[{"customer_id":7,"amount":1}]}');
      const [head] = await once(stream, 'response');
      return head[':status'];
    };
    while ((await answered()) !== 200);
  } finally {
    for (const stream of held) stream.destroy();
    session.destroy();
    await app.close();
  }
});

test('a sender that is too slow is ended over HTTP/2, too, and its connection goes on', async () => {
  const server = createServer((request, response) => {
    if (request.url === '/slow') endSlow(request as unknown as IncomingMessage);
    else response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    const slow = session.request({ ':method': 'POST', ':path': '/slow' });
    slow.on('error', () => {});
    slow.write('{');
    await new Promise((resolve) => slow.once('close', resolve));
    const [head] = await once(session.request({ ':path': '/next' }), 'response');
    assert.equal(head[':status'], 200);
  } finally {
    session.destroy();
    server.close();
  }
});
