/** What SQLite reports, as coded errors. */
import { SamewiseError } from '../base/errors.ts';

/** By primary result code (https://www.sqlite.org/rescode.html): our code, what it means, what to do. */
const MEANING: Readonly<Record<number, readonly [code: string, what: string, hint: string]>> = {
  5: ['registry/locked', 'is locked by another process', 'try again when the other one is done'],
  8: [
    'registry/read-only',
    'cannot be written to',
    'check its permissions and those of its folder',
  ],
  10: ['registry/io-error', 'could not be read or written', 'check the disk it lies on'],
  11: ['registry/corrupt', 'is damaged', 'restore it from a backup'],
  13: [
    'registry/disk-full',
    'could not be written: the disk is full',
    'make room; nothing was lost',
  ],
  14: ['registry/cannot-open', 'cannot be opened', 'check that its folder exists and may be used'],
  26: ['registry/corrupt', 'is not a database', 'restore it from a backup, or give another path'],
};

/** The coded error for what SQLite threw; anything else as it is. */
export function codedSqliteError(error: unknown, path: string): unknown {
  const result = (error as { errcode?: unknown } | null)?.errcode;
  // The low byte is the primary code; the rest says more of the same.
  const meaning = typeof result === 'number' ? MEANING[result & 0xff] : undefined;
  if (meaning === undefined) return error;
  const [code, what, hint] = meaning;
  return new SamewiseError(code, `the registry ${path} ${what}`, {
    where: { file: path },
    hint,
    cause: error,
  });
}
