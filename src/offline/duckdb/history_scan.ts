/** Which files of a stream's history a scan reads, and which rows of them. */
import { join } from 'node:path';
import { text } from './engine.ts';
import { fileDiffers } from './fingerprints.ts';
import { machineDisk } from './history_disk.ts';
import type { HistoryFile, HistoryManifest } from './history_manifest.ts';
import { sourceFolder } from './history_names.ts';
import { readHistory } from './history_store.ts';

/** By partition, the last position that is there; a partition that is not named has none. */
export type Positions = ReadonlyMap<string, bigint>;

/** What there is of a source's stream now. */
export function historyOf(source: string, historyDir: string): Promise<HistoryManifest> {
  return readHistory({ disk: machineDisk, source, folder: sourceFolder(historyDir, source) });
}

/**
 * Files to read, and a condition on their rows (null: all). Positions beyond `upTo` are left out; null: none is. Where there is a
 * history of which nothing is left, that is a file of which no row is read.
 */
export async function openStream(
  source: string,
  historyDir: string,
  upTo: Positions | null,
): Promise<{ readonly files: readonly string[]; readonly only: string | null }> {
  const { files } = await historyOf(source, historyDir);
  const folder = sourceFolder(historyDir, source);
  const paths = (some: typeof files) => some.map(({ path }) => join(folder, path));
  if (upTo === null) return { files: paths(files), only: null };
  const begun = files.filter((file) => begunIn(file, upTo));
  if (begun.length === 0) return { files: paths(files.slice(0, 1)), only: 'false' };
  const whole = begun.every(({ ranges }) =>
    ranges.every(({ partition, last }) => last <= (upTo.get(partition) ?? -1n)),
  );
  return { files: paths(begun), only: whole ? null : within(upTo) };
}

/** Positions are digits of any number: the longer is the greater. */
function within(upTo: Positions): string {
  const cases = [...upTo].map(
    ([partition, position]) =>
      `WHEN ${text(partition)} THEN (length(__position), __position) <= (${String(position).length}, ${text(String(position))})`,
  );
  return `CASE __partition ${cases.join(' ')} ELSE false END`;
}

/** How far the history of a source's stream is now. */
export async function positionsOf(source: string, historyDir: string): Promise<Positions> {
  const { partitions } = await historyOf(source, historyDir);
  return new Map([...partitions].map(([name, { position }]) => [name, position]));
}

/** What is not any more as it was when history was read up to `positions`, in words. */
export async function streamDiffers(
  source: string,
  historyDir: string,
  positions: Positions,
): Promise<string[]> {
  if (positions.size === 0) return [];
  const { files, partitions } = await historyOf(source, historyDir);
  const behind = [...positions].flatMap(([name, position]) => {
    const now = partitions.get(name)?.position;
    if (now !== undefined && now >= position) return [];
    return [
      `the history of partition ${name} ends at ${now ?? 'nothing'}, was read to ${position}`,
    ];
  });
  const read = files.filter((file) => begunIn(file, positions));
  const folder = sourceFolder(historyDir, source);
  return [...behind, ...read.flatMap((file) => fileDiffers(file, folder) ?? [])];
}

/** Whether a file has rows within the positions. */
function begunIn({ ranges }: HistoryFile, positions: Positions): boolean {
  return ranges.some(({ partition, first }) => first <= (positions.get(partition) ?? -1n));
}
