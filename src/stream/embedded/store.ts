/**
 * Topics, partitions and chunks in an LMDB environment. What one call writes is one transaction, on disk when it returns;
 * what one call reads is of one moment, or newer by the next call.
 */
import type { Database } from 'lmdb';
import { ByteWriter } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { SamewiseError } from '../../base/errors.ts';
import type { InstantUs } from '../../base/time.ts';
import { LmdbEnvironment } from '../../online/lmdb_env.ts';
import { type Group, NO_GROUP } from './group.ts';
import {
  chunkKey,
  FORMAT_KEY,
  firstOf,
  groupKey,
  PULSE_KEY,
  STAMP_KEY,
  stateKey,
  TOPICS_KEY,
  topicKey,
} from './keys.ts';
import {
  type Chunk,
  damagedValue,
  decodeChunk,
  decodeNumber,
  decodeState,
  decodeTopic,
  EMPTY_PARTITION,
  encodeChunk,
  encodeNumber,
  encodeState,
  encodeTopic,
  type PartitionState,
  placeOf,
  seal,
  type Topic,
  unseal,
} from './values.ts';

const FORMAT = 'samewise-log 1';
/** A chunk of several pieces is at most about this large: it is read, checked and dropped as a whole. */
export const CHUNK_BYTES: number = 256 * 1024;
/** Longest name of a topic or group, in UTF-8 bytes, as Kafka has it. */
const MAX_NAME_BYTES = 249;

/** Encoded records of one append for one partition. `first` is set when they are written. */
export interface Piece {
  readonly partition: number;
  readonly bytes: Uint8Array;
  readonly count: number;
  first: number;
}

/** What one append has to write. */
export interface Appending {
  readonly topic: Topic;
  readonly pieces: readonly Piece[];
}

/** The oldest chunk of a partition. */
export interface OldestChunk {
  readonly partition: number;
  readonly first: number;
  /** After its last record. */
  readonly end: number;
  /** Timestamp of its last record; where it is damaged, of the next chunk that is not. */
  readonly lastUs: InstantUs;
  readonly bytes: number;
}

type Values = Database<Uint8Array, Uint8Array>;

export class LogStore {
  readonly #environment: LmdbEnvironment;
  readonly #chunks: Values;
  readonly #meta: Values;
  readonly #topics = new Map<string, Topic>();

  constructor(path: string) {
    const environment = new LmdbEnvironment(
      {
        path,
        area: 'stream',
        name: 'the event log',
        repair:
          'move the folder away; what history has is not lost, what was pushed since has to be pushed again',
      },
      2,
    );
    const binary = { encoding: 'binary', keyEncoding: 'binary' } as const;
    this.#environment = environment;
    this.#chunks = environment.guard(() => environment.root.openDB('chunks', binary));
    const meta: Values = environment.guard(() => environment.root.openDB('meta', binary));
    this.#meta = meta;
    environment.checkFormat(
      FORMAT,
      () => meta.getBinary(FORMAT_KEY),
      (bytes) => meta.put(FORMAT_KEY, bytes),
    );
  }

