/** The HTTP server, wired to the app's stores. */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { catalogAt, currentCatalog } from '../plan/index.ts';
import { buildServer, type OnFailure, RequestIds } from '../serving/index.ts';
import { toldWrites } from './changed_store.ts';
import { featureDefiner } from './define.ts';
import { type DutiesOptions, dutiesOf } from './duties.ts';
import { explain, TOLD_EVENTS } from './explain.ts';
import { serverFeatureLog } from './feature_log.ts';
import { cannotListen, type Listening } from './listening.ts';
import { materializer } from './materializer.ts';
import type { App } from './open.ts';
import { eventPusher } from './push_events.ts';
import { registryMetrics } from './registry_metrics.ts';
import { timedReads } from './timed_reads.ts';

export interface ServerSetup extends Omit<DutiesOptions, 'onEnd'> {
  readonly host: string;
  readonly port: number;
  /** A socket that is bound already, to listen on instead. */
  readonly fd?: number;
  /** Listen only when warm: others answer meanwhile. Default: listen at once, and say by /readyz when. */
  readonly warmFirst?: boolean;
  readonly version: string;
  /** Apply the events of all sources in this process, too. */
  readonly stream: boolean;
  /** What /metrics says where this process is one of several. Default: its own. */
  readonly allMetrics?: () => Promise<string>;
  /** Leave it to another process to tell, in its metrics, of events and of health. */
  readonly tellsNoDuties?: boolean;
  readonly onFailure: OnFailure;
}

/** Starts the server. Throws `app/cannot-listen`. Failures behind a 5xx go to `onFailure`; clients are told only that there was one. */
export async function startServer(app: App, options: ServerSetup): Promise<Listening> {
  const outputDir = join(app.config.stateDir, 'output');
  mkdirSync(outputDir, { recursive: true });
  const opened = await app.streaming();
  // What this process writes its server need not find out by the age of what it keeps.
  const online = toldWrites(opened.online, (keys) => server.forgetPages(keys));
  const streaming = { ...opened, online };
  const duties = dutiesOf(app, streaming, {
    ...options,
    // The server goes on without.
    onEnd: (error) => options.onFailure(error, { method: 'stream', url: '' }),
  });
  const reads = timedReads(app.online, app.clock);
  // Another beginning for each process: ids of all of them meet in the feature log.
  const requestIds = new RequestIds(randomBytes(6).toString('hex'));
  const featureLog = serverFeatureLog(app, requestIds, (error) =>
    options.onFailure(error, { method: 'feature log', url: '' }),
  );
  const materializing = materializer(app);
  const registered = registryMetrics(app.registry);
  const server = await buildServer({
    registry: app.registry,
    online: reads.online,
    moreMetrics: async () =>
      (await reads.text()) +
      (await app.coldTier.metrics()) +
      (await registered()) +
      (options.tellsNoDuties === true ? '' : await duties.metrics()) +
      ((await featureLog?.metrics()) ?? ''),
    allMetrics: options.allMetrics,
    featureLog: featureLog?.log,
    offline: app.offline,
    clock: app.clock,
    catalogs: {
      current: currentCatalog,
      ofService: (registered, name, version) =>
        catalogAt(registered, { kind: 'featureService', name, version }),
    },
    defineFeature: featureDefiner(app),
    pushEvents: eventPusher(streaming, duties.applied),
    bringBack: app.coldTier.bringBack,
    explain: (request) => explain(app, { ...request, events: request.events ?? TOLD_EVENTS }),
    materialize: materializing.materialize,
    data: { roots: [app.config.projectDir], realPath: (path) => realpath(path) },
    outputDir,
    version: options.version,
    requestIds,
    onFailure: options.onFailure,
  });
  const { operation } = server;
  operation.cool();
  if (options.warmFirst === true) await operation.warmUp();
  const { host, port, fd } = options;
  const url = await server
    .listen(fd === undefined ? { host, port } : ({ fd } as object))
    .catch((cause) => {
      throw cannotListen(host, port, cause);
    });
  // What it could not read requests will meet, and /readyz.
  const warm = operation.warmUp().catch(() => {});
  featureLog?.start();
  const stop = new AbortController();
  const running = options.stream ? duties.run(stop.signal) : Promise.resolve();
  return {
    url,
    warm,
    metrics: operation.metrics,
    close: async () => {
      materializing.stop();
      await operation.drain();
      await server.close();
      // After the requests, of which some wait for what the workers do.
      stop.abort();
      await running;
      await featureLog?.close();
    },
  };
}
