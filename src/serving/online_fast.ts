/**
 * The plain form of `GET /api/v1/features/online`, answered ahead of the framework, whose own work for a request is more than
 * reading ten features is. Whatever is out of the ordinary (another field, an escape, a refusal) is left to the route, which
 * is the slow twin: where this answers, the two answer the same.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { InstantUs } from '../base/time.ts';
import type { MaybePromise } from '../online/contract.ts';
import type { Context } from './context.ts';
import type { Revision } from './definitions.ts';
import { endOfAnswer, ONLINE_PATH, type OnlineAnswer, readOnline } from './online_route.ts';
import { JSON_TYPE } from './schemas.ts';

export interface PlainQuery {
  readonly entity: string;
  readonly id: string;
  readonly features: string;
}

/** Characters that a query means literally and that no part of it is divided by. */
const LITERAL = /^[\w.~:@,-]+$/;
const PREFIX = `${ONLINE_PATH}?`;
/** The route refuses longer ones. */
const MAX_NAME = 512;
const MAX_ID = 8192;

/** The query of a URL that has entity, id and features once each, all in literal characters; else null. */
export function plainQuery(url: string): PlainQuery | null {
  if (!url.startsWith(PREFIX)) return null;
  let entity: string | null = null;
  let id: string | null = null;
  let features: string | null = null;
  for (let from = PREFIX.length; from <= url.length; ) {
    const next = url.indexOf('&', from);
    const to = next < 0 ? url.length : next;
    if (entity === null && url.startsWith('entity=', from)) entity = url.slice(from + 7, to);
    else if (id === null && url.startsWith('id=', from)) id = url.slice(from + 3, to);
    else if (features === null && url.startsWith('features=', from))
      features = url.slice(from + 9, to);
    else return null;
    from = to + 1;
  }
  if (entity === null || id === null || features === null) return null;
  const plain =
    entity.length <= MAX_NAME &&
    id.length <= MAX_ID &&
    LITERAL.test(entity) &&
    LITERAL.test(id) &&
    LITERAL.test(features);
  return plain ? { entity, id, features } : null;
}

const NO_TERMS = { untilMs: Number.POSITIVE_INFINITY, requestId: null, chosen: [] };

/** Answers a request, or leaves it to `route` with nothing done to it. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** `route`, with plain reads of features answered before it; `isClosing` says when the framework has to see every request. */
export function withFastReads(context: Context, route: Handler, isClosing: () => boolean): Handler {
  const { clock, definitions, metrics, requestIds } = context;
  return (request, response) => {
    const url = request.url!;
    if (request.method !== 'GET' || !url.startsWith(PREFIX) || isClosing())
      return route(request, response);
    const startedMs = clock.monotonicMs();
    const revision = definitions.newest();
    if (revision instanceof Promise) return route(request, response);
    const atUs = clock.nowUs();
    const send = ({ text, bytes }: OnlineAnswer) => {
      const end = endOfAnswer(atUs);
      const length = bytes + end.length;
      const id = requestIds.of(headerOf(request, 'x-request-id'));
      sendJson(response, id, text + end, length);
      metrics.request(ONLINE_PATH, 200, (clock.monotonicMs() - startedMs) / 1000);
    };
    let answer: MaybePromise<OnlineAnswer> | null;
    try {
      answer = answerTo(context, revision, request, atUs);
    } catch {
      // A refusal is told by the route, which meets it again.
      return route(request, response);
    }
    if (answer === null) route(request, response);
    else if (answer instanceof Promise) answer.then(send, () => route(request, response));
    else send(answer);
  };
}

/** Sends an answer of so many bytes in UTF-8. */
export function sendJson(response: ServerResponse, id: string, text: string, bytes: number): void {
  response.writeHead(200, [
    'x-request-id',
    id,
    'content-type',
    JSON_TYPE,
    'content-length',
    String(bytes),
  ]);
  if (ready.length === 0) setImmediate(sendReady);
  // What is ASCII throughout needs no encoding.
  ready.push({ response, text, encoding: bytes === text.length ? 'latin1' : 'utf8' });
}

/**
 * Answers to the requests of one turn, which are sent together at its end: a client that sleeps is woken up once, not for each of
 * them, and waking it costs more than reading a vector.
 */
let ready: { response: ServerResponse; text: string; encoding: 'latin1' | 'utf8' }[] = [];

function sendReady(): void {
  const all = ready;
  ready = [];
  for (const { response, text, encoding } of all) response.end(text, encoding);
}

/** Looked for in the list as it came: the object of headers, which the framework makes of it, costs more. */
function headerOf({ rawHeaders }: IncomingMessage, name: string): string | undefined {
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (rawHeaders[i]!.length === name.length && rawHeaders[i]!.toLowerCase() === name)
      return rawHeaders[i + 1];
  return undefined;
}

/**
 * The answer to a plain query: the one that was given before if it still holds, else read. Null if it is no plain query, or one
 * that is logged or has a deadline, which is the route's.
 */
function answerTo(
  { pages, metrics, ask, featureLog }: Context,
  revision: Revision,
  request: IncomingMessage,
  readUs: InstantUs,
): MaybePromise<OnlineAnswer> | null {
  const { remembered } = revision;
  const url = request.url!;
  if (headerOf(request, 'x-deadline-ms') !== undefined) return null;
  const known = remembered.find(pages, url, readUs);
  if (known !== null) {
    if (featureLog?.takes(request) === true) return null;
    metrics.pages(known.pages.length);
    metrics.answer(1, known.tally);
    return known;
  }
  const query = plainQuery(url);
  if (query === null || featureLog?.takes(request) === true) return null;
  const answer = readOnline(ask, revision, query, readUs, NO_TERMS);
  // A page that needs blocks is read in several turns, a small part of all.
  if (!(answer instanceof Promise)) remembered.remember(pages, url, answer, readUs);
  return answer;
}
