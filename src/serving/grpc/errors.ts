/** What went wrong, as gRPC: a code, and details that programs read. */
import { Code, ConnectError } from '@connectrpc/connect';
import type { SamewiseError } from '../../base/errors.ts';
import { coded, statusOf } from '../errors.ts';
import { ErrorInfoSchema, RetryInfoSchema } from './gen/google/rpc/error_details_pb.ts';

/** By HTTP status, which says of each of our errors whose fault it is. */
const CODE_BY_STATUS: Readonly<Record<number, Code>> = {
  400: Code.InvalidArgument,
  403: Code.PermissionDenied,
  404: Code.NotFound,
  409: Code.Aborted,
  413: Code.ResourceExhausted,
  415: Code.InvalidArgument,
  429: Code.ResourceExhausted,
  431: Code.ResourceExhausted,
  503: Code.Unavailable,
  504: Code.DeadlineExceeded,
};

/** In which time a client that met an overload may try again, in whole seconds. */
const RETRY_AFTER_SECONDS = 1n;

/**
 * A coded error as a client sees it: `google.rpc.ErrorInfo` with our code as its reason, and in its metadata the hint and
 * what is known of the place; an overload also says when to try again.
 */
export function connectError(error: SamewiseError): ConnectError {
  const { code, message, hint, where } = error;
  const metadata: Record<string, string> = hint === undefined ? {} : { hint };
  for (const [name, value] of Object.entries(where))
    if (value !== undefined) metadata[name] = String(value);
  const status = statusOf(error);
  const told = new ConnectError(message, CODE_BY_STATUS[status] ?? Code.Internal, undefined, [
    { desc: ErrorInfoSchema, value: { reason: code, domain: 'samewise', metadata } },
  ]);
  if (status === 429)
    told.details.push({
      desc: RetryInfoSchema,
      value: { retryDelay: { seconds: RETRY_AFTER_SECONDS } },
    });
  return told;
}

/**
 * Anything thrown, as a client sees it; `onFailure` gets what no client is told. What the framework refuses itself (a message
 * that is too long or no message at all) has its own code already.
 */
export function callRefusal(error: unknown, onFailure: (error: unknown) => void): ConnectError {
  if (error instanceof ConnectError) return error;
  const refusal = coded(error);
  if (statusOf(refusal) >= 500) onFailure(error);
  return connectError(refusal);
}
