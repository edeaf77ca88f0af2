/** Trying again what a store or a log failed at, for a while: it may be slow, restarting or cut off. */
import { SamewiseError } from '../base/errors.ts';

/** What waiting needs; injected, so that a simulator can run days of faults in a second. */
export interface Waiting {
  /** Resolves after `ms`, at once if the signal aborts. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** At least 0, below 1. */
  readonly random: () => number;
}

const ATTEMPTS = 10;
const FIRST_MS = 20;
const MOST_MS = 5_000;

/**
 * Runs `body` until it succeeds, ten times at most, with doubling pauses that are jittered, so that many workers do not come
 * back at once. Only coded errors are tried again; the last one is thrown, and so is one that comes after the signal aborts.
 */
export async function retrying<T>(
  { sleep, random }: Waiting,
  body: () => T | Promise<T>,
  onRetry: (error: SamewiseError, attempt: number) => void = () => {},
  signal?: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await body();
    } catch (error) {
      if (!(error instanceof SamewiseError) || isGone(error)) throw error;
      if (attempt === ATTEMPTS || signal?.aborted) throw error;
      onRetry(error, attempt);
      const pauseMs = Math.min(MOST_MS, FIRST_MS * 2 ** (attempt - 1));
      await sleep(pauseMs * (0.5 + random() / 2), signal);
    }
  }
}

/** Whether the error says that the log no longer keeps what was to be read: that does not come back. */
export function isGone(error: unknown): boolean {
  return error instanceof SamewiseError && error.code === 'stream/position-gone';
}
