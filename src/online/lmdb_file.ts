/**
 * A look at an LMDB data file before the engine maps it: opening a file of other bytes crashes lmdb-js 3.5.6, and one that
 * was cut short stops the process (SIGBUS) at the first read behind its end.
 *
 * Layout (`MDB_meta` in mdb.c, 64-bit): each of the first two pages holds, after a page header of 24 bytes, the magic number
 * (4 bytes), the format (4), an address (8), the map's size (8), the page size (4), …; at 0x90 the last page's number (8) and
 * at 0x98 the transaction's (8). The page with the greater transaction counts.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { damaged, type LmdbPlace } from './lmdb_errors.ts';

const MAGIC = 0xbeefc0de;
const FORMAT = 2;
const META_BYTES = 0xa0;

/** A file that another process is just making may look broken for a moment. */
const LOOKS = 20;
const LOOK_MS = 10;

/** Throws `<area>/damaged` if the environment's data file is there but is not a whole LMDB file. */
export function checkDataFile(place: LmdbPlace): void {
  const file = join(place.path, 'data.mdb');
  if (!existsSync(file)) return;
  for (let look = 1; ; look++) {
    const wrong = whatIsWrong(file);
    if (wrong === null) return;
    if (look === LOOKS) throw damaged(place, wrong);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_MS);
  }
}

function whatIsWrong(file: string): string | null {
  const fd = openSync(file, 'r');
  try {
    const { size } = fstatSync(fd);
    // Just made by another process that has not written to it yet.
    if (size === 0) return null;
    const first = readMeta(fd, 0);
    const second = first && readMeta(fd, first.pageSize);
    if (!first || !second) return 'it does not begin as an LMDB file does';
    const newest = second.transaction > first.transaction ? second : first;
    const needed = (newest.lastPage + 1) * first.pageSize;
    return size < needed ? `it has ${size} bytes where its index names ${needed}` : null;
  } finally {
    closeSync(fd);
  }
}

function readMeta(
  fd: number,
  offset: number,
): { pageSize: number; lastPage: number; transaction: number } | null {
  const meta = new DataView(new ArrayBuffer(META_BYTES));
  if (readSync(fd, meta, 0, META_BYTES, offset) < META_BYTES) return null;
  if (meta.getUint32(0x18, true) !== MAGIC || meta.getUint32(0x1c, true) !== FORMAT) return null;
  return {
    pageSize: meta.getUint32(0x30, true),
    lastPage: Number(meta.getBigUint64(0x90, true)),
    transaction: Number(meta.getBigUint64(0x98, true)),
  };
}
