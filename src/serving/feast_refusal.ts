/** What went wrong, in the shapes that Feast's clients read: they raise the class that an answer names. */
import type { FastifyError, FastifyReply } from 'fastify';
import type { SamewiseError } from '../base/errors.ts';
import { JSON_TYPE } from './schemas.ts';

/** A refusal in Feast's own words. */
export class FeastRefusal extends Error {
  readonly status: number;
  readonly feastClass: string | null;

  /** `feastClass`: null where Feast names none. */
  constructor(status: number, feastClass: string | null, message: string) {
    super(message);
    this.status = status;
    this.feastClass = feastClass;
  }
}

/** A JSON text, which where Feast names a class is that of an object. */
export function sendRefusal(
  reply: FastifyReply,
  { status, feastClass, message }: FeastRefusal,
): FastifyReply {
  const quoted = JSON.stringify;
  const text =
    feastClass === null
      ? message
      : `{"module": "feast.errors", "class": ${quoted(feastClass)}, "message": ${quoted(message)}}`;
  return reply.code(status).type(JSON_TYPE).send(quoted(text));
}

/** As FastAPI says that a body is not as its schema says. */
export function sendInvalid(
  reply: FastifyReply,
  problems: NonNullable<FastifyError['validation']>,
): FastifyReply {
  const detail = problems.map(({ keyword, instancePath, params, message }) => {
    const path = ['body', ...instancePath.split('/').slice(1)];
    return keyword === 'required'
      ? { type: 'missing', loc: [...path, params.missingProperty], msg: 'Field required' }
      : { type: keyword, loc: path, msg: message };
  });
  return reply.code(422).type(JSON_TYPE).send(JSON.stringify({ detail }));
}

/** A coded error of ours: Feast has one class for what it has no name for. */
export function refusalOf(
  { code, message, where, hint }: SamewiseError,
  status: number,
): FeastRefusal {
  const places = Object.entries(where).map(([what, which]) => `${what} ${which}`);
  const said = [
    `${message}${places.length === 0 ? '' : ` (${places.join(', ')})`} [${code}]`,
    ...(hint === undefined ? [] : [hint]),
  ];
  return new FeastRefusal(status, 'FeastError', said.join('; '));
}
