/** What streams leave behind is kept small, while they run. */
import { US_PER_DAY } from '../base/time.ts';
import { topicOf } from '../stream/control.ts';
import { evictWhenDue, idleViews } from './eviction.ts';
import { liveSources } from './live_sources.ts';
import { isCaughtUp, streamStatus } from './stream_status.ts';
import { type Streaming, sleep } from './streaming.ts';
import type { StreamsOptions } from './streams.ts';

const EVERY_MS = 60_000;
/** How long the embedded log keeps what history has: to this time back a stream can be rewound. */
const KEEP_US = 7 * US_PER_DAY;

/**
 * Every minute until the signal aborts: small files of history are merged, the embedded log forgets what is old, once history
 * and pages have it, and keys that are idle for long leave the online store. A failure is told, and tried again with the next minute.
 */
export async function tidyStreams(
  app: Streaming,
  { onFailure, observer }: Pick<StreamsOptions, 'onFailure' | 'observer'>,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await sleep(EVERY_MS, signal);
    if (signal.aborted) return;
    const registered = await app.registry.load();
    for (const source of liveSources(registered, null)) {
      try {
        await app.history.compact(source, { signal });
        const [status] = await streamStatus(app, [source.name]);
        if (isCaughtUp(status!)) await app.log.retain?.(topicOf(source), { maxAgeUs: KEEP_US });
      } catch (error) {
        if (signal.aborted) return;
        onFailure(source.name, error, EVERY_MS);
      }
    }
    for (const view of idleViews(registered)) {
      try {
        const keys = await evictWhenDue(app, view, signal);
        if (keys > 0) observer.evicted?.({ view: view.name, keys });
      } catch (error) {
        if (signal.aborted) return;
        onFailure(view.program.source.name, error, EVERY_MS);
      }
    }
  }
}
