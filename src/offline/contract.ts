/**
 * The offline store: history on disk or in a lake. Engines scan, sort, partition and write; every value is the kernel's.
 *
 * All long calls stream in bounded memory, report progress and stop at once when `signal` aborts. A file appears under its
 * final name only when it is whole. Failures are coded `offline/…` errors that name file, row and column where known.
 */
import type { InstantUs } from '../base/time.ts';
import type { BatchLocation, Catalog, Member, Source } from '../model/definitions.ts';
import type { Tombstones } from '../timeline/index.ts';
import type { Events } from '../timeline/layout.ts';
import type { Batch } from '../types/batch.ts';
import type { Scalar } from '../types/scalar.ts';

/** Where labels come from: files or a query, or rows that the caller holds: as objects, or as an Arrow IPC stream in a file. */
export type LabelSource =
  | BatchLocation
  | { readonly type: 'arrow'; readonly path: string }
  | { readonly type: 'rows'; readonly rows: readonly Readonly<Record<string, unknown>>[] };

/** How far a long call has come. */
export interface Progress {
  /** What is being done, such as `scan transactions` or `write`. */
  readonly phase: string;
  readonly rows: number;
  /** Rows in all, where it is known. */
  readonly totalRows: number | null;
}

/** What every long call takes: a listener for progress and a way to stop it. */
export interface Running {
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** A file to write; it appears under `path` only when it is whole. */
export interface FileOutput {
  readonly format: 'parquet' | 'csv' | 'arrow';
  readonly path: string;
}

/** `final`: all that is known now. `as-served`: only what had arrived before the label's T. */
export type Knowledge = 'final' | 'as-served';

/** A training set: one output row for each label row, in the same order. */
export interface TrainingRequest extends Running {
  /** The definitions, at the versions to use. */
  readonly catalog: Catalog;
  /** Name and version for the manifest; null for an ad-hoc list of features. */
  readonly service: { readonly name: string; readonly version: number } | null;
  readonly members: readonly Member[];
  readonly labels: LabelSource;
  /** The label column that holds T. */
  readonly timeColumn: string;
  /** Read at T + 1 µs, so that events at T itself count. */
  readonly through: boolean;
  readonly knowledge: Knowledge;
  readonly output: FileOutput;
}

/** What was written, and from how much. */
export interface TrainingResult {
  readonly rows: number;
  readonly bytes: number;
  readonly path: string;
  readonly manifestPath: string;
  /** Source rows scanned, by source. */
  readonly scannedRows: Readonly<Record<string, number>>;
  readonly warnings: readonly string[];
}

/** Events of many keys, one key after the other; key i has rows starts[i] to starts[i + 1]. Rows are resolved: no repeats, no retracted ones. */
export interface KeyedEvents {
  readonly keys: readonly Uint8Array[];
  readonly starts: Int32Array;
  readonly events: Events;
  /**
   * What was taken away of each key, so that it stays so when it is delivered again. A key may have nothing else; it may also
   * have nothing at all, if a row of a mutable source was under it once. Empty for `as-served`.
   */
  readonly tombstones: Tombstones;
  /** As-served only: a read at T sees row r iff visibleFrom[r] < T <= visibleTo[r] as well (null: all rows stay visible). */
  readonly visibleFrom?: Float64Array;
  readonly visibleTo?: Float64Array | null;
}

/** Which history of a view to read. */
export interface HistoryRequest extends Running {
  readonly catalog: Catalog;
  readonly view: string;
  /** Of the keys, the share whose hash falls to `index` of `count`; null: all. Stable across runs. */
  readonly shard: { readonly index: number; readonly count: number } | null;
  /** Only keys with an event that arrived (or, without arrival times, happened) at or after this; null: all. Their whole history is given. */
  readonly changedSinceUs: InstantUs | null;
  /** Only these encoded entity keys; null: all. */
  readonly keys: readonly Uint8Array[] | null;
  /** `final` by default. `as-served`: every version that ever stood, and from when to when. */
  readonly knowledge?: Knowledge;
  /**
   * By partition of the source's stream: rows at greater positions are not there, nor any of a partition that is not named. Rows
   * of the batch location always are. Null, the default: all rows.
   */
  readonly upTo?: ReadonlyMap<string, bigint> | null;
}

/** Which deliveries to list. */
export interface DeliveriesRequest
  extends Pick<HistoryRequest, 'catalog' | 'view' | 'upTo' | 'signal'> {
  /** Encoded entity keys. */
  readonly keys: readonly Uint8Array[];
  /** At most so many. */
  readonly limit: number;
  /** Only those of an event time at or after this; null or absent: all. */
  readonly fromUs?: InstantUs | null;
  /** Also says which came too late for pages, for which all of the stream's history is put in its order once. */
  readonly lateness?: boolean;
}

/** A row of history as it came: repeats, corrections and retracts are not resolved, nor is the view's filter applied. */
export interface Delivery {
  /** Of a mutable source perhaps one that was not asked for, or null: a row that was under a key that was, before or after. */
  readonly key: Uint8Array | null;
  readonly id: bigint;
  readonly timeUs: InstantUs;
  readonly arrivalUs: InstantUs;
  readonly retract: boolean;
  /** Where it lies in the log of the source's stream; null: it is of the batch location. */
  readonly place: { readonly partition: string; readonly position: bigint } | null;
  /** It was before the watermark of its partition, so that history alone took it; false where that was not asked. */
  readonly late: boolean;
  /** The columns that the view reads. */
  readonly values: Readonly<Record<string, Scalar | null>>;
}

/** The values of a view at one instant. */
export interface SnapshotRequest extends Running {
  readonly catalog: Catalog;
  readonly view: string;
  readonly atUs: InstantUs;
  readonly output: FileOutput;
}

/** Rows of a training set as they were written, beside what was asked for them. */
export interface TrainingSample {
  readonly catalog: Catalog;
  readonly members: readonly Member[];
  readonly through: boolean;
  readonly knowledge: Knowledge;
  /** By source, how far the history of its stream was read. */
  readonly positions: ReadonlyMap<string, ReadonlyMap<string, bigint>>;
  /** 0-based rows of the training set. */
  readonly rowNumbers: Float64Array;
  /** T of each row. */
  readonly timeUs: Float64Array;
  /** The key and request columns of the plan, in their types. */
  readonly request: Batch;
  /** The features, under their output names. */
  readonly values: Batch;
}

/** A file of events in the columns of a source. */
export interface EventsFileRequest {
  readonly source: Source;
  readonly location: Exclude<BatchLocation, { type: 'query' }>;
  /** An optional column that holds `upsert` or `retract`; else the source's own. */
  readonly opColumn: string;
  /** At most so many rows. */
  readonly limit: number;
}

/** Where history lies; see the head of this file. */
export interface OfflineStore {
  train(request: TrainingRequest): Promise<TrainingResult>;
  /** Values of a view at T for every entity that has an event before T, ordered by key. */
  snapshot(request: SnapshotRequest): Promise<{ rows: number; bytes: number }>;
  /** The resolved history of a view for materialisation, in batches of whole keys. */
  history(request: HistoryRequest): AsyncIterable<KeyedEvents>;
  /** What was delivered of some keys, by key, event time and arrival: for saying what a page held, and which event makes a difference. */
  deliveries(request: DeliveriesRequest): Promise<Delivery[]>;
  /** Estimated rows and bytes of a source, from file metadata only; nulls where it cannot be told. */
  estimate(
    catalog: Catalog,
    source: string,
  ): Promise<{ rows: number | null; bytes: number | null; newestUs: InstantUs | null }>;
  /** Builds the training set of a manifest again, into `output` or the recorded path; the same bytes if nothing changed. */
  rebuild(manifestPath: string, output: string | null, running?: Running): Promise<TrainingResult>;
  /** Checks file, sources and definitions against the manifest; what differs is listed. */
  verify(
    manifestPath: string,
    running?: Running,
  ): Promise<{ ok: boolean; findings: readonly string[] }>;
  /** The rows of a file of events, as scalars by column; columns that the source does not declare are left out. */
  readEvents(request: EventsFileRequest): Promise<Record<string, Scalar | null>[]>;
  /** Some rows of the training set of a manifest, the same ones each time: what a proof compares. Or one of them, by its 0-based number. */
  sample(manifestPath: string, rows: number | { readonly row: number }): Promise<TrainingSample>;
  close(): Promise<void>;
}
