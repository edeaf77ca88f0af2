/**
 * The manifest of a source's stream history: which files there are and how far each partition is. Version 1 of the format is
 * one JSON object of two members: `sha256` over the bytes of the second, and `history`. A manifest is never changed.
 */
import { createHash } from 'node:crypto';
import { SamewiseError } from '../../base/errors.ts';
import type { InstantUs } from '../../base/time.ts';
import type { PartitionHistory, StoredDeadLetter } from '../history_contract.ts';
import type { FilePrint } from './fingerprints.ts';

export const HISTORY_FORMAT = 'samewise-history';
export const HISTORY_VERSION = 1;

/** A file of events; its path is relative to the source's folder. */
export interface HistoryFile extends FilePrint {
  readonly rows: number;
  /** Of each partition that has rows in it: the least and the greatest position. */
  readonly ranges: readonly Range[];
}

/** Positions of a partition, both ends included. */
export interface Range {
  readonly partition: string;
  readonly first: bigint;
  readonly last: bigint;
}

/** A file of dead letters of one partition, in the order of their positions. */
export interface DeadLetterFile {
  readonly path: string;
  readonly range: Range;
  /** What became of them, in their order: so many in a row are so. */
  readonly states: readonly (readonly [StoredDeadLetter['state'], number])[];
}

export interface HistoryManifest {
  readonly source: string;
  /** Grows by one with each change. */
  readonly number: number;
  /** Of the compaction that may replace files now: an older one may not any more. */
  readonly compaction: number;
  readonly partitions: ReadonlyMap<string, PartitionHistory>;
  readonly files: readonly HistoryFile[];
  readonly deadLetters: readonly DeadLetterFile[];
  /** Files that were replaced, and when; readers of older manifests may still be at them. */
  readonly dropped: readonly { readonly path: string; readonly atUs: InstantUs }[];
}

export function emptyHistory(source: string): HistoryManifest {
  return {
    source,
    number: 0,
    compaction: 0,
    partitions: new Map(),
    files: [],
    deadLetters: [],
    dropped: [],
  };
}

const HEAD = '{"sha256":"';
const MIDDLE = '","history":';

export function encodeHistory(manifest: HistoryManifest): string {
  const { partitions, files, deadLetters, ...rest } = manifest;
  const body = JSON.stringify({
    format: HISTORY_FORMAT,
    version: HISTORY_VERSION,
    ...rest,
    partitions: Object.fromEntries(
      [...partitions].map(([name, at]) => [name, { ...at, position: String(at.position) }]),
    ),
    files: files.map((file) => ({ ...file, ranges: file.ranges.map(encodeRange) })),
    deadLetters: deadLetters.map((file) => ({ ...file, range: encodeRange(file.range) })),
  });
  return `${HEAD}${sha256(body)}${MIDDLE}${body}}\n`;
}

type Encoded = Omit<HistoryManifest, 'partitions' | 'files' | 'deadLetters'> & {
  readonly format: unknown;
  readonly version: unknown;
  readonly partitions: Record<string, Omit<PartitionHistory, 'position'> & { position: string }>;
  readonly files: readonly (Omit<HistoryFile, 'ranges'> & { ranges: EncodedRange[] })[];
  readonly deadLetters: readonly (Omit<DeadLetterFile, 'range'> & { range: EncodedRange })[];
};
type EncodedRange = readonly [partition: string, first: string, last: string];

/** Reads a manifest; `offline/bad-history` if it is damaged, of another version, or of something else. */
export function decodeHistory(bytes: Uint8Array, source: string, path: string): HistoryManifest {
  const bad = (why: string, hint?: string): SamewiseError =>
    new SamewiseError('offline/bad-history', `the history of ${source} cannot be read: ${why}`, {
      where: { source, file: path },
      hint,
    });
  const text = new TextDecoder().decode(bytes);
  const from = HEAD.length + 64 + MIDDLE.length;
  let value: Encoded;
  try {
    value = JSON.parse(text).history;
  } catch {
    throw bad('its manifest is damaged', 'restore the file from a copy');
  }
  if (value?.format !== HISTORY_FORMAT) throw bad('this is not a manifest of history');
  if (value.version !== HISTORY_VERSION)
    throw bad(
      `its manifest has version ${value.version}; this Samewise reads version ${HISTORY_VERSION}`,
      'use the Samewise that wrote it, or a newer one',
    );
  if (text.slice(HEAD.length, HEAD.length + 64) !== sha256(text.slice(from, -2)))
    throw bad('its manifest is damaged', 'restore the file from a copy');
  if (value.source !== source) throw bad(`this is the history of ${value.source}`);
  const { format: _format, version: _version, ...rest } = value;
  return {
    ...rest,
    partitions: new Map(
      Object.entries(value.partitions).map(([name, at]) => [
        name,
        { ...at, position: BigInt(at.position) },
      ]),
    ),
    files: value.files.map((file) => ({ ...file, ranges: file.ranges.map(decodeRange) })),
    deadLetters: value.deadLetters.map((file) => ({ ...file, range: decodeRange(file.range) })),
  };
}

function encodeRange({ partition, first, last }: Range): EncodedRange {
  return [partition, String(first), String(last)];
}

function decodeRange([partition, first, last]: EncodedRange): Range {
  return { partition, first: BigInt(first), last: BigInt(last) };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
