/**
 * What the server counts, in Prometheus' text format. Counting must cost next to nothing on the hot path, so requests and
 * reads are plain additions here, and prom-client's objects are brought up to date when somebody looks.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { STATUSES } from '../model/missing.ts';
import { noValues, type Tally } from './answer.ts';
import { Durations } from './durations.ts';
import type { PageCacheCounts } from './page_cache.ts';
import type { PageCounter } from './pages.ts';

export class Metrics implements PageCounter {
  readonly #registry = new Registry();
  readonly #durations = new Durations(
    'samewise_http_request_duration_seconds',
    'Time from the head of a request to the answer being handed to the socket',
  );
  #vectors = 0;
  #pages = 0;
  #pageBytes = 0;
  #partial = 0;
  #refused = 0;
  readonly #values = noValues();
  /** The tally that came last and how often it has come since it was added: most answers are whole, and have the same one. */
  #tally: Readonly<Tally> = noValues();
  #times = 0;

  constructor() {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#total('samewise_vectors_read_total', 'Feature vectors answered', () => this.#vectors);
    this.#total('samewise_pages_read_total', 'Entity pages looked up', () => this.#pages);
    this.#total('samewise_page_bytes_read_total', 'Bytes of pages read', () => this.#pageBytes);
    this.#total(
      'samewise_partial_answers_total',
      'Answers that lack values because the deadline of the request passed',
      () => this.#partial,
    );
    this.#total(
      'samewise_overloaded_total',
      'Requests that were refused because too much was under way',
      () => this.#refused,
    );
    const valuesRead = () => {
      this.#addTally();
      return this.#values;
    };
    new Counter({
      name: 'samewise_values_read_total',
      help: 'Feature values answered, by status',
      labelNames: ['status'],
      registers,
      collect() {
        this.reset();
        const values = valuesRead();
        for (const status of STATUSES) this.inc({ status }, values[status]);
      },
    });
  }

  #addTally(): void {
    for (const status of STATUSES) this.#values[status] += this.#times * this.#tally[status];
    this.#times = 0;
  }

  /** A counter of what is counted elsewhere. */
  #total(name: string, help: string, total: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.reset();
        this.inc(total());
      },
    });
  }

  /** Tells of a cache of pages, too. */
  watch(counts: PageCacheCounts): void {
    const registers = [this.#registry];
    this.#total('samewise_page_cache_hits_total', 'Pages that were kept', () => counts.hits);
    this.#total(
      'samewise_page_cache_absent_hits_total',
      'Keys that were known to have no page',
      () => counts.absentHits,
    );
    this.#total('samewise_page_cache_misses_total', 'Pages that were fetched', () => counts.misses);
    this.#total(
      'samewise_page_cache_joined_total',
      'Pages that were on their way already',
      () => counts.joined,
    );
    this.#total(
      'samewise_page_cache_evicted_total',
      'Pages that made room for others',
      () => counts.evicted,
    );
    new Gauge({
      name: 'samewise_page_cache_bytes',
      help: 'Size of the pages that are kept',
      registers,
      collect() {
        this.set(counts.bytes);
      },
    });
    new Gauge({
      name: 'samewise_page_cache_oldest_answer_seconds',
      help: 'Age of the oldest page that was answered from since the last look',
      registers,
      collect() {
        this.set(counts.oldestMs / 1000);
        counts.oldestMs = 0;
      },
    });
  }

  request(route: string, status: number, seconds: number): void {
    this.#durations.observe(route, status, seconds);
  }
  /** So many vectors whose values have these statuses, all together. */
  answer(vectors: number, tally: Readonly<Tally>): void {
    this.#vectors += vectors;
    if (tally !== this.#tally) {
      this.#addTally();
      this.#tally = tally;
    }
    this.#times++;
  }
  /** The deadline of a request passed before all of its values came. */
  partial(): void {
    this.#partial++;
  }
  /** A request was refused because too much was under way. */
  refused(): void {
    this.#refused++;
  }
  pages(count: number): void {
    this.#pages += count;
  }
  bytes(count: number): void {
    this.#pageBytes += count;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }
  /** Everything counted so far. */
  async text(): Promise<string> {
    return (await this.#registry.metrics()) + this.#durations.text();
  }
}
