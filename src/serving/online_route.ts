/** `GET /api/v1/features/online`: features of one entity, now or at any past time. */
import { Buffer } from 'node:buffer';
import type { FastifyInstance } from 'fastify';
import { formatInstant, type InstantUs } from '../base/time.ts';
import type { MaybePromise } from '../online/contract.ts';
import { caveatsText, rowTexts, type Tally, tallyOf } from './answer.ts';
import type { Ask, Question } from './ask.ts';
import type { Context } from './context.ts';
import type { Revision } from './definitions.ts';
import type { HandedOver } from './handed_over.ts';
import { keyFromQuery, keyToJson } from './keys.ts';
import type { PageAnswer } from './pages.ts';
import { JSON_TYPE, type OnlineQuery, onlineSchema } from './schemas.ts';
import { termsOf } from './terms.ts';
import { readTime } from './times.ts';
import type { Vectors } from './vector.ts';

export const ONLINE_PATH = '/api/v1/features/online';

/** Of the requests some were begun elsewhere. */
export function onlineRoute(app: FastifyInstance, context: Context, handed: HandedOver): void {
  const { clock, definitions, ask } = context;
  app.get<{ Querystring: OnlineQuery }>(
    ONLINE_PATH,
    { schema: onlineSchema, preParsing: handed.hook },
    async (request, reply) => {
      const { query } = request;
      const { at, through } = query;
      const revision = await definitions.newest();
      const { atUs, readUs } = readTime(clock, at, through === 'true');
      const answer = await readOnline(ask, revision, query, readUs, termsOf(request));
      reply.header('content-type', JSON_TYPE);
      return answer.text + endOfAnswer(atUs);
    },
  );
}

/** An answer but for the time that it names, which ends its text. */
export interface OnlineAnswer {
  readonly text: string;
  /** Of the text in UTF-8. */
  readonly bytes: number;
  readonly vectors: number;
  /** Of the values of all vectors. */
  readonly tally: Readonly<Tally>;
  /** What it was read from. */
  readonly pages: readonly PageAnswer[];
}

/** The answer to a query, at once where the store answers at once. Throws or rejects as resolving and reading do. */
export function readOnline(
  ask: Ask,
  revision: Revision,
  { entity: name, id, features }: OnlineQuery,
  readUs: InstantUs,
  terms: Pick<Question, 'untilMs' | 'requestId' | 'chosen'>,
): MaybePromise<OnlineAnswer> {
  const list = typeof features === 'string' ? features : features.join();
  const { entity, program, columns } = revision.asked(name, list);
  const key = keyFromQuery(entity, id);
  const write = (vectors: Vectors): OnlineAnswer => {
    const { values, statuses, eventTimes } = rowTexts(vectors, 0, columns);
    const text = `{"entity":${JSON.stringify(name)},"id":${keyToJson(entity, key)}${caveatsText(vectors, columns)},"features":${values},"statuses":${statuses},"event_times":${eventTimes},"at":"`;
    return {
      text,
      bytes: Buffer.byteLength(text),
      vectors: 1,
      tally: tallyOf(vectors),
      pages: vectors.pages(0),
    };
  };
  const vectors = ask.vectors({ revision, program, rows: [key], readUs, ...terms });
  return vectors instanceof Promise ? vectors.then(write) : write(vectors);
}

/** What stands behind an answer's text. */
export function endOfAnswer(atUs: InstantUs): string {
  return `${formatInstant(atUs)}"}`;
}
