/**
 * The event log: where events are durable before anything else is done with them. A topic is divided into partitions; a
 * partition is a sequence of records at growing positions. Events of one id are in one partition, in the order in which
 * they happened to the log.
 *
 * Whoever reads keeps its own place (see checkpoint.ts): nothing that a log remembers of a group is needed for correctness.
 */
import type { DurationUs, InstantUs } from '../base/time.ts';

/** One record as the log has it. */
export interface LogRecord {
  /** Grows within a partition, not necessarily by one. Any size: Kinesis numbers have 186 bits. */
  readonly position: bigint;
  /** When the log took the record, by the log's own clock and to its own precision. */
  readonly timestampUs: InstantUs;
  /** What the record was partitioned by. */
  readonly key: Uint8Array | null;
  /** Null: a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers: ReadonlyMap<string, Uint8Array>;
  /** Where the value lies, of logs that have many in one piece: to make a view of each takes longer than to read most of them. */
  readonly placed?: PlacedValue | null;
}

/** A value within more bytes. */
export interface PlacedValue {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
}

/** A record to append. Records of one key go to one partition; without a key the log chooses. */
export interface NewRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: ReadonlyMap<string, Uint8Array>;
}

/** Where a record lies. */
export interface RecordPlace {
  readonly partition: string;
  readonly position: bigint;
}

/** First position that is still kept and the one after the last; equal: nothing is there. */
export interface PartitionEnds {
  readonly first: bigint;
  readonly next: bigint;
}

/** What a consumer is told, in this order for each partition: assigned, records …, revoked. */
export type ConsumerEvent =
  /** The consumer reads this partition from now on: nothing of it comes before `seek`. */
  | { readonly type: 'assigned'; readonly partition: string }
  /** Another one reads it now: nothing of it comes any more. */
  | { readonly type: 'revoked'; readonly partition: string }
  | {
      readonly type: 'records';
      readonly partition: string;
      /** At least one, by position, none left out. */
      readonly records: readonly LogRecord[];
      /** The partition's end when they were read: what lies between is the lag. */
      readonly next: bigint;
    };

/** How much a consumer gives at once, and how much it may hold for its reader. */
export interface ConsumerLimits {
  readonly records: number;
  readonly bytes: number;
}

/** One member of a group. Pulled: it reads ahead by its limits at most, so a slow reader holds back the log's delivery, not memory. */
export interface Consumer {
  /** The next event; null when the consumer is closed. Waits where nothing is new; one call at a time. */
  next(): Promise<ConsumerEvent | null>;
  /**
   * Reads an assigned partition from `position` on, which may be one that was read before. A position that the log no longer
   * keeps is `stream/position-gone` (from `next`), with the first one that it does keep; one behind the end of the partition,
   * where nothing was written yet, is `stream/position-ahead`. Such errors name topic, partition and position in their `where`,
   * and come again until there is another `seek`. A partition that was lost meanwhile is passed over.
   */
  seek(partition: string, position: bigint): void;
  /** Tells the log's own tools how far the group has come: all before `position` is done. Best effort. */
  commit(partition: string, position: bigint): Promise<void>;
  /** Leaves the group; a pending `next` gives null. */
  close(): Promise<void>;
}

/** All methods fail with coded `stream/…` errors; none retries for longer than its own time limit. */
export interface EventLog {
  /**
   * A record that is appended so long after another one has no lesser timestamp, whatever their topics: how far clocks may be
   * apart. 0: what comes later is stamped later.
   */
  readonly stampSlackMs: number;
  /** Partitions of a topic, sorted. Throws `stream/no-topic` where topics are made by others. */
  partitions(topic: string): Promise<readonly string[]>;
  ends(topic: string): Promise<ReadonlyMap<string, PartitionEnds>>;
  /** By partition: the first position whose record the log took at or after `timeUs`; `next` where there is none. */
  positionsAt(topic: string, timeUs: InstantUs): Promise<ReadonlyMap<string, bigint>>;
  /** Appends in order; all are durable when it resolves. Not idempotent: events are, by their ids. Gives the places in the order of `records`. */
  append(topic: string, records: readonly NewRecord[]): Promise<RecordPlace[]>;
  /** Drops what is older than `maxAgeUs`. Only of a log that is ours to keep small: others have rules of their own. */
  retain?(topic: string, limits: { readonly maxAgeUs: DurationUs }): Promise<unknown>;
  /** Joins a group of consumers that share the partitions of a topic, one consumer a partition. */
  consume(
    topic: string,
    options: { readonly group: string; readonly limits?: Partial<ConsumerLimits> },
  ): Promise<Consumer>;
  close(): Promise<void>;
}
