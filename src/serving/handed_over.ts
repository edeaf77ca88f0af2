/**
 * Requests that were begun past the framework and that it is to end: with why there is no answer, or with an answer that is to be
 * compressed. Their bodies are read already.
 */
import type { IncomingMessage } from 'node:http';
import type { preParsingHookHandler } from 'fastify';
import { JSON_TYPE } from './schemas.ts';

/** What there is of a request. */
export type Begun = { readonly refusal: unknown } | { readonly text: string };

export class HandedOver {
  readonly #begun = new WeakMap<IncomingMessage, { readonly id: string; readonly begun: Begun }>();

  /** `id`: what the request was called until now. */
  put(request: IncomingMessage, id: string, begun: Begun): void {
    this.#begun.set(request, { id, begun });
  }

  idOf(request: IncomingMessage): string | undefined {
    return this.#begun.get(request)?.id;
  }

  /** Of each route whose requests may be begun elsewhere. */
  readonly hook: preParsingHookHandler = (request, reply, payload, done) => {
    const begun = this.#begun.get(request.raw)?.begun;
    if (begun === undefined) done(null, payload);
    else if ('refusal' in begun) done(begun.refusal as Error);
    else reply.header('content-type', JSON_TYPE).send(begun.text);
  };
}
