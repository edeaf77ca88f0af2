/** An online store whose reads are timed, for metrics. */
import { Histogram, Registry as PromRegistry } from 'prom-client';
import type { Clock } from '../base/clock.ts';
import type { OnlineStore } from '../online/contract.ts';
import { changedStore } from './changed_store.ts';

const BUCKETS_MS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000,
];

/** The store, and what its reads of heads and blocks took, in Prometheus' text format. */
export function timedReads(
  online: OnlineStore,
  clock: Clock,
): { readonly online: OnlineStore; readonly text: () => Promise<string> } {
  const registry = new PromRegistry();
  const histogram = new Histogram({
    name: 'online_store_read_latency_ms',
    help: 'Time that one read of pages takes in the online store',
    buckets: BUCKETS_MS,
    registers: [registry],
  });
  const since = (startedMs: number) => histogram.observe(clock.monotonicMs() - startedMs);
  const timed = changedStore(online, {
    heads(keys) {
      const startedMs = clock.monotonicMs();
      const heads = online.heads(keys);
      if (heads instanceof Promise) return heads.finally(() => since(startedMs));
      since(startedMs);
      return heads;
    },
    blocks(key, blocks) {
      const startedMs = clock.monotonicMs();
      return online.blocks(key, blocks).finally(() => since(startedMs));
    },
  });
  return { online: timed, text: () => registry.metrics() };
}
