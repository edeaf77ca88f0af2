/** REST over HTTP/2. */
import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
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
