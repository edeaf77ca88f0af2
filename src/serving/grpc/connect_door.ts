/** The door for the plain form of GetOnlineFeatures over Connect: a binary message over HTTP/1.1. */
import { Buffer } from 'node:buffer';
import { codeToHttpStatus, errorToJsonBytes } from '@connectrpc/connect/protocol-connect';
import type { Context } from '../context.ts';
import { andThen, type Door } from '../doors.ts';
import { callRefusal } from './errors.ts';
import { answerTo, askedFeatures, deadlineAfter } from './feature_calls.ts';
import { ONLINE_CALL, requestIn } from './online_call.ts';

export function connectDoor(context: Context): Door {
  const { onFailure } = context;
  return {
    route: ONLINE_CALL,
    type: 'application/proto',
    // A message that is not compressed is taken by every client.
    compresses: false,
    untilMs(headers, nowMs) {
      const timeout = headers['connect-timeout-ms'];
      if (headers['content-type'] !== 'application/proto') return null;
      if (timeout === undefined) return deadlineAfter(nowMs, undefined);
      const plain = typeof timeout === 'string' && /^\d{1,9}$/.test(timeout);
      return plain ? deadlineAfter(nowMs, Number(timeout)) : null;
    },
    read(revision, _, body, terms) {
      const asked = askedFeatures(context, revision, requestIn(body));
      return andThen(answerTo(context, asked, terms), textOf);
    },
    refuse(refusal, id) {
      const error = callRefusal(refusal, (cause) =>
        onFailure(cause, { id, method: 'POST', url: ONLINE_CALL }),
      );
      const bytes = errorToJsonBytes(error, undefined);
      return { ...textOf(bytes), status: codeToHttpStatus(error.code), type: 'application/json' };
    },
  };
}

/** Bytes as a text, which goes out with the head of an answer in one piece. */
function textOf({ buffer, byteOffset, length }: Uint8Array): { text: string; bytes: number } {
  return { text: Buffer.from(buffer, byteOffset, length).toString('latin1'), bytes: length };
}
