/**
 * Fetching, with the records left as bytes. The client makes eight objects of a record, which takes longer than all that is done with it
 * here afterwards; so it does what it does well (leaders, sessions, connections, retries), on connections that read the answers to its
 * fetches in another way.
 */
import {
  type Broker,
  type CallbackWithPromise,
  type Connection,
  ConnectionPool,
  compressionsAlgorithmsByBitmask,
  type fetchV17,
  Reader,
  ResponseError,
  UnsupportedCompressionError,
} from '@platformatic/kafka';
import { SamewiseError } from '../../base/errors.ts';
import type { KafkaClient } from './client.ts';

/** Number of the request in Kafka's protocol. */
const FETCH = 1;
/** The first version whose answer is laid out as all later ones are, and the first whose topics have ids. */
const FLEXIBLE_VERSION = 12;
const TOPIC_ID_VERSION = 13;
/** Bits of a batch's attributes that name its compression. */
const COMPRESSION = 0b111;
/** Version of the layout of a batch: the last there is. Brokers turn older ones into it or refuse. */
const MAGIC = 2;
/** Bytes before a batch's length counts, and those of its header in all. */
const BATCH_PREFIX = 12;
const BATCH_HEADER = 61;

/** A batch of records as a broker keeps it. */
export interface RawBatch {
  readonly firstOffset: bigint;
  readonly lastOffsetDelta: number;
  readonly attributes: number;
  readonly firstTimestampMs: number;
  readonly maxTimestampMs: number;
  readonly producerId: bigint;
  /** How many records there are. */
  readonly count: number;
  /** What they lie in, uncompressed: from `start` on. */
  readonly bytes: Buffer;
  readonly start: number;
}

/** What a broker answers for a partition. */
export interface FetchedPartition {
  readonly partition: number;
  /** End of what can be read. */
  readonly lastStableOffset: bigint;
  readonly abortedTransactions: readonly fetchV17.FetchResponsePartitionAbortedTransaction[];
  /** Null: nothing was asked for, or nothing is there. */
  readonly batches: readonly RawBatch[] | null;
}

/** What one of the client's fetches asks for. */
type FetchRequest = Omit<Parameters<KafkaClient['fetch']>[0], 'connectionPool'>;

/** As the client's answers, in which it looks for errors and sessions alone. */
interface Answer extends fetchV17.FetchResponsePartition {
  readonly fetched: FetchedPartition;
}

/** Fetches over the connections of `pool`; fails as the client does. */
export async function fetchRaw(
  client: KafkaClient,
  pool: FetchPool,
  request: FetchRequest,
): Promise<FetchedPartition[]> {
  const { responses } = await client.fetch({ ...request, connectionPool: pool });
  return responses.flatMap(({ partitions }) =>
    (partitions as Answer[]).map(({ fetched }) => fetched),
  );
}

type Send = Connection['send'];

/** Connections on which nothing but `fetchRaw` may be asked. */
export class FetchPool extends ConnectionPool {
  override get(broker: Broker, callback?: CallbackWithPromise<Connection>): any {
    if (callback === undefined) return super.get(broker).then(readingRaw);
    return super.get(broker, (error, connection) => {
      callback(error, connection && readingRaw(connection));
    });
  }
}

/** The connection, as far as the client's requests need one. */
function readingRaw(connection: Connection): Connection {
  const send = ((key, version, payload, _parser, inRequest, inResponse, callback) =>
    connection.send(
      key,
      version,
      payload,
      parseAnswer as never,
      inRequest,
      inResponse,
      callback,
    )) as Send;
  return { send } as Connection;
}

