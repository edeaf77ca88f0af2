/** Messages that no client should send: no crash, no failure behind a refusal, no memory for what is only announced. */
import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { after, before, test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import {
  GetOnlineFeaturesRequestSchema,
  GetOnlineFeaturesResponseSchema,
} from '../../../src/serving/grpc/gen/samewise/v1/features_pb.ts';
import { cases } from '../../support/cases.ts';
import { conformance } from '../conformance/cases.ts';
import { conformanceServer } from '../conformance/world.ts';
import { enveloped, PATH, rawCall, STREAM_PATH } from './raw.ts';
import { columnsOf } from './support.ts';

const { cases: sound, types } = conformance();

let server: Awaited<ReturnType<typeof conformanceServer>>;
let session: ReturnType<typeof connect>;
let url: string;
before(async () => {
  server = await conformanceServer();
  url = await server.app.listen({ port: 0, host: '127.0.0.1' });
  session = connect(url, { maxSessionMemory: 100 });
});
after(async () => {
  session.destroy();
  await server.app.close();
});

const call = (path: string, body: Uint8Array, headers?: Record<string, string>) =>
  rawCall(session, path, body, headers);

const messages = sound.map(({ service, request }) =>
  toBinary(
    GetOnlineFeaturesRequestSchema,
    create(GetOnlineFeaturesRequestSchema, {
      what: { case: 'service', value: service },
      entities: columnsOf(
        request.entities.slice(0, 5),
        types[service.split('@')[0]!]?.inputs ?? {},
      ),
      eventTimes: true,
    }),
  ),
);

/** 3: INVALID_ARGUMENT, 5: NOT_FOUND, 8: RESOURCE_EXHAUSTED. */
const REFUSALS = [3, 5, 8];

/** The server may understand it or refuse it; it may not fail. */
async function checkMessage(message: Uint8Array): Promise<void> {
  const plain = await call(PATH, enveloped(message));
  assert.ok([0, ...REFUSALS].includes(plain.status), `status ${plain.status}`);
  if (plain.status === 0) fromBinary(GetOnlineFeaturesResponseSchema, plain.body.subarray(5));
  // JSON's content type sends the same bytes the framework's way, to be refused there.
  const framed = await call(PATH, enveloped(message), { 'content-type': 'application/grpc+json' });
  assert.ok([0, 2, ...REFUSALS].includes(framed.status), `status ${framed.status}`);
  assert.deepEqual(server.failures, []);
}

const someMessage = fc.constantFrom(...messages);

test('random bytes', async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), checkMessage), {
    numRuns: cases(150),
  });
});

test('messages with flipped bits, cut off, or with a piece of another', async () => {
  const broken = fc.oneof(
    fc
      .record({
        message: someMessage,
        bits: fc.array(fc.nat(1 << 16), { minLength: 1, maxLength: 4 }),
      })
      .map(({ message, bits }) => {
        const copy = message.slice();
        for (const bit of bits) copy[(bit >> 3) % copy.length]! ^= 1 << (bit & 7);
        return copy;
      }),
    fc
      .record({ message: someMessage, at: fc.nat() })
      .map(({ message, at }) => message.subarray(0, at % message.length)),
    fc
      .record({ a: someMessage, b: someMessage, at: fc.nat() })
      .map(({ a, b, at }) =>
        Buffer.concat([a.subarray(0, at % a.length), b.subarray(at % b.length)]),
      ),
  );
  await fc.assert(fc.asyncProperty(broken, checkMessage), { numRuns: cases(300) });
});

test('any bytes as the body, whatever they announce', async () => {
  const lying = fc.record({
    message: fc.oneof(someMessage, fc.uint8Array({ maxLength: 50 })),
    length: fc.oneof(fc.nat(300), fc.constantFrom(0xffffffff, 0x7fffffff, 1 << 24, (1 << 24) + 1)),
    flags: fc.constantFrom(0, 1, 2, 0x80, 0xff),
  });
  await fc.assert(
    fc.asyncProperty(
      lying,
      fc.constantFrom(PATH, STREAM_PATH),
      async ({ message, length, flags }, path) => {
        const { status } = await call(path, enveloped(message, length, flags));
        // 12 and 13 are what the framework says of a broken protocol.
        assert.ok([0, 12, 13, ...REFUSALS].includes(status), `status ${status}`);
        assert.deepEqual(server.failures, []);
      },
    ),
    { numRuns: cases(150) },
  );
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 20 }), async (body) => {
      const { status } = await call(PATH, body);
      assert.ok(status !== 0 || body.length >= 5);
    }),
    { numRuns: cases(50) },
  );
});

test('what is nested without end is refused', async () => {
  // A column of items of items, each level a length and one byte of a tag.
  let message: Uint8Array = new Uint8Array(0);
  const levels: Uint8Array[] = [];
  for (let level = 0, length = 0; level < 20_000; level++) {
    const head = lengthDelimited(13, length);
    levels.push(head);
    length += head.length;
  }
  message = Buffer.concat([...levels].reverse());
  const entities = Buffer.concat([lengthDelimited(3, message.length), message]);
  const { status } = await call(PATH, enveloped(entities));
  assert.equal(status, 3);
  assert.deepEqual(server.failures, []);
});

function lengthDelimited(field: number, length: number): Uint8Array {
  const bytes = [(field << 3) | 2];
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

test('a message that is too long is refused, and no memory is kept for one that is announced', async () => {
  const before = process.memoryUsage().arrayBuffers;
  const announced = await Promise.all(
    Array.from({ length: 20 }, () => call(PATH, enveloped(new Uint8Array(10), 0xfffffff0))),
  );
  assert.ok(announced.every(({ status }) => REFUSALS.includes(status)));
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 << 20);
  const long = await call(PATH, enveloped(new Uint8Array((16 << 20) + 1)));
  assert.equal(long.status, 8);
  const streamed = await call(STREAM_PATH, enveloped(new Uint8Array((16 << 20) + 1)));
  assert.equal(streamed.status, 8);
  // A bomb: 64 MiB of zeros in some ten thousand bytes.
  const { gzipSync } = await import('node:zlib');
  const bomb = await call(PATH, enveloped(gzipSync(Buffer.alloc(64 << 20)), undefined, 1), {
    'grpc-encoding': 'gzip',
  });
  assert.equal(bomb.status, 8);
  assert.deepEqual(server.failures, []);
});

test('headers that mean nothing are refused or passed over', async () => {
  const message = enveloped(messages[0]!);
  const asked: [Record<string, string>, number[]][] = [
    [{ 'grpc-timeout': 'soon' }, [3]],
    [{ 'grpc-timeout': '99999999H' }, [3]],
    [{ 'grpc-timeout': '10S' }, [0]],
    [{ 'grpc-encoding': 'lz4' }, [12]],
    [{ 'grpc-encoding': 'identity' }, [0]],
    [{ 'x-request-id': 'x'.repeat(1000) }, [0]],
    [{ 'grpc-accept-encoding': 'gzip,,nothing' }, [0]],
  ];
  for (const [headers, statuses] of asked) {
    const { status } = await call(PATH, message, headers);
    assert.ok(statuses.includes(status), `${JSON.stringify(headers)}: status ${status}`);
  }
  const refused = await fetch(url + PATH, {
    method: 'POST',
    body: 'x',
    headers: { 'content-type': 'text/plain' },
  });
  assert.equal(refused.status, 415);
  const got = await fetch(url + PATH);
  assert.equal(got.status, 415);
});
