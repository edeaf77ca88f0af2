/**
 * What a manifest remembers of a file. Up to 64 MiB the SHA-256 of the whole; of larger files, of which there may be terabytes,
 * size, time of change, and the SHA-256 of the first and last 64 KiB (in a Parquet file that is the footer, with the
 * place and the statistics of every column of every row group).
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';

const WHOLE_BYTES = 64 * 2 ** 20;
const SAMPLE_BYTES = 64 * 2 ** 10;
const STEP_BYTES = 2 ** 20;

export interface FilePrint {
  /** Relative to the project where it lies inside; a URL as it is. */
  readonly path: string;
  /** Null for a file that is not on this machine's disk. */
  readonly bytes: number | null;
  /** Of a file that is too large to hash as a whole. */
  readonly changedMs: number | null;
  readonly sha256: string | null;
}

export function filePrint(path: string, projectDir: string): FilePrint {
  if (isUrl(path)) return { path, bytes: null, changedMs: null, sha256: null };
  const { size, mtimeMs } = statSync(path);
  const inside = relative(projectDir, path);
  const shown = inside.startsWith('..') || isAbsolute(inside) ? path : inside;
  return size <= WHOLE_BYTES
    ? { path: shown, bytes: size, changedMs: null, sha256: sha256OfFile(path) }
    : {
        path: shown,
        bytes: size,
        changedMs: Math.floor(mtimeMs),
        sha256: sha256OfParts(path, [
          [0, SAMPLE_BYTES],
          [size - SAMPLE_BYTES, SAMPLE_BYTES],
        ]),
      };
}

/** How a file differs from what is remembered of it; null: not at all, as far as can be told. */
export function fileDiffers(print: FilePrint, projectDir: string): string | null {
  if (isUrl(print.path)) return null;
  const path = isAbsolute(print.path) ? print.path : join(projectDir, print.path);
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return `${print.path} is gone`;
  const now = filePrint(path, projectDir);
  if (now.bytes !== print.bytes) return `${print.path} has ${now.bytes} bytes, had ${print.bytes}`;
  if (now.sha256 !== print.sha256) return `${print.path} has other content than it had`;
  if (now.changedMs !== print.changedMs)
    return `${print.path} was written again since; its size, start and end are as they were`;
  return null;
}

export function sha256OfFile(path: string): string {
  return sha256OfParts(path, [[0, statSync(path).size]]);
}

function sha256OfParts(path: string, parts: readonly (readonly [number, number])[]): string {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(STEP_BYTES);
  const file = openSync(path, 'r');
  try {
    for (const [from, length] of parts)
      for (let at = from; at < from + length; ) {
        const read = readSync(file, buffer, 0, Math.min(STEP_BYTES, from + length - at), at);
        if (read === 0) break;
        hash.update(buffer.subarray(0, read));
        at += read;
      }
  } finally {
    closeSync(file);
  }
  return hash.digest('hex');
}

function isUrl(path: string): boolean {
  return /^[a-z][a-z0-9+]*:\/\//i.test(path);
}
