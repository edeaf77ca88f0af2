/**
 * The plain forms of the two calls that read vectors, by REST and as Feast has it, answered ahead of the framework, whose own work
 * for a request is several times that of reading ten features. What is out of the ordinary is left to the route, also where that
 * shows only in the body: where this answers, the two answer the same.
 */
import type { IncomingMessage } from 'node:http';
import type { MaybePromise } from '../online/contract.ts';
import { MAX_ENTITIES, type Question } from './ask.ts';
import type { Bodies } from './bodies.ts';
import type { Context } from './context.ts';
import type { Revision } from './definitions.ts';
import { FEAST_READ_PATH, readFeast } from './feast_read.ts';
import type { FeastReadBody } from './feast_schemas.ts';
import type { Begun, HandedOver } from './handed_over.ts';
import { COMPRESSED_FROM_BYTES, SMALL_BODY_BYTES } from './http_limits.ts';
import { parseBody } from './json.ts';
import { type Handler, sendJson } from './online_fast.ts';
import type { VectorsBody } from './schemas.ts';
import { readVectors, SERVICE_VECTORS_PATH } from './vectors_route.ts';
import { wholeBody } from './whole_body.ts';

type Terms = Pick<Question, 'untilMs' | 'requestId'>;

/** A call that may be plain. */
interface Post {
  /** As it is counted. */
  readonly route: string;
  /** Whether a body is one that the route's schema takes and that has nothing rare in it. */
  isPlain(body: object): boolean;
  read(revision: Revision, body: object, terms: Terms): MaybePromise<string>;
}

const [BEFORE_SERVICE, AFTER_SERVICE] = SERVICE_VECTORS_PATH.split(':service') as [string, string];
/** What the router takes as it stands: longer names it refuses. */
const SERVICE = /^[\w.@-]{1,100}$/;

/** `route`, with plain calls answered before it; `isClosing` says when the framework has to see every request. */
export function withPlainPosts(
  context: Context,
  bodies: Bodies,
  handed: HandedOver,
  route: Handler,
  isClosing: () => boolean,
): Handler {
  const { clock, definitions, metrics, requestIds } = context;
  const feast: Post = {
    route: FEAST_READ_PATH,
    isPlain: isPlainFeast,
    read: (revision, body, terms) => readFeast(context, revision, body as FeastReadBody, terms),
  };
  const services = new Map<string, Post>();
  const postOf = (url: string): Post | null => {
    if (url === FEAST_READ_PATH) return feast;
    const known = services.get(url);
    if (known !== undefined) return known;
    if (!url.startsWith(BEFORE_SERVICE) || !url.endsWith(AFTER_SERVICE)) return null;
    const service = url.slice(BEFORE_SERVICE.length, -AFTER_SERVICE.length);
    if (!SERVICE.test(service)) return null;
    const post: Post = {
      route: SERVICE_VECTORS_PATH,
      isPlain: isPlainVectors,
      read: (revision, body, terms) =>
        readVectors(context, revision, revision.service(service), body as VectorsBody, terms),
    };
    // Whoever asks for ever other names must not fill the memory.
    if (services.size >= MAX_KEPT_SERVICES) services.clear();
    services.set(url, post);
    return post;
  };

  return (request, response) => {
    const post = request.method === 'POST' ? postOf(request.url!) : null;
    const head = post === null ? null : plainHead(request);
    if (post === null || head === null || isClosing()) return route(request, response);
    const startedMs = clock.monotonicMs();
    const id = requestIds.of(head.requestId);
    const terms: Terms = { untilMs: Number.POSITIVE_INFINITY, requestId: id };
    const leave = (begun: Begun) => {
      if (response.destroyed) return;
      handed.put(request, id, begun);
      route(request, response);
    };
    const send = (text: string) => {
      if (response.destroyed) return;
      const bytes = Buffer.byteLength(text);
      if (head.mayCompress && bytes >= COMPRESSED_FROM_BYTES) return leave({ text });
      if (isClosing()) response.shouldKeepAlive = false;
      sendJson(response, id, text, bytes);
      metrics.request(post.route, 200, (clock.monotonicMs() - startedMs) / 1000);
    };
    const refuse = (refusal: unknown) => leave({ refusal });
    const answer = (bytes: Buffer) => {
      bodies.end(request);
      const body = bodyIn(bytes);
      if (body === null || !post.isPlain(body)) return leave({ body: bytes });
      try {
        const revision = definitions.newest();
        const text =
          revision instanceof Promise
            ? revision.then((newest) => post.read(newest, body, terms))
            : post.read(revision, body, terms);
        if (text instanceof Promise) text.then(send, refuse);
        else send(text);
      } catch (error) {
        refuse(error);
      }
    };
    bodies.beginSmall(request);
    wholeBody(
      request,
      NO_LIMIT,
      (bytes) => answer(bytes!),
      () => bodies.end(request),
    );
  };
}

