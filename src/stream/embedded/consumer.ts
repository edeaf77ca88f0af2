/** A consumer of the embedded log. It reads when it is asked: nothing is read ahead but the rest of the chunk it is in. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { assert, SamewiseError } from '../../base/errors.ts';
import type { InstantUs } from '../../base/time.ts';
import type { Consumer, ConsumerEvent, ConsumerLimits, LogRecord } from '../contract.ts';
import { chosen, type Group, LEASE_US } from './group.ts';
import type { LogStore } from './store.ts';
import { type Chunk, placeOf, readRecord, skipRecord, type Topic } from './values.ts';

export const DEFAULT_LIMITS: ConsumerLimits = { records: 5_000, bytes: 4 * 1024 * 1024 };

/** Where reading of a partition is. */
interface Cursor {
  position: number;
  /** The chunk at the position, read up to it; null: to be looked up. */
  chunk: Chunk | null;
}

/** What a consumer needs of its log. */
export interface Membership {
  readonly topic: Topic;
  readonly group: string;
  readonly member: number;
  readonly limits: ConsumerLimits;
  /** Renews the leases of all consumers of the log now; each gets its group by `follow`. */
  renew(): void;
  leave(): void;
}

export class EmbeddedConsumer implements Consumer {
  readonly membership: Membership;
  /** Partitions that the reader is done with, to be given back. */
  readonly released = new Set<number>();
  readonly #store: LogStore;
  readonly #events: ConsumerEvent[] = [];
  /** What the reader was told, or is about to be told, to be its own. */
  readonly #assigned = new Set<number>();
  /** Of the partitions that the reader has been told of; null: it has not said from where to read. */
  readonly #cursors = new Map<number, Cursor | null>();
  /** Partitions that the reader has to let go of, with the time at which they are given back if it does not. */
  readonly #leaving = new Map<number, InstantUs>();
  /** Those of them that it was told of: it is done with them when it asks for more. */
  readonly #told = new Set<number>();
  #version = -1;
  /** Where the round of the partitions begins next. */
  #turn = 0;
  #waiting: (() => void) | null = null;
  #asked = false;
  #closed = false;

  constructor(store: LogStore, membership: Membership) {
    this.#store = store;
    this.membership = membership;
  }

