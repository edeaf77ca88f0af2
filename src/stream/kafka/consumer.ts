/**
 * A consumer of a Kafka topic: a member of the group for its partitions, and a fetch loop for each broker that leads some of
 * them. It fetches from the positions that its reader gives, never from what the group has committed, and only while there is
 * room for more.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { NetworkError } from '@platformatic/kafka';
import { SamewiseError } from '../../base/errors.ts';
import type { Consumer, ConsumerEvent, ConsumerLimits } from '../contract.ts';
import { type Cursor, Delivery } from '../delivery.ts';
import { type KafkaClient, type KafkaSettings, makeClient, makeFetchPool } from './client.ts';
import { answered, chain, codedError, persist } from './errors.ts';
import { type FetchedPartition, type FetchPool, fetchRaw } from './fetch.ts';
import { GroupMember } from './member.ts';
import { topicEnds } from './offsets.ts';
import { readFetched } from './records.ts';

const RETRY_MS = 200;
const CLOSE_MS = 3_000;
/** What does not pass by itself is told at once. */
const LASTING: ReadonlySet<string> = new Set([
  'stream/not-allowed',
  'stream/old-broker',
  'stream/old-records',
]);
/** Bytes that one answer brings. */
const FETCH_BYTES = 1 << 20;

/** What is asked for of one partition: a cursor, and where it was then. */
interface Asked {
  readonly cursor: Cursor;
  readonly turn: number;
  readonly position: bigint;
}

export class KafkaConsumer implements Consumer {
  readonly #settings: KafkaSettings;
  readonly #topic: string;
  readonly #delivery: Delivery;
  readonly #reader: KafkaClient;
  readonly #fetchPool: FetchPool;
  readonly #member: GroupMember;
  /** Brokers that a loop fetches from. */
  readonly #loops = new Map<number, Promise<void>>();
  /** Since when nothing could be fetched; null: all is well. */
  #failingMs: number | null = null;
  #fetches = 0;
  #starting = false;
  #again = false;
  #wakes: (() => void)[] = [];

  static async open(
    settings: KafkaSettings,
    topic: string,
    group: string,
    limits: Partial<ConsumerLimits>,
  ): Promise<KafkaConsumer> {
    const consumer = new KafkaConsumer(settings, topic, group, limits);
    try {
      await persist(settings.patience, { topic }, async () => {
        await consumer.#reader.metadata({ topics: [topic], forceUpdate: true });
        await consumer.#member.join();
      });
    } catch (error) {
      await consumer.close();
      throw error;
    }
    return consumer;
  }

