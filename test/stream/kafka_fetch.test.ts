/** Answers of brokers read as bytes say what the client's own reader says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createRecordsBatch,
  fetchV12,
  fetchV13,
  fetchV17,
  MultipleErrors,
  Reader,
  ResponseError,
  Writer,
} from '@platformatic/kafka';
import fc from 'fast-check';
import { SamewiseError } from '../../src/base/errors.ts';
import type { LogRecord } from '../../src/stream/contract.ts';
import { codedError } from '../../src/stream/kafka/errors.ts';
import { type FetchedPartition, parseAnswer } from '../../src/stream/kafka/fetch.ts';
import { readFetched } from '../../src/stream/kafka/records.ts';
import { cases } from '../support/cases.ts';

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const anyMessage = fc.record({
  topic: fc.constant('t'),
  key: fc.option(bytes, { nil: null, freq: 5 }),
  value: fc.option(bytes, { nil: null, freq: 5 }),
  timestamp: fc.bigInt({ min: -1n, max: 2n ** 42n }),
  headers: fc.uniqueArray(fc.tuple(bytes, bytes), {
    maxLength: 3,
    selector: ([name]) => name.toString(),
  }),
});
const anyBatch = fc.record({
  messages: fc.array(anyMessage, { minLength: 1, maxLength: 8 }),
  compression: fc.constantFrom('none', 'none', 'gzip', 'snappy', 'lz4', 'zstd'),
  gap: fc.bigInt({ min: 0n, max: 2n ** 40n }),
  ofLog: fc.boolean(),
});
type AnyBatch = typeof anyBatch extends fc.Arbitrary<infer T> ? T : never;

/** Batches as a broker keeps them, which sets their first offsets and whose time counts. */
function stored(batches: readonly AnyBatch[]): Buffer {
  let next = 0n;
  return Buffer.concat(
    batches.map(({ messages, compression, gap, ofLog }) => {
      const options = { compression } as Parameters<typeof createRecordsBatch>[1];
      const made = messages.map(({ headers, ...message }) => ({
        ...message,
        headers: new Map(headers),
      }));
      const batch = Buffer.from(createRecordsBatch(made as never, options).buffer);
      batch.writeBigInt64BE(next + gap, 0);
      if (ofLog) batch.writeInt16BE(batch.readInt16BE(21) | 8, 21);
      next += gap + BigInt(messages.length);
      return batch;
    }),
  );
}

/** An answer of one topic with these partitions, in chunks as a socket brings them. */
function answerOf(
  version: number,
  partitions: readonly { readonly records: Buffer | null; readonly errorCode?: number }[],
  chunk = 1 << 16,
): Reader {
  const writer = Writer.create()
    .appendInt32(0)
    .appendInt16(0)
    .appendInt32(7)
    .appendArray([0], (topics) => {
      if (version < 13) topics.appendString('t');
      else topics.appendUUID('9b2f3b60-21a1-4a38-8f0c-6b0a1d6f0a11');
      topics.appendArray([...partitions], (w, { records, errorCode = 0 }, i) => {
        w.appendInt32(i).appendInt16(errorCode);
        w.appendInt64(2n ** 60n)
          .appendInt64(2n ** 59n)
          .appendInt64(0n);
        w.appendArray([0], (aborted) => {
          aborted.appendInt64(3n).appendInt64(2n ** 61n);
        });
        w.appendInt32(-1).appendUnsignedVarInt(records === null ? 0 : records.length + 1);
        if (records !== null) w.append(records);
      });
    })
    .appendTaggedFields();
  const { buffer } = writer;
  const reader = Reader.from(buffer.subarray(0, Math.min(chunk, buffer.length)));
  for (let at = chunk; at < buffer.length; at += chunk)
    reader.buffer.append(buffer.subarray(at, at + chunk));
  reader.length = buffer.length;
  return reader;
}

const PARSERS = { 12: fetchV12, 13: fetchV13, 17: fetchV17 } as const;

