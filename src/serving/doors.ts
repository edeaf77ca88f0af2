/**
 * Doors past the framework, whose own work for a request is several times that of reading ten features: a plain request is recognised,
 * answered, and its answer sent together with the others of its turn. What is out of the ordinary, also where that shows only in the
 * body, is left to the route behind a door, which is its slow twin: where a door answers, the two answer the same.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { MaybePromise } from '../online/contract.ts';
import type { Question } from './ask.ts';
import type { Bodies } from './bodies.ts';
import type { Context } from './context.ts';
import type { Revision } from './definitions.ts';
import type { HandedOver } from './handed_over.ts';
import { COMPRESSED_FROM_BYTES, SMALL_BODY_BYTES } from './http_limits.ts';
import { TakenRequest } from './taken_request.ts';
import { sendTogether } from './together.ts';

/** By when and under which name a request is answered. */
export type Terms = Pick<Question, 'untilMs' | 'requestId'>;

/** The text of an answer; bytes travel as a text whose characters they are. */
export interface Answer {
  readonly text: string;
  /** When sent: in UTF-8, except where every character is a byte. */
  readonly bytes: number;
}

/** What a request for `route` is answered with, in whose place a plain one is. */
export interface Door {
  /** As it is counted. */
  readonly route: string;
  /** The Content-Type of its answers. */
  readonly type: string;
  /** Whether answers are compressed where that is asked for and they are long. */
  readonly compresses: boolean;
  /** Until when a request with these headers is answered, by the monotonic clock; null: it is not plain. */
  untilMs(headers: IncomingHttpHeaders, nowMs: number): number | null;
  /** The answer; null: the request is not plain. Throws or rejects what the request is refused for. */
  read(revision: Revision, url: string, body: Buffer, terms: Terms): MaybePromise<Answer> | null;
  /** How a refusal is told and with which status; without it the route tells it. */
  refuse?(
    refusal: unknown,
    id: string,
  ): Answer & { readonly status: number; readonly type: string };
}

/** The door for a URL of a method, if there is one. */
export type FindDoor = (url: string) => Door | null;

/** Answers a request, or leaves it to another that is like it. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const NO_BODY: Buffer = Buffer.alloc(0);

/** `route`, with plain requests answered before it; `isClosing` says when the framework has to see every request. */
export function withDoors(
  { clock, definitions, metrics, requestIds }: Context,
  { gets, posts }: { readonly gets: FindDoor; readonly posts: FindDoor },
  bodies: Bodies,
  handed: HandedOver,
  isClosing: () => boolean,
  route: Handler,
): Handler {
  return (request, response) => {
    const { method, headers } = request;
    const url = request.url!;
    const door = method === 'GET' ? gets(url) : method === 'POST' ? posts(url) : null;
    if (door === null || isClosing()) return route(request, response);
    const startedMs = clock.monotonicMs();
    const untilMs = door.untilMs(headers, startedMs);
    const taken = method === 'POST' && isSmall(headers) && request instanceof TakenRequest;
    if (untilMs === null || (method === 'POST' && !taken)) return route(request, response);

    const id = requestIds.of(headers['x-request-id']);
    const sendText = (status: number, type: string, { text, bytes }: Answer) => {
      if (isClosing()) response.shouldKeepAlive = false;
      response.writeHead(status, [
        'x-request-id',
        id,
        'content-type',
        type,
        'content-length',
        String(bytes),
      ]);
      // What is ASCII throughout needs no encoding.
      const encoding = bytes === text.length ? 'latin1' : 'utf8';
      sendTogether(() => response.end(text, encoding));
      metrics.request(door.route, status, (clock.monotonicMs() - startedMs) / 1000);
    };
    const send = (answer: Answer) => {
      if (response.destroyed) return;
      if (
        door.compresses &&
        answer.bytes >= COMPRESSED_FROM_BYTES &&
        'accept-encoding' in headers
      ) {
        handed.put(request, id, { text: answer.text });
        return route(request, response);
      }
      sendText(200, door.type, answer);
    };
    const refuse = (refusal: unknown) => {
      if (response.destroyed) return;
      if (door.refuse === undefined) {
        handed.put(request, id, { refusal });
        return route(request, response);
      }
      const answer = door.refuse(refusal, id);
      sendText(answer.status, answer.type, answer);
    };
    /** False: it was left to the route. */
    const answer = (body: Buffer): boolean => {
      try {
        const revision = definitions.newest();
        const read =
          revision instanceof Promise
            ? null
            : door.read(revision, url, body, { untilMs, requestId: id });
        if (read === null) {
          route(request, response);
          return false;
        }
        if (read instanceof Promise) read.then(send, refuse);
        else send(read);
      } catch (refusal) {
        refuse(refusal);
      }
      return true;
    };

    if (!taken) return void answer(NO_BODY);
    bodies.beginSmall(request);
    request.takeBody((body) => {
      bodies.end(request);
      return answer(body);
    });
  };
}

/** Whether a request says that its body is short, and that it comes as it is. */
function isSmall(headers: IncomingHttpHeaders): boolean {
  const length = Number(headers['content-length']);
  return (
    length > 0 &&
    length <= SMALL_BODY_BYTES &&
    headers['content-encoding'] === undefined &&
    headers['transfer-encoding'] === undefined
  );
}

/** What the routes for JSON take that has nothing rare in its headers. */
export function plainJson(headers: IncomingHttpHeaders): boolean {
  const type = headers['content-type'];
  return (
    (type === 'application/json' || type === 'application/json; charset=utf-8') &&
    headers['x-deadline-ms'] === undefined
  );
}

/** `then` of what is there, at once or later, if anything is. */
export function andThen<A, B>(
  answer: MaybePromise<A> | null,
  then: (answer: A) => B,
): MaybePromise<B> | null {
  if (answer instanceof Promise) return answer.then(then);
  return answer === null ? null : then(answer);
}
