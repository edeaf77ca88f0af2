/**
 * Keys that were evicted (`eviction.ts`) are brought back when they are read: their pages are built from history and put in place of the
 * heads that stayed. What is asked for at about the same time is read in one scan, and only a few scans run at once. See decision 20.
 */
import { setImmediate } from 'node:timers/promises';
import { Counter, Histogram, Registry as PromRegistry } from 'prom-client';
import { SamewiseError } from '../base/errors.ts';
import type { ViewProgram } from '../model/index.ts';
import type { BringBack } from '../serving/index.ts';
import { nameOfKey } from '../stream/evaluate.ts';
import { settleKeys } from '../stream/page_builder.ts';
import { type LiveView, liveViews } from './live_views.ts';
import { noteReads } from './read_keys.ts';
import type { Streaming } from './streaming.ts';

/** Scans that run at once: more would be slower, each. */
const SCANS = 2;
/** Keys of one scan. */
const KEYS_A_SCAN = 2_000;
/** After a scan that failed, its view is not scanned for so long. */
const REST_MS = 1_000;
const BUCKETS_S = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

interface Waiting {
  readonly key: Uint8Array;
  readonly done: PromiseWithResolvers<void>;
}

/** The keys of one view that somebody waits for. */
interface Queue {
  readonly program: ViewProgram;
  /** By key; those that are being read are among them. */
  readonly waiting: Map<string, Waiting>;
  /** Not being read yet. */
  next: Waiting[];
  failed: { readonly error: unknown; readonly untilMs: number } | null;
}

export class ColdTier {
  readonly #app: Omit<Streaming, 'log' | 'decoder'>;
  readonly #queues = new Map<string, Queue>();
  /** By id, as the revision `#head` of the registry has them: where history lies is no part of an id. */
  readonly #views = new Map<string, LiveView>();
  #head = -1;
  #scans = 0;
  readonly #registry = new PromRegistry();
  readonly #keys: Counter;
  readonly #failures: Counter;
  readonly #seconds: Histogram;

  constructor(app: Omit<Streaming, 'log' | 'decoder'>) {
    this.#app = app;
    const labelNames = ['feature_view'];
    const registers = [this.#registry];
    const name = (what: string) => `samewise_cold_${what}`;
    this.#keys = new Counter({
      name: name('keys_total'),
      help: 'Evicted keys that were read, and fetched from history for it',
      labelNames,
      registers,
    });
    this.#failures = new Counter({
      name: name('failures_total'),
      help: 'Scans of history for evicted keys that failed',
      labelNames,
      registers,
    });
    this.#seconds = new Histogram({
      name: name('scan_seconds'),
      help: 'Time that a scan of history for evicted keys takes until their pages are back',
      buckets: BUCKETS_S,
      registers,
    });
  }

  /** See `BringBack`. Rejects with what history or the store say: `offline/…`, `online/…`, and `app/unknown-view`. */
  bringBack: BringBack = (program, key) => {
    const queue = this.#queues.getOrInsertComputed(program.id, () => ({
      program,
      waiting: new Map(),
      next: [],
      failed: null,
    }));
    if (queue.failed !== null && this.#app.clock.monotonicMs() < queue.failed.untilMs)
      return Promise.reject(queue.failed.error);
    const name = nameOfKey(key);
    let asked = queue.waiting.get(name);
    if (asked === undefined) {
      asked = { key, done: Promise.withResolvers() };
      queue.waiting.set(name, asked);
      if (queue.next.push(asked) === 1) void this.#run();
    }
    return asked.done.promise;
  };

  /** In Prometheus' text format. */
  metrics(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Reads what is waited for, as long as there is something and few others do. */
  async #run(): Promise<void> {
    // The request asks for its other keys in this turn.
    await setImmediate();
    if (this.#scans === SCANS) return;
    this.#scans++;
    try {
      for (;;) {
        const queue = [...this.#queues.values()].find(({ next }) => next.length > 0);
        if (queue === undefined) return;
        // Views take turns.
        this.#queues.delete(queue.program.id);
        this.#queues.set(queue.program.id, queue);
        await this.#scan(queue, queue.next.splice(0, KEYS_A_SCAN));
      }
    } finally {
      this.#scans--;
    }
  }

  async #scan(queue: Queue, some: readonly Waiting[]): Promise<void> {
    const { online, offline, history, clock } = this.#app;
    const { program } = queue;
    const labels = { feature_view: program.view.name };
    const startedMs = clock.monotonicMs();
    let error: unknown = null;
    const keys = some.map(({ key }) => key);
    try {
      const { catalog, program: live } = await this.#viewOf(program);
      await settleKeys(
        {
          online,
          offline,
          log: history,
          program: live,
          evicted: true,
          history: {
            catalog,
            view: live.view.name,
            shard: null,
            changedSinceUs: null,
            keys: null,
          },
        },
        keys,
      );
      // After the pages: what is read of a key that is not back asks again.
      await noteReads(online, program, keys, clock.nowUs());
      this.#keys.inc(labels, some.length);
      this.#seconds.observe((clock.monotonicMs() - startedMs) / 1000);
    } catch (cause) {
      error = cause;
      this.#failures.inc(labels);
      queue.failed = { error, untilMs: clock.monotonicMs() + REST_MS };
    }
    for (const { key, done } of some) {
      queue.waiting.delete(nameOfKey(key));
      if (error === null) done.resolve();
      else done.reject(error);
    }
  }

  /** The view with what history needs to know of it. */
  async #viewOf({ id, view }: ViewProgram): Promise<LiveView> {
    const { registry } = this.#app;
    const head = await registry.head();
    let found = head === this.#head ? this.#views.get(id) : undefined;
    if (found === undefined) {
      const live = liveViews(await registry.load(), null);
      found = live.find(({ program }) => program.id === id);
      if (found === undefined)
        throw new SamewiseError('app/unknown-view', `${view.name} is not served any more`, {
          where: { view: view.name },
        });
      if (head !== this.#head) this.#views.clear();
      this.#head = head;
      this.#views.set(id, found);
    }
    return found;
  }
}
