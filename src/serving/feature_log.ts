/**
 * Which vectors are logged, and their way to disk: chosen at random, kept in bounded memory, written by whoever calls `flush`. Serving
 * never waits for it: what does not fit is dropped and counted.
 */
import type { FeatureLogFiles, LoggedVector } from '../offline/feature_log_contract.ts';
import type { RequestIds } from './request_ids.ts';

export interface FeatureLogOptions {
  readonly files: Pick<FeatureLogFiles, 'append'>;
  /** Of all vectors, the share that is logged: above 0, at most 1. */
  readonly share: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Of requests that bring none of their own. */
  readonly requestIds: RequestIds;
  /** A write failed, after one that did not; what was to be written is tried again with the next flush. */
  readonly onFailure: (error: unknown) => void;
}

/** What it has done so far. */
export interface FeatureLogCounts {
  /** Vectors that are in files. */
  logged: number;
  /** Vectors that were chosen and found no room. */
  dropped: number;
  /** Of the files. */
  bytes: number;
  failures: number;
}

/** What waits for a file at most. */
const MAX_VECTORS = 50_000;
const MAX_BYTES = 64 << 20;
/** So many are written without waiting for the next flush. */
const FILE_VECTORS = 10_000;
const FILE_BYTES = 16 << 20;

const NONE: readonly number[] = [];

export class FeatureLog {
  readonly counts: FeatureLogCounts = { logged: 0, dropped: 0, bytes: 0, failures: 0 };
  readonly #options: FeatureLogOptions;
  /** Vectors that go by until the next one is chosen. */
  #gap: number;
  #waiting: LoggedVector[] = [];
  #bytes = 0;
  #flushing: Promise<void> | null = null;
  #failing = false;

  constructor(options: FeatureLogOptions) {
    this.#options = options;
    this.#gap = this.#drawGap();
  }

  /** Of `rows` vectors that are about to be read, those to log. */
  choose(rows: number): readonly number[] {
    if (this.#gap >= rows) {
      this.#gap -= rows;
      return NONE;
    }
    const chosen: number[] = [];
    let at = this.#gap;
    for (; at < rows; at += 1 + this.#drawGap()) chosen.push(at);
    this.#gap = at - rows;
    return chosen;
  }

  /** An id for a request that brings none. */
  nextId(): string {
    return this.#options.requestIds.of(undefined);
  }

  add(vector: LoggedVector): void {
    if (this.#waiting.length >= MAX_VECTORS || this.#bytes >= MAX_BYTES) {
      this.counts.dropped++;
      return;
    }
    this.#waiting.push(vector);
    this.#bytes += sizeOf(vector);
    const enough = this.#waiting.length >= FILE_VECTORS || this.#bytes >= FILE_BYTES;
    // After a failure it waits for its turn.
    if (enough && this.#flushing === null && !this.#failing) void this.flush();
  }

  /** Writes what waits; never rejects. */
  flush(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = null;
    });
    return this.#flushing;
  }

  /** Writes what waits for the last time; what cannot be written is dropped. */
  async close(): Promise<void> {
    await this.#flushing;
    await this.flush();
    this.counts.dropped += this.#waiting.length;
    this.#waiting = [];
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const some = this.#waiting.slice(0, FILE_VECTORS);
      try {
        this.counts.bytes += await this.#options.files.append(some);
      } catch (error) {
        this.counts.failures++;
        if (!this.#failing) this.#options.onFailure(error);
        this.#failing = true;
        return;
      }
      this.#failing = false;
      this.counts.logged += some.length;
      this.#waiting = this.#waiting.slice(some.length);
      for (const vector of some) this.#bytes -= sizeOf(vector);
    }
  }

  /** How many trials fail before one of this chance succeeds. */
  #drawGap(): number {
    const { share, random } = this.#options;
    if (share >= 1) return 0;
    return Math.floor(Math.log(1 - random()) / Math.log(1 - share));
  }
}

/** In memory, about. */
function sizeOf({ inputs, values, pages }: LoggedVector): number {
  let size = 500 + inputs.length;
  for (const value of values) size += 16 + value.length;
  for (const page of pages) {
    size += 300;
    for (const value of page.values) size += 16 + value.length;
  }
  return size;
}
