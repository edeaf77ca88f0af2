/** The very bytes that Feast's clients sent to Feast's feature server, sent to ours; what comes back is compared with what Feast said. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Listening } from '../../src/app/listening.ts';
import type { App } from '../../src/app/open.ts';
import { startServer } from '../../src/app/server.ts';
import { streamStatus } from '../../src/app/stream_status.ts';
import { parseExactJson } from '../../src/base/exact_json.ts';
import { python } from '../support/python.ts';
import { sharedData } from '../support/shared.ts';
import { type Project, project } from './project.ts';

const recorded = sharedData('feast/http');
const COLUMNS = ['i0', 'i1', 'i2', 'd0', 'd1', 'd2', 'd3', 's0', 's1', 'b0'];
const DTYPES = { i: 'int64', d: 'float64', s: 'string', b: 'bool' } as Record<string, string>;
const FEATURES = `
import {
  bool, entity, featureService, featureView, float32, float64, int32, int64, list, onDemandView, parquet, source, string, timestamp,
} from 'samewise';
const one = entity({ name: 'one', key: { entity_id: int64 } });
const push = source({
  name: 'push',
  columns: { entity_id: int64, at: timestamp, ${COLUMNS.map((name) => `${name}: ${DTYPES[name[0]!]}`)} },
  eventTime: 'at',
  batch: parquet('data/*.parquet'),
});
export const fv = featureView({
  name: 'fv', entity: one, source: push,
  features: ({ ${COLUMNS} }) => ({ ${COLUMNS} }),
});
export const sum = onDemandView({
  name: 'sum', request: { add: float64 }, uses: { fv },
  features: ({ request, fv }) => ({ more: fv.d0.add(request.add) }),
});
export const svc = featureService({ name: 'svc', features: [fv.pick('i2', 's0'), sum] });
const kindsSource = source({
  name: 'kinds_source',
  columns: {
    entity_id: int64, at: timestamp, small: int32, big: int64, half: float32, whole: float64, text: string, flag: bool,
    moment: timestamp, ints: list(int64), floats: list(float64), texts: list(string), flags: list(bool),
  },
  eventTime: 'at',
});
export const kinds = featureView({
  name: 'kinds', entity: one, source: kindsSource,
  features: ({ small, big, half, whole, text, flag, moment, ints, floats, texts, flags }) =>
    ({ small, big, half, whole, text, flag, moment, ints, floats, texts, flags }),
});
`;

/** Seen only once it is materialised. */
const HISTORY = `SELECT 31::BIGINT AS entity_id, TIMESTAMP '2025-03-01' AS "at", 7::BIGINT AS i0, 8::BIGINT AS i1,
  4611686018427387905 AS i2, 1.5::DOUBLE AS d0, 2::DOUBLE AS d1, 0.1::DOUBLE AS d2, NULL::DOUBLE AS d3,
  'gold' AS s0, 'é' AS s1, true AS b0`;

let made: Project;
let app: App;
let server: Listening;
before(async () => {
  made = await project(FEATURES, HISTORY);
  app = await made.open();
  server = await startServer(app, {
    host: '127.0.0.1',
    port: 0,
    version: '0',
    stream: true,
    onFailure: (error) => assert.fail(error as Error),
    onStreamFailure: (_, error) => assert.fail(error as Error),
    onSchemaChange: () => assert.fail(),
    health: {
      onMismatch: () => assert.fail(),
      onFailure: (_, error) => assert.fail(error as Error),
      onLevelFailure: (error) => assert.fail(error as Error),
    },
  });
});
after(async () => {
  await server.close();
  await app.close();
  made.remove();
});

interface Said {
  readonly status: string;
  readonly type: string | undefined;
  readonly length: string | undefined;
  readonly body: string;
}

/** Sends bytes as they are; the connection ends with the answer. */
async function exchange(raw: string): Promise<string> {
  const { port } = new URL(server.url);
  const socket = connect(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write(raw);
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text;
}

function said(raw: string): Said {
  const [head, body] = raw.split('\r\n\r\n') as [string, string];
  const [status, ...lines] = head.split('\r\n');
  const headers = new Map(
    lines.map((line) => {
      const [name, value] = line.split(': ') as [string, string];
      return [name.toLowerCase(), value];
    }),
  );
  return {
    status: status!,
    type: headers.get('content-type')?.split(';')[0],
    length: headers.get('content-length'),
    body,
  };
}

async function replay(name: string): Promise<{ ours: Said; feasts: Said }> {
  const { request, response } = JSON.parse(
    readFileSync(join(recorded.path, `${name}.json`), 'utf8'),
  );
  return { ours: said(await exchange(request.raw)), feasts: said(response.raw) };
}

async function post(path: string, body: unknown): Promise<{ status: number; body: any }> {
  const payload = typeof body === 'string' ? body : JSON.stringify(body);
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(server.url + path, { method: 'POST', headers, body: payload });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? null : JSON.parse(text) };
}

async function read(id: number): Promise<any> {
  const query = `entity=one&id=${id}&features=${COLUMNS.map((name) => `fv:${name}`)}`;
  const answer = await fetch(`${server.url}/api/v1/features/online?${query}`);
  return (parseExactJson(await answer.text()) as any).features;
}

async function rowsInLog(): Promise<bigint> {
  const [status] = await streamStatus(await app.streaming(), ['push']);
  return status!.partitions.reduce((sum, { next }) => sum + next, 0n);
}

