/** Materialisation that is asked for over HTTP. */
import { SamewiseError } from '../base/errors.ts';
import type { Materialize } from '../serving/index.ts';
import { materialize } from './materialize.ts';
import type { App } from './open.ts';

/** Runs one after the other: two at once would only do the same work twice. `stop` ends them; what is done stays done. */
export function materializer(app: App): { materialize: Materialize; stop(): void } {
  const stopping = new AbortController();
  const { signal } = stopping;
  let last: Promise<unknown> = Promise.resolve();
  return {
    materialize(request) {
      const run = last.then(async () => {
        try {
          signal.throwIfAborted();
          await materialize(app, { ...request, signal });
        } catch (cause) {
          if (!signal.aborted) throw cause;
          throw new SamewiseError('serving/not-ready', 'the server is stopping', {
            hint: 'ask again when it is up: what is done is not done again',
            cause,
          });
        }
      });
      last = run.catch(() => {});
      return run;
    },
    stop: () => stopping.abort(),
  };
}
