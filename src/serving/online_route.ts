/** `GET /api/v1/features/online`: features of one entity, now or at any past time. */
import { Buffer } from 'node:buffer';
import type { FastifyInstance } from 'fastify';
import { formatInstant, type InstantUs } from '../base/time.ts';
import type { MaybePromise } from '../online/contract.ts';
import { rowTexts, type Tally } from './answer.ts';
import type { Context } from './context.ts';
import type { Revision } from './definitions.ts';
import { keyFromQuery, keyToJson } from './keys.ts';
import { logVectors } from './logged_vector.ts';
import type { PageAnswer } from './pages.ts';
import { JSON_TYPE, type OnlineQuery, onlineSchema } from './schemas.ts';
import { readTime } from './times.ts';
import type { RequestRow, VectorReader, Vectors } from './vector.ts';

export const ONLINE_PATH = '/api/v1/features/online';

export function onlineRoute(app: FastifyInstance, context: Context): void {
  const { clock, definitions, metrics, reader, featureLog } = context;
  app.get<{ Querystring: OnlineQuery }>(
    ONLINE_PATH,
    { schema: onlineSchema },
    async ({ query, raw, headers }, reply) => {
      const { at, through } = query;
      const revision = await definitions.newest();
      const { atUs, readUs } = readTime(clock, at, through === 'true');
      const chosen = featureLog?.chooseOne(raw) ?? [];
      const answer = await readOnline(reader, revision, query, readUs, chosen, (vectors, row) => {
        const { registered } = revision;
        const served = { headers, registered, rows: [row], readUs, servedUs: clock.nowUs() };
        logVectors(featureLog!, vectors, chosen, served);
      });
      metrics.answer(answer.tally);
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
  readonly tally: Tally;
  /** What it was read from. */
  readonly pages: readonly PageAnswer[];
}

/**
 * The answer to a query, at once where the store answers at once. If its row is `logged`, `onVectors` gets what was read. Throws or
 * rejects as resolving and reading do.
 */
export function readOnline(
  reader: VectorReader,
  revision: Revision,
  { entity: name, id, features }: OnlineQuery,
  readUs: InstantUs,
  logged: readonly number[] = [],
  onVectors: (vectors: Vectors, row: RequestRow) => void = () => {},
): MaybePromise<OnlineAnswer> {
  const list = typeof features === 'string' ? features : features.join();
  const { entity, program, columns } = revision.asked(name, list);
  const key = keyFromQuery(entity, id);
  const write = (vectors: Vectors): OnlineAnswer => {
    if (logged.length > 0) onVectors(vectors, key);
    const { values, statuses, eventTimes, tally } = rowTexts(vectors, 0, columns);
    const text = `{"entity":${JSON.stringify(name)},"id":${keyToJson(entity, key)},"features":${values},"statuses":${statuses},"event_times":${eventTimes},"at":"`;
    return { text, bytes: Buffer.byteLength(text), tally, pages: vectors.pages(0) };
  };
  const vectors = reader.read(program, [key], readUs, logged);
  return vectors instanceof Promise ? vectors.then(write) : write(vectors);
}

/** What stands behind an answer's text. */
export function endOfAnswer(atUs: InstantUs): string {
  return `${formatInstant(atUs)}"}`;
}