test(
  'a push is answered as by Feast, and is read at once with all its digits',
  recorded,
  async () => {
    const { ours, feasts } = await replay('push_online');
    assert.deepEqual(ours, feasts);
    const first = {
      'fv:i0': 7,
      'fv:i1': 8,
      'fv:i2': 4611686018427387905n,
      'fv:d0': 1.5,
      'fv:d1': 2,
      'fv:d2': 0.1,
      'fv:d3': null,
      'fv:s0': 'gold',
      'fv:s1': 'm1',
      'fv:b0': true,
    };
    assert.deepEqual(await read(1), first);
    // Feast answers with the older row after this one; here the newest is by event time.
    const older = await replay('push_older_row');
    assert.deepEqual(older.ours, older.feasts);
    await replay('push_online');
    assert.deepEqual(await read(1), first);
  },
);

test('rows of a view go to its source', recorded, async () => {
  const { ours, feasts } = await replay('write_to_online_store');
  assert.deepEqual(ours, feasts);
  assert.equal((await read(2))['fv:i2'], 4611686018427387905n);
});

test('what Feast has no name for is refused in its words', recorded, async () => {
  for (const name of ['push_unknown_source', 'write_unknown_view']) {
    const { ours, feasts } = await replay(name);
    assert.deepEqual(ours, feasts, name);
  }
  // Feast answers 500, which its clients try again and again.
  const { ours, feasts } = await replay('push_bad_to');
  assert.equal(ours.status, 'HTTP/1.1 422 Unprocessable Entity');
  assert.equal(ours.body, feasts.body);
});

const NULLS = Object.fromEntries(COLUMNS.map((name) => [name, [null]]));
const KEYED = { ...NULLS, entity_id: [3], i0: [1] };
const ROW = { ...KEYED, event_timestamp: ['2025-03-01T00:00:00'] };

test('wherever it is to go, it is in the log once', async () => {
  for (const to of ['online', 'offline', 'online_and_offline', undefined]) {
    const before = await rowsInLog();
    const body = { push_source_name: 'push', df: ROW, to, allow_registry_cache: false, other: 1 };
    assert.deepEqual(await post('/push', body), { status: 200, body: null });
    assert.ok((await rowsInLog()) > before, String(to));
  }
  assert.equal((await read(3))['fv:i0'], 1);
});

test('the names of the event time and of when a row was created', async () => {
  const df = { ...KEYED, entity_id: [4], at: ['2025-03-01'], created_timestamp: ['x'] };
  assert.equal((await post('/push', { push_source_name: 'push', df })).status, 200);
  assert.equal((await read(4))['fv:i0'], 1);
  const both = { ...df, event_timestamp: ['2025-03-02'] };
  assert.equal((await post('/push', { push_source_name: 'push', df: both })).status, 404);
});

test('nothing of a frame with a mistake is taken, and the mistake is told', async () => {
  const before = await rowsInLog();
  const refused = async (df: unknown, status: number, what: RegExp) => {
    const answer = await post('/push', { push_source_name: 'push', df });
    assert.equal(answer.status, status, JSON.stringify(answer));
    const detail = typeof answer.body === 'string' ? JSON.parse(answer.body) : answer.body;
    if (typeof answer.body === 'string') {
      assert.deepEqual([detail.module, detail.class], ['feast.errors', 'FeastError']);
    }
    assert.match(JSON.stringify(detail), what);
  };
  await refused({ ...ROW, i0: ['seven'] }, 400, /types\/.*i0|i0.*types\//);
  await refused({ ...ROW, i0: [1, 2] }, 400, /has 1 values and df\.i0 has 2/);
  await refused({ ...ROW, i00: [1] }, 404, /did you mean .*i0/);
  await refused(KEYED, 400, /at is null/);
  await refused({ event_timestamp: ['2025-03-01'] }, 400, /stream\/missing-column/);
  await refused({ entity_id: 1 }, 422, /"loc":\["body","df","entity_id"\]/);
  await refused(undefined, 422, /"type":"missing","loc":\["body","df"\],"msg":"Field required"/);
  for (const name of ['__proto__', 'constructor', '']) {
    assert.equal((await post('/push', { push_source_name: name, df: ROW })).status, 422, name);
    assert.equal(
      (await post('/write-to-online-store', { feature_view_name: name, df: ROW })).status,
      404,
    );
  }
  assert.equal((await post('/push', '{"push_source_name": "push", "df": NaN}')).status, 400);
  const proto = JSON.stringify(ROW).replace('}', ',"__proto__":[1]}');
  const odd = await post('/push', `{"push_source_name":"push","df":${proto}}`);
  assert.equal(odd.status, 404);
  assert.equal(await rowsInLog(), before);
});

const { skip, path: interpreter } = await python('feast');

test('Feast’s own client writes and reads here', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'samewise-feast-'));
  const script = join(import.meta.dirname, 'feast_client.py');
  const client = spawn(interpreter, [script, server.url, folder], { stdio: 'inherit' });
  const [code] = await once(client, 'close');
  rmSync(folder, { recursive: true });
  assert.equal(code, 0);
  for (const id of [21, 22, 31]) {
    const { 'fv:i2': i2, 'fv:d3': d3, 'fv:s1': s1, 'fv:b0': b0 } = await read(id);
    assert.deepEqual({ i2, d3, s1, b0 }, { i2: 4611686018427387905n, d3: null, s1: 'é', b0: true });
  }
});
