/** The HTTP server, put together. It holds no definitions of its own and names no adapter; app/ hands both in. */
import { createServer, type IncomingMessage } from 'node:http';
import swagger from '@fastify/swagger';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import type { Clock } from '../base/clock.ts';
import { SamewiseError } from '../base/errors.ts';
import type { OfflineStore } from '../offline/contract.ts';
import type { OnlineStore, PageKey } from '../online/contract.ts';
import type { Registry } from '../registry/contract.ts';
import { Ask } from './ask.ts';
import { Bodies } from './bodies.ts';
import type { Context, DefineFeature, Materialize, OnFailure } from './context.ts';
import { type Catalogs, Definitions } from './definitions.ts';
import { withDoors } from './doors.ts';
import { coded, connectionRefusal, errorBody, rawRefusal, statusOf } from './errors.ts';
import { eventsRoute, type PushEvents } from './events_route.ts';
import { endSlow, everyRoute } from './every_route.ts';
import { type Explain, explainRoute } from './explain_route.ts';
import { feastDoor } from './feast_door.ts';
import { FEAST_READ_PATH } from './feast_read.ts';
import { feastRoutes } from './feast_routes.ts';
import type { FeatureLog } from './feature_log.ts';
import { featuresRoutes } from './features_routes.ts';
import { callHandler, connectDoor, ONLINE_CALL, Received, serveHttp2 } from './grpc/index.ts';
import { HandedOver } from './handed_over.ts';
import {
  KEEP_ALIVE_MS,
  MAX_BODY_BYTES,
  MAX_CONNECTIONS,
  MAX_REQUESTS_A_CONNECTION,
  NODE_LIMITS,
} from './http_limits.ts';
import { parseBody } from './json.ts';
import { Metrics } from './metrics.ts';
import { offlineRoute } from './offline_route.ts';
import { onlineDoor } from './online_door.ts';
import { onlineRoute } from './online_route.ts';
import { Operation } from './operation.ts';
import { operationRoutes, readiness } from './operation_routes.ts';
import { PageCache } from './page_cache.ts';
import type { BringBack } from './pages.ts';
import type { DataRoots } from './paths.ts';
import { RequestIds } from './request_ids.ts';
import { TakenRequest } from './taken_request.ts';
import { Trainings } from './training.ts';
import { trainingRoute } from './training_route.ts';
import { VectorReader } from './vector.ts';
import { vectorsDoor } from './vectors_door.ts';
import { vectorsRoute } from './vectors_route.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Reading of the monotonic clock when the request came. */
    startedMs: number;
  }
  interface FastifyInstance {
    /** For whoever runs the server. */
    operation: Operation;
    /** Has pages that this process has written fetched anew, where they are kept. */
    forgetPages(keys: readonly PageKey[]): void;
  }
}

export interface ServerOptions {
  readonly registry: Registry;
  readonly online: OnlineStore;
  readonly offline: OfflineStore;
  readonly clock: Clock;
  readonly catalogs: Catalogs;
  readonly defineFeature: DefineFeature;
  readonly pushEvents: PushEvents;
  readonly materialize: Materialize;
  readonly explain: Explain;
  /** Brings back keys that were evicted; without it such reads are refused. */
  readonly bringBack?: BringBack;
  /** Where vectors are logged that are served; whoever hands it in flushes and closes it. Default: none is. */
  readonly featureLog?: FeatureLog;
  /** Metrics that others keep, in Prometheus' text format. */
  readonly moreMetrics?: () => Promise<string>;
  /** What /metrics says where this process is one of several. Default: what it has counted itself. */
  readonly allMetrics?: () => Promise<string>;
  /** Where requests may point for labels. */
  readonly data: DataRoots;
  /** Folder for training sets that requests build; exists. */
  readonly outputDir: string;
  /** Version of Samewise, for the OpenAPI document. */
  readonly version: string;
  /** What happened that no client is told: the error behind a 5xx. */
  readonly onFailure: OnFailure;
  /** Makes the ids of requests that bring none of their own: in each process other ones. Default: they begin with r. */
  readonly requestIds?: RequestIds;
  /** How long a change to the registry by another process may stay unseen. Default: 1,000 ms. */
  readonly refreshMs?: number;
}

/** Of connections that may speak HTTP/2. */
const HTTP2 = { maxMessageBytes: MAX_BODY_BYTES, silentMs: 60_000, idleMs: KEEP_ALIVE_MS };

/**
 * A server that is ready to listen or inject. `close()` lets requests in flight finish; the stores stay open, they belong
 * to the caller. Every refusal has the body `{error: {code, message, field?, hint?, where?}}`.
 */
