/** Whether the registry can be reached, for Prometheus: serving goes on without it, so somebody has to say so. */
import { Counter, Gauge, Registry as PromRegistry } from 'prom-client';
import type { Registry } from '../registry/contract.ts';

/** In Prometheus' text format. */
export function registryMetrics(registry: Registry): () => Promise<string> {
  const prometheus = new PromRegistry();
  const registers = [prometheus];
  new Gauge({
    name: 'samewise_registry_connected',
    help: 'Whether the registry can be reached; while it cannot, its last known revision is served',
    registers,
    collect() {
      this.set(registry.connection().connected ? 1 : 0);
    },
  });
  new Gauge({
    name: 'samewise_registry_revision',
    help: 'The newest revision that this process knows',
    registers,
    async collect() {
      this.set(await registry.head());
    },
  });
  new Counter({
    name: 'samewise_registry_losses_total',
    help: 'How often the way to the registry was lost',
    registers,
    collect() {
      this.reset();
      this.inc(registry.connection().lost);
    },
  });
  return () => prometheus.metrics();
}
