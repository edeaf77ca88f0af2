/** Which files of a stream's history a scan reads, and which rows of them. */
import { join } from 'node:path';
import { text } from './engine.ts';
import { machineDisk } from './history_disk.ts';
import type { HistoryManifest } from './history_manifest.ts';
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
  const last = (partition: string) => upTo?.get(partition) ?? -1n;
  const folder = sourceFolder(historyDir, source);
  const paths = (some: typeof files) => some.map(({ path }) => join(folder, path));
  if (upTo === null) return { files: paths(files), only: null };
  const begun = files.filter(({ ranges }) =>
    ranges.some(({ partition, first }) => first <= last(partition)),
  );
  if (begun.length === 0) return { files: paths(files.slice(0, 1)), only: 'false' };
  const whole = begun.every(({ ranges }) =>
    ranges.every((range) => range.last <= last(range.partition)),
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
