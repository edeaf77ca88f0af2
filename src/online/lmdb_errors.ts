/** What LMDB and the system below it report, as coded errors. */
import { AssertionError, SamewiseError } from '../base/errors.ts';

/** An environment and how its errors speak of it. */
export interface LmdbPlace {
  /** The environment's folder. */
  readonly path: string;
  /** The first part of its errors' codes. */
  readonly area: 'online' | 'stream';
  /** As a sentence says it, such as `the online store`. */
  readonly name: string;
  /** What to do when its files are damaged. */
  readonly repair: string;
}

/**
 * MDB_MAP_FULL, and the system's codes for a full disk, a quota and a limit on the file's size. LMDB says EIO (5) where
 * only a part of a page could be written, which is how a disk that fills up shows first; reading never gives it.
 */
const FULL = new Set([-30792, 28, 122, 27, 5]);
/** MDB_PAGE_NOTFOUND, CORRUPTED, PANIC, VERSION_MISMATCH, INVALID, PAGE_FULL, CURSOR_FULL. */
const DAMAGED = new Set([-30797, -30796, -30795, -30794, -30793, -30786, -30787]);

/** What JavaScript throws where our code is wrong. */
const BUGS = [AssertionError, TypeError, ReferenceError, RangeError];

/** Turns an error of LMDB into `<area>/full`, `<area>/damaged` or `<area>/unavailable`; coded errors and bugs stay what they are. */
export function lmdbFailure(error: unknown, place: LmdbPlace): unknown {
  if (error instanceof SamewiseError || BUGS.some((bug) => error instanceof bug)) return error;
  const { area, name, path } = place;
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const options = { where: { file: path }, cause: error };
  if (FULL.has(code)) {
    return new SamewiseError(
      `${area}/full`,
      `${name} has no room left: ${message}; nothing of this write was stored`,
      { ...options, hint: 'free disk space and run it again; what was stored before is whole' },
    );
  }
  if (DAMAGED.has(code)) return damaged(place, message, error);
  return new SamewiseError(`${area}/unavailable`, `${name} does not answer: ${message}`, {
    ...options,
    hint: 'check that the folder exists, that this user may write it, and that it is on a local disk',
  });
}

/** The error for an environment whose files cannot be trusted. */
export function damaged(place: LmdbPlace, what: string, cause?: unknown): SamewiseError {
  return new SamewiseError(
    `${place.area}/damaged`,
    `the file of ${place.name} is damaged: ${what}`,
    {
      where: { file: place.path },
      hint: place.repair,
      cause,
    },
  );
}

function codeOf(error: unknown): number {
  const { code, message } = error as { code?: unknown; message?: string };
  if (typeof code === 'number') return code < -30_000 ? code : Math.abs(code);
  const text = `${code ?? ''} ${message ?? ''}`;
  if (
    /ENOSPC|No space left|MDB_MAP_FULL|EFBIG|File too large|EDQUOT|Disk quota|EIO|Input\/output/.test(
      text,
    )
  )
    return 28;
  if (/MDB_(CORRUPTED|PAGE_NOTFOUND|PANIC|INVALID|VERSION_MISMATCH)/.test(text)) return -30796;
  return 0;
}
