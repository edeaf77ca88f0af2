/** What one record and one pushed body may hold. */
import { SamewiseError } from '../../base/errors.ts';
import { formatCount } from '../../base/numbers.ts';

/** Bytes of a record's value; a larger one is `stream/oversize`. */
export const MAX_RECORD_BYTES: number = 1024 * 1024;
/** How deep the values of a row may be nested: types are lists of lists at most, whatever people send. */
export const MAX_DEPTH = 64;
/** Rows of a pushed body: they are in memory together. */
export const MAX_BODY_ROWS = 1_000_000;

export interface BodyLimits {
  /** Rows in all; a body of more is `stream/too-many-rows`. */
  readonly rows: number;
}

/** Throws `stream/too-many-rows`. */
export function checkRowCount(count: number, limits: BodyLimits): void {
  if (count > limits.rows) throw tooManyRows(limits);
}

export function tooManyRows(limits: BodyLimits): SamewiseError {
  return new SamewiseError(
    'stream/too-many-rows',
    `a body holds at most ${formatCount(limits.rows)} rows`,
    { hint: 'push parts of it' },
  );
}
