/**
 * The door for the plain form of GetOnlineFeatures over gRPC: a binary message that is not compressed. What is out of the ordinary is
 * left to the framework, its slow twin.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { Code, ConnectError } from '@connectrpc/connect';
import { codeToHttpStatus } from '@connectrpc/connect/protocol-connect';
import { parseTimeout, setTrailerStatus } from '@connectrpc/connect/protocol-grpc';
import type { Context } from '../context.ts';
import type { Revision } from '../definitions.ts';
import { sendTogether } from '../together.ts';
import { wholeBody } from '../whole_body.ts';
import type { CallOptions } from './calls.ts';
import { endSending } from './end_sending.ts';
import { callRefusal } from './errors.ts';
import { answerTo, askedFeatures, deadlineAfter, MAX_TIMEOUT_MS } from './feature_calls.ts';
import { ONLINE_CALL, requestIn } from './online_call.ts';

/** One byte of flags and four of length stand before each message of gRPC. */
const PREFIX = 5;

/** Answers a call, or says that it is not plain and has done nothing. */
export type GrpcDoor = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean;

export function grpcDoor(
  context: Context,
  { maxMessageBytes: maxBytes, received, requestIds }: Omit<CallOptions, 'isReady'>,
): GrpcDoor {
  const { clock, definitions, metrics, onFailure } = context;
  return (stream, headers) => {
    const type = headers['content-type'];
    const timeout = parseTimeout((headers['grpc-timeout'] as string) ?? null, MAX_TIMEOUT_MS);
    const encoding = headers['grpc-encoding'];
    const plain =
      (type === 'application/grpc' || type === 'application/grpc+proto') &&
      (encoding === undefined || encoding === 'identity') &&
      timeout.error === undefined;
    if (!plain || headers[':method'] !== 'POST') return false;
    const startedMs = clock.monotonicMs();
    const id = requestIds.of(headers['x-request-id']);
    const terms = { untilMs: deadlineAfter(startedMs, timeout.timeoutMs), requestId: id };
    const head = [':status', '200', 'content-type', type, 'x-request-id', id];
    const isGone = () => stream.destroyed || stream.closed;
    const ends = (status: number) =>
      metrics.request(ONLINE_CALL, status, (clock.monotonicMs() - startedMs) / 1000);

    const send = (bytes: Uint8Array) => {
      ends(200);
      new DataView(bytes.buffer, bytes.byteOffset).setUint32(1, bytes.length - PREFIX);
      sendTogether(() => {
        if (isGone()) return;
        stream.respond(head, WITH_TRAILERS);
        stream.on('wantTrailers', sendOk);
        stream.end(bytes);
      });
    };
    const refuse = (error: unknown) => {
      const refusal = callRefusal(error, (cause) =>
        onFailure(cause, { id, method: 'POST', url: ONLINE_CALL }),
      );
      ends(codeToHttpStatus(refusal.code));
      if (isGone()) return;
      const trailers = setTrailerStatus(new Headers(), refusal);
      stream.respond([...head, ...[...trailers].flat()], { endStream: true });
      if (!stream.readableEnded) endSending(stream);
    };
    let length = 0;
    const take = (more: number) => {
      if (length + more > maxBytes + PREFIX) throw tooLong(maxBytes);
      received.take(more);
      length += more;
    };
    const answer = (bytes: Uint8Array | null, refusal: unknown) => {
      if (isGone()) return;
      if (bytes === null) return refuse(refusal);
      try {
        const request = requestIn(onlyMessage(bytes));
        const read = (revision: Revision) =>
          answerTo(context, askedFeatures(context, revision, request), terms, PREFIX);
        const revision = definitions.newest();
        const answer = revision instanceof Promise ? revision.then(read) : read(revision);
        if (answer instanceof Promise) answer.then(send, refuse);
        else send(answer);
      } catch (error) {
        refuse(error);
      }
    };
    wholeBody(stream, take, answer, () => received.give(length));
    return true;
  };
}

const WITH_TRAILERS = { waitForTrailers: true };
const OK = { 'grpc-status': '0' };

function sendOk(this: ServerHttp2Stream): void {
  this.sendTrailers(OK);
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
