/** The embedded event log: a folder that any number of processes append to and consume from, over LMDB. */
import { ByteWriter } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { SamewiseError } from '../../base/errors.ts';
import { murmur3Words } from '../../base/hash.ts';
import { formatCount } from '../../base/numbers.ts';
import type { InstantUs } from '../../base/time.ts';
import type {
  Consumer,
  ConsumerLimits,
  EventLog,
  NewRecord,
  PartitionEnds,
  RecordPlace,
} from '../contract.ts';
import { DEFAULT_LIMITS, EmbeddedConsumer } from './consumer.ts';
import { HEARTBEAT_MS, join, leave, renew } from './group.ts';
import { type Dropped, dropOld, type Retention } from './retention.ts';
import { type Appending, CHUNK_BYTES, checkName, LogStore, type Piece } from './store.ts';
import { type Topic, writeRecord } from './values.ts';

/** How long what another process commits may go unnoticed. */
const POLL_MS = 15;
/** Bytes of one record with its key and headers. */
const MAX_RECORD_BYTES = 16 * 1024 * 1024;

export interface EmbeddedLogOptions {
  /** The folder; it is made where there is none. */
  readonly path: string;
  /** Stamps records, and ends leases. */
  readonly clock: Clock;
  /** Of topics that are made from now on; those that are there keep theirs. */
  readonly partitions: number;
}

/** Opens or makes the log. Throws `stream/damaged`, `stream/unavailable`. */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
  return new EmbeddedLog(options, new LogStore(options.path));
}

/** An append that waits for the end of the turn. */
interface Waiting extends Appending {
  /** By record: its piece's index in `pieces`. */
  readonly pieceOf: Uint32Array;
  readonly resolve: (places: RecordPlace[]) => void;
  readonly reject: (error: unknown) => void;
}

export class EmbeddedLog implements EventLog {
  readonly stampSlackMs = 0;
  readonly #store: LogStore;
  readonly #clock: Clock;
  readonly #partitions: number;
  readonly #consumers = new Set<EmbeddedConsumer>();
  #waiting: Waiting[] = [];
  /** Run while there are consumers, and keep the process alive for them. */
  #timers: NodeJS.Timeout[] = [];
  /** The last one that consumers were woken for. */
  #pulse = -1;
  #closed = false;

  constructor({ clock, partitions }: EmbeddedLogOptions, store: LogStore) {
    this.#store = store;
    this.#clock = clock;
    this.#partitions = partitions;
  }

  async partitions(topic: string): Promise<readonly string[]> {
    return Array.from({ length: this.#topic(topic).partitions }, (_, i) => String(i));
  }

  async ends(topic: string): Promise<ReadonlyMap<string, PartitionEnds>> {
    return this.#byPartition(topic, (of, partition) => {
      const { first, next } = this.#store.state(of, partition);
      return { first: BigInt(first), next: BigInt(next) };
    });
  }

  async positionsAt(topic: string, timeUs: InstantUs): Promise<ReadonlyMap<string, bigint>> {
    return this.#byPartition(topic, (of, partition) =>
      BigInt(this.#positionAt(of, partition, timeUs)),
    );
  }

