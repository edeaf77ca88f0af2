/**
 * Where the history of a stream lies: `<historyDir>/<source>/` with `date=YYYY-MM-DD/` for events by their time, `dead/` for dead
 * letters, `manifest/` and `scratch/` for what is being written.
 */
import { join } from 'node:path';
import { sha256Hex } from '../../base/hash.ts';
import { US_PER_DAY } from '../../base/time.ts';

/** Of a partition's name in a file's name: with two positions of 57 digits it stays within 255 bytes. */
const MAX_PART = 100;
const HASH_DIGITS = 16;

/** A name that is one plain part of a path, whatever it was: other characters than letters, digits and _ become %XX of their bytes. */
export function pathPart(name: string): string {
  const safe = [...new TextEncoder().encode(name)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /\w/.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
  if (safe === '') return '%';
  if (safe.length <= MAX_PART) return safe;
  return `${safe.slice(0, MAX_PART - HASH_DIGITS - 1)}%${sha256Hex(name).slice(0, HASH_DIGITS)}`;
}

export function sourceFolder(historyDir: string, source: string): string {
  return join(historyDir, pathPart(source));
}

export const MANIFESTS = 'manifest';
export const SCRATCH = 'scratch';
export const DEAD_LETTERS = 'dead';

export function manifestName(number: number): string {
  return `${String(number).padStart(12, '0')}.json`;
}

/** The number in a manifest's name; null: it is no manifest. */
export function manifestNumber(name: string): number | null {
  return /^\d{12}\.json$/.test(name) ? Number.parseInt(name, 10) : null;
}

/** The folder of the events of a day, which is given as days since 1970. */
export function dateFolder(day: number): string {
  return `date=${new Date((day * US_PER_DAY) / 1000).toISOString().slice(0, -14)}`;
}

export function isDateFolder(name: string): boolean {
  return name.startsWith('date=');
}

/** A file of a commit. `attempt` tells apart what several made of the same positions. */
export function commitFile(
  { partition, first, last }: { partition: string; first: bigint; last: bigint },
  attempt: number,
  ending: string,
): string {
  const again = attempt === 0 ? '' : `.${attempt}`;
  return `${pathPart(partition)}-${first}-${last}${again}.${ending}`;
}

/** A file that a compaction made, whose number is `turn`. */
export function compactedFile(turn: number, attempt: number, ending: string): string {
  return `compacted.${turn}.${attempt}.${ending}`;
}

/** What a file's name says of who made it; null: it is none of ours. */
export function madeBy(
  name: string,
): { readonly part: string; readonly first: bigint } | { readonly turn: number } | null {
  const commit = /^([\w%]+)-(\d+)-\d+(?:\.\d+)?\.(?:parquet|ndjson)$/.exec(name);
  if (commit !== null) return { part: commit[1]!, first: BigInt(commit[2]!) };
  const compacted = /^compacted\.(\d+)\.\d+\.(?:parquet|ndjson)$/.exec(name);
  return compacted === null ? null : { turn: Number(compacted[1]) };
}