const MAX_KEPT_SERVICES = 1000;
/** That a body has no more than it says, the parser of requests makes sure. */
const NO_LIMIT = () => {};

interface PlainHead {
  readonly requestId: string | undefined;
  /** Whether the client takes an answer that is compressed. */
  readonly mayCompress: boolean;
}

/**
 * What the headers say of a request with a small JSON body and nothing rare about it, else null. They are looked at as they came: the
 * object of headers, which the framework makes of them, costs more.
 */
function plainHead({ rawHeaders, httpVersionMajor }: IncomingMessage): PlainHead | null {
  if (httpVersionMajor !== 1) return null;
  let isJson = false;
  let length = -1;
  let requestId: string | undefined;
  let mayCompress = false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    const value = rawHeaders[i + 1]!;
    switch (name.length) {
      case 12:
        if (!isJson && name.toLowerCase() === 'content-type') {
          isJson = value === 'application/json' || value === 'application/json; charset=utf-8';
          if (!isJson) return null;
        } else if (name.toLowerCase() === 'x-request-id') {
          if (requestId !== undefined) return null;
          requestId = value;
        }
        break;
      case 13:
        if (name.toLowerCase() === 'x-deadline-ms') return null;
        break;
      case 14:
        if (name.toLowerCase() === 'content-length') length = Number(value);
        break;
      case 15:
        if (name.toLowerCase() === 'accept-encoding') mayCompress = true;
        break;
      case 16:
        if (name.toLowerCase() === 'content-encoding') return null;
        break;
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') return null;
        break;
    }
  }
  const plain = isJson && length > 0 && length <= SMALL_BODY_BYTES;
  return plain ? { requestId, mayCompress } : null;
}

/** The object that a body is; null where it is none, of which the route says why. */
function bodyIn(bytes: Buffer): object | null {
  try {
    const body = parseBody(bytes);
    return typeof body === 'object' && body !== null && !Array.isArray(body) ? body : null;
  } catch {
    return null;
  }
}

function isPlainVectors(body: object): boolean {
  let entities = false;
  for (const [name, value] of Object.entries(body))
    switch (name) {
      case 'entities':
        entities = isEntities(value);
        if (!entities) return false;
        break;
      case 'full':
        if (typeof value !== 'boolean') return false;
        break;
      case 'orientation':
        if (value !== 'rows' && value !== 'columns') return false;
        break;
      default:
        return false;
    }
  return entities;
}

function isPlainFeast(body: object): boolean {
  let entities = false;
  for (const [name, value] of Object.entries(body))
    switch (name) {
      case 'entities':
        entities = isObject(value) && Object.values(value).every(Array.isArray);
        if (!entities) return false;
        break;
      case 'features':
        if (!Array.isArray(value) || !value.every((each) => typeof each === 'string')) return false;
        break;
      case 'feature_service':
        if (typeof value !== 'string' && value !== null) return false;
        break;
      case 'full_feature_names':
        if (typeof value !== 'boolean') return false;
        break;
      // Whatever else a client sends is passed over, as in the route; Feast's own always sends something.
    }
  return entities;
}

function isEntities(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_ENTITIES) return false;
  return value.every(isObject);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
