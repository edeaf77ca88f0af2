/** What PostgreSQL and the way to it report, as coded errors. */
import { SamewiseError } from '../base/errors.ts';

type Meaning = readonly [code: string, what: string, hint: string];

const UNREACHABLE: Meaning = [
  'registry/unreachable',
  'cannot be reached',
  'check that it runs, its address, and the network in between',
];
const FORBIDDEN: Meaning = [
  'registry/forbidden',
  'lets nobody in by these names',
  'check the user, PGPASSWORD and what the user is granted',
];
const FULL: Meaning = [
  'registry/disk-full',
  'could not be written: its disk is full',
  'make room; nothing was lost',
];
const LOCKED: Meaning = [
  'registry/locked',
  'is being written to by others all the time',
  'try again when they are done',
];

/** By SQLSTATE, or the first two digits of it: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const MEANING: Readonly<Record<string, Meaning>> = {
  '08': UNREACHABLE,
  '22021': [
    'registry/bad-text',
    'cannot keep a text with the character U+0000',
    'leave it out of names and messages',
  ],
  '25006': [
    'registry/read-only',
    'cannot be written to',
    'name the primary: a standby answers reads only',
  ],
  '28': FORBIDDEN,
  '3D': ['registry/cannot-open', 'does not exist', 'create the database first: createdb'],
  '40': LOCKED,
  '42501': FORBIDDEN,
  '53100': FULL,
  '53300': [
    'registry/unreachable',
    'has no connection left',
    'raise max_connections, or put a pooler in between',
  ],
  '55P03': LOCKED,
  '57014': LOCKED,
  '57P': UNREACHABLE,
  '58': ['registry/io-error', 'could not be read or written', 'check the disk it lies on'],
  XX: ['registry/corrupt', 'is damaged', 'restore it from a backup'],
};

/** The coded error for what the client library threw; a coded error, or a bug of ours, as it is. */
export function codedPostgresError(error: unknown, name: string): unknown {
  if (error instanceof SamewiseError) return error;
  const code = codeOf(error);
  const meaning =
    MEANING[code] ?? MEANING[code.slice(0, 3)] ?? MEANING[code.slice(0, 2)] ?? networkMeaning(code);
  if (meaning === undefined) return error;
  const [ours, what, hint] = meaning;
  return new SamewiseError(ours, `the registry ${name} ${what}${reasonOf(error)}`, {
    hint,
    cause: error,
  });
}

/** The statement was never sent: nothing can have come of it. */
export function wasNotSent(error: unknown): boolean {
  return /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND|CONNECT_TIMEOUT|57P03|53300)$/.test(
    codeOf(error),
  );
}

/** The way was lost; what was sent may have been carried out. */
export function isLost(error: unknown): boolean {
  if (error instanceof SamewiseError) return error.code === 'registry/unreachable';
  return wasNotSent(error) || /^(08|57P|CONNECTION_|ECONN|EPIPE|ETIMEDOUT)/.test(codeOf(error));
}

/** Two transactions that were in each other's way; whoever begins again sees what the other one did. */
export function isConflict(error: unknown): boolean {
  return /^(40001|40P01|23505)$/.test(codeOf(error));
}

function codeOf(error: unknown): string {
  const { code, errors } = (error ?? {}) as { code?: unknown; errors?: readonly unknown[] };
  // A name with several addresses of which none answers.
  if (code === undefined && errors !== undefined) return codeOf(errors[0]);
  return typeof code === 'string' ? code : '';
}

/** Of Node and of the client library. */
function networkMeaning(code: string): Meaning | undefined {
  if (/^(UNABLE_TO_|CERT_|DEPTH_ZERO|SELF_SIGNED|ERR_TLS_|ERR_SSL_)/.test(code)) {
    const hint = 'name the authority that signed it with sslrootcert=<file>';
    return ['registry/untrusted', 'has a certificate that is not trusted', hint];
  }
  return /^(E[A-Z]+|CONNECT_TIMEOUT|CONNECTION_[A-Z]+)$/.test(code) ? UNREACHABLE : undefined;
}

/** The server's own words; they hold names of users and databases, never a password. */
function reasonOf(error: unknown): string {
  const { message } = error as { message?: unknown };
  return typeof message === 'string' && message !== '' ? `: ${message}` : '';
}
