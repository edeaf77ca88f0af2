/**
 * The plain form of GetOnlineFeatures (a binary message, not compressed, over gRPC or Connect), answered past the framework,
 * whose own work for a call is several times that of reading ten features. What is out of the ordinary is left to the framework:
 * where this answers, the two answer the same.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Readable } from 'node:stream';
import { fromBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { codeToHttpStatus, errorToJsonBytes } from '@connectrpc/connect/protocol-connect';
import { parseTimeout, setTrailerStatus } from '@connectrpc/connect/protocol-grpc';
import type { MaybePromise } from '../../online/contract.ts';
import type { Context } from '../context.ts';
import type { Revision } from '../definitions.ts';
import { wholeBody } from '../whole_body.ts';
import type { CallOptions } from './calls.ts';
import { endSending } from './end_sending.ts';
import { callRefusal } from './errors.ts';
import {
  answerTo,
  askedFeatures,
  deadlineAfter,
  MAX_TIMEOUT_MS,
  type Terms,
} from './feature_calls.ts';
import {
  FeatureService,
  type GetOnlineFeaturesRequest,
  GetOnlineFeaturesRequestSchema,
} from './gen/samewise/v1/features_pb.ts';

export const PLAIN_PATH = `/${FeatureService.typeName}/${FeatureService.method.getOnlineFeatures.name}`;

/** One byte of flags and four of length stand before each message of gRPC. */
const PREFIX = 5;

