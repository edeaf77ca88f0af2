/** The few calls of Kinesis that are needed, in our own terms, with coded errors and repeats of what may pass. */
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  type GetShardIteratorCommandInput,
  type KinesisClient,
  ListShardsCommand,
  type ListShardsCommandInput,
  PutRecordsCommand,
} from '@aws-sdk/client-kinesis';
import { SamewiseError, type Where } from '../../base/errors.ts';
import { type InstantUs, US_PER_MS } from '../../base/time.ts';
import type { LogRecord, RecordPlace } from '../contract.ts';
import { type Patience, persistBy } from '../patience.ts';
import { fromEntry, type KinesisEntry } from './frame.ts';

/** One shard: a partition of a stream, until it is split or merged. */
export interface Shard {
  readonly id: string;
  /** Shards that it continues: their records come first. */
  readonly parents: readonly string[];
  /** No record has a smaller number. */
  readonly start: bigint;
  /** Nothing is written to it any more. */
  readonly closed: boolean;
}

/** From where an iterator reads. */
export type Start =
  | { readonly from: 'oldest' }
  | { readonly from: 'position'; readonly position: bigint }
  | { readonly from: 'time'; readonly timeUs: InstantUs };

/** What one read gives. */
export interface Read {
  readonly records: readonly LogRecord[];
  /** To read on; null: the shard is closed and was read to its end. */
  readonly iterator: string | null;
  /** Whether there is more already. */
  readonly behind: boolean;
}

/** Of `send` of the client: so that tests can answer themselves. */
export type Send = Pick<KinesisClient, 'send'>;

const MAX_READ = 10_000;
const THROTTLED = /Throughput|Throttl|LimitExceeded/;
const DENIED =
  /AccessDenied|UnrecognizedClient|InvalidSignature|ExpiredToken|Credentials|MissingAuth/;

export class KinesisApi {
  readonly #client: Send;
  readonly #patience: Patience;

  constructor(client: Send, patience: Patience) {
    this.#client = client;
    this.#patience = patience;
  }

  /** Shards that have records still, oldest first. */
  async shards(topic: string): Promise<Shard[]> {
    const shards: Shard[] = [];
    let input: ListShardsCommandInput = { StreamName: topic };
    for (;;) {
      const answer = await this.#persist(topic, () =>
        this.#client.send(new ListShardsCommand(input)),
      );
      for (const shard of answer.Shards ?? [])
        shards.push({
          id: shard.ShardId!,
          parents: [shard.ParentShardId, shard.AdjacentParentShardId].filter((id) => id != null),
          start: BigInt(shard.SequenceNumberRange!.StartingSequenceNumber!),
          closed: shard.SequenceNumberRange!.EndingSequenceNumber !== undefined,
        });
      if (!answer.NextToken) break;
      input = { NextToken: answer.NextToken };
    }
    return shards.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** An iterator; null where the position is none that the shard knows. */
  async iterator(topic: string, shard: string, start: Start): Promise<string | null> {
    const input: GetShardIteratorCommandInput = {
      StreamName: topic,
      ShardId: shard,
      ...iteratorType(start),
    };
    try {
      const answer = await this.#persist(topic, () =>
        this.#client.send(new GetShardIteratorCommand(input)),
      );
      return answer.ShardIterator!;
    } catch (error) {
      if (nameOf((error as Error).cause) === 'InvalidArgumentException') return null;
      throw error;
    }
  }

  /** Reads on. `stream/iterator-expired`, after five minutes without a read, asks for another iterator. */
  async read(topic: string, iterator: string, most: number): Promise<Read> {
    const answer = await this.#persist(topic, () =>
      this.#client.send(
        new GetRecordsCommand({ ShardIterator: iterator, Limit: Math.min(most, MAX_READ) }),
      ),
    );
    const records = (answer.Records ?? []).map(
      ({ SequenceNumber, ApproximateArrivalTimestamp, PartitionKey, Data }): LogRecord => ({
        position: BigInt(SequenceNumber!),
        timestampUs: (ApproximateArrivalTimestamp?.getTime() ?? 0) * US_PER_MS,
        ...fromEntry({ PartitionKey: PartitionKey!, Data: Data! }),
      }),
    );
    return {
      records,
      iterator: answer.NextShardIterator ?? null,
      behind: (answer.MillisBehindLatest ?? 0) > 0,
    };
  }

  /** Puts all; gives their places. What is throttled is put again, and nothing else with it. */
  async put(topic: string, entries: readonly KinesisEntry[]): Promise<RecordPlace[]> {
    const places: RecordPlace[] = [];
    let left = entries.map((entry, index) => ({ entry, index }));
    await this.#persist(topic, async () => {
      const answer = await this.#client.send(
        new PutRecordsCommand({
          StreamName: topic,
          Records: left.map(({ entry: { PartitionKey, Data } }) => ({ PartitionKey, Data })),
        }),
      );
      const failed: typeof left = [];
      answer.Records!.forEach(({ SequenceNumber, ShardId }, i) => {
        if (ShardId === undefined || SequenceNumber === undefined) failed.push(left[i]!);
        else places[left[i]!.index] = { partition: ShardId, position: BigInt(SequenceNumber) };
      });
      left = failed;
      if (failed.length > 0)
        throw unreachable({ topic }, `it did not take ${failed.length} records`);
    });
    return places;
  }

  #persist<T>(topic: string, body: () => Promise<T>): Promise<T> {
    return persistBy(this.#patience, (error) => codedError(error, { topic }), body);
  }
}

