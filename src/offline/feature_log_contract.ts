/**
 * The feature log: vectors as they were served, with what their pages had absorbed, so that `samewise prove` can compute them again
 * from history and hold them against what was answered. See docs/feature-log.md.
 */
import type { DurationUs, InstantUs } from '../base/time.ts';
import type { BatchLocation, Status } from '../model/index.ts';
import type { Field, Schema } from '../types/batch.ts';
import type { FileOutput, Running } from './contract.ts';

/** What one page answered. Values are JSON texts before defaults, with as many digits as they need: equal texts are equal bits. */
export interface LoggedPage {
  readonly view: string;
  readonly version: number;
  /** Of the view version, as in `ViewProgram`. */
  readonly id: string;
  /** The encoded entity key in hex; null: a part of it was null. */
  readonly key: string | null;
  /** By partition of the source's log, the highest position of the key's own events that was in the page, in digits; null: there was no page. */
  readonly positions: Readonly<Record<string, string>> | null;
  readonly features: readonly string[];
  readonly values: readonly string[];
  readonly statuses: readonly Status[];
  /** Of the newest event before the read; null: there was none. */
  readonly eventTimeUs: InstantUs | null;
}

/** One vector as it was served. */
export interface LoggedVector {
  /** The client's `x-request-id`, else one of ours. */
  readonly requestId: string;
  /** Its 0-based place among the request's entities. */
  readonly row: number;
  /** When it was answered. */
  readonly servedUs: InstantUs;
  /** T of the read: events strictly before it counted. */
  readonly readUs: InstantUs;
  /** Null: an ad-hoc list of features. */
  readonly service: { readonly name: string; readonly version: number } | null;
  /** Key columns, then request data, by name: a JSON object. */
  readonly inputs: string;
  /** What was answered: names, `view:feature`, values after defaults as JSON texts. */
  readonly features: readonly string[];
  readonly refs: readonly string[];
  readonly values: readonly string[];
  readonly statuses: readonly Status[];
  /** The pages that it was made from, in the order of the service's look-ups. */
  readonly pages: readonly LoggedPage[];
}

/** Which vectors to read back. */
export interface FeatureLogRequest {
  /** Of this service; null: all, ad-hoc lists too. */
  readonly service: string | null;
  /** Served at or after this. */
  readonly sinceUs: InstantUs;
  /** At most so many; of more, ones that are spread evenly, the same ones each time. */
  readonly limit: number;
}

/** A training set of what was served: a row for each label, in label order. */
export interface ServedSetRequest extends Running {
  /** Version null: vectors of all versions. */
  readonly service: { readonly name: string; readonly version: number | null };
  /** The features to take, by the names and references that the vectors have them under. */
  readonly outputs: readonly (Field & { readonly ref: string })[];
  /** Of the service: columns that labels of `entity` have. */
  readonly keyColumns: Schema;
  readonly labels: BatchLocation;
  /**
   * `request`: the label names the request (and the place among its entities; null: the first). `entity`: the newest vector of the
   * label's entity that was served at or before its time, and not longer than `withinUs` before.
   */
  readonly match:
    | { readonly by: 'request'; readonly requestColumn: string; readonly rowColumn: string | null }
    | { readonly by: 'entity'; readonly timeColumn: string; readonly withinUs: DurationUs };
  readonly output: FileOutput;
}

/** What was written. */
export interface ServedSet {
  readonly rows: number;
  /** Labels whose vector is in the log; the features of the others are null. */
  readonly matched: number;
  /** Of these, by version of the service. */
  readonly versions: Readonly<Record<string, number>>;
  readonly bytes: number;
  readonly path: string;
  readonly manifestPath: string;
}

/** Where logged vectors lie. All methods fail with coded `offline/…` errors. */
export interface FeatureLogFiles {
  /** Adds a file of vectors for each day, whole or not at all; durable when it resolves. Gives their bytes. */
  append(vectors: readonly LoggedVector[]): Promise<number>;
  /** In the order in which they were served. */
  read(request: FeatureLogRequest): Promise<LoggedVector[]>;
  /** Writes values as they were served beside labels. Throws `offline/no-feature-log` and `offline/bad-labels`. */
  train(request: ServedSetRequest): Promise<ServedSet>;
  /** Removes days that ended before this. */
  forget(beforeUs: InstantUs): Promise<void>;
}
