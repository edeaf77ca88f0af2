/** Trying again for a while what may pass: what adapters of logs do before they say that a log cannot be reached. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SamewiseError } from '../base/errors.ts';

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/** How long to go on, by which clock. */
export interface Patience {
  readonly limitMs: number;
  readonly monotonicMs: () => number;
}

/** Runs `body`, again and again while what it throws is `stream/unreachable` by `code`, until the time is over; throws what `code` makes of it. */
export async function persistBy<T>(
  { limitMs, monotonicMs }: Patience,
  code: (error: unknown) => SamewiseError,
  body: () => Promise<T>,
): Promise<T> {
  const deadline = monotonicMs() + limitMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
    try {
      return await body();
    } catch (error) {
      const coded = code(error);
      if (coded.code !== 'stream/unreachable' || monotonicMs() + pauseMs > deadline) throw coded;
      await sleep(pauseMs);
    }
  }
}
