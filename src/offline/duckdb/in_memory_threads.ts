/** Threads for look-ups in memory. What they read is in memory that they share with this one; what they give is handed over. */
import { once } from 'node:events';
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { SamewiseError } from '../../base/errors.ts';
import type { Column } from '../../types/column.ts';
import type { SweepJob } from './in_memory_sweep.ts';

/** What a thread says to a job. */
export type Said =
  | { readonly swept: Column[] }
  | { readonly failed: ReturnType<SamewiseError['toJSON']> }
  | { readonly broken: string };

export class InMemoryThread {
  readonly #worker: Worker;

  /** Starts at once. */
  constructor() {
    const ending = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
    const cache = getCompileCacheDir();
    this.#worker = new Worker(new URL(`./in_memory_thread.${ending}`, import.meta.url), {
      // Node names a folder for its version and kind within the one that it is given.
      workerData: cache === undefined ? null : dirname(cache),
    });
    // Told by the job that waits for it; without one nobody needs to know.
    this.#worker.on('error', () => {});
  }

  /** What `sweepInMemory` gives. One job at a time. */
  async run(job: SweepJob, signal: AbortSignal | undefined): Promise<Column[]> {
    const ended = new AbortController();
    const left = () => ended.abort(new Error('the thread ended'));
    this.#worker.once('exit', left);
    this.#worker.postMessage(job);
    const signals = signal === undefined ? [ended.signal] : [ended.signal, signal];
    try {
      const [said] = (await once(this.#worker, 'message', {
        signal: AbortSignal.any(signals),
      })) as [Said];
      if ('broken' in said) throw new Error(`in a thread: ${said.broken}`);
      if ('failed' in said) {
        const { code, message, where, hint } = said.failed;
        throw new SamewiseError(code, message, { where, hint });
      }
      return said.swept;
    } finally {
      this.#worker.off('exit', left);
    }
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
