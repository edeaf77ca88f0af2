/** What one process of a project does beside serving: it applies events, compares pages with history, watches promises. */
import { collectDefaultMetrics, Registry as PromRegistry } from 'prom-client';
import { type HealthOptions, healthWatch } from './health_watch.ts';
import { mismatchMetrics } from './mismatches.ts';
import type { App } from './open.ts';
import { StreamMeter } from './stream_meter.ts';
import { streamMetrics } from './stream_metrics.ts';
import type { Streaming } from './streaming.ts';
import { Streams, type StreamsOptions } from './streams.ts';

export interface DutiesOptions {
  /** A source's events cannot be applied for now; it is tried again after `restMs`. */
  readonly onStreamFailure: StreamsOptions['onFailure'];
  readonly onSchemaChange: StreamsOptions['onSchemaChange'];
  /** What is found where pages are compared with history. */
  readonly health: HealthOptions;
  /** What ends the applying of events for good: a bug of ours, or a registry that is away. */
  readonly onEnd: (error: unknown) => void;
}

export interface Duties {
  /** Waits until events are in the pages, whichever process applies them. */
  readonly applied: Streams['applied'];
  /** Does them until the signal aborts and what is held is finished. */
  run(signal: AbortSignal): Promise<void>;
  /** What was applied and found, in Prometheus' text format. */
  metrics(): Promise<string>;
}

export function dutiesOf(app: App, streaming: Streaming, options: DutiesOptions): Duties {
  const meter = new StreamMeter(app.clock);
  const streams = new Streams(streaming, {
    sources: null,
    observer: meter,
    onFailure: options.onStreamFailure,
    onSchemaChange: options.onSchemaChange,
  });
  const streamed = streamMetrics(meter, app.registry);
  const mismatches = mismatchMetrics(app.registry);
  const health = healthWatch(app, options.health);
  return {
    applied: streams.applied,
    run: async (signal) => {
      await Promise.all([streams.run(signal).catch(options.onEnd), health.run(signal)]);
    },
    metrics: async () => (await streamed()) + (await mismatches()) + (await health.metrics()),
  };
}

/** What the system says of this process (time, memory, the event loop), in Prometheus' text format; a server tells it with its own. */
export function processMetrics(): () => Promise<string> {
  const registry = new PromRegistry();
  collectDefaultMetrics({ register: registry });
  return () => registry.metrics();
}
