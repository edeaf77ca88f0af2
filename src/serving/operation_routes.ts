/** What those who run the server ask: is it alive, is it ready, what has it counted, what does it speak. */
import type { FastifyInstance } from 'fastify';
import { SamewiseError } from '../base/errors.ts';
import type { Context } from './context.ts';
import type { Operation } from './operation.ts';
import { healthSchema, metricsSchema, readySchema } from './operation_schemas.ts';

/** `allMetrics` is what /metrics says. */
export function operationRoutes(
  app: FastifyInstance,
  context: Context,
  allMetrics: () => Promise<string>,
): void {
  const { metrics } = context;
  app.get('/healthz', { schema: healthSchema }, async () => ({ status: 'ok' }));

  app.get('/readyz', { schema: readySchema }, async () => {
    await readiness(app.operation, context);
    return { status: 'ok' };
  });

  app.get('/metrics', { schema: metricsSchema }, async (_, reply) => {
    reply.header('content-type', metrics.contentType);
    return allMetrics();
  });

  app.get('/openapi.json', { schema: { hide: true }, config: { etag: true } }, async () =>
    app.swagger(),
  );
}

/** Rejects with `serving/not-ready` where requests had better go elsewhere. */
export async function readiness(
  { notReady }: Operation,
  { online, registry }: Pick<Context, 'online' | 'registry'>,
): Promise<void> {
  if (notReady !== null) throw new SamewiseError('serving/not-ready', notReady);
  await Promise.all([
    reach('the registry', registry.head()),
    reach('the online store', online.getMeta('ready')),
  ]);
}

async function reach(what: string, answer: Promise<unknown>): Promise<void> {
  try {
    await answer;
  } catch (cause) {
    const why = cause instanceof SamewiseError ? `: ${cause.message}` : '';
    throw new SamewiseError('serving/not-ready', `${what} cannot be reached${why}`, { cause });
  }
}
