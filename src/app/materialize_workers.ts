/** Threads that build shards, each with an engine of its own over the same stores. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { SamewiseError } from '../base/errors.ts';
import type { HistoryRequest } from '../offline/contract.ts';
import type { Counts } from '../stream/page_builder.ts';
import type { Config } from './config.ts';

/** A shard as a thread is told of it: see `BuildRequest`. */
export interface Shard {
  readonly history: Omit<HistoryRequest, 'signal' | 'onProgress'>;
  readonly empty: boolean;
}

/** What a thread is asked. `abort` ends what it does. */
export type Question =
  | { readonly type: 'build'; readonly shard: Shard }
  | { readonly type: 'abort' }
  | { readonly type: 'close' };

/** What a thread answers to `build`: counts so far, then one of the others. */
export type Answer =
  | { readonly type: 'counts'; readonly counts: Counts }
  | { readonly type: 'done'; readonly counts: Counts }
  | { readonly type: 'failed'; readonly error: ReturnType<SamewiseError['toJSON']> }
  | { readonly type: 'broken'; readonly stack: string };

/** What a thread starts with. */
export interface WorkerSetup {
  readonly config: Config;
  /** For its engine. */
  readonly threads: number;
}

export interface ShardWorker {
  build(
    shard: Shard,
    onCounts: (counts: Counts) => void,
    signal: AbortSignal | undefined,
  ): Promise<Counts>;
  close(): Promise<void>;
}

export function startWorkers(config: Config, count: number): ShardWorker[] {
  const threads = Math.max(1, Math.floor(availableParallelism() / count));
  return Array.from({ length: count }, () => startWorker({ config, threads }));
}

function startWorker(setup: WorkerSetup): ShardWorker {
  const ending = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./materialize_worker.${ending}`, import.meta.url), {
    workerData: setup,
  });
  const ask = (question: Question) => worker.postMessage(question);
  /** Who waits for the thread; it does one thing at a time. */
  let waiting: { answer(answer: Answer): void; fail(error: unknown): void } | null = null;
  worker.on('message', (answer: Answer) => waiting?.answer(answer));
  worker.on('error', (error) => waiting?.fail(error));
  worker.on('exit', (code) => waiting?.fail(new Error(`a worker ended with code ${code}`)));
  return {
    build: async (shard, onCounts, signal) => {
      const abort = () => ask({ type: 'abort' });
      signal?.throwIfAborted();
      signal?.addEventListener('abort', abort);
      try {
        return await new Promise<Counts>((resolve, reject) => {
          waiting = {
            answer: (answer) => {
              if (answer.type === 'counts') onCounts(answer.counts);
              else if (answer.type === 'done') resolve(answer.counts);
              else reject(errorOf(answer));
            },
            fail: reject,
          };
          ask({ type: 'build', shard });
        });
      } catch (error) {
        signal?.throwIfAborted();
        throw error;
      } finally {
        waiting = null;
        signal?.removeEventListener('abort', abort);
      }
    },
    close: async () => {
      const gone = new Promise((resolve) => worker.once('exit', resolve));
      ask({ type: 'close' });
      await gone;
    },
  };
}

function errorOf(answer: Extract<Answer, { type: 'failed' | 'broken' }>): Error {
  if (answer.type === 'broken') return new Error(`in a worker: ${answer.stack}`);
  const { code, message, where, hint } = answer.error;
  return new SamewiseError(code, message, { where, hint });
}
