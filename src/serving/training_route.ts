/** `POST /api/v1/training`: labels in, their training set out, both as streams; and how far one is. */
import type { FastifyInstance } from 'fastify';
import { SamewiseError } from '../base/errors.ts';
import type { Context } from './context.ts';
import { LABEL_TYPES } from './training.ts';
import {
  ARROW_STREAM,
  type TrainingParams,
  type TrainingQuery,
  trainingProgressSchema,
  trainingSchema,
} from './training_schemas.ts';

export function trainingRoute(app: FastifyInstance, { trainings }: Context): void {
  // In a scope of its own: here a body stays a stream.
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(Object.keys(LABEL_TYPES), (_request, payload, done) =>
      done(null, payload),
    );
    scope.post<{ Querystring: TrainingQuery; Body: AsyncIterable<Uint8Array> }>(
      '/api/v1/training',
      { schema: trainingSchema },
      async ({ body, headers, query }, reply) => {
        const { service = null, features = null } = query;
        if ((service === null) === (features === null)) {
          throw new SamewiseError('serving/bad-field', 'the query names a service or features', {
            where: { field: 'service' },
            hint: 'write service=name, or features=view:feature,view:feature',
          });
        }
        // Whoever hangs up does not want the training set any more.
        const gone = new AbortController();
        const abort = () => {
          if (!reply.raw.writableFinished) gone.abort();
        };
        reply.raw.once('close', abort);
        try {
          const made = await trainings.build(
            {
              id: query.id ?? null,
              service,
              features,
              fullNames: query.full_names === 'true',
              timeColumn: query.at_column,
              through: query.through === 'true',
              knowledge: query.knowledge ?? 'final',
              contentType: headers['content-type']!.split(';')[0]!.trim().toLowerCase(),
            },
            body,
            gone.signal,
          );
          reply.raw.once('close', () => made.stream.destroy());
          return reply
            .headers({
              'content-type': ARROW_STREAM,
              'content-length': made.bytes,
              'x-samewise-training': made.id,
              'x-samewise-manifest': made.manifest,
              'x-samewise-rows': made.rows,
              'x-samewise-features': made.features,
              'x-samewise-warnings': asciiJson(made.warnings),
            })
            .send(made.stream);
        } finally {
          reply.raw.off('close', abort);
        }
      },
    );
  });

  app.get<{ Params: TrainingParams }>(
    '/api/v1/training/:id',
    { schema: trainingProgressSchema },
    async ({ params }) => trainings.progress(params.id),
  );
}

/** Headers hold no other characters. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
