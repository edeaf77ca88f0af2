/** HTTP/2 as nobody's library speaks it: what comes right behind a request may end it, or its connection. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { serverOver } from './support.ts';
import { DEFINITIONS, fill } from './world.ts';

/** Begun within a test, so that what nobody catches in it fails that test. */
async function listening(t: TestContext) {
  const { app, online } = await serverOver(DEFINITIONS);
  t.after(() => app.close());
  await fill(online);
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  return { app, port };
}

const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const END_HEADERS = 4;
const END_STREAM = 1;

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header as HPACK writes one that nobody has seen before. */
function header([name, value]: readonly [string, string]): Buffer {
  return Buffer.from(
    `\0${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`,
    'latin1',
  );
}

const PATHS = [
  '/samewise.v1.FeatureService/GetOnlineFeatures',
  '/grpc.health.v1.Health/Watch',
  '/api/v1/services/fraud/vectors',
  '/api/v1/services',
];

/** Opens a connection, asks, and sends `behind` in the same breath. */
async function ask(port: number, path: string, flags: number, behind: Buffer) {
  const headers = [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'x'],
    ['content-type', 'application/grpc'],
  ] as const;
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(
    Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame(SETTINGS, 0, 0, Buffer.alloc(0)),
      frame(HEADERS, flags | END_HEADERS, 1, Buffer.concat(headers.map(header))),
      behind,
    ]),
  );
  return socket;
}

type Server = Awaited<ReturnType<typeof serverOver>>['app'];

async function noConnections(app: Server): Promise<void> {
  const count = () =>
    new Promise<number>((resolve, reject) =>
      app.server.getConnections((error, connections) =>
        error === null ? resolve(connections) : reject(error),
      ),
    );
  while ((await count()) > 0) await pause(5);
}

const BROKEN = {
  'data of no stream': frame(DATA, 0, 0, Buffer.from('x')),
  'a window that grows by nothing': frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(4)),
  'settings of a stream': frame(SETTINGS, 0, 1, Buffer.alloc(6)),
  'no frame': Buffer.alloc(200, 255),
};

for (const [name, behind] of Object.entries(BROKEN))
  test(`a request with ${name} behind it ends its connection, and nothing else`, async (t) => {
    const { app, port } = await listening(t);
    for (const path of PATHS)
      for (const flags of [0, END_STREAM]) {
        const socket = await ask(port, path, flags, behind);
        socket.resume();
        await once(socket, 'close');
      }
    await noConnections(app);
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`, {
      headers: { connection: 'close' },
    });
    assert.equal(answer.status, 200);
  });

test('a request that is taken back at once, by a client that then goes, leaves nothing', async (t) => {
  const { app, port } = await listening(t);
  const taken = [frame(RST_STREAM, 0, 1, Buffer.alloc(4)), frame(GOAWAY, 0, 0, Buffer.alloc(8))];
  for (const path of PATHS)
    for (const behind of taken)
      for (const flags of [0, END_STREAM]) {
        const socket = await ask(port, path, flags, behind);
        // The server's settings: it has read what came.
        await once(socket, 'data');
        socket.end();
      }
  await noConnections(app);
});