  /** The topic of that name; makes it, with as many partitions, where there is none. */
  topic(name: string, partitions: number): Topic {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    checkName('topic', name);
    let topic = this.#readTopic(name);
    if (topic === undefined)
      this.#environment.transaction(() => {
        topic = this.#readTopic(name);
        if (topic !== undefined) return false;
        const count = this.#value(this.#meta, TOPICS_KEY);
        const id = count === undefined ? 0 : decodeNumber(count);
        topic = { name, id, partitions };
        this.#meta.put(TOPICS_KEY, encodeNumber(id + 1));
        this.#meta.put(topicKey(name), encodeTopic(topic));
        return true;
      });
    this.#topics.set(name, topic!);
    return topic!;
  }

  #readTopic(name: string): Topic | undefined {
    const bytes = this.#value(this.#meta, topicKey(name));
    return bytes && decodeTopic(name, bytes);
  }

  /** What is read from here on is at least as new as this moment. */
  refresh(): void {
    this.#environment.root.resetReadTxn();
  }

  /** Changes with every append and every change of a group, by whichever process. */
  pulse(): number {
    this.refresh();
    const bytes = this.#value(this.#meta, PULSE_KEY);
    return bytes === undefined ? 0 : decodeNumber(bytes);
  }

  #beat(): void {
    this.#meta.put(PULSE_KEY, encodeNumber(this.#environment.root.getWriteTxnId()));
  }

  state(topic: Topic, partition: number): PartitionState {
    const bytes = this.#value(this.#meta, stateKey(topic.id, partition));
    return bytes === undefined ? EMPTY_PARTITION : decodeState(topic, partition, bytes);
  }

  /** Writes all of it or nothing, and sets where the pieces lie. Pieces of one partition come after each other, as they are given. */
  append(appends: readonly Appending[], clock: Clock): void {
    const parts = new Map<string, { topic: Topic; partition: number; pieces: Piece[] }>();
    for (const { topic, pieces } of appends)
      for (const piece of pieces) {
        const key = `${topic.id}/${piece.partition}`;
        const part = parts.get(key);
        if (part === undefined)
          parts.set(key, { topic, partition: piece.partition, pieces: [piece] });
        else part.pieces.push(piece);
      }
    this.#environment.transaction(() => {
      // Within the transaction, and after every stamp there is: whoever comes later stamps later, in whichever topic.
      const stamp = this.#value(this.#meta, STAMP_KEY);
      const nowUs = Math.max(clock.nowUs(), stamp === undefined ? 0 : decodeNumber(stamp) + 1);
      let lastUs = nowUs;
      for (const { topic, partition, pieces } of parts.values()) {
        const state = this.state(topic, partition);
        const after = this.#putChunks(topic, partition, state, pieces, nowUs);
        this.#meta.put(stateKey(topic.id, partition), encodeState(topic, partition, after));
        lastUs = Math.max(lastUs, after.lastUs);
      }
      if (parts.size > 0) this.#meta.put(STAMP_KEY, encodeNumber(lastUs));
      this.#beat();
    });
  }

  /** Within a transaction. Small pieces share a chunk. */
  #putChunks(
    topic: Topic,
    partition: number,
    state: PartitionState,
    pieces: readonly Piece[],
    nowUs: InstantUs,
  ): PartitionState {
    let { next, bytes } = state;
    let timestampUs = Math.max(nowUs, state.lastUs + 1);
    for (let from = 0, to = 0; from < pieces.length; from = to) {
      const first = next;
      for (let size = 0; to < pieces.length; to++) {
        const piece = pieces[to]!;
        if (to > from && size + piece.bytes.length > CHUNK_BYTES) break;
        size += piece.bytes.length;
        piece.first = next;
        next += piece.count;
      }
      const chunk = { first, count: next - first, timestampUs };
      const own = pieces.slice(from, to).map((piece) => piece.bytes);
      const value = encodeChunk(topic, partition, chunk, own);
      this.#chunks.put(chunkKey(topic.id, partition, first), value);
      bytes += value.length;
      timestampUs += chunk.count;
    }
    return { first: state.first, next, lastUs: timestampUs - 1, bytes };
  }

  /** The chunk that holds a position that is kept. Throws `stream/damaged` if it cannot be trusted. */
  chunkAt(topic: Topic, partition: number, position: number): Chunk {
    const [key] = this.#environment.guard(() => [
      ...this.#chunks.getKeys({
        start: chunkKey(topic.id, partition, position),
        end: chunkKey(topic.id, partition, 0),
        inclusiveEnd: true,
        reverse: true,
        limit: 1,
      }),
    ]);
    const bytes = key && this.#value(this.#chunks, key);
    if (bytes !== undefined) {
      const chunk = decodeChunk(topic, partition, firstOf(key!), bytes);
      if (position < chunk.first + chunk.count) return chunk;
    }
    throw damagedValue('it is not there', placeOf(topic, partition, position));
  }

  /** The oldest chunk of a partition, also if it is damaged; null: there is none. */
  oldestChunk(topic: Topic, partition: number): OldestChunk | null {
    const { first, next, lastUs } = this.state(topic, partition);
    let oldest: Omit<OldestChunk, 'lastUs'> | null = null;
    let start = chunkKey(topic.id, partition, first);
    const end = chunkKey(topic.id, partition, next);
    for (;;) {
      const [key, after] = this.#environment.guard(() => [
        ...this.#chunks.getKeys({ start, end, limit: 2 }),
      ]);
      if (key === undefined) return oldest && { ...oldest, lastUs };
      const bytes = this.#value(this.#chunks, key)!;
      const to = after === undefined ? next : firstOf(after);
      oldest ??= { partition, first: firstOf(key), end: to, bytes: bytes.length };
      try {
        const { count, timestampUs } = decodeChunk(topic, partition, firstOf(key), bytes);
        return { ...oldest, lastUs: timestampUs + count - 1 };
      } catch (error) {
        if (!(error instanceof SamewiseError)) throw error;
      }
      start = chunkKey(topic.id, partition, to);
    }
  }

  /** Within a transaction: drops the oldest chunk of a partition. */
  dropChunk(topic: Topic, { partition, first, end, bytes }: OldestChunk): void {
    const state = this.state(topic, partition);
    const after = { ...state, first: end, bytes: state.bytes - bytes };
    this.#chunks.remove(chunkKey(topic.id, partition, first));
    this.#meta.put(stateKey(topic.id, partition), encodeState(topic, partition, after));
  }

  /** Runs `body` in a transaction. */
  transaction(body: () => void): void {
    this.#environment.transaction(body);
  }

  group(topic: Topic, name: string): Group {
    const bytes = this.#value(this.#meta, groupKey(topic.id, name));
    if (bytes === undefined) return NO_GROUP;
    return JSON.parse(unseal(bytes, { topic: topic.name }).string()) as Group;
  }

  /** Replaces groups by what `change` makes of them, all in one transaction. */
  changeGroups(
    changes: readonly { topic: Topic; name: string; change: (group: Group) => Group }[],
  ): Group[] {
    let after: Group[] = [];
    this.#environment.transaction(() => {
      after = changes.map(({ topic, name, change }) => {
        const changed = change(this.group(topic, name));
        const writer = new ByteWriter();
        writer.string(JSON.stringify(changed));
        this.#meta.put(groupKey(topic.id, name), seal([writer.peek()]));
        return changed;
      });
      this.#beat();
    });
    return after;
  }

  /** A copy of a value: what LMDB gives is overwritten by the next read. */
  #value(values: Values, key: Uint8Array): Uint8Array | undefined {
    const bytes = this.#environment.guard(() => values.getBinaryFast(key));
    return bytes && new Uint8Array(bytes.subarray(0, bytes.length));
  }

  async close(): Promise<void> {
    await this.#environment.close();
  }
}

/** Throws `stream/bad-name`. */
export function checkName(what: 'topic' | 'group', name: string): void {
  const { length } = new TextEncoder().encode(name);
  if (length > 0 && length <= MAX_NAME_BYTES) return;
  throw new SamewiseError(
    'stream/bad-name',
    `the name of a ${what} has 1 to ${MAX_NAME_BYTES} bytes, this one ${length}`,
    { hint: `give the ${what} a shorter name` },
  );
}
