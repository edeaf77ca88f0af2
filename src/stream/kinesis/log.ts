/**
 * Amazon Kinesis as an event log. Streams are made by others; partitions are shards, which come and go when a stream is
 * split or merged; positions are sequence numbers. Records that the Kinesis Producer Library has packed together
 * (aggregation) are not unpacked: switch that off in such producers.
 */
import { KinesisClient } from '@aws-sdk/client-kinesis';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { Clock } from '../../base/clock.ts';
import type { InstantUs } from '../../base/time.ts';
import type {
  Consumer,
  ConsumerLimits,
  EventLog,
  NewRecord,
  PartitionEnds,
  RecordPlace,
} from '../contract.ts';
import { KinesisApi, type Send, type Shard } from './api.ts';
import { KinesisConsumer } from './consumer.ts';
import { type KinesisEntry, toEntry } from './frame.ts';
import { type LeaseStore, Leases } from './leases.ts';
import { firstFrom, shardEnds } from './shard.ts';

const LIMIT_MS = 30_000;
const POLL_MS = 250;
/** Arrival is said to be approximate. */
const STAMP_SLACK_MS = 1_000;
/** Of one request. */
const MAX_ENTRIES = 500;
const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
const MAX_MEMBER = 2 ** 48;

/** Which streams, and what the adapter may not take from the machine itself. */
export interface KinesisOptions {
  readonly region: string;
  /** Of an imitation; null: Amazon's. */
  readonly endpoint: string | null;
  readonly clock: Clock;
  /** Shared by all workers. */
  readonly leases: LeaseStore;
  /** At least 0, below 1: names members of groups. */
  readonly random: () => number;
  /** How long something is tried while Kinesis cannot be reached, or the shards are at their limit. */
  readonly limitMs?: number;
  readonly pollMs?: number;
  /** Instead of the AWS SDK's client. */
  readonly client?: Send;
}

/** Opens without connecting. Credentials are those that the AWS SDK finds, in the environment or on the machine. */
export function openKinesisLog(options: KinesisOptions): EventLog {
  return new KinesisLog(options);
}

class KinesisLog implements EventLog {
  readonly stampSlackMs = STAMP_SLACK_MS;
  readonly #options: KinesisOptions;
  readonly #client: KinesisClient | null;
  readonly #api: KinesisApi;
  readonly #consumers = new Set<Consumer>();
  #spread = 0;

  constructor(options: KinesisOptions) {
    this.#options = options;
    const { client, region, endpoint, clock, limitMs = LIMIT_MS } = options;
    this.#client = client
      ? null
      : new KinesisClient({
          region,
          ...(endpoint === null ? {} : { endpoint }),
          // Imitations do not know HTTP/2, which the SDK would take.
          requestHandler: new NodeHttpHandler({ connectionTimeout: 3_000, requestTimeout: 10_000 }),
          maxAttempts: 1,
        });
    this.#api = new KinesisApi(client ?? this.#client!, {
      limitMs,
      monotonicMs: () => clock.monotonicMs(),
    });
  }

  async partitions(topic: string): Promise<readonly string[]> {
    return (await this.#api.shards(topic)).map(({ id }) => id);
  }

  /** Costs reads: Kinesis has to be asked for the records themselves. */
  ends(topic: string): Promise<ReadonlyMap<string, PartitionEnds>> {
    const nowUs = this.#options.clock.nowUs();
    return this.#each(topic, (shard) => shardEnds(this.#api, topic, shard, nowUs));
  }

  positionsAt(topic: string, timeUs: InstantUs): Promise<ReadonlyMap<string, bigint>> {
    const nowUs = this.#options.clock.nowUs();
    return this.#each(topic, async (shard) => {
      const start = { from: 'time', timeUs: Math.max(0, timeUs) } as const;
      // Of the future Kinesis must not be asked.
      const found = timeUs > nowUs ? null : await firstFrom(this.#api, topic, shard, start);
      return found?.position ?? (await shardEnds(this.#api, topic, shard, nowUs)).next;
    });
  }

  /** One request after the other; two records of a key are never in one, where Kinesis keeps no order. */
  async append(topic: string, records: readonly NewRecord[]): Promise<RecordPlace[]> {
    const places: RecordPlace[] = [];
    let entries: KinesisEntry[] = [];
    let keys = new Set<string>();
    let bytes = 0;
    const spread = this.#spread++;
    const flush = async () => {
      if (entries.length > 0) places.push(...(await this.#api.put(topic, entries)));
      entries = [];
      keys = new Set();
      bytes = 0;
    };
    for (const [i, record] of records.entries()) {
      const entry = toEntry(record, spread * MAX_ENTRIES + i);
      const size = entry.PartitionKey.length + entry.Data.length;
      const full = entries.length === MAX_ENTRIES || bytes + size > MAX_REQUEST_BYTES;
      if (full || keys.has(entry.PartitionKey)) await flush();
      entries.push(entry);
      keys.add(entry.PartitionKey);
      bytes += size;
    }
    await flush();
    return places;
  }

  async consume(
    topic: string,
    { group, limits = {} }: { group: string; limits?: Partial<ConsumerLimits> },
  ): Promise<Consumer> {
    const { clock, leases, random, pollMs = POLL_MS } = this.#options;
    const consumer = await KinesisConsumer.open({
      api: this.#api,
      clock,
      topic,
      leases: new Leases(leases, topic, group, Math.floor(random() * MAX_MEMBER)),
      limits,
      pollMs,
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    this.#client?.destroy();
  }

  async #each<T>(topic: string, of: (shard: Shard) => Promise<T>): Promise<Map<string, T>> {
    const shards = await this.#api.shards(topic);
    const values = await Promise.all(shards.map(of));
    return new Map(shards.map(({ id }, i) => [id, values[i]!]));
  }
}
