/** `GET /api/v1/features/online`: features of one entity, now or at any past time. */
import type { FastifyInstance } from 'fastify';
import { formatInstant } from '../base/time.ts';
import { rowTexts } from './answer.ts';
import type { Context } from './context.ts';
import { keyFromQuery, keyToJson } from './keys.ts';
import { JSON_TYPE, type OnlineQuery, onlineSchema } from './schemas.ts';
import { readTime } from './times.ts';

export function onlineRoute(app: FastifyInstance, context: Context): void {
  const { clock, definitions, metrics, reader } = context;
  app.get<{ Querystring: OnlineQuery }>(
    '/api/v1/features/online',
    { schema: onlineSchema },
    async (request, reply) => {
      const { entity: name, id, features, at, through } = request.query;
      const list = typeof features === 'string' ? features : features.join();
      const newest = definitions.newest();
      const revision = newest instanceof Promise ? await newest : newest;
      const { entity, program, columns } = revision.asked(name, list);
      const key = keyFromQuery(entity, id);
      const { atUs, readUs } = readTime(clock, at, through === 'true');
      const vectors = await reader.read(program, [key], readUs);
      metrics.vectors(1);
      const { values, statuses, eventTimes } = rowTexts(vectors, 0, columns, metrics);
      reply.header('content-type', JSON_TYPE);
      return `{"entity":${JSON.stringify(name)},"id":${keyToJson(entity, key)},"features":${values},"statuses":${statuses},"event_times":${eventTimes},"at":"${formatInstant(atUs)}"}`;
    },
  );
}