/** Reads an answer to a fetch; throws what the client's own reader throws for errors in it. */
export function parseAnswer(
  _correlationId: number,
  apiKey: number,
  apiVersion: number,
  scattered: Reader,
): fetchV17.FetchResponse {
  if (apiKey !== FETCH || apiVersion < FLEXIBLE_VERSION)
    throw new SamewiseError('stream/old-broker', 'the Kafka brokers are older than version 2.7', {
      hint: 'upgrade them: their answers to fetches are not understood',
    });
  // It came in chunks.
  const bytes = scattered.buffer.buffer;
  const reader = Reader.from(bytes);
  const errors: Record<string, [number, null]> = {};
  const throttleTimeMs = reader.readInt32();
  const errorCode = reader.readInt16();
  if (errorCode !== 0) errors[''] = [errorCode, null];
  const sessionId = reader.readInt32();
  const responses = reader.readArray((_, i) => ({
    topicId: apiVersion < TOPIC_ID_VERSION ? reader.readString() : reader.readUUID(),
    partitions: reader.readArray((_, j) => {
      const answer = readPartition(reader, bytes);
      if (answer.errorCode !== 0)
        errors[`/responses/${i}/partitions/${j}`] = [answer.errorCode, null];
      return answer;
    }),
  }));
  const response = { throttleTimeMs, errorCode, sessionId, responses, nodeEndpoints: [] };
  if (Object.keys(errors).length > 0) throw new ResponseError(apiKey, apiVersion, errors, response);
  return response;
}

function readPartition(reader: Reader, bytes: Buffer): Answer {
  const partitionIndex = reader.readInt32();
  const errorCode = reader.readInt16();
  const highWatermark = reader.readInt64();
  const lastStableOffset = reader.readInt64();
  const logStartOffset = reader.readInt64();
  const abortedTransactions = reader.readArray(() => ({
    producerId: reader.readInt64(),
    firstOffset: reader.readInt64(),
  }));
  const preferredReadReplica = reader.readInt32();
  // One more than there are; 0 is null.
  const size = reader.readUnsignedVarInt() - 1;
  const start = reader.position;
  const batches = size < 0 ? null : readBatches(bytes, start, start + size);
  reader.skip(Math.max(0, size));
  return {
    partitionIndex,
    errorCode,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    // What the client would leave out it has no records to look for in.
    abortedTransactions: null,
    preferredReadReplica,
    records: null,
    fetched: { partition: partitionIndex, lastStableOffset, abortedTransactions, batches },
  };
}

/** The whole batches; the last one may be cut off. */
function readBatches(bytes: Buffer, start: number, end: number): RawBatch[] {
  const batches: RawBatch[] = [];
  for (let at = start; at + BATCH_PREFIX <= end; ) {
    const next = at + BATCH_PREFIX + bytes.readInt32BE(at + 8);
    if (next > end) break;
    batches.push(readBatch(bytes, at, next));
    at = next;
  }
  return batches;
}

function readBatch(bytes: Buffer, at: number, end: number): RawBatch {
  const magic = bytes.readInt8(at + 16);
  if (magic !== MAGIC)
    throw new SamewiseError(
      'stream/old-records',
      `the topic holds records in Kafka’s format ${magic}; this version reads ${MAGIC}`,
      { hint: 'they were written for Kafka before 0.11: copy them into a new topic' },
    );
  const attributes = bytes.readInt16BE(at + 21);
  const compression = attributes & COMPRESSION;
  const from = at + BATCH_HEADER;
  return {
    firstOffset: bytes.readBigInt64BE(at),
    lastOffsetDelta: bytes.readInt32BE(at + 23),
    attributes,
    firstTimestampMs: Number(bytes.readBigInt64BE(at + 27)),
    maxTimestampMs: Number(bytes.readBigInt64BE(at + 35)),
    producerId: bytes.readBigInt64BE(at + 43),
    count: bytes.readInt32BE(at + 57),
    bytes: compression === 0 ? bytes : uncompressed(bytes.subarray(from, end), compression),
    start: compression === 0 ? from : 0,
  };
}

function uncompressed(bytes: Buffer, compression: number): Buffer {
  const algorithm = compressionsAlgorithmsByBitmask[compression];
  if (algorithm === undefined)
    throw new UnsupportedCompressionError(`Kafka's compression ${compression} is not known`);
  return algorithm.decompressSync(bytes);
}
