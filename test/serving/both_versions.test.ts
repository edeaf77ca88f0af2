/** One port, two versions of HTTP, whatever the first bytes come like. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { bothVersions } from '../../src/serving/both_versions.ts';

const SILENT_MS = 500;
let server: Server;
let port: number;
let both: ReturnType<typeof bothVersions>;

before(async () => {
  const answer = (request: any, response: any) => {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    request.on('end', () => response.end(`${request.httpVersion} ${bytes}`));
  };
  server = createServer(answer);
  both = bothVersions(server, createHttp2Server(answer), SILENT_MS);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
after(async () => {
  const silent = connect(port);
  silent.on('error', () => {});
  await once(silent, 'connect');
  const ends = [once(silent, 'close'), once(server, 'close')];
  both.close();
  server.close();
  server.closeIdleConnections();
  await Promise.all(ends);
});

/** What comes back on a connection until it is closed. */
async function allOf(socket: Socket): Promise<string> {
  let text = '';
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  await once(socket, 'close');
  return text;
}

test('HTTP/1.1 and HTTP/2, with bodies, several requests a connection', async () => {
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; i < 3; i++) {
    const answer = await fetch(url, { method: 'POST', body: 'x'.repeat(100_000) });
    assert.equal(await answer.text(), '1.1 100000');
  }
  const session = connectHttp2(url);
  for (let i = 0; i < 3; i++) {
    const stream = session.request({ ':method': 'POST' });
    stream.end(Buffer.alloc(100_000));
    const [chunk] = await once(stream, 'data');
    assert.equal(chunk.toString(), '2.0 100000');
  }
  session.close();
  await once(session, 'close');
});

test('first bytes that come one by one', async () => {
  for (const method of ['GET', 'PUT', 'POST', 'PRIX']) {
    const socket = connect(port);
    const answer = allOf(socket);
    // What is no method is refused at once, and whoever goes on writing finds the connection closed.
    const rest = method === 'PRIX' ? '' : ' / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n';
    for (const char of method + rest) {
      socket.write(char);
      await pause(1);
    }
    assert.match(await answer, method === 'PRIX' ? /^HTTP\/1.1 400/ : /1\.1 0/);
  }
  const socket = connect(port);
  for (const char of 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') {
    socket.write(char);
    await pause(1);
  }
  const [settings] = await once(socket, 'data');
  assert.equal(settings[3], 4, 'the server begins with its settings');
  socket.destroy();
});

test('who says nothing, or stops in the preface, is closed', async () => {
  for (const begun of ['', 'PRI * HTTP/2.0\r\n\r\nS']) {
    const socket = connect(port);
    socket.write(begun);
    assert.equal(await allOf(socket), '');
  }
});
