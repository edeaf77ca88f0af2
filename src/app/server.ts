/** The HTTP server, wired to the app's stores. */
import { mkdirSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { SamewiseError } from '../base/errors.ts';
import { catalogAt, currentCatalog } from '../plan/index.ts';
import { buildServer } from '../serving/index.ts';
import { featureDefiner } from './define.ts';
import { serverFeatureLog } from './feature_log.ts';
import { type HealthOptions, healthWatch } from './health_watch.ts';
import { mismatchMetrics } from './mismatches.ts';
import type { App } from './open.ts';
import { eventPusher } from './push_events.ts';
import { StreamMeter } from './stream_meter.ts';
import { streamMetrics } from './stream_metrics.ts';
import { Streams, type StreamsOptions } from './streams.ts';
import { timedReads } from './timed_reads.ts';

/** Where the server listens, once it does. */
export interface Listening {
  readonly url: string;
  /** Lets requests in flight finish; the app's stores stay open. */
  close(): Promise<void>;
}

/** Starts the server. Throws `app/cannot-listen`. Failures behind a 5xx go to `onFailure`; clients are told only that there was one. */
export async function startServer(
  app: App,
  options: {
    readonly host: string;
    readonly port: number;
    readonly version: string;
    /** Apply the events of all sources in this process, too. */
    readonly stream: boolean;
    readonly onFailure: (error: unknown, request: { method: string; url: string }) => void;
    /** A source's events cannot be applied for now; it is tried again after `restMs`. */
    readonly onStreamFailure: StreamsOptions['onFailure'];
    readonly onSchemaChange: StreamsOptions['onSchemaChange'];
    /** With `stream`: what is found where pages are compared with history. */
    readonly health: HealthOptions;
  },
): Promise<Listening> {
  const outputDir = join(app.config.stateDir, 'output');
  mkdirSync(outputDir, { recursive: true });
  const streaming = await app.streaming();
  const meter = new StreamMeter(app.clock);
  const streams = new Streams(streaming, {
    sources: null,
    observer: meter,
    onFailure: options.onStreamFailure,
    onSchemaChange: options.onSchemaChange,
  });
  const reads = timedReads(app.online, app.clock);
  const streamed = streamMetrics(meter, app.registry);
  const mismatches = mismatchMetrics(app.registry);
  const health = healthWatch(app, options.health);
  const featureLog = serverFeatureLog(app, (error) =>
    options.onFailure(error, { method: 'feature log', url: '' }),
  );
  const server = await buildServer({
    registry: app.registry,
    online: reads.online,
    moreMetrics: async () =>
      (await reads.text()) +
      (await streamed()) +
      (await mismatches()) +
      (await health.metrics()) +
      ((await featureLog?.metrics()) ?? ''),
    featureLog: featureLog?.log,
    offline: app.offline,
    clock: app.clock,
    catalogs: {
      current: currentCatalog,
      ofService: (registered, name, version) =>
        catalogAt(registered, { kind: 'featureService', name, version }),
    },
    defineFeature: featureDefiner(app),
    pushEvents: eventPusher(streaming, streams.applied),
    data: { roots: [app.config.projectDir], realPath: (path) => realpath(path) },
    outputDir,
    version: options.version,
    onFailure: options.onFailure,
  });
  const url = await server.listen({ host: options.host, port: options.port }).catch((cause) => {
    throw new SamewiseError(
      'app/cannot-listen',
      `cannot listen on ${options.host}:${options.port}: ${cause.message}`,
      {
        hint: 'choose a port that is free with --port (0 takes any), and an address of this machine',
        cause,
      },
    );
  });
  featureLog?.start();
  const stop = new AbortController();
  const running = options.stream ? streams.run(stop.signal) : Promise.resolve();
  const watching = options.stream ? health.run(stop.signal) : Promise.resolve();
  // What ends it for good is a bug of ours or a registry that is away; the server goes on without.
  running.catch((error) => options.onFailure(error, { method: 'stream', url: '' }));
  return {
    url,
    close: async () => {
      // A connection that is kept alive after the request in flight would hold up the end for as long as it may be idle.
      const sweep = setInterval(() => server.server.closeIdleConnections(), 20);
      await server.close().finally(() => clearInterval(sweep));
      // After the requests, of which some wait for what the workers do.
      stop.abort();
      await Promise.all([running.catch(() => {}), watching]);
      await featureLog?.close();
    },
  };
}
