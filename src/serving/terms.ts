/** What a request says about how it is to be answered, in its headers: by when, and what it is called. */
import type { FastifyRequest } from 'fastify';
import type { Question } from './ask.ts';

/** Longest id of a client's that is taken over. */
const MAX_REQUEST_ID = 200;

/** The deadline of `x-deadline-ms`, counted from when the request came, and the id of `x-request-id`. */
export function termsOf({
  headers,
  startedMs,
}: Pick<FastifyRequest, 'headers' | 'startedMs'>): Pick<Question, 'untilMs' | 'requestId'> {
  const deadline = headers['x-deadline-ms'];
  return {
    untilMs: deadline === undefined ? Number.POSITIVE_INFINITY : startedMs + Number(deadline),
    requestId: soundRequestId(headers['x-request-id']),
  };
}

/** The id that a client gives a request; null: none, or none that is taken over. */
export function soundRequestId(given: unknown): string | null {
  const isSound = typeof given === 'string' && given !== '' && given.length <= MAX_REQUEST_ID;
  return isSound ? given : null;
}
