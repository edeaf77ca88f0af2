import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { schemaRegistry } from '../../src/stream/decode/index.ts';

type Answer = readonly [status: number, body: unknown] | null;

const open: (() => void)[] = [];
after(() => {
  for (const close of open) close();
});

/** A server that answers in turn, the last answer for ever; null: it hangs up. */
async function serving(answer: (path: string, count: number) => Answer) {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    asked.push(request);
    const given = answer(request.url!, asked.length);
    if (given === null) return response.destroy();
    response.statusCode = given[0];
    response.end(typeof given[1] === 'string' ? given[1] : JSON.stringify(given[1]));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://us%40er:p%3Aw@127.0.0.1:${(server.address() as AddressInfo).port}/apis/v7/`;
  return { url, asked };
}

/** The URL of a server that is no more. */
async function closed(): Promise<string> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return `http://127.0.0.1:${port}`;
}

const jitter = () => 0;

test('a schema is asked for once, with what it refers to, in order, as the user that the URL names', async () => {
  const subjects: Record<string, object> = {
    a: { schema: 'A', references: [{ name: 'b.proto', subject: 'b c', version: 3 }] },
    'b%20c': { schema: 'B' },
  };
  const { url, asked } = await serving((path) => {
    const subject = /\/subjects\/([^/]+)\/versions\/\d+$/.exec(path)?.[1];
    if (subject !== undefined) return [200, subjects[subject]];
    return [
      200,
      {
        schemaType: 'PROTOBUF',
        schema: 'S',
        references: [
          { name: 'a.proto', subject: 'a', version: 1 },
          { name: 'b.proto', subject: 'b c', version: 3 },
        ],
      },
    ];
  });
  const registry = schemaRegistry(url, { jitter });
  const [schema] = await Promise.all([registry.schema(7), registry.schema(7)]);
  assert.deepEqual(schema, {
    id: 7,
    type: 'PROTOBUF',
    text: 'S',
    references: [
      { name: 'b.proto', text: 'B' },
      { name: 'a.proto', text: 'A' },
    ],
  });
  await registry.schema(7);
  assert.deepEqual(
    asked.map((request) => request.url),
    [
      '/apis/v7/schemas/ids/7',
      '/apis/v7/subjects/a/versions/1',
      '/apis/v7/subjects/b%20c/versions/3',
    ],
  );
  assert.equal(asked[0]!.headers.authorization, `Basic ${btoa('us@er:p:w')}`);
});

test('what fails for a moment is asked again; what is not there is null, and asked again later', async () => {
  const { url, asked } = await serving((_, count) => {
    if (count === 1) return null;
    if (count === 2) return [503, ''];
    if (count === 3) return [200, '<html>'];
    return count === 5 ? [404, { error_code: 40403 }] : [200, { schema: '"long"' }];
  });
  const registry = schemaRegistry(url, { jitter });
  assert.deepEqual(await registry.schema(1), {
    id: 1,
    type: 'AVRO',
    text: '"long"',
    references: [],
  });
  assert.equal(asked.length, 4);
  assert.equal(await registry.schema(2), null);
  assert.equal((await registry.schema(2))?.text, '"long"');
});

test('a registry that stays away, hangs or refuses is unavailable within its time', async () => {
  const down = await serving(() => [500, '']);
  const refusing = await serving(() => [401, '']);
  const hanging = createServer(() => {});
  hanging.listen(0, '127.0.0.1');
  await once(hanging, 'listening');
  open.push(() => {
    hanging.closeAllConnections();
    hanging.close();
  });
  const url = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}`;
  for (const [at, message] of [
    [down.url, /answers 500/],
    [refusing.url, /answers 401/],
    [url, /./],
    [await closed(), /ECONNREFUSED/],
  ] as const) {
    const registry = schemaRegistry(at, { jitter, deadlineMs: 1500 });
    await assert.rejects(registry.schema(1), { code: 'stream/registry-unavailable', message });
  }
  assert.equal(refusing.asked.length, 1);
  let isUp = false;
  const recovering = await serving(() => (isUp ? [200, { schema: '{}' }] : [500, '']));
  const registry = schemaRegistry(recovering.url, { jitter, deadlineMs: 1500 });
  await assert.rejects(registry.schema(1), { code: 'stream/registry-unavailable' });
  isUp = true;
  assert.equal((await registry.schema(1))?.text, '{}');
});