function iteratorType(
  start: Start,
): Pick<
  GetShardIteratorCommandInput,
  'ShardIteratorType' | 'StartingSequenceNumber' | 'Timestamp'
> {
  switch (start.from) {
    case 'oldest':
      return { ShardIteratorType: 'TRIM_HORIZON' };
    case 'position':
      return {
        ShardIteratorType: 'AT_SEQUENCE_NUMBER',
        StartingSequenceNumber: String(start.position),
      };
    case 'time':
      return {
        ShardIteratorType: 'AT_TIMESTAMP',
        Timestamp: new Date(Math.ceil(start.timeUs / US_PER_MS)),
      };
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

function unreachable(where: Where, why: string): SamewiseError {
  return new SamewiseError('stream/unreachable', `Kinesis does not answer: ${why}`, {
    where,
    hint: 'check the region and the endpoint, and whether the stream has shards enough',
  });
}

/** The coded error for one of the SDK's; throws what is none of them, which is a bug. */
function codedError(error: unknown, where: Where): SamewiseError {
  if (error instanceof SamewiseError || !(error instanceof Error)) return error as SamewiseError;
  const { name, message } = error;
  const { code, $metadata } = error as { code?: unknown; $metadata?: unknown };
  if (name === 'ResourceNotFoundException')
    return new SamewiseError('stream/no-topic', `there is no Kinesis stream ${where.topic}`, {
      where,
      hint: 'create it, or name another one: `stream: { topic }` of the source',
    });
  if (DENIED.test(name))
    return new SamewiseError('stream/not-allowed', `Kinesis refuses this account: ${name}`, {
      where,
      hint: 'check the credentials that the AWS SDK finds, and what they may do',
    });
  if (name === 'ExpiredIteratorException')
    return new SamewiseError('stream/iterator-expired', 'nothing was read for five minutes', {
      where,
    });
  if (THROTTLED.test(name)) return unreachable(where, 'the shards are at their limit');
  if (name === 'InvalidArgumentException' || name === 'ValidationException')
    return new SamewiseError('stream/refused', `Kinesis refuses the request: ${message}`, {
      where,
      cause: error,
    });
  if ($metadata !== undefined || typeof code === 'string' || name === 'TimeoutError')
    return unreachable(where, message);
  throw error;
}