  #positionAt(topic: Topic, partition: number, timeUs: InstantUs): number {
    let { first: low, next: high } = this.#store.state(topic, partition);
    // Before `low` all are older than the time, from `high` on none is.
    while (low < high) {
      const { first, count, timestampUs } = this.#store.chunkAt(
        topic,
        partition,
        Math.floor((low + high - 1) / 2),
      );
      const lastUs = timestampUs + count - 1;
      if (lastUs < timeUs) low = first + count;
      else if (timestampUs >= timeUs) high = first;
      else return first + Math.ceil(timeUs - timestampUs);
    }
    return low;
  }

  append(topic: string, records: readonly NewRecord[]): Promise<RecordPlace[]> {
    return new Promise((resolve, reject) => {
      const encoded = encodeAppend(this.#topic(topic), records);
      // Appends of one turn share a transaction, and so the wait for the disk.
      if (this.#waiting.length === 0) setImmediate(() => this.#flush());
      this.#waiting.push({ ...encoded, resolve, reject });
    });
  }

  #flush(): void {
    const appends = this.#waiting;
    if (appends.length === 0) return;
    this.#waiting = [];
    try {
      this.#store.append(appends, this.#clock);
    } catch (error) {
      for (const { reject } of appends) reject(error);
      return;
    }
    for (const { pieces, pieceOf, resolve } of appends) resolve(placesOf(pieces, pieceOf));
    this.#wake();
  }

  /**
   * Drops what is older or larger than the topic is to keep, in whole chunks: up to 256 KiB of records, or the records of one
   * append, go together with the youngest of them.
   */
  async retain(topic: string, retention: Retention): Promise<Dropped> {
    return dropOld(this.#store, this.#topic(topic), retention, this.#clock.nowUs());
  }

  async consume(
    topic: string,
    options: { readonly group: string; readonly limits?: Partial<ConsumerLimits> },
  ): Promise<Consumer> {
    const of = this.#topic(topic);
    checkName('group', options.group);
    const place = { topic: of, name: options.group };
    const [group] = this.#store.changeGroups([{ ...place, change: join }]);
    const member = group!.nextMember - 1;
    const consumer: EmbeddedConsumer = new EmbeddedConsumer(this.#store, {
      topic: of,
      group: options.group,
      member,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      renew: () => this.#renew(),
      leave: () => {
        this.#consumers.delete(consumer);
        if (this.#consumers.size === 0) for (const timer of this.#timers) clearInterval(timer);
        quietly(() =>
          this.#store.changeGroups([{ ...place, change: (found) => leave(found, member) }]),
        );
        this.#wake();
      },
    });
    if (this.#consumers.size === 0)
      this.#timers = [
        setInterval(() => quietly(() => this.#renew()), HEARTBEAT_MS),
        setInterval(() => this.#poll(), POLL_MS),
      ];
    this.#consumers.add(consumer);
    try {
      this.#renew();
    } catch (error) {
      await consumer.close();
      throw error;
    }
    return consumer;
  }

  #wake(): void {
    for (const consumer of this.#consumers) consumer.wake();
  }

  /** Wakes consumers for what others have committed; if that cannot be read, so that they say why. */
  #poll(): void {
    let pulse = Number.NaN;
    quietly(() => {
      pulse = this.#store.pulse();
    });
    if (pulse === this.#pulse) return;
    this.#pulse = pulse;
    this.#wake();
  }

  /** Renews the leases of all consumers in one transaction. */
  #renew(): void {
    const consumers = [...this.#consumers];
    if (consumers.length === 0) return;
    const nowUs = this.#clock.nowUs();
    const groups = this.#store.changeGroups(
      consumers.map(({ membership: { topic, group, member }, released }) => ({
        topic,
        name: group,
        change: (found) => renew(found, member, topic.partitions, released, nowUs),
      })),
    );
    for (const [i, consumer] of consumers.entries()) consumer.follow(groups[i]!, nowUs);
  }

  #topic(name: string): Topic {
    if (this.#closed) throw new SamewiseError('stream/closed', 'the event log was closed');
    return this.#store.topic(name, this.#partitions);
  }

  #byPartition<T>(name: string, of: (topic: Topic, partition: number) => T): Map<string, T> {
    const topic = this.#topic(name);
    this.#store.refresh();
    const out = new Map<string, T>();
    for (let i = 0; i < topic.partitions; i++) out.set(String(i), of(topic, i));
    return out;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#flush();
    for (const consumer of this.#consumers) await consumer.close();
    await this.#store.close();
  }
}

/** Runs what may fail: on a full disk nobody can take over a lease either, and whoever appends hears of it. */
function quietly(body: () => void): void {
  try {
    body();
  } catch (error) {
    if (!(error instanceof SamewiseError)) throw error;
  }
}

/** Encodes records at once, so that the caller may use its buffers again. */
function encodeAppend(
  topic: Topic,
  records: readonly NewRecord[],
): Omit<Waiting, 'resolve' | 'reject'> {
  const pieces: Piece[] = [];
  const pieceOf = new Uint32Array(records.length);
  const open = Array.from({ length: topic.partitions }, () => ({
    writer: new ByteWriter(),
    members: [] as number[],
  }));
  const finish = (partition: number) => {
    const { writer, members } = open[partition]!;
    if (members.length === 0) return;
    for (const record of members) pieceOf[record] = pieces.length;
    pieces.push({ partition, bytes: writer.finish(), count: members.length, first: -1 });
    members.length = 0;
  };
  records.forEach((record, i) => {
    checkSize(record, i);
    const partition = partitionOf(record, topic.partitions);
    const { writer, members } = open[partition]!;
    writeRecord(writer, record);
    members.push(i);
    if (writer.length >= CHUNK_BYTES) finish(partition);
  });
  for (let partition = 0; partition < topic.partitions; partition++) finish(partition);
  return { topic, pieces, pieceOf };
}

/** The partition of a record: by the hash of its key, without one by that of its value. May never change. */
function partitionOf({ key, value }: NewRecord, partitions: number): number {
  if (partitions === 1) return 0;
  const bytes = key ?? value;
  return bytes === null ? 0 : murmur3Words(bytes)[1] % partitions;
}

function checkSize({ key, value, headers }: NewRecord, row: number): void {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0);
  if (headers !== undefined) for (const header of headers.values()) bytes += header.length;
  if (bytes <= MAX_RECORD_BYTES) return;
  throw new SamewiseError(
    'stream/record-too-large',
    `a record holds at most ${formatCount(MAX_RECORD_BYTES)} bytes, this one has ${formatCount(bytes)}`,
    { where: { row }, hint: 'leave out what no feature reads' },
  );
}

/** Places by record, after the pieces were written. */
function placesOf(pieces: readonly Piece[], pieceOf: Uint32Array): RecordPlace[] {
  const names = new Map<number, string>();
  const next = pieces.map(({ first, partition }) => {
    names.set(partition, String(partition));
    return first;
  });
  return Array.from(pieceOf, (piece) => ({
    partition: names.get(pieces[piece]!.partition)!,
    position: BigInt(next[piece]!++),
  }));
}
