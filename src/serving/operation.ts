/** The life of a server beside its requests: cold, warm, draining; and what it has counted. */
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { Server as SocketServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Context } from './context.ts';
import { warmUp } from './warm_up.ts';

/** For so long a connection that is kept alive may bring another request, which tells it that it was the last. */
const GRACE_MS = 1_000;
/** What has not finished after so long is cut off. */
const MOST_DRAIN_MS = 25_000;
const SWEEP_MS = 20;

export class Operation {
  readonly #context: Context;
  readonly #server: HttpServer;
  readonly #closing: AbortController;
  #warm = true;
  #draining = false;

  /** `closing` is aborted when draining begins. */
  constructor(context: Context, server: HttpServer, closing: AbortController) {
    this.#context = context;
    this.#server = server;
    this.#closing = closing;
  }

  /** What this process has counted, in Prometheus' text format. */
  metrics = async (): Promise<string> =>
    (await this.#context.metrics.text()) + (await this.#context.moreMetrics());

  /** Why requests had better go elsewhere; null: they need not. */
  get notReady(): string | null {
    if (this.#draining) return 'the server is about to end';
    return this.#warm ? null : 'the server is warming up';
  }

  /** Whether the next answer on a connection is its last one. */
  get draining(): boolean {
    return this.#draining;
  }

  /** From now on every answer is the last one on its connection. */
  drainNow(): void {
    this.#draining = true;
    this.#closing.abort();
  }

  /** Not ready until `warmUp`. */
  cool(): void {
    this.#warm = false;
  }

  /** Does what a first request would else wait for, once; then the server is ready, also where that failed. Rejects as reading does. */
  async warmUp(): Promise<void> {
    if (this.#warm) return;
    await warmUp(this.#context).finally(() => {
      this.#warm = true;
    });
  }

  /**
   * Takes no connection any more, and ends those that there are without cutting off a request that is on its way: the next answer on
   * each says that it is the last, and only one that stays silent is closed.
   */
  async drain(): Promise<void> {
    this.drainNow();
    const drained = once(this.#server, 'close');
    // Not the HTTP server's own, which at once closes connections that are between two requests.
    SocketServer.prototype.close.call(this.#server);
    await within(GRACE_MS, drained);
    const sweep = setInterval(() => this.#server.closeIdleConnections(), SWEEP_MS);
    await within(MOST_DRAIN_MS, drained);
    clearInterval(sweep);
    this.#server.closeAllConnections();
  }
}

async function within(ms: number, done: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  await Promise.race([done, pause(ms, undefined, { signal: timer.signal }).catch(() => {})]);
  timer.abort();
}
