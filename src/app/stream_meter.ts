/** What workers of this process have done: totals, rates of the last seconds and lags. */
import type { Clock } from '../base/clock.ts';
import type { InstantUs } from '../base/time.ts';
import type { StreamObserver } from '../stream/observer.ts';

/** Rates and shares are of this time. */
const WINDOW_MS = 10_000;
const SLOTS = 10;

export interface SourceMeter {
  records: number;
  rows: number;
  late: number;
  dead: number;
  /** Rows in history. */
  committed: number;
  /** Tries of a store or the log that failed. */
  retries: number;
  /** By partition. */
  readonly lag: Map<string, bigint>;
  readonly recent: Recent;
}

export interface ViewMeter {
  readonly source: string;
  readonly view: string;
  rows: number;
  failed: number;
  newestUs: InstantUs | null;
  /** From the last record's arrival to its being in the pages. */
  lag_ms: number;
  readonly recent: Recent;
}

/** Counts of the last seconds, in slots of one second. */
export class Recent {
  readonly #clock: Clock;
  readonly #rows = new Float64Array(SLOTS);
  readonly #errors = new Float64Array(SLOTS);
  #slot = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#slot = this.#now();
  }

  add(rows: number, errors: number): void {
    this.#turn();
    this.#rows[this.#slot % SLOTS]! += rows;
    this.#errors[this.#slot % SLOTS]! += errors;
  }

  /** Rows a second. */
  get rate(): number {
    this.#turn();
    return sum(this.#rows) / (WINDOW_MS / 1000);
  }

  /** Of what came, the share that failed. */
  get errorRate(): number {
    this.#turn();
    const [rows, errors] = [sum(this.#rows), sum(this.#errors)];
    return errors === 0 ? 0 : errors / (rows + errors);
  }

  #now(): number {
    return Math.floor(this.#clock.monotonicMs() / (WINDOW_MS / SLOTS));
  }

  #turn(): void {
    const now = this.#now();
    for (let i = Math.max(this.#slot + 1, now - SLOTS + 1); i <= now; i++) {
      this.#rows[i % SLOTS] = 0;
      this.#errors[i % SLOTS] = 0;
    }
    this.#slot = now;
  }
}

function sum(slots: Float64Array): number {
  return slots.reduce((total, one) => total + one, 0);
}

export class StreamMeter implements StreamObserver {
  readonly sources = new Map<string, SourceMeter>();
  /** By view id. */
  readonly views = new Map<string, ViewMeter>();
  /** By view, keys that have left its pages. */
  readonly evictions = new Map<string, number>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  revoked({ source, partition }: { source: string; partition: string }): void {
    this.#source(source).lag.delete(partition);
  }

  read(batch: Parameters<NonNullable<StreamObserver['read']>>[0]): void {
    const meter = this.#source(batch.source);
    meter.records += batch.records;
    meter.rows += batch.rows;
    meter.late += batch.late;
    meter.dead += batch.dead;
    meter.lag.set(batch.partition, batch.lag);
    meter.recent.add(batch.rows, batch.dead);
  }

  applied(batch: Parameters<NonNullable<StreamObserver['applied']>>[0]): void {
    const meter = this.#view(batch);
    meter.rows += batch.rows;
    meter.recent.add(batch.rows, 0);
    meter.lag_ms = Math.max(0, (batch.appliedUs - batch.arrivalUs) / 1000);
    if (batch.newestUs !== null)
      meter.newestUs = Math.max(meter.newestUs ?? batch.newestUs, batch.newestUs);
  }

  failed(batch: Parameters<NonNullable<StreamObserver['failed']>>[0]): void {
    for (const meter of this.views.values()) {
      if (meter.view !== batch.view || meter.source !== batch.source) continue;
      meter.failed += batch.rows;
      meter.recent.add(0, batch.rows);
    }
  }

  committed({ source, rows }: { source: string; rows: number }): void {
    this.#source(source).committed += rows;
  }

  retried({ source }: { source: string }): void {
    this.#source(source).retries++;
  }

  evicted({ view, keys }: { view: string; keys: number }): void {
    this.evictions.set(view, (this.evictions.get(view) ?? 0) + keys);
  }

  #source(name: string): SourceMeter {
    let meter = this.sources.get(name);
    if (meter === undefined) {
      const none = { records: 0, rows: 0, late: 0, dead: 0, committed: 0, retries: 0 };
      meter = { ...none, lag: new Map(), recent: new Recent(this.#clock) };
      this.sources.set(name, meter);
    }
    return meter;
  }

  #view({ source, view, viewId }: { source: string; view: string; viewId: string }): ViewMeter {
    let meter = this.views.get(viewId);
    if (meter === undefined) {
      const none = { rows: 0, failed: 0, newestUs: null, lag_ms: 0 };
      meter = { source, view, ...none, recent: new Recent(this.#clock) };
      this.views.set(viewId, meter);
    }
    return meter;
  }
}
