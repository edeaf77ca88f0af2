/** What kind of table a file's name says it is: one rule for labels, pushed files and requests. */
import type { BatchLocation } from './definitions.ts';

export type FileType = Exclude<BatchLocation['type'], 'query'>;

const TYPES: Readonly<Record<string, FileType>> = {
  parquet: 'parquet',
  pq: 'parquet',
  csv: 'csv',
  tsv: 'csv',
  json: 'json',
  jsonl: 'json',
  ndjson: 'json',
};

/** Endings that are understood, for messages; each may be followed by `.gz` or `.zst`. */
export const FILE_ENDINGS: readonly string[] = Object.keys(TYPES).map((ending) => `.${ending}`);

/**
 * The type of a file, glob or URL by its ending; a name without one is a folder of Parquet files. Undefined for any other
 * ending.
 */
export function fileTypeOf(path: string): FileType | undefined {
  const name = path.replace(/[?#].*$/, '').replace(/^.*[/\\]/, '');
  const ending = /\.([A-Za-z0-9]+)$/.exec(name.replace(/\.(gz|zst)$/i, ''))?.[1];
  return ending === undefined ? 'parquet' : TYPES[ending.toLowerCase()];
}
