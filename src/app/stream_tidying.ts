/** What streams leave behind is kept small, while they run. */
import { US_PER_DAY } from '../base/time.ts';
import { topicOf } from '../stream/control.ts';
import { liveSources } from './live_sources.ts';
import { isCaughtUp, streamStatus } from './stream_status.ts';
import { type Streaming, sleep } from './streaming.ts';

const EVERY_MS = 60_000;
/** How long the embedded log keeps what history has: to this time back a stream can be rewound. */
const KEEP_US = 7 * US_PER_DAY;

/**
 * Every minute until the signal aborts: small files of history are merged, and the embedded log forgets what is old, once history
 * and pages have it. A failure is told, and tried again with the next minute.
 */
export async function tidyStreams(
  app: Streaming,
  onFailure: (source: string, error: unknown, restMs: number) => void,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await sleep(EVERY_MS, signal);
    if (signal.aborted) return;
    for (const source of liveSources(await app.registry.load(), null)) {
      try {
        await app.history.compact(source, { signal });
        const [status] = await streamStatus(app, [source.name]);
        if (isCaughtUp(status!)) await app.log.retain?.(topicOf(source), { maxAgeUs: KEEP_US });
      } catch (error) {
        if (signal.aborted) return;
        onFailure(source.name, error, EVERY_MS);
      }
    }
  }
}
