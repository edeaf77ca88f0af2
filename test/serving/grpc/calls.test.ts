/** Deadlines, overload, cancelled calls, streams that nobody reads, the end of a server, training sets. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { create, fromBinary, fromJsonString, toBinary, toJsonString } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { tableFromArrays, tableFromIPC, tableToIPC } from 'apache-arrow';
import type { OfflineStore, TrainingRequest } from '../../../src/offline/contract.ts';
import {
  ErrorInfoSchema,
  RetryInfoSchema,
} from '../../../src/serving/grpc/gen/google/rpc/error_details_pb.ts';
import {
  GetOnlineFeaturesRequestSchema,
  GetOnlineFeaturesResponseSchema,
  StreamOnlineFeaturesRequestSchema,
} from '../../../src/serving/grpc/gen/samewise/v1/features_pb.ts';
import { TrainingService } from '../../../src/serving/grpc/gen/samewise/v1/training_pb.ts';
import { Status } from '../../../src/serving/grpc/gen/samewise/v1/values_pb.ts';
import { serverOver } from '../support.ts';
import { DEFINITIONS, fill } from '../world.ts';
import { enveloped, open, PATH, rawCall, STREAM_PATH } from './raw.ts';
import { featureClient } from './support.ts';

/** Asks `fraud` about so many customers. */
const ask = (customers: number) => ({
  what: { case: 'service', value: 'fraud' } as const,
  entities: [
    { name: 'customer_id', longs: Array.from({ length: customers }, (_, i) => BigInt(i)) },
    { name: 'amount', doubles: new Array<number>(customers).fill(1) },
  ],
});
const message = (customers: number) => create(GetOnlineFeaturesRequestSchema, ask(customers));

/** A server whose online store answers nothing from the moment that it is `held` until it is `released`. */
async function holdableServer() {
  const server = await serverOver(DEFINITIONS);
  await fill(server.online);
  const url = await server.app.listen({ port: 0, host: '127.0.0.1' });
  const { heads } = server.online;
  let gate = Promise.resolve();
  let waiting = 0;
  server.online.heads = async (keys) => {
    waiting++;
    await gate;
    waiting--;
    return heads.call(server.online, keys);
  };
  return {
    ...server,
    url,
    waiting: () => waiting,
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
  };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await pause(5);
}

test('a deadline that passes makes the answer partial, not an error', async () => {
  const server = await holdableServer();
  const release = server.hold();
  const session = connect(server.url);
  const request = message(2);
  const timeout = { 'grpc-timeout': '300m' };
  const plain = await rawCall(
    session,
    PATH,
    enveloped(toBinary(GetOnlineFeaturesRequestSchema, request)),
    timeout,
  );
  const json = toJsonString(GetOnlineFeaturesRequestSchema, request);
  const framed = await rawCall(session, PATH, enveloped(Buffer.from(json)), {
    ...timeout,
    'content-type': 'application/grpc+json',
  });
  release();
  for (const { status } of [plain, framed]) assert.equal(status, 0);
  for (const answer of [
    fromBinary(GetOnlineFeaturesResponseSchema, plain.body.subarray(5)),
    fromJsonString(GetOnlineFeaturesResponseSchema, framed.body.subarray(5).toString()),
  ]) {
    assert.equal(answer.partial, true);
    const [count] = answer.columns;
    assert.deepEqual(count!.statuses, [Status.TIMED_OUT]);
    assert.deepEqual([...count!.nulls], [0b11]);
  }
  session.close();
  await server.app.close();
});

test('too much at once is refused, with when to try again', async () => {
  const server = await holdableServer();
  const release = server.hold();
  const client = featureClient(createGrpcTransport({ baseUrl: server.url }));
  const calls = Array.from({ length: 8 }, () => client.getOnlineFeatures(ask(5_000)));
  const reason = await Promise.any(
    calls.map((call) =>
      call.then(
        () => Promise.reject(),
        (error: unknown) => error,
      ),
    ),
  );
  release();
  assert.ok(reason instanceof ConnectError);
  assert.equal(reason.code, Code.ResourceExhausted);
  assert.equal(reason.findDetails(ErrorInfoSchema)[0]!.reason, 'serving/overloaded');
  assert.equal(reason.findDetails(RetryInfoSchema)[0]!.retryDelay!.seconds, 1n);
  const ended = await Promise.allSettled(calls);
  const answered = ended.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  assert.ok(answered.length > 0 && answered.length < calls.length);
  for (const { rows, partial } of answered) assert.deepEqual([rows, partial], [5_000, false]);
  const many = await client.getOnlineFeatures(ask(5_001)).catch((error) => error);
  assert.equal(many.code, Code.InvalidArgument);
  assert.equal(many.findDetails(ErrorInfoSchema)[0].reason, 'serving/too-many-entities');
  await server.app.close();
});

