/** Defining features over HTTP, and reading what is registered. */
import type { FastifyInstance } from 'fastify';
import { formatInstant, type InstantUs } from '../base/time.ts';
import { entityOf, featureIndex, lineageOf, printRef, viewOf } from '../model/index.ts';
import type { Schema } from '../types/batch.ts';
import { printDtype } from '../types/dtype.ts';
import type { Context } from './context.ts';
import { type KeptPromise, keptPromise } from './kept_promise.ts';
import {
  type DefineBody,
  defineSchema,
  type FeatureParams,
  featureSchema,
  type SearchQuery,
  searchSchema,
  servicesSchema,
} from './schemas.ts';
import { refuseTaken, sqlFeature } from './sql_feature.ts';

export function featuresRoutes(app: FastifyInstance, context: Context): void {
  const { clock, defineFeature, definitions, registry } = context;

  app.post<{ Body: DefineBody }>(
    '/api/v1/features',
    { schema: defineSchema },
    async ({ body }, reply) => {
      const { catalog } = await definitions.refresh();
      const made = sqlFeature(body, entityOf(catalog, body.entity));
      refuseTaken(catalog, made);
      const { version, created } = await defineFeature(made, body.owner);
      // Whoever defined it can read it at once.
      await definitions.refresh();
      reply.code(created ? 201 : 200);
      return { ref: printRef(made.view.name, body.name), version, created };
    },
  );

  app.get<{ Querystring: SearchQuery }>(
    '/api/v1/features',
    { schema: searchSchema, config: { etag: true } },
    async ({ query }) => {
      const { q = '', entity, owner, tag, limit = '100' } = query;
      return { features: await registry.search(q, { entity, owner, tag }, Number(limit)) };
    },
  );

  app.get<{ Params: FeatureParams }>(
    '/api/v1/features/:view/:feature',
    { schema: featureSchema, config: { etag: true } },
    async ({ params }) => {
      const { catalog, registered } = await definitions.newest();
      const view = viewOf(catalog, params.view);
      const feature = view.features[featureIndex(view, params.feature)]!;
      const version = registered.find(
        ({ kind, name, state }) => kind === view.kind && name === view.name && state === 'current',
      )!.version;
      const ref = printRef(view.name, feature.name);
      const kept =
        view.kind === 'featureView'
          ? keptPromise(view, version, feature.name, await registry.serviceLevels(), clock.nowUs())
          : null;
      return {
        ref,
        entity: view.kind === 'featureView' ? view.entity : null,
        dtype: printDtype(feature.dtype),
        description: feature.description,
        owner: view.owner,
        tags: { ...view.tags, ...feature.tags },
        version,
        freshness: kept && freshnessOf(kept),
        definition: feature,
        lineage: lineageOf(catalog, ref),
      };
    },
  );

  app.get('/api/v1/services', { schema: servicesSchema, config: { etag: true } }, async () => {
    const revision = await definitions.newest();
    const services = revision.registered.filter(({ kind }) => kind === 'featureService');
    return {
      services: services.map(({ name, version, state, definition }) => {
        const { plan } = revision.service(`${name}@${version}`).program;
        return {
          name,
          version,
          current: state === 'current',
          model: definition.kind === 'featureService' ? definition.model : null,
          owner: definition.owner,
          description: definition.description,
          keys: typesOf(plan.keyColumns),
          request: typesOf(plan.requestColumns),
          features: typesOf(plan.outputs),
        };
      }),
    };
  });
}

function freshnessOf({ within_ms, state, sinceUs, lookedUs, lag_ms }: KeptPromise): object {
  const at = (us: InstantUs | null) => (us === null ? null : formatInstant(us));
  return { within_ms, state, since: at(sinceUs), looked_at: at(lookedUs), lag_ms };
}

function typesOf(fields: Schema): Record<string, string> {
  return Object.fromEntries(fields.map(({ name, dtype }) => [name, printDtype(dtype)]));
}
