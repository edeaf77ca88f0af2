/** `POST /api/v1/features/offline`: a training set from labels and features, written on the server. */
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { canonicalJson, sha256Hex } from '../base/hash.ts';
import type { Context } from './context.ts';
import { labelsAt } from './paths.ts';
import { type OfflineBody, offlineSchema } from './schemas.ts';

export function offlineRoute(app: FastifyInstance, context: Context): void {
  const { clock, data, definitions, offline, outputDir } = context;
  app.post<{ Body: OfflineBody }>(
    '/api/v1/features/offline',
    { schema: offlineSchema },
    async (request, reply) => {
      const { body } = request;
      const revision = await definitions.newest();
      const features = typeof body.features === 'string' ? body.features : body.features.join();
      const { members } = revision.asked(body.entity, features);
      const labels = await labelsAt(body.entity_df, data);
      const format = body.format ?? 'parquet';
      const fresh = sha256Hex(canonicalJson([body, clock.nowUs()])).slice(0, 16);
      // Whoever hangs up does not want the file any more.
      const gone = new AbortController();
      const abort = () => {
        if (!reply.raw.writableFinished) gone.abort();
      };
      reply.raw.once('close', abort);
      try {
        const result = await offline.train({
          catalog: revision.catalog,
          service: null,
          members,
          labels,
          timeColumn: body.timestamp_column,
          through: body.through ?? false,
          knowledge: body.knowledge ?? 'final',
          output: { format, path: join(outputDir, body.output ?? `training-${fresh}.${format}`) },
          signal: gone.signal,
        });
        return {
          path: result.path,
          rows: result.rows,
          bytes: result.bytes,
          format,
          manifest: result.manifestPath,
          warnings: result.warnings,
        };
      } finally {
        reply.raw.off('close', abort);
      }
    },
  );
}
