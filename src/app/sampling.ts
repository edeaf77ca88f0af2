/**
 * Comparing pages with history in a thread of its own: a key with many events takes a while, and requests and workers are not to wait
 * for it.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { SamewiseError } from '../base/errors.ts';
import type { Config } from './config.ts';
import type { FoundMismatch, SamplerOptions, SamplerTotals } from './mismatch_sampler.ts';
import { sleep } from './streaming.ts';

/** What the thread starts with. */
export interface SamplingSetup {
  readonly config: Config;
  readonly everyMs: number;
}

/** What the thread tells. */
export type SamplingNews =
  | { readonly type: 'mismatch'; readonly found: FoundMismatch }
  | {
      readonly type: 'failure';
      readonly view: string;
      readonly error: ReturnType<SamewiseError['toJSON']> | { readonly stack: string };
    }
  | { readonly type: 'totals'; readonly totals: ReadonlyMap<string, SamplerTotals> };

export interface SamplingThread {
  /** By view, what the thread has compared so far. */
  readonly totals: () => ReadonlyMap<string, SamplerTotals>;
  /** Until the signal aborts. A thread that dies is told, and there is a new one after a while. */
  run(signal: AbortSignal): Promise<void>;
}

export function samplingOf(
  setup: SamplingSetup,
  { onMismatch, onFailure }: Pick<SamplerOptions, 'onMismatch' | 'onFailure'>,
): SamplingThread {
  let totals: ReadonlyMap<string, SamplerTotals> = new Map();
  const hear = (news: SamplingNews) => {
    if (news.type === 'mismatch') onMismatch(news.found);
    else if (news.type === 'failure') onFailure(news.view, errorOf(news.error));
    else totals = news.totals;
  };
  return {
    totals: () => totals,
    run: async (signal) => {
      for (;;) {
        // Who is there for a moment only needs no thread.
        await sleep(setup.everyMs, signal);
        if (signal.aborted) return;
        await runThread(setup, hear, signal).catch((error) => onFailure('all views', error));
      }
    },
  };
}

async function runThread(
  setup: SamplingSetup,
  hear: (news: SamplingNews) => void,
  signal: AbortSignal,
): Promise<void> {
  const ending = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./sampling_thread.${ending}`, import.meta.url), {
    workerData: setup,
  });
  const stop = () => worker.postMessage('stop');
  worker.on('message', hear);
  signal.addEventListener('abort', stop, { once: true });
  try {
    // Rejects with what the thread did not catch.
    await once(worker, 'exit');
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function errorOf(error: Extract<SamplingNews, { type: 'failure' }>['error']): Error {
  if ('stack' in error) return new Error(`in a thread: ${error.stack}`);
  const { code, message, where, hint } = error;
  return new SamewiseError(code, message, { where, hint });
}
