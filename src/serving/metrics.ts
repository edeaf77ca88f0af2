/**
 * What the server counts, in Prometheus' text format. Counting must cost next to nothing on the hot path, so requests and
 * reads are plain additions here, and prom-client's objects are brought up to date when somebody looks.
 */
import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import { STATUSES, type Status } from '../model/missing.ts';
import type { PageCounter } from './pages.ts';

/** Upper bounds of the duration buckets, in seconds. */
const BUCKETS_S = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
];

export class Metrics implements PageCounter {
  readonly registry = new Registry();
  readonly #durations: Histogram<'route' | 'status'>;
  /** Observers by route and status, made once each. */
  readonly #observers = new Map<string, Map<number, (seconds: number) => void>>();
  #vectors = 0;
  #pages = 0;
  #pageBytes = 0;
  readonly #values: Record<Status, number> = {
    PRESENT: 0,
    NULL_VALUE: 0,
    NOT_FOUND: 0,
    OUTSIDE_MAX_AGE: 0,
  };

  constructor() {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#durations = new Histogram({
      name: 'samewise_http_request_duration_seconds',
      help: 'Time from the whole request to the whole answer',
      labelNames: ['route', 'status'],
      buckets: BUCKETS_S,
      registers,
    });
    const counter = (name: string, help: string, total: () => number) =>
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(total());
        },
      });
    counter('samewise_vectors_read_total', 'Feature vectors answered', () => this.#vectors);
    counter('samewise_pages_read_total', 'Entity pages looked up', () => this.#pages);
    counter('samewise_page_bytes_read_total', 'Bytes of pages read', () => this.#pageBytes);
    const values = this.#values;
    new Counter({
      name: 'samewise_values_read_total',
      help: 'Feature values answered, by status',
      labelNames: ['status'],
      registers,
      collect() {
        this.reset();
        for (const status of STATUSES) this.inc({ status }, values[status]);
      },
    });
  }

  request(route: string, status: number, seconds: number): void {
    let byStatus = this.#observers.get(route);
    if (byStatus === undefined) this.#observers.set(route, (byStatus = new Map()));
    let observe = byStatus.get(status);
    if (observe === undefined) {
      observe = this.#durations.labels(route, String(status)).observe;
      byStatus.set(status, observe);
    }
    observe(seconds);
  }
  vectors(count: number): void {
    this.#vectors += count;
  }
  value(status: Status): void {
    this.#values[status]++;
  }
  values(status: Status, count: number): void {
    this.#values[status] += count;
  }
  pages(count: number): void {
    this.#pages += count;
  }
  bytes(count: number): void {
    this.#pageBytes += count;
  }
}
