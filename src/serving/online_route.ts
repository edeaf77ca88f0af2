/** `GET /api/v1/features/online`: features of one entity, now or at any past time. */
import type { FastifyInstance } from 'fastify';
import { formatInstant } from '../base/time.ts';
import type { MaybePromise } from '../online/contract.ts';
import { rowTexts } from './answer.ts';
import type { Context } from './context.ts';
import type { Revision } from './definitions.ts';
import { keyFromQuery, keyToJson } from './keys.ts';
import { JSON_TYPE, type OnlineQuery, onlineSchema } from './schemas.ts';
import { readTime } from './times.ts';
import type { Vectors } from './vector.ts';

export const ONLINE_PATH = '/api/v1/features/online';

export function onlineRoute(app: FastifyInstance, context: Context): void {
  app.get<{ Querystring: OnlineQuery }>(
    ONLINE_PATH,
    { schema: onlineSchema },
    async ({ query }, reply) => {
      const text = await onlineAnswer(context, await context.definitions.newest(), query);
      reply.header('content-type', JSON_TYPE);
      return text;
    },
  );
}

/** The JSON text of the answer, at once where the store answers at once. Throws or rejects as resolving and reading do. */
export function onlineAnswer(
  { clock, metrics, reader }: Context,
  revision: Revision,
  { entity: name, id, features, at, through }: OnlineQuery,
): MaybePromise<string> {
  const list = typeof features === 'string' ? features : features.join();
  const { entity, program, columns } = revision.asked(name, list);
  const key = keyFromQuery(entity, id);
  const { atUs, readUs } = readTime(clock, at, through === 'true');
  const write = (vectors: Vectors) => {
    metrics.vectors(1);
    const { values, statuses, eventTimes } = rowTexts(vectors, 0, columns, metrics);
    return `{"entity":${JSON.stringify(name)},"id":${keyToJson(entity, key)},"features":${values},"statuses":${statuses},"event_times":${eventTimes},"at":"${formatInstant(atUs)}"}`;
  };
  const vectors = reader.read(program, [key], readUs);
  return vectors instanceof Promise ? vectors.then(write) : write(vectors);
}
