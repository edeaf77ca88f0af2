/** Training over HTTP, on a real server over a real project: what comes back is what the offline store writes. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Float64,
  Int64,
  Table,
  TimestampMicrosecond,
  tableFromIPC,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import { ask } from '../../src/app/ask.ts';
import type { Listening } from '../../src/app/listening.ts';
import type { App } from '../../src/app/open.ts';
import { startServer } from '../../src/app/server.ts';
import { type Project, paymentsProject } from './project.ts';

const ARROW = 'application/vnd.apache.arrow.stream';
const FEATURES = 'spending:n,spending:mean,latest:amount';
const ROWS = 500;
const START_MS = Date.UTC(2024, 0, 1);

let made: Project;
let app: App;
let server: Listening;
before(async () => {
  made = await paymentsProject(2000, 20);
  app = await made.open();
  server = await startServer(app, {
    host: '127.0.0.1',
    port: 0,
    version: '0',
    stream: false,
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

const LABELS = new Table({
  customer_id: vectorFromArray(
    Array.from({ length: ROWS }, (_, i) => BigInt((i * 31) % 25)),
    new Int64(),
  ),
  at: vectorFromArray(
    Array.from({ length: ROWS }, (_, i) => START_MS + ((i * 7_919_000) % 2_000_000)),
    new TimestampMicrosecond(),
  ),
  label: vectorFromArray(
    Array.from({ length: ROWS }, (_, i) => i / 3),
    new Float64(),
  ),
  note: vectorFromArray(
    Array.from({ length: ROWS }, (_, i) => (i % 5 === 0 ? null : `nº ${i}`)),
    new Utf8(),
  ),
});

const outputs = () => join(app.config.stateDir, 'output');

function post(
  query: string,
  type: string,
  body: Uint8Array<ArrayBuffer> | string,
): Promise<Response> {
  return fetch(`${server.url}/api/v1/training?${query}`, {
    method: 'POST',
    headers: { 'content-type': type },
    body,
  });
}

async function refusal(answer: Response): Promise<{ code: string }> {
  return ((await answer.json()) as { error: { code: string } }).error;
}

function rowsOf(table: Table): unknown[] {
  return table.toArray().map((row) => row.toJSON());
}

test('an Arrow stream comes back with features: the bytes that the offline store writes', async () => {
  const answer = await post(
    `features=${FEATURES}&at_column=at&id=first-training`,
    ARROW,
    tableToIPC(LABELS, 'stream') as Uint8Array<ArrayBuffer>,
  );
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-type'), ARROW);
  assert.equal(answer.headers.get('x-samewise-rows'), String(ROWS));
  assert.equal(answer.headers.get('x-samewise-features'), '3');
  const bytes = new Uint8Array(await answer.arrayBuffer());
  assert.equal(answer.headers.get('content-length'), String(bytes.length));
  const table = tableFromIPC(bytes);
  assert.equal(table.numRows, ROWS);
  assert.deepEqual(
    table.schema.fields.map(({ name }) => name),
    ['customer_id', 'at', 'label', 'note', 'n', 'mean', 'amount'],
  );
  assert.deepEqual([...table.getChild('note')!], [...LABELS.getChild('note')!]);

  const direct = await app.offline.train({
    ...ask(await app.registry.load(), FEATURES),
    labels: {
      type: 'parquet',
      path: join(outputs(), 'training-first-training.arrow.labels.parquet'),
      hivePartitioned: false,
    },
    timeColumn: 'at',
    through: false,
    knowledge: 'final',
    output: { format: 'arrow', path: join(made.folder, 'direct.arrow') },
  });
  assert.ok(readFileSync(direct.path).includes(bytes), 'the file holds the stream');

  const manifest = answer.headers.get('x-samewise-manifest')!;
  assert.equal(manifest, 'training-first-training.arrow.manifest.json');
  assert.ok(!existsSync(join(outputs(), 'training-first-training.arrow')), 'only what rebuilds it');
  const rebuilt = await app.offline.rebuild(
    join(outputs(), manifest),
    join(made.folder, 'r.arrow'),
  );
  assert.deepEqual(rebuilt.warnings, []);
  assert.deepEqual(readFileSync(rebuilt.path), readFileSync(direct.path));

  const again = await post(
    'features=spending:n&at_column=at&id=first-training',
    ARROW,
    new Uint8Array(8),
  );
  assert.deepEqual([again.status, (await refusal(again)).code], [409, 'serving/name-taken']);
});

test('CSV, lines of JSON and Parquet give the same features', async () => {
  const rows = [
    { customer_id: 7, at: '2024-01-01T00:20:00Z' },
    { customer_id: 404, at: '2024-01-01T00:20:00Z' },
  ];
  const query = `features=${FEATURES}&at_column=at&through=true`;
  const csv = ['customer_id,at', ...rows.map(({ customer_id, at }) => `${customer_id},${at}`)].join(
    '\n',
  );
  const lines = rows.map((row) => JSON.stringify(row)).join('\n');
  const answers = [
    await post(query, 'text/csv; charset=utf-8', csv),
    await post(query, 'application/x-ndjson', lines),
  ];
  const kept = readdirSync(outputs()).find((file) => file.endsWith('.labels.csv'))!;
  const parquet = readFileSync(join(outputs(), 'training-first-training.arrow.labels.parquet'));
  assert.ok(kept);
  const [one, other] = await Promise.all(
    answers.map(async (answer) => rowsOf(tableFromIPC(new Uint8Array(await answer.arrayBuffer())))),
  );
  assert.deepEqual(one, other);
  assert.equal(one!.length, 2);
  const whole = await post(
    `features=${FEATURES}&at_column=at`,
    'application/vnd.apache.parquet',
    parquet,
  );
  assert.equal(tableFromIPC(new Uint8Array(await whole.arrayBuffer())).numRows, ROWS);
});

test('full names tell features of one name apart', async () => {
  const query = 'features=spending:mean,latest:amount&full_names=true&at_column=at';
  const answer = await post(query, 'text/csv', 'customer_id,at\n7,2024-01-01T00:20:00Z');
  const table = tableFromIPC(new Uint8Array(await answer.arrayBuffer()));
  assert.deepEqual(
    table.schema.fields.slice(2).map(({ name }) => name),
    ['spending__mean', 'latest__amount'],
  );
});

test('what is wrong is said with a code, and leaves nothing behind', async () => {
  const before = readdirSync(outputs()).toSorted();
  const refused = async (
    query: string,
    type: string,
    body: string,
    status: number,
    code: string,
  ) => {
    const answer = await post(query, type, body);
    assert.deepEqual([answer.status, (await refusal(answer)).code], [status, code], query);
  };
  const csv = 'customer_id,at\n7,2024-01-01T00:20:00Z';
  await refused('service=nothing&at_column=at', 'text/csv', csv, 404, 'serving/unknown-service');
  await refused('at_column=at', 'text/csv', csv, 400, 'serving/bad-field');
  await refused('service=a&features=b:c&at_column=at', 'text/csv', csv, 400, 'serving/bad-field');
  await refused('features=n&at_column=at', 'text/csv', csv, 400, 'model/bad-ref');
  await refused('features=spending:m&at_column=at', 'text/csv', csv, 404, 'model/unknown-feature');
  await refused('features=spending:n', 'text/csv', csv, 400, 'serving/missing-field');
  await refused('features=spending:n&at_column=t', 'text/csv', csv, 400, 'offline/bad-labels');
  await refused('features=spending:n&at_column=at', ARROW, csv, 400, 'offline/bad-labels');
  await refused(
    'features=spending:n&at_column=at',
    'text/plain',
    csv,
    415,
    'serving/unsupported-media-type',
  );
  await refused(
    'features=spending:n&at_column=at&id=a%2Fb%2F..%2Fc',
    'text/csv',
    csv,
    400,
    'serving/bad-field',
  );
  assert.deepEqual(readdirSync(outputs()).toSorted(), before);
});

test('progress is told while labels come; who hangs up stops the work', async () => {
  const before = readdirSync(outputs()).toSorted();
  const upload = request(
    `${server.url}/api/v1/training?features=spending:n&at_column=at&id=hangs-up-1`,
    { method: 'POST', headers: { 'content-type': 'text/csv' } },
  );
  upload.on('error', () => {});
  upload.write('customer_id,at\n7,2024-01-01T00:20:00Z\n');
  const progress = async () => {
    const answer = await fetch(`${server.url}/api/v1/training/hangs-up-1`);
    return [answer.status, (await answer.json()) as any] as const;
  };
  const until = async (done: (status: number, body: any) => boolean) => {
    while (!done(...(await progress()))) await sleep(5);
  };
  await until((status, body) => status === 200 && body.done === 38);
  assert.deepEqual((await progress())[1], { phase: 'receive', done: 38, total: null });
  upload.destroy();
  await until((status) => status === 404);
  assert.equal((await progress())[1].error.code, 'serving/unknown-training');
  assert.deepEqual(readdirSync(outputs()).toSorted(), before);
});

test('more at once than can be made are told to come again', async () => {
  const uploads = Array.from({ length: 4 }, (_, i) => {
    const body = new Readable({ read() {} });
    body.push('customer_id,at\n7,2024-01-01T00:20:00Z\n');
    return {
      body,
      answer: fetch(
        `${server.url}/api/v1/training?features=spending:n&at_column=at&id=at-once-${i}`,
        {
          method: 'POST',
          headers: { 'content-type': 'text/csv' },
          body: Readable.toWeb(body),
          duplex: 'half',
        } as RequestInit,
      ),
    };
  });
  for (let i = 0; i < uploads.length; i++)
    while ((await fetch(`${server.url}/api/v1/training/at-once-${i}`)).status !== 200)
      await sleep(5);
  const late = await post('features=spending:n&at_column=at', 'text/csv', 'customer_id,at\n');
  assert.deepEqual([late.status, (await refusal(late)).code], [429, 'serving/overloaded']);
  assert.equal(late.headers.get('retry-after'), '1');
  for (const { body, answer } of uploads) {
    body.push(null);
    const { status, headers } = await answer;
    assert.deepEqual([status, headers.get('x-samewise-rows')], [200, '1']);
  }
});
