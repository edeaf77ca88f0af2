/** What a process that applies events looks at beside it: whether pages are what history says, and whether promises are kept. */
import { Counter, Registry as PromRegistry } from 'prom-client';
import type { SamplerOptions, SamplerTotals } from './mismatch_sampler.ts';
import type { App } from './open.ts';
import { samplingOf } from './sampling.ts';
import { watchLevels } from './sla.ts';

export interface HealthOptions extends Pick<SamplerOptions, 'onMismatch' | 'onFailure'> {
  /** Service levels could not be looked at; it is tried again. */
  readonly onLevelFailure: (error: unknown) => void;
}

export interface HealthWatch {
  /** Until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** What was compared, in Prometheus' text format. */
  metrics(): Promise<string>;
}

export function healthWatch(app: App, options: HealthOptions): HealthWatch {
  const { config } = app;
  const everyMs = config.samplingMs;
  const sampling = everyMs === null ? null : samplingOf({ config, everyMs }, options);
  return {
    run: async (signal) => {
      await Promise.all([
        watchLevels(await app.streaming(), options.onLevelFailure, signal),
        sampling?.run(signal),
      ]);
    },
    metrics: samplerMetrics(() => sampling?.totals() ?? new Map()),
  };
}

function samplerMetrics(totals: () => ReadonlyMap<string, SamplerTotals>): () => Promise<string> {
  const registry = new PromRegistry();
  const registers = [registry];
  const byView = (name: string, help: string, value: (of: SamplerTotals) => number) =>
    new Counter({
      name,
      help,
      labelNames: ['feature_view'],
      registers,
      collect() {
        this.reset();
        for (const [feature_view, of] of totals()) this.inc({ feature_view }, value(of));
      },
    });
  byView(
    'samewise_sampled_keys_total',
    'Keys whose pages this process has compared with history',
    ({ keys }) => keys,
  );
  byView(
    'samewise_sampling_cpu_seconds_total',
    'CPU time of the process while it compared',
    ({ cpuMs }) => cpuMs / 1000,
  );
  new Counter({
    name: 'samewise_sampled_differences_total',
    help: 'Events in which a page was found to differ from history, by cause',
    labelNames: ['feature_view', 'cause'],
    registers,
    collect() {
      this.reset();
      for (const [feature_view, { differences }] of totals())
        for (const [cause, count] of differences) this.inc({ feature_view, cause }, count);
    },
  });
  return () => registry.metrics();
}