  private constructor(
    settings: KafkaSettings,
    topic: string,
    group: string,
    limits: Partial<ConsumerLimits>,
  ) {
    this.#settings = settings;
    this.#topic = topic;
    this.#delivery = new Delivery(limits);
    this.#delivery.onChange(() => this.#changed());
    // Apart from the member: a fetch that waits at the broker would hold up heartbeats on the same connection.
    // Kafka's groups span topics; these are of one.
    const groupId = `${encodeURIComponent(group)}.${topic}`;
    this.#reader = makeClient(settings, groupId);
    this.#reader.topics.track(topic);
    this.#fetchPool = makeFetchPool(settings);
    this.#member = new GroupMember(makeClient(settings, groupId), settings, topic, {
      owns: (partitions) => this.#owns(partitions),
      failed: (error) => this.#failed(error),
    });
  }

  next(): Promise<ConsumerEvent | null> {
    return this.#delivery.next();
  }

  seek(partition: string, position: bigint): void {
    this.#delivery.seek(partition, position);
  }

  async commit(partition: string, position: bigint): Promise<void> {
    await this.#member.commit(Number(partition), position).catch(() => {});
  }

  async close(): Promise<void> {
    if (this.#delivery.closed) return;
    this.#delivery.close();
    // A cluster that is away is not waited for: the group finds out by itself.
    const left = Promise.allSettled([
      this.#member.close(),
      Promise.allSettled(this.#loops.values()).then(() =>
        Promise.allSettled([this.#reader.close(true), this.#fetchPool.close()]),
      ),
    ]);
    const timer = new AbortController();
    await Promise.race([left, sleep(CLOSE_MS, undefined, timer).catch(() => {})]);
    timer.abort();
  }

  #owns(partitions: ReadonlySet<number>): void {
    if (this.#delivery.closed) return;
    const before = new Set(this.#delivery.assigned);
    for (const partition of before)
      if (!partitions.has(Number(partition))) this.#delivery.revoke(partition);
    for (const partition of partitions)
      if (!before.has(String(partition))) this.#delivery.assign(String(partition));
  }

  #changed(): void {
    for (const wake of this.#wakes.splice(0)) wake();
    if (this.#delivery.closed) return;
    this.#again = true;
    if (this.#starting) return;
    this.#starting = true;
    // Positions come one after the other: the first fetch is for all that come in this turn.
    setImmediate(() => void this.#startLoops());
  }

  /** One loop for each broker that leads something to fetch. */
  async #startLoops(): Promise<void> {
    while (this.#again && !this.#delivery.closed) {
      this.#again = false;
      const wanted = this.#delivery.cursors().length;
      if (wanted === 0) break;
      try {
        const leaders = await this.#leaders();
        for (const node of new Set(leaders.values())) this.#startLoop(node);
        // Some have no leader for now.
        if (leaders.size < wanted) throw new NetworkError('a partition has no leader');
      } catch (error) {
        this.#failed(error);
        this.#again = true;
        await sleep(RETRY_MS);
      }
    }
    this.#starting = false;
  }

  #startLoop(node: number): void {
    if (this.#loops.has(node)) return;
    const ended = this.#loop(node).finally(() => {
      this.#loops.delete(node);
      // What came while it ended.
      this.#changed();
    });
    this.#loops.set(node, ended);
  }

  /** The broker that leads a partition, for those that can be fetched. */
  async #leaders(): Promise<Map<Cursor, number>> {
    const metadata = await this.#reader.metadata({ topics: [this.#topic] });
    const { partitions } = metadata.topics.get(this.#topic)!;
    const leaders = new Map<Cursor, number>();
    for (const cursor of this.#delivery.cursors()) {
      const leader = partitions[Number(cursor.partition)]?.leader;
      if (leader !== undefined && metadata.brokers.has(leader)) leaders.set(cursor, leader);
    }
    return leaders;
  }

  /** Fetches what a broker leads until there is nothing of the kind. */
  async #loop(node: number): Promise<void> {
    while (!this.#delivery.closed) {
      const room = Math.min(FETCH_BYTES, this.#delivery.roomBytes);
      if (room === 0) {
        await new Promise<void>((resolve) => this.#wakes.push(resolve));
        continue;
      }
      let asked: Map<number, Asked> = new Map();
      try {
        asked = await this.#fetch(node, room);
        if (asked.size === 0) return;
      } catch (error) {
        await this.#fetchFailed(error);
        await sleep(RETRY_MS);
      }
    }
  }

  /** Fetches once; gives what was asked for. */
  async #fetch(node: number, room: number): Promise<Map<number, Asked>> {
    const asked = new Map<number, Asked>();
    const leaders = await this.#leaders();
    for (const [cursor, leader] of leaders)
      if (leader === node && cursor.position !== null)
        asked.set(Number(cursor.partition), {
          cursor,
          turn: cursor.turn,
          position: cursor.position,
        });
    // Others may have moved here from a broker whose loop has ended.
    if (new Set(leaders.values()).size > this.#loops.size) this.#changed();
    if (asked.size === 0) return asked;
    const topicId = this.#reader.currentMetadata!.topics.get(this.#topic)!.id;
    const all = [...asked];
    // A broker fills its answer from the first on: each of them is first in turn, so that none runs ahead.
    const first = this.#fetches++ % all.length;
    const inTurn = [...all.slice(first), ...all.slice(0, first)];
    const partitions = inTurn.map(([partition, { position }]) => ({
      partition,
      currentLeaderEpoch: -1,
      fetchOffset: position,
      lastFetchedEpoch: -1,
      partitionMaxBytes: room,
    }));
    let answers: readonly FetchedPartition[];
    try {
      answers = await fetchRaw(this.#reader, this.#fetchPool, {
        node,
        maxBytes: room,
        topics: [{ topicId, partitions }],
      });
    } catch (error) {
      // What other partitions answered is fetched again: only errors of a partition are looked for here.
      if (!answered(error, 'OFFSET_OUT_OF_RANGE')) throw error;
      await this.#outOfRange(asked);
      return asked;
    }
    this.#failingMs = null;
    for (const answer of answers) this.#take(answer, asked.get(answer.partition));
    return asked;
  }

  #take(answer: FetchedPartition, asked: Asked | undefined): void {
    // A session may answer for partitions that were asked for before.
    if (asked === undefined || answer.batches === null) return;
    const { cursor, turn } = asked;
    const { records, position, next } = readFetched(answer, asked.position);
    this.#delivery.deliver(cursor, turn, records, position, next);
  }

  /** Refuses the positions that the log does not have. */
  async #outOfRange(asked: ReadonlyMap<number, Asked>): Promise<void> {
    const ends = await topicEnds(this.#reader, this.#topic);
    for (const { cursor, turn, position } of asked.values()) {
      const { partition } = cursor;
      const { first, next } = ends.get(partition)!;
      const where = { topic: this.#topic, partition, position: String(position) };
      if (position < first)
        this.#delivery.refuse(
          cursor,
          turn,
          new SamewiseError(
            'stream/position-gone',
            `Kafka topic ${this.#topic} keeps partition ${partition} from position ${first} on; ${position} is gone`,
            {
              where,
              hint: 'what history has of it is not lost; read on from the first that is kept',
            },
          ),
        );
      else if (position > next)
        this.#delivery.refuse(
          cursor,
          turn,
          new SamewiseError(
            'stream/position-ahead',
            `Kafka topic ${this.#topic} has partition ${partition} up to position ${next}; there is no ${position}`,
            {
              where,
              hint: 'the checkpoint is that of another topic, or this one was made anew: rewind the stream',
            },
          ),
        );
    }
  }

  async #fetchFailed(error: unknown): Promise<void> {
    const gone = [...chain(error)].some(({ apiId }) => apiId === 'UNKNOWN_TOPIC_ID');
    // A topic that was deleted and made anew has another id.
    if (gone) this.#reader.clearMetadata();
    this.#failed(error);
  }

  /** Told to the reader when it has lasted; until then it is tried again. */
  #failed(error: unknown): void {
    if (this.#delivery.closed) return;
    const { limitMs, monotonicMs } = this.#settings.patience;
    this.#failingMs ??= monotonicMs();
    const coded = codedError(error, { topic: this.#topic });
    if (!LASTING.has(coded.code) && monotonicMs() - this.#failingMs < limitMs) return;
    this.#failingMs = null;
    this.#delivery.fail(coded);
  }
}
