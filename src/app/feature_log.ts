/** The feature log of a server: written while it runs, forgotten by age, counted for Prometheus. */
import { Counter, Registry as PromRegistry } from 'prom-client';
import { US_PER_DAY } from '../base/time.ts';
import { FeatureLog, type RequestIds } from '../serving/index.ts';
import type { App } from './open.ts';
import { sleep } from './streaming.ts';

/** How long a vector waits for its file, at most. */
const FLUSH_MS = 5_000;
/** How often what is too old is looked for. */
const FORGET_MS = 3_600_000;

export interface ServerFeatureLog {
  readonly log: FeatureLog;
  /** From now on what waits is written every few seconds. */
  start(): void;
  /** What it has done, in Prometheus' text format. */
  metrics(): Promise<string>;
  /** Writes what waits. */
  close(): Promise<void>;
}

/** The log of a project; null if it has none. What goes wrong is told once, until it goes well again. */
export function serverFeatureLog(
  { config, featureLog: files, clock }: Pick<App, 'config' | 'featureLog' | 'clock'>,
  requestIds: RequestIds,
  onFailure: (error: unknown) => void,
): ServerFeatureLog | null {
  if (files === null || config.featureLog === null) return null;
  const { share, days } = config.featureLog;
  const log = new FeatureLog({ files, share, random: Math.random, requestIds, onFailure });
  const stop = new AbortController();
  const run = async () => {
    let forgotMs = Number.NEGATIVE_INFINITY;
    while (!stop.signal.aborted) {
      await sleep(FLUSH_MS, stop.signal);
      await log.flush();
      if (stop.signal.aborted || clock.monotonicMs() - forgotMs < FORGET_MS) continue;
      forgotMs = clock.monotonicMs();
      await files.forget(clock.nowUs() - days * US_PER_DAY).catch(onFailure);
    }
  };
  let running: Promise<void> | null = null;
  return {
    log,
    start: () => {
      running ??= run();
    },
    metrics: metricsOf(log),
    close: async () => {
      stop.abort();
      await running;
      await log.close();
    },
  };
}

function metricsOf({ counts }: FeatureLog): () => Promise<string> {
  const registry = new PromRegistry();
  const counter = (name: keyof typeof counts, called: string, help: string) =>
    new Counter({
      name: `samewise_feature_log_${called}_total`,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(counts[name]);
      },
    });
  counter('logged', 'vectors', 'Served vectors that are in the feature log');
  counter('dropped', 'dropped', 'Vectors that were to be logged and found no room');
  counter('bytes', 'bytes', 'Bytes of the files of the feature log');
  counter('failures', 'failures', 'Writes of the feature log that failed');
  return () => registry.metrics();
}
