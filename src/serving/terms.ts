/** What a request says about how it is to be answered, in its headers: by when, and what it is called. */
import type { FastifyRequest } from 'fastify';
import type { Question } from './ask.ts';

/** The deadline of `x-deadline-ms`, counted from when the request came, and its id. */
export function termsOf({
  id,
  headers,
  startedMs,
}: Pick<FastifyRequest, 'id' | 'headers' | 'startedMs'>): Pick<Question, 'untilMs' | 'requestId'> {
  const deadline = headers['x-deadline-ms'];
  return {
    // Where a route's schema does not refuse what is no number, it says nothing.
    untilMs: isMs(deadline) ? startedMs + Number(deadline) : Number.POSITIVE_INFINITY,
    requestId: id,
  };
}

function isMs(deadline: unknown): deadline is string {
  return typeof deadline === 'string' && /^\d{1,9}$/.test(deadline);
}

/** What can be sent back in a header and does not fill a log. */
const SOUND = /^[\x21-\x7e]{1,200}$/;

/** The id that a client gives a request; null: none, or none that is taken over. */
export function soundRequestId(given: unknown): string | null {
  return typeof given === 'string' && SOUND.test(given) ? given : null;
}
