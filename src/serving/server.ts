/** The HTTP server, put together. It holds no definitions of its own and names no adapter; app/ hands both in. */
import { createServer } from 'node:http';
import swagger from '@fastify/swagger';
import Fastify, { type FastifyInstance } from 'fastify';
import type { Clock } from '../base/clock.ts';
import { SamewiseError } from '../base/errors.ts';
import type { OfflineStore } from '../offline/contract.ts';
import type { OnlineStore } from '../online/contract.ts';
import type { Registry } from '../registry/contract.ts';
import { Ask } from './ask.ts';
import type { Context, DefineFeature, Materialize } from './context.ts';
import { type Catalogs, Definitions } from './definitions.ts';
import { coded, errorBody, statusOf } from './errors.ts';
import { eventsRoute, type PushEvents } from './events_route.ts';
import { type Explain, explainRoute } from './explain_route.ts';
import { feastRoutes } from './feast_routes.ts';
import type { FeatureLog } from './feature_log.ts';
import { featuresRoutes } from './features_routes.ts';
import { parseBody } from './json.ts';
import { Metrics } from './metrics.ts';
import { offlineRoute } from './offline_route.ts';
import { withFastReads } from './online_fast.ts';
import { onlineRoute } from './online_route.ts';
import { Operation } from './operation.ts';
import { operationRoutes } from './operation_routes.ts';
import type { DataRoots } from './paths.ts';
import { VectorReader } from './vector.ts';
import { Trainings } from './training.ts';
import { trainingRoute } from './training_route.ts';
import { vectorsRoute } from './vectors_route.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Reading of the monotonic clock when the request came. */
    startedMs: number;
  }
  interface FastifyInstance {
    /** For whoever runs the server. */
    operation: Operation;
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
  readonly onFailure: (error: unknown, request: { method: string; url: string }) => void;
  /** How long a change to the registry by another process may stay unseen. Default: 1,000 ms. */
  readonly refreshMs?: number;
}

/** Largest body of a request, in bytes. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** Largest head of a request, in bytes: room for a list of some thousand features. */
const MAX_HEADER_BYTES = 128 * 1024;
/** How long a connection may be idle between requests, in milliseconds: longer than load balancers keep theirs. */
const KEEP_ALIVE_MS = 72_000;

/**
 * A server that is ready to listen or inject. `close()` lets requests in flight finish; the stores stay open, they belong
 * to the caller. Every refusal has the body `{error: {code, message, field?, hint?, where?}}`.
 */
export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const { registry, online, clock, catalogs } = options;
  const metrics = new Metrics();
  const featureLog = options.featureLog ?? null;
  const reader = new VectorReader(online, metrics);
  const definitions = new Definitions(registry, catalogs, clock, options.refreshMs ?? 1000);
  const context: Context = {
    ...options,
    moreMetrics: options.moreMetrics ?? (async () => ''),
    featureLog,
    metrics,
    definitions,
    ask: new Ask({ clock, reader, metrics, featureLog }),
    trainings: new Trainings({ ...options, definitions }),
  };

  const app = Fastify({
    bodyLimit: MAX_BODY_BYTES,
    serverFactory: (route) =>
      createServer(
        { maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 },
        withFastReads(context, route, () => operation.draining),
      ),
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
    clientErrorHandler(error, socket) {
      if (error.code === 'ECONNRESET' || !socket.writable) return;
      const tooLarge = (error.code as string) === 'HPE_HEADER_OVERFLOW';
      const refusal = tooLarge
        ? new SamewiseError(
            'serving/header-too-large',
            'the request line and headers are too long',
            {
              hint: 'ask for fewer features, or use a feature service',
            },
          )
        : new SamewiseError('serving/bad-request', 'this is not an HTTP request');
      const body = JSON.stringify(errorBody(refusal));
      const status = tooLarge ? '431 Request Header Fields Too Large' : '400 Bad Request';
      socket.end(
        `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
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
    if (status >= 500) options.onFailure(error, { method: request.method, url: request.url });
    if (status === 429) reply.header('retry-after', '1');
    return reply.code(status).send(errorBody(refusal));
  });
  app.setNotFoundHandler((request, reply) => {
    const refusal = new SamewiseError(
      'serving/unknown-route',
      `there is no ${request.method} ${request.url.split('?')[0]}`,
      { hint: 'GET /openapi.json lists what there is' },
    );
    return reply.code(404).send(errorBody(refusal));
  });
  const operation = new Operation(context, app.server);
  app.decorate('operation', operation);
  app.addHook('preClose', async () => operation.drainNow());
  // Not onResponse: its listeners on every answer cost more than all of the counting.
  app.decorateRequest('startedMs', 0);
  app.addHook('onRequest', (request, _, done) => {
    request.startedMs = clock.monotonicMs();
    done();
  });
  app.addHook('onSend', (request, reply, _, done) => {
    const seconds = (clock.monotonicMs() - request.startedMs) / 1000;
    metrics.request(request.routeOptions.url ?? 'unknown', reply.statusCode, seconds);
    if (operation.draining && request.raw.httpVersionMajor === 1)
      reply.header('connection', 'close');
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
  onlineRoute(app, context);
  vectorsRoute(app, context);
  featuresRoutes(app, context);
  eventsRoute(app, context);
  explainRoute(app, context);
  feastRoutes(app, context);
  offlineRoute(app, context);
  trainingRoute(app, context);
  operationRoutes(app, context, options.allMetrics ?? operation.metrics);
  await app.ready();
  return app;
}
