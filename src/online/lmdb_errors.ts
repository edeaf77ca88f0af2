/** What LMDB and the system below it report, as coded errors. */
import { SamewiseError } from '../base/errors.ts';

/**
 * MDB_MAP_FULL, and the system's codes for a full disk, a quota and a limit on the file's size. LMDB says EIO (5) where
 * only a part of a page could be written, which is how a disk that fills up shows first; reading never gives it.
 */
const FULL = new Set([-30792, 28, 122, 27, 5]);
/** MDB_PAGE_NOTFOUND, CORRUPTED, PANIC, VERSION_MISMATCH, INVALID, PAGE_FULL, CURSOR_FULL. */
const DAMAGED = new Set([-30797, -30796, -30795, -30794, -30793, -30786, -30787]);

/** Turns an error of LMDB into `online/full`, `online/damaged` or `online/unavailable`; coded errors stay as they are. */
export function lmdbFailure(error: unknown, path: string): SamewiseError {
  if (error instanceof SamewiseError) return error;
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const options = { where: { file: path }, cause: error };
  if (FULL.has(code)) {
    return new SamewiseError(
      'online/full',
      `the online store has no room left: ${message}; nothing of this write was stored`,
      { ...options, hint: 'free disk space and run it again; what was stored before is whole' },
    );
  }
  if (DAMAGED.has(code)) return damaged(path, message, error);
  return new SamewiseError('online/unavailable', `the online store does not answer: ${message}`, {
    ...options,
    hint: 'check that the folder exists, that this user may write it, and that it is on a local disk',
  });
}

/** The error for a store whose files cannot be trusted. */
export function damaged(path: string, what: string, cause?: unknown): SamewiseError {
  return new SamewiseError('online/damaged', `the online store's file is damaged: ${what}`, {
    where: { file: path },
    hint: 'the store can be rebuilt from history: move the folder away and run `samewise materialize --full`',
    cause,
  });
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
