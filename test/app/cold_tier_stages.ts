/** The stores of a cold tier that stop where a process may end, or others may write. */
import type { App } from '../../src/app/open.ts';

/** Where it is: what it does next. */
export const STAGES = ['heads', 'state', 'scan', 'put', 'note', 'end'] as const;
export type Stage = (typeof STAGES)[number];

/** Stores of a project of which each step waits for `reached`. */
export function stopping(
  { registry, online, offline, history, clock }: App,
  reached: (stage: Stage) => Promise<void>,
) {
  let puts = 0;
  const own = <T extends object>(target: T, steps: Partial<T>): T =>
    new Proxy(target, {
      get: (_, name) => {
        const found = steps[name as keyof T] ?? target[name as keyof T];
        return typeof found === 'function' ? found.bind(target) : found;
      },
    });
  return {
    registry,
    clock,
    online: own(online, {
      heads: async (pages) => {
        if (puts === 0) await reached('heads');
        return online.heads(pages);
      },
      compareAndSet: async (writes) => {
        await reached(puts++ === 0 ? 'put' : 'note');
        const applied = await online.compareAndSet(writes);
        if (puts === 2) await reached('end');
        return applied;
      },
    }),
    history: own(history, {
      state: async (source) => {
        await reached('state');
        return history.state(source);
      },
    }),
    offline: own(offline, {
      async *history(request) {
        await reached('scan');
        yield* offline.history(request);
      },
    }),
  };
}
