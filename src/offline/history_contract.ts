/**
 * History that a stream writes: each record of a log once, in files that are immutable, named by a manifest that changes
 * atomically. What no manifest names does not exist. See docs/decisions/0014-streams.md.
 */
import type { InstantUs } from '../base/time.ts';
import type { Source } from '../model/definitions.ts';
import type { Batch } from '../types/batch.ts';
import type { Running } from './contract.ts';

/** How far a sink is in one partition of a log: everything up to here is in it, durably. */
export interface Checkpoint {
  /** Of the last record. */
  readonly position: bigint;
  /** Arrival of the last record: the next one's is greater. */
  readonly arrivalUs: InstantUs;
  /** Greatest event time so far, of which the watermark is made; null before any event. */
  readonly newestUs: InstantUs | null;
}

/** A record that could not be read, kept so that it can be mended and replayed. */
export interface DeadLetter {
  readonly partition: string;
  readonly position: bigint;
  readonly arrivalUs: InstantUs;
  /** Of the error, such as `stream/bad-json` or `types/not-a-number`. */
  readonly code: string;
  readonly message: string;
  /** The column at fault, where it is known. */
  readonly column: string | null;
  readonly key: Uint8Array | null;
  /** The record's value; only its beginning where it was too large. */
  readonly payload: Uint8Array | null;
}

/** Records of one partition, to be put into history all at once. */
export interface HistoryCommit {
  readonly source: Source;
  readonly partition: string;
  /** The checkpoint that this follows; null: nothing of the partition is there. */
  readonly after: Checkpoint | null;
  readonly to: Checkpoint;
  /** The source's columns, one row an event, in the order of the log. */
  readonly rows: Batch;
  readonly arrivalUs: Float64Array;
  readonly positions: readonly bigint[];
  /** 1: the row takes its event away. Null: none does. */
  readonly retract: Uint8Array | null;
  /** Of the rows, those that were before the watermark and so are in history alone. */
  readonly late: number;
  readonly deadLetters: readonly DeadLetter[];
}

/** What history has of one partition. */
export interface PartitionHistory extends Checkpoint {
  readonly rows: number;
  readonly late: number;
  readonly deadLetters: number;
}

/** What history has of a source's stream. */
export interface HistoryState {
  /** Number of the manifest; 0 before the first commit. */
  readonly version: number;
  readonly partitions: ReadonlyMap<string, PartitionHistory>;
  readonly files: number;
  readonly bytes: number;
}

/** A dead letter and what became of it. */
export interface StoredDeadLetter extends DeadLetter {
  readonly state: 'open' | 'replayed' | 'discarded';
}

/** Where the history of streams lies. All methods fail with coded `offline/…` errors. */
export interface HistoryLog {
  state(source: string): Promise<HistoryState>;
  /**
   * Adds a commit; durable and seen by every later scan when it resolves. False: the partition's checkpoint is not `after`, because
   * another worker was faster; nothing is added, and `state` says from where to go on.
   */
  commit(commit: HistoryCommit): Promise<boolean>;
  /** Merges small files of a day into large ones, while others commit and read. Readers of the old files keep them for an hour. */
  compact(source: Source, running?: Running): Promise<{ before: number; after: number }>;
  /** Dead letters in the order of arrival. */
  deadLetters(source: string): AsyncIterable<StoredDeadLetter>;
  /** Marks dead letters; the same mark again changes nothing. */
  settleDeadLetters(
    source: string,
    places: readonly { readonly partition: string; readonly position: bigint }[],
    state: 'replayed' | 'discarded',
  ): Promise<void>;
}