/** Records as the client's own reader gives them. */
function byClient(version: keyof typeof PARSERS, answer: Reader) {
  const { responses } = PARSERS[version].parseResponse(1, 1, version, answer);
  return responses[0]!.partitions.map(({ records }) =>
    (records ?? []).flatMap((batch) =>
      batch.records.map(({ key, value, headers, offsetDelta, timestampDelta }) => {
        const ms =
          batch.attributes & 8 ? batch.maxTimestamp : batch.firstTimestamp + timestampDelta;
        return {
          position: batch.firstOffset + BigInt(offsetDelta),
          timestampUs: Math.max(0, Number(ms) * 1000),
          key: key && [...key],
          value: value && [...value],
          headers: new Map(headers.map(([name, content]) => [String(name), [...content!]])),
        };
      }),
    ),
  );
}

function fetchedOf(version: number, answer: Reader): FetchedPartition[] {
  const { responses } = parseAnswer(1, 1, version, answer);
  return responses[0]!.partitions.map(
    (one) => (one as never as { fetched: FetchedPartition }).fetched,
  );
}

function plain({ position, timestampUs, key, value, headers, placed }: LogRecord) {
  const view = placed?.bytes.subarray(placed.from, placed.to) ?? null;
  assert.deepEqual(view && [...view], value && [...value]);
  return {
    position,
    timestampUs,
    key: key && [...key],
    value: value && [...value],
    headers: new Map([...headers].map(([name, content]) => [name, [...content]])),
  };
}

test('whatever a broker holds, in whatever pieces it comes', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<keyof typeof PARSERS>(12, 13, 17),
      fc.array(fc.option(fc.array(anyBatch, { maxLength: 4 }), { freq: 6 }), { maxLength: 3 }),
      fc.integer({ min: 1, max: 400 }),
      fc.nat(200),
      (version, partitions, chunk, cut) => {
        const given = partitions.map((batches) => {
          const whole = batches && stored(batches);
          return { records: whole?.subarray(0, Math.max(0, whole.length - cut)) ?? null };
        });
        const expected = byClient(version, answerOf(version, given));
        const found = fetchedOf(version, answerOf(version, given, chunk));
        assert.deepEqual(
          found.map((one) => readFetched(one, 0n).records.map(plain)),
          expected,
        );
        for (const [i, one] of found.entries()) {
          assert.equal(one.partition, i);
          assert.equal(one.lastStableOffset, 2n ** 59n);
          assert.equal(one.batches === null, given[i]!.records === null);
          // From within: nothing that lies before.
          const from = expected[i]![expected[i]!.length >> 1]?.position ?? 0n;
          assert.deepEqual(
            readFetched(one, from).records.map(plain),
            expected[i]!.filter(({ position }) => position >= from),
          );
        }
      },
    ),
    { numRuns: cases(300) },
  );
});

test('an error of a partition is the client’s own', () => {
  const given = [{ records: null }, { records: null, errorCode: 1 }];
  assert.throws(
    () => parseAnswer(1, 1, 17, answerOf(17, given)),
    (error) =>
      error instanceof ResponseError &&
      error.errors[0]!.path === '/responses/0/partitions/1' &&
      (error.errors[0] as { apiId?: unknown }).apiId === 'OFFSET_OUT_OF_RANGE',
  );
});

test('what cannot be understood is refused: old brokers, old records', () => {
  const coded = (code: string) => (error: unknown) =>
    error instanceof SamewiseError && error.code === code;
  assert.throws(() => parseAnswer(1, 1, 11, answerOf(12, [])), coded('stream/old-broker'));

  const old = stored([
    {
      messages: [{ topic: 't', key: null, value: null, timestamp: 0n, headers: [] }],
      compression: 'none',
      gap: 0n,
      ofLog: false,
    },
  ]);
  old.writeInt8(1, 16);
  assert.throws(() => fetchedOf(17, answerOf(17, [{ records: old }])), coded('stream/old-records'));
});

test('what is refused keeps its code, however often the client tried', () => {
  const own = new SamewiseError('stream/old-broker', 'too old');
  assert.equal(codedError(own, {}), own);
  assert.equal(codedError(new MultipleErrors('fetch failed 3 times', [own, own]), {}), own);
});
