/** What Redis, the way to it and its client report: what passes by itself, and the rest as coded errors. */
import { ReplyError } from 'ioredis';
import { AssertionError, SamewiseError } from '../base/errors.ts';

/**
 * Replies of a server that is starting, failing over, moving slots, busy or not yet joined: another attempt may find another server,
 * or this one ready.
 */
const PASSING =
  /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN|LOADING|READONLY|MASTERDOWN|BUSY|NOREPLICAS|UNBLOCKED)\b/;
/** The server knows the user not, or lets him not do it. */
const REFUSED =
  /^(NOAUTH|WRONGPASS|NOPERM)\b|AUTH.*called without any password|invalid username-password/;
const FULL = /^OOM\b/;
/** What Node says of a server's certificate, by code. */
const UNTRUSTED = /CERT|SIGNATURE|^ERR_TLS/;

/** What JavaScript throws where our code is wrong. */
const BUGS = [AssertionError, TypeError, ReferenceError, RangeError];

/** Whether the same again may succeed soon. Of what is not a reply all is: connections that are not there, or were torn. */
export function isPassing(error: unknown): boolean {
  if (error instanceof SamewiseError || BUGS.some((bug) => error instanceof bug)) return false;
  const text = textOf(error);
  if (REFUSED.test(text) || isUntrusted(error)) return false;
  return error instanceof ReplyError ? PASSING.test(text) : true;
}

/** Turns an error of Redis into `online/full`, `online/refused` or `online/unavailable`; coded errors and bugs stay what they are. */
export function redisFailure(error: unknown, place: string): unknown {
  if (error instanceof SamewiseError || BUGS.some((bug) => error instanceof bug)) return error;
  const text = textOf(error);
  const options = { where: { source: place }, cause: error };
  if (FULL.test(text))
    return new SamewiseError('online/full', 'Redis has no memory left for this write', {
      ...options,
      hint: 'raise maxmemory, add a primary, or keep less (retention, onlineFor); reads go on, and events wait in their log',
    });
  if (REFUSED.test(text))
    return new SamewiseError('online/refused', `Redis refuses: ${text}`, {
      ...options,
      hint: 'the user stands in the URL (redis://<user>@…), the password in SAMEWISE_ONLINE_PASSWORD; docs/online_stores.md lists what the user must be allowed',
    });
  return new SamewiseError('online/unavailable', `Redis does not answer: ${text}`, {
    ...options,
    hint: isUntrusted(error)
      ? 'name the file of the authority that signed its certificate in NODE_EXTRA_CA_CERTS'
      : 'check that it runs, and that every node can be reached from here',
  });
}

function isUntrusted(error: unknown): boolean {
  const { code, lastNodeError } = error as { code?: unknown; lastNodeError?: Error };
  return (
    (typeof code === 'string' && UNTRUSTED.test(code)) ||
    (!!lastNodeError && isUntrusted(lastNodeError))
  );
}

/** What an error says. A cluster's says only that all failed: what the last node said tells more. */
function textOf(error: unknown): string {
  const { message, lastNodeError } = error as { message?: string; lastNodeError?: Error };
  const text = message || String((error as { code?: unknown }).code ?? error);
  return lastNodeError ? `${text} ${textOf(lastNodeError)}` : text;
}