export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const { registry, online, clock, catalogs } = options;
  const metrics = new Metrics();
  const featureLog = options.featureLog ?? null;
  const pages = new PageCache(online, clock);
  metrics.watch(pages.counts);
  const reader = new VectorReader(pages, metrics, options.bringBack);
  const definitions = new Definitions(registry, catalogs, clock, options.refreshMs ?? 1000);
  const requestIds = options.requestIds ?? new RequestIds('r');
  const context: Context = {
    ...options,
    requestIds,
    moreMetrics: options.moreMetrics ?? (async () => ''),
    featureLog,
    metrics,
    pages,
    definitions,
    ask: new Ask({ clock, reader, metrics, featureLog }),
    trainings: new Trainings({ ...options, definitions }),
  };

  const closing = new AbortController();
  const bodies = new Bodies(endSlow);
  const handed = new HandedOver();
  const isDraining = () => operation.draining;
  const app = Fastify({
    bodyLimit: MAX_BODY_BYTES,
    serverFactory: (route) => {
      const isReady = () => readiness(operation, context);
      const limits = { ...HTTP2, received: new Received(), requestIds, isReady };
      const [feast, connect, vectors] = [
        feastDoor(context),
        connectDoor(context),
        vectorsDoor(context),
      ];
      const doors = {
        gets: onlineDoor(context),
        posts: (url: string) =>
          url === FEAST_READ_PATH ? feast : url === ONLINE_CALL ? connect : vectors(url),
      };
      const calls = callHandler(context, limits, closing.signal);
      const handler = withDoors(context, doors, bodies, handed, isDraining, (request, response) => {
        // HTTP/2 has its own way to say so.
        if (isDraining() && request.httpVersionMajor === 1) response.shouldKeepAlive = false;
        if (!calls(request, response)) route(request, response);
      });
      const server = createServer({ ...NODE_LIMITS, IncomingMessage: TakenRequest }, handler);
      server.maxConnections = MAX_CONNECTIONS;
      server.maxRequestsPerSocket = MAX_REQUESTS_A_CONNECTION;
      serveHttp2(server, handler, context, limits, closing.signal);
      return server;
    },
    forceCloseConnections: 'idle',
    // A request that has come is answered.
    return503OnClosing: false,
    ajv: {
      // The schemas mean what they say: no silent coercion, no silent removal. Verbose is for hints.
      customOptions: {
        coerceTypes: false,
        removeAdditional: false,
        useDefaults: false,
        verbose: true,
      },
    },
    genReqId: (request) =>
      handed.idOf(request as IncomingMessage) ?? requestIds.of(request.headers['x-request-id']),
    // Of a path that the router does not take; nothing else has seen the request.
    frameworkErrors: (error, request, reply: FastifyReply) => {
      const refusal = coded(error);
      return reply.code(statusOf(refusal)).send(errorBody(refusal, request.id));
    },
    clientErrorHandler(error, socket) {
      if (error.code === 'ECONNRESET' || !socket.writable) return;
      socket.end(rawRefusal(connectionRefusal(error.code)));
    },
  });

  // Answers are plain data or ready text; their schemas only document them.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_: unknown, body: Buffer) => parseBody(body),
  );
  app.setErrorHandler((error, request, reply) => {
    const refusal = coded(error);
    const status = statusOf(refusal);
    // That it is not ready is no failure of a server that begins or ends.
    const expected = refusal.code === 'serving/not-ready' && operation.notReady !== null;
    if (status >= 500 && !expected) {
      const { id, method, url } = request;
      options.onFailure(error, { id, method, url });
    }
    if (status === 429) reply.header('retry-after', '1');
    return reply.code(status).send(errorBody(refusal, request.id));
  });
  app.setNotFoundHandler((request, reply) => {
    const refusal = new SamewiseError(
      'serving/unknown-route',
      `there is no ${request.method} ${request.url.split('?')[0]}`,
      { hint: 'GET /openapi.json lists what there is' },
    );
    return reply.code(404).send(errorBody(refusal, request.id));
  });
  const operation = new Operation(context, app.server, closing);
  app.decorate('operation', operation);
  app.decorate('forgetPages', (keys) => pages.forget(keys));
  app.addHook('preClose', async () => operation.drainNow());
  await everyRoute(app, bodies, isDraining);
  // Not onResponse: its listeners on every answer cost more than all of the counting.
  app.decorateRequest('startedMs', 0);
  app.addHook('onRequest', (request, _, done) => {
    request.startedMs = clock.monotonicMs();
    done();
  });
  app.addHook('onSend', (request, reply, _, done) => {
    const seconds = (clock.monotonicMs() - request.startedMs) / 1000;
    metrics.request(request.routeOptions.url ?? 'unknown', reply.statusCode, seconds);
    done();
  });

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Samewise',
        description:
          'A feature store whose training values and serving values are one computation.',
        version: options.version,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } as { name: string },
      },
      tags: [
        { name: 'features', description: 'Define, find and read features.' },
        { name: 'services', description: 'Read what a model asks for.' },
        { name: 'events', description: 'Push events.' },
        { name: 'operation', description: 'Health and metrics.' },
      ],
    },
    convertConstToEnum: false,
  });
  onlineRoute(app, context, handed);
  vectorsRoute(app, context, handed);
  featuresRoutes(app, context);
  eventsRoute(app, context);
  explainRoute(app, context);
  feastRoutes(app, context, handed);
  offlineRoute(app, context);
  trainingRoute(app, context);
  operationRoutes(app, context, options.allMetrics ?? operation.metrics);
  await app.ready();
  return app;
}
