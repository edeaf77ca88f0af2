/** Kafka as an event log. Topics are made by others; positions are offsets, partitions their numbers. */
import type { Clock } from '../../base/clock.ts';
import { type InstantUs, US_PER_MS } from '../../base/time.ts';
import type {
  Consumer,
  ConsumerLimits,
  EventLog,
  NewRecord,
  PartitionEnds,
  RecordPlace,
} from '../contract.ts';
import { Appender } from './appender.ts';
import { type KafkaClient, type KafkaSettings, makeClient, makeFetchPool } from './client.ts';
import { KafkaConsumer } from './consumer.ts';
import { persist } from './errors.ts';
import type { FetchPool } from './fetch.ts';
import { RecordEnds } from './last_record.ts';
import { offsetsAt, topicEnds } from './offsets.ts';
import { partitionOf } from './partitioner.ts';
import type { KafkaSecurity } from './security.ts';

const LIMIT_MS = 30_000;
/** A member of a group that is killed is missed after this; brokers allow no less than 6 s unless told. */
const SESSION_MS = 10_000;
/** Brokers and producers whose clocks are kept in step differ by less, and records are under way for less. */
const STAMP_SLACK_MS = 500;

/** Of which cluster, and how patient with it. */
export interface KafkaOptions {
  /** `host:port`, some of the cluster's. */
  readonly brokers: readonly string[];
  readonly clock: Clock;
  readonly security?: KafkaSecurity;
  /** How long something is tried while the cluster cannot be reached. */
  readonly limitMs?: number;
  readonly sessionMs?: number;
}

/** Opens without connecting: a cluster that is away is told by the first call that needs it. */
export function openKafkaLog(options: KafkaOptions): EventLog {
  return new KafkaLog(options);
}

class KafkaLog implements EventLog {
  readonly stampSlackMs = STAMP_SLACK_MS;
  readonly #settings: KafkaSettings;
  readonly #client: KafkaClient;
  readonly #fetchPool: FetchPool;
  readonly #ends: RecordEnds;
  readonly #appender: Appender;
  readonly #consumers = new Set<Consumer>();
  #keyless = 0;

  constructor({
    brokers,
    clock,
    security,
    limitMs = LIMIT_MS,
    sessionMs = SESSION_MS,
  }: KafkaOptions) {
    this.#settings = {
      brokers,
      ...(security === undefined ? {} : { security }),
      sessionMs,
      patience: { limitMs, monotonicMs: () => clock.monotonicMs() },
    };
    this.#client = makeClient(this.#settings, 'samewise');
    this.#fetchPool = makeFetchPool(this.#settings);
    this.#ends = new RecordEnds(this.#client, this.#fetchPool);
    this.#appender = new Appender(this.#settings);
  }

  async partitions(topic: string): Promise<readonly string[]> {
    const count = await this.#partitionCount(topic, true);
    return Array.from({ length: count }, (_, partition) => String(partition));
  }

  ends(topic: string): Promise<ReadonlyMap<string, PartitionEnds>> {
    return this.#persist(topic, () => this.#ends.of(topic));
  }

  positionsAt(topic: string, timeUs: InstantUs): Promise<ReadonlyMap<string, bigint>> {
    const timestamp = BigInt(Math.max(0, Math.ceil(timeUs / US_PER_MS)));
    return this.#persist(topic, async () => {
      const ends = await topicEnds(this.#client, topic);
      const found = await offsetsAt(this.#client, topic, timestamp);
      const positions = new Map<string, bigint>();
      for (const [partition, { next }] of ends) {
        const offset = found[Number(partition)] ?? -1n;
        positions.set(partition, offset < 0n || offset > next ? next : offset);
      }
      return positions;
    });
  }

  /** Of one key in order; what a failure leaves behind may be there in part. The log chooses one partition a call for what has no key. */
  async append(topic: string, records: readonly NewRecord[]): Promise<RecordPlace[]> {
    if (records.length === 0) return [];
    const partitions = await this.#partitionCount(topic, false);
    const keyless = this.#keyless++ % partitions;
    const chosen = records.map(({ key }) =>
      key === null ? keyless : partitionOf(key, partitions),
    );
    return this.#appender.append(topic, records, chosen);
  }

  async consume(
    topic: string,
    { group, limits = {} }: { group: string; limits?: Partial<ConsumerLimits> },
  ): Promise<Consumer> {
    const consumer = await KafkaConsumer.open(this.#settings, topic, group, limits);
    this.#consumers.add(consumer);
    return consumer;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    await Promise.allSettled([
      this.#client.close(true),
      this.#fetchPool.close(),
      this.#appender.close(),
    ]);
  }

  async #partitionCount(topic: string, fresh: boolean): Promise<number> {
    const metadata = await this.#persist(topic, () =>
      this.#client.metadata({ topics: [topic], forceUpdate: fresh }),
    );
    return metadata.topics.get(topic)!.partitionsCount;
  }

  #persist<T>(topic: string, body: () => Promise<T>): Promise<T> {
    return persist(this.#settings.patience, { topic }, body);
  }
}
