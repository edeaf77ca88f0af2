/** The server as a process over LMDB and SQLite, spoken to over TCP as a client would. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseExactJson } from '../../src/serving/json.ts';
import { BIG } from './world.ts';

const folder = mkdtempSync(join(tmpdir(), 'samewise-serving-'));
let child: ChildProcess;
let port: number;
before(async () => {
  child = spawn(process.execPath, [join(import.meta.dirname, 'fixtures/server.ts'), folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [text] = (await once(child.stdout!, 'data')) as [Buffer];
  port = Number(text.toString());
});
after(async () => {
  if (child.exitCode === null) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

async function get(path: string) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, body: parseExactJson(await response.text()) as any };
}

test('features are read from the real stores', async () => {
  assert.equal((await get('/readyz')).status, 200);
  const { status, body } = await get(
    `/api/v1/features/online?entity=customer&id=${BIG}&features=last_ticket,profile:note&at=2024-03-10`,
  );
  assert.equal(status, 200);
  assert.deepEqual(body.features, { last_ticket: -BIG, 'profile:note': '日本' });
});

test('a vector with look-ups via features and request data', async () => {
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/services/fraud@1/vectors`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: `{"entities":[{"customer_id":${BIG},"amount":10}],"at":"2024-03-10"}`,
  });
  const body = parseExactJson(await response.text()) as any;
  assert.equal(response.status, 200);
  assert.equal(body.vectors[0].last_ticket, -BIG);
  assert.equal(body.vectors[0].home_city_mean, (20 + 0.1 + 5) / 3);
});

test('what is no HTTP, or too much of it, is refused in our form', async () => {
  const long = await get(
    `/api/v1/features/online?entity=customer&id=1&features=${'f,'.repeat(100_000)}`,
  );
  assert.deepEqual([long.status, long.body.error.code], [431, 'serving/header-too-large']);
  const socket = connect(port, '127.0.0.1');
  socket.end('nonsense\r\n\r\n');
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  assert.match(text, /^HTTP\/1\.1 400 /);
  assert.match(text, /"code":"serving\/bad-request"/);
});

test('it ends in order when asked to', async () => {
  await get('/healthz');
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
});