export interface PlainCalls {
  /** Answers a call over Connect, or says that it is not plain and has done nothing. */
  connect(request: IncomingMessage, response: ServerResponse): boolean;
  /** Answers a call over gRPC, or says that it is not plain and has done nothing. */
  grpc(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean;
}

/** What a call ends with: the answer, or an error that is told in the protocol's form. */
interface Ways {
  readonly send: (answer: Uint8Array) => void;
  readonly refuse: (error: ConnectError) => void;
  /** Whether nobody listens any more. */
  readonly isGone: () => boolean;
}

/** The two ways past the framework. */
export function plainCalls(
  context: Context,
  { maxMessageBytes: maxBytes, received, requestIds }: Omit<CallOptions, 'isReady'>,
): PlainCalls {
  const { clock, definitions, metrics, onFailure } = context;

  const respond = (message: Uint8Array, terms: Terms, lead: number): MaybePromise<Uint8Array> => {
    const request = requestIn(message);
    const answer = (revision: Revision) =>
      answerTo(context, askedFeatures(context, revision, request), terms, lead);
    const revision = definitions.newest();
    return revision instanceof Promise ? revision.then(answer) : answer(revision);
  };

  /** Reads a call's body, answers it, and counts it. */
  const call = (
    body: Readable,
    terms: Terms,
    lead: number,
    messageIn: (bytes: Uint8Array) => Uint8Array,
    { send, refuse, isGone }: Ways,
  ) => {
    const startedMs = clock.monotonicMs();
    const ends = (status: number) =>
      metrics.request(PLAIN_PATH, status, (clock.monotonicMs() - startedMs) / 1000);
    const fail = (error: unknown) => {
      const refusal = callRefusal(error, (cause) =>
        onFailure(cause, { id: terms.requestId!, method: 'POST', url: PLAIN_PATH }),
      );
      ends(codeToHttpStatus(refusal.code));
      if (!isGone()) refuse(refusal);
    };
    const done = (bytes: Uint8Array) => {
      ends(200);
      if (!isGone()) send(bytes);
    };
    let length = 0;
    const take = (more: number) => {
      if (length + more > maxBytes + PREFIX) throw tooLong(maxBytes);
      received.take(more);
      length += more;
    };
    const answer = (bytes: Uint8Array | null, refusal: unknown) => {
      if (isGone()) return;
      if (bytes === null) return fail(refusal);
      try {
        const answer = respond(messageIn(bytes), terms, lead);
        if (answer instanceof Promise) answer.then(done).catch(fail);
        else done(answer);
      } catch (error) {
        fail(error);
      }
    };
    wholeBody(body, take, answer, () => received.give(length));
  };

  return {
    connect(request, response) {
      const { headers } = request;
      const timeout = headers['connect-timeout-ms'];
      const plain =
        headers['content-type'] === 'application/proto' &&
        isIdentity(headers['content-encoding']) &&
        (timeout === undefined || (typeof timeout === 'string' && /^\d{1,9}$/.test(timeout)));
      if (!plain || request.method !== 'POST') return false;
      const id = requestIds.of(headers['x-request-id']);
      const untilMs = deadlineAfter(
        clock.monotonicMs(),
        timeout === undefined ? undefined : Number(timeout),
      );
      const head = (type: string, bytes: Uint8Array) => [
        'content-type',
        type,
        'content-length',
        String(bytes.length),
        'x-request-id',
        id,
      ];
      call(request, { untilMs, requestId: id }, 0, (bytes) => bytes, {
        isGone: () => response.destroyed,
        send(bytes) {
          response.writeHead(200, head('application/proto', bytes));
          response.end(bytes);
        },
        refuse(error) {
          const bytes = errorToJsonBytes(error, undefined);
          response.writeHead(codeToHttpStatus(error.code), head('application/json', bytes));
          response.end(bytes);
        },
      });
      return true;
    },

    grpc(stream, headers) {
      const type = headers['content-type'];
      const timeout = parseTimeout((headers['grpc-timeout'] as string) ?? null, MAX_TIMEOUT_MS);
      const plain =
        (type === 'application/grpc' || type === 'application/grpc+proto') &&
        isIdentity(headers['grpc-encoding']) &&
        timeout.error === undefined;
      if (!plain || headers[':method'] !== 'POST') return false;
      const id = requestIds.of(headers['x-request-id']);
      const untilMs = deadlineAfter(clock.monotonicMs(), timeout.timeoutMs);
      const head: OutgoingHttpHeaders = {
        ':status': 200,
        'content-type': type,
        'x-request-id': id,
      };
      call(stream, { untilMs, requestId: id }, PREFIX, onlyMessage, {
        isGone: () => stream.destroyed || stream.closed,
        send(bytes) {
          new DataView(bytes.buffer, bytes.byteOffset).setUint32(1, bytes.length - PREFIX);
          stream.respond(head, WITH_TRAILERS);
          stream.once('wantTrailers', () => stream.sendTrailers(OK));
          stream.end(bytes);
        },
        refuse(error) {
          const trailers = setTrailerStatus(new Headers(), error);
          stream.respond({ ...head, ...Object.fromEntries(trailers) }, { endStream: true });
          if (!stream.readableEnded) endSending(stream);
        },
      });
      return true;
    },
  };
}

const WITH_TRAILERS = { waitForTrailers: true };
const OK = { 'grpc-status': '0' };

function isIdentity(encoding: string | string[] | undefined): boolean {
  return encoding === undefined || encoding === 'identity';
}

function tooLong(maxBytes: number): ConnectError {
  return new ConnectError(
    `the message is longer than the ${maxBytes} bytes that are read`,
    Code.ResourceExhausted,
  );
}

/** The message of a body that is to have one, not compressed. */
function onlyMessage(bytes: Uint8Array): Uint8Array {
  const length =
    bytes.length < PREFIX ? -1 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  if (length !== bytes.length - PREFIX || bytes[0] !== 0)
    throw new ConnectError('the body is not one message', Code.InvalidArgument);
  return bytes.subarray(PREFIX);
}

function requestIn(message: Uint8Array): GetOnlineFeaturesRequest {
  try {
    return fromBinary(GetOnlineFeaturesRequestSchema, message);
  } catch (error) {
    throw new ConnectError(`parse binary: ${(error as Error).message}`, Code.InvalidArgument);
  }
}