  async next(): Promise<ConsumerEvent | null> {
    assert(!this.#asked, 'one call of next at a time');
    this.#asked = true;
    try {
      this.#letGo();
      for (;;) {
        if (this.#closed) return null;
        const event = this.#take();
        if (event !== null) {
          // A reader that is always behind must not keep everything else of the process from its turn.
          if (event.type === 'records') await nextTurn();
          return this.#closed ? null : event;
        }
        await this.#wait();
      }
    } finally {
      this.#asked = false;
    }
  }

  seek(partition: string, position: bigint): void {
    const index = Number(partition);
    // Of one that was lost meanwhile the reader is about to hear.
    if (!this.#cursors.has(index)) return;
    this.#cursors.set(index, { position: Number(position), chunk: null });
    this.wake();
  }

  /** The embedded log has no tools of its own that would ask: checkpoints tell how far a reader is. */
  async commit(): Promise<void> {}

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.wake();
    this.membership.leave();
  }

  /** Ends the wait of a pending `next`. */
  wake(): void {
    this.#waiting?.();
  }

  /** Takes note of the group as it is now. */
  follow(group: Group, nowUs: InstantUs): void {
    const { member, topic } = this.membership;
    this.#version = group.version;
    this.released.clear();
    for (const [partition, untilUs] of this.#leaving)
      if (group.owners[partition] !== member) this.#leaving.delete(partition);
      else if (nowUs >= untilUs) this.#release(partition);
    for (let partition = 0; partition < topic.partitions; partition++) {
      const mine = group.owners[partition] === member;
      const keeps = mine && chosen(group, partition) === member;
      if (this.#assigned.has(partition) && !keeps) {
        this.#assigned.delete(partition);
        this.#cursors.delete(partition);
        this.#events.push({ type: 'revoked', partition: String(partition) });
        if (mine) this.#leaving.set(partition, nowUs + LEASE_US);
      } else if (keeps && !this.#assigned.has(partition) && !this.#leaving.has(partition)) {
        this.#assigned.add(partition);
        this.#events.push({ type: 'assigned', partition: String(partition) });
      }
    }
    if (this.#events.length > 0) this.wake();
  }

  #release(partition: number): void {
    this.#leaving.delete(partition);
    this.released.add(partition);
  }

  /** Gives back what the reader was told to let go of, now that it asks for more. */
  #letGo(): void {
    if (this.#told.size === 0) return;
    for (const partition of this.#told) if (this.#leaving.has(partition)) this.#release(partition);
    this.#told.clear();
    if (this.released.size > 0) this.membership.renew();
  }

  #take(): ConsumerEvent | null {
    const { topic, group } = this.membership;
    this.#store.refresh();
    if (this.#store.group(topic, group).version !== this.#version) this.membership.renew();
    const event = this.#events.shift();
    if (event !== undefined) {
      const partition = Number(event.partition);
      if (event.type === 'revoked') this.#told.add(partition);
      // What the reader said of an assignment before does not count for this one.
      else if (this.#assigned.has(partition)) this.#cursors.set(partition, null);
      return event;
    }
    for (let i = 0; i < topic.partitions; i++) {
      const partition = (this.#turn + i) % topic.partitions;
      const cursor = this.#cursors.get(partition);
      if (!cursor) continue;
      const records = this.#read(partition, cursor);
      if (records.length === 0) continue;
      this.#turn = partition + 1;
      const next = BigInt(this.#store.state(topic, partition).next);
      return { type: 'records', partition: String(partition), records, next };
    }
    return null;
  }

  /** Records from the cursor on, within the limits; one that is larger than they allow comes alone. */
  #read(partition: number, cursor: Cursor): LogRecord[] {
    const { limits } = this.membership;
    const records: LogRecord[] = [];
    let bytes = 0;
    while (records.length < limits.records && bytes < limits.bytes) {
      // What is damaged behind good records is for the next call.
      const chunk =
        records.length === 0 ? this.#chunk(partition, cursor) : this.#tryChunk(partition, cursor);
      if (chunk === null) break;
      const { reader, first, count, timestampUs } = chunk;
      const end = first + count;
      while (cursor.position < end && records.length < limits.records && bytes < limits.bytes) {
        const from = reader.offset;
        const offset = cursor.position - first;
        records.push(readRecord(reader, cursor.position, timestampUs + offset));
        bytes += reader.offset - from;
        cursor.position++;
      }
      if (cursor.position === end) cursor.chunk = null;
    }
    return records;
  }

  #tryChunk(partition: number, cursor: Cursor): Chunk | null {
    try {
      return this.#chunk(partition, cursor);
    } catch (error) {
      if (error instanceof SamewiseError) return null;
      throw error;
    }
  }

  /** The chunk at the cursor, read up to it; null at the partition's end. */
  #chunk(partition: number, cursor: Cursor): Chunk | null {
    if (cursor.chunk !== null) return cursor.chunk;
    const { topic } = this.membership;
    const { position } = cursor;
    const { first, next } = this.#store.state(topic, partition);
    if (position === next) return null;
    const where = placeOf(topic, partition, position);
    if (position < first)
      throw new SamewiseError(
        'stream/position-gone',
        `topic ${topic.name} keeps partition ${partition} from position ${first} on; ${position} is gone`,
        { where, hint: 'what history has of it is not lost; read on from the first that is kept' },
      );
    if (position > next)
      throw new SamewiseError(
        'stream/position-ahead',
        `topic ${topic.name} has partition ${partition} up to position ${next}; there is no ${position}`,
        {
          where,
          hint: 'the checkpoint is that of another log, or the log was lost: rewind the stream',
        },
      );
    const chunk = this.#store.chunkAt(topic, partition, position);
    for (let skip = chunk.first; skip < position; skip++) skipRecord(chunk.reader);
    cursor.chunk = chunk;
    return chunk;
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = () => {
        this.#waiting = null;
        resolve();
      };
    });
  }
}