test('a stream that is cancelled stops the work for it', async () => {
  const server = await holdableServer();
  const client = featureClient(createGrpcTransport({ baseUrl: server.url }));
  const cancel = new AbortController();
  const seen: number[] = [];
  const reading = (async () => {
    const stream = client.streamOnlineFeatures({ request: ask(20_000) }, { signal: cancel.signal });
    for await (const { response } of stream) {
      seen.push(response!.rows);
      cancel.abort();
    }
  })();
  await assert.rejects(reading, { code: Code.Canceled });
  await until(() => server.waiting() === 0);
  const { roundTrips } = server.online;
  assert.ok(seen.length < 20);
  await pause(50);
  assert.ok(server.online.roundTrips - roundTrips <= 2, 'at most what was under way is read on');
  await server.app.close();
});

test('a stream is read no faster than its client takes it', async () => {
  const server = await holdableServer();
  const rows = 30_000;
  const session = connect(server.url, { settings: { initialWindowSize: 1 << 14 } });
  const stream = open(session, STREAM_PATH);
  stream.pause();
  const request = create(StreamOnlineFeaturesRequestSchema, { request: ask(rows) });
  stream.end(enveloped(toBinary(StreamOnlineFeaturesRequestSchema, request)));
  await once(stream, 'response');
  let before = -1;
  while (server.online.roundTrips !== before) {
    before = server.online.roundTrips;
    await pause(200);
  }
  assert.ok(before < 20, `${before} round trips for a client that reads nothing`);
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  stream.resume();
  const [trailers] = await once(stream, 'trailers');
  assert.equal(trailers['grpc-status'], '0');
  assert.ok(bytes > 8 * rows);
  session.close();
  await server.app.close();
});

test('a server that ends lets calls finish, and ends connections that only wait', async () => {
  const server = await holdableServer();
  const client = featureClient(createGrpcTransport({ baseUrl: server.url }));
  const release = server.hold();
  const call = client.getOnlineFeatures(ask(3));
  await until(() => server.waiting() === 1);
  const closed = server.app.close();
  release();
  assert.equal((await call).rows, 3);
  await closed;
});

test('labels go in as an Arrow stream, the training set comes out as one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'samewise-grpc-'));
  const trained: TrainingRequest[] = [];
  const offline = {
    async train(request: TrainingRequest) {
      trained.push(request);
      const { path } = request.labels as { path: string };
      const labels = tableFromIPC(await readFile(path));
      // What is read of an Arrow file: a stream between its marks.
      const file = [Buffer.from('ARROW1\0\0'), tableToIPC(labels, 'stream'), Buffer.alloc(4)];
      await writeFile(request.output.path, Buffer.concat([...file, Buffer.from('ARROW1')]));
      await writeFile(`${request.output.path}.manifest.json`, '{}');
      await copyFile(path, `${path}.parquet`);
      return {
        rows: labels.numRows,
        bytes: 0,
        path: request.output.path,
        manifestPath: `${request.output.path}.manifest.json`,
        scannedRows: {},
        warnings: ['look out'],
      };
    },
  } as unknown as OfflineStore;
  const server = await serverOver(DEFINITIONS, { offline, outputDir: folder });
  const url = await server.app.listen({ port: 0, host: '127.0.0.1' });
  const client = createClient(TrainingService, createGrpcTransport({ baseUrl: url }));
  const labels = tableToIPC(
    tableFromArrays({ customer_id: BigInt64Array.from({ length: 30_000 }, (_, i) => BigInt(i)) }),
    'stream',
  );
  async function* pieces() {
    yield {
      options: { what: { case: 'service', value: 'fraud' } as const, atColumn: 'at' },
      labels: labels.subarray(0, 7),
    };
    for (let at = 7; at < labels.length; at += 10_000)
      yield { labels: labels.subarray(at, at + 10_000) };
  }
  const rows: Uint8Array[] = [];
  for await (const piece of client.getTrainingSet(pieces())) {
    if (piece.trainingSet !== undefined) {
      assert.equal(piece.trainingSet.rows, 30_000n);
      assert.deepEqual(piece.trainingSet.warnings, ['look out']);
      assert.match(piece.trainingSet.manifest, /manifest\.json$/);
    }
    rows.push(piece.rows);
  }
  assert.ok(tableFromIPC(Buffer.concat(rows)).toArray().length === 30_000);
  assert.equal(trained[0]!.timeColumn, 'at');
  assert.equal(trained[0]!.knowledge, 'final');
  async function* nothing() {
    yield { labels };
  }
  await assert.rejects(
    async () => {
      for await (const _ of client.getTrainingSet(nothing()));
    },
    (error: ConnectError) =>
      error.findDetails(ErrorInfoSchema)[0]!.reason === 'serving/missing-field',
  );
  await server.app.close();
  await rm(folder, { recursive: true });
});
