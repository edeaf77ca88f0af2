/**
 * Compaction: the small files of a day become large ones, sorted by event time. It takes its turn by a number in the manifest, so
 * that of two that run at once the one that began first gives up; and it never keeps anybody from committing.
 */
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Clock } from '../../base/clock.ts';
import { assert } from '../../base/errors.ts';
import { US_PER_DAY, US_PER_HOUR } from '../../base/time.ts';
import type { Source } from '../../model/definitions.ts';
import type { Running } from '../contract.ts';
import { type Engine, name, rowsOf, text, withConnection } from './engine.ts';
import { filePrint } from './fingerprints.ts';
import { deadLetterGroups, joinDeadLetters, joinedFile } from './history_dead_letters.ts';
import type { HistoryFile, HistoryManifest, Range } from './history_manifest.ts';
import {
  compactedFile,
  DEAD_LETTERS,
  isDateFolder,
  madeBy,
  pathPart,
  SCRATCH,
} from './history_names.ts';
import { changeHistory, type HistoryPlace, readHistory } from './history_store.ts';
import { copyQuery } from './write.ts';

/** A file of this size is left as it is, and a compacted one has about as much. */
const LARGE_BYTES = 128 * 2 ** 20;
/** Files up to this size are of one size. */
const SMALL_BYTES = 2 ** 20;
/** So many files of a day are worth it. */
const MANY_FILES = 8;
/** Nobody writes a file for so long. */
const SCRATCH_US = US_PER_DAY;
/** How long readers keep files that were replaced. */
const KEPT_US = US_PER_HOUR;

interface CompactContext {
  readonly engine: Engine;
  readonly clock: Clock;
}

/** Files of a day that become one. */
interface Group {
  readonly folder: string;
  readonly files: readonly HistoryFile[];
}

/** Gives the number of files before and after; removes what nobody reads any more. */
export async function compactHistory(
  place: HistoryPlace,
  context: CompactContext,
  source: Source,
  running: Running,
): Promise<{ before: number; after: number }> {
  const { files, deadLetters } = await readHistory(place);
  if (groupsOf(files).length > 0 || deadLetterGroups(deadLetters).length > 0)
    await mergeAll(place, context, source, running);
  await removeDropped(place, context.clock);
  await removeOrphans(place);
  await removeScratch(place);
  const after = await readHistory(place);
  return { before: files.length, after: after.files.length };
}

/**
 * Many files of a day that are of a size: a file is written again only when the smaller ones make up as much, so that each row is
 * written a few times, however often its day is compacted.
 */
function groupsOf(files: readonly HistoryFile[]): Group[] {
  const small = files.filter(({ bytes }) => bytes! < LARGE_BYTES);
  const days = Map.groupBy(small, ({ path }) => path.split('/')[0]!);
  return [...days].flatMap(([folder, ofDay]) => {
    const groups: HistoryFile[][] = [[]];
    let bytes = 0;
    for (const file of ofDay.toSorted((a, b) => a.bytes! - b.bytes!)) {
      if (file.bytes! > Math.max(bytes, SMALL_BYTES) || bytes >= LARGE_BYTES) {
        groups.push([]);
        bytes = 0;
      }
      groups.at(-1)!.push(file);
      bytes += file.bytes!;
    }
    return groups
      .filter((group) => group.length >= MANY_FILES)
      .map((group) => ({ folder, files: group }));
  });
}

async function mergeAll(
  place: HistoryPlace,
  { engine, clock }: CompactContext,
  source: Source,
  running: Running,
): Promise<void> {
  const begun = await changeHistory(place, (present) => ({
    ...present,
    compaction: present.compaction + 1,
  }));
  const turn = begun!.compaction;
  // Only now: from here on nobody else replaces any of them.
  const groups = groupsOf(begun!.files);
  const deadLetters = deadLetterGroups(begun!.deadLetters);
  const totalRows = groups.reduce((sum, { files }) => sum + rowsIn(files), 0);
  let rows = 0;
  await withConnection(engine, running.signal, async (connection) => {
    for (const [i, group] of groups.entries()) {
      running.signal?.throwIfAborted();
      const merged = await merge(place, connection, source, group, { turn, attempt: i });
      if (merged !== null && !(await replace(place, group.files, turn, clock, merged))) return;
      rows += rowsIn(group.files);
      running.onProgress?.({ phase: `compact ${source.name}`, rows, totalRows });
    }
  });
  for (const [i, files] of deadLetters.entries()) {
    running.signal?.throwIfAborted();
    const path = await joinDeadLetters(place, files, compactedFile(turn, i, 'ndjson'));
    if (!(await replace(place, files, turn, clock, path))) return;
  }
}

/** One file of many; null if their columns are not of one type each: what a reader makes of that is not for ever. */
async function merge(
  place: HistoryPlace,
  connection: DuckDBConnection,
  source: Source,
  { folder: day, files }: Group,
  { turn, attempt }: { readonly turn: number; readonly attempt: number },
): Promise<HistoryFile | null> {
  const { disk, folder } = place;
  const list = `[${files.map(({ path }) => text(join(folder, path))).join(', ')}]`;
  if (!(await agree(connection, list))) return null;
  await disk.folder(join(folder, SCRATCH));
  const scratch = await disk.scratch(join(folder, SCRATCH));
  try {
    const partial = join(scratch, 'merged');
    const rows = `SELECT * FROM read_parquet(${list}, union_by_name = true, hive_partitioning = false) ORDER BY ${name(source.eventTime)}, __arrival_us`;
    await copyQuery(connection, rows, 'parquet', partial);
    const [counted] = await rowsOf(
      connection,
      `SELECT sum(num_rows)::BIGINT AS n FROM parquet_file_metadata(${text(partial)})`,
    );
    assert(Number(counted!.n) === rowsIn(files), 'compaction keeps every row');
    const print = filePrint(partial, scratch);
    await disk.flush(partial);
    const path = `${day}/${compactedFile(turn, attempt, 'parquet')}`;
    assert(await disk.link(partial, join(folder, path)), 'a turn belongs to one compaction');
    await disk.flush(join(folder, day));
    return { ...print, path, rows: rowsIn(files), ranges: rangesOf(files) };
  } finally {
    await disk.remove(scratch);
  }
}

async function agree(connection: DuckDBConnection, list: string): Promise<boolean> {
  const [differing] = await rowsOf(
    connection,
    `SELECT name FROM parquet_schema(${list}) GROUP BY name HAVING count(DISTINCT (type, logical_type)) > 1 LIMIT 1`,
  );
  return differing === undefined;
}

/** Puts a file of events, or one of dead letters at a path, in the place of others; false: it is no longer this compaction's turn. */
async function replace(
  place: HistoryPlace,
  files: readonly { readonly path: string }[],
  turn: number,
  clock: Clock,
  merged: HistoryFile | string,
): Promise<boolean> {
  const old = new Set(files.map(({ path }) => path));
  const atUs = clock.nowUs();
  const replaced = await changeHistory(place, (present) => {
    if (present.compaction !== turn) return null;
    const dropped = [...present.dropped, ...[...old].map((path) => ({ path, atUs }))];
    const without = <F extends { readonly path: string }>(all: readonly F[]) =>
      all.filter(({ path }) => !old.has(path));
    if (typeof merged !== 'string')
      return { ...present, dropped, files: [...without(present.files), merged] };
    // As they are settled now, which may be otherwise than when they were joined.
    const joined = joinedFile(
      present.deadLetters.filter(({ path }) => old.has(path)),
      merged,
    );
    return { ...present, dropped, deadLetters: [...without(present.deadLetters), joined] };
  });
  return replaced !== null;
}

function rowsIn(files: readonly HistoryFile[]): number {
  return files.reduce((sum, { rows }) => sum + rows, 0);
}

function rangesOf(files: readonly HistoryFile[]): Range[] {
  const partitions = Map.groupBy(
    files.flatMap(({ ranges }) => ranges),
    ({ partition }) => partition,
  );
  return [...partitions].map(([partition, ranges]) => {
    let { first, last } = ranges[0]!;
    for (const range of ranges) {
      if (range.first < first) first = range.first;
      if (range.last > last) last = range.last;
    }
    return { partition, first, last };
  });
}

/** Removes files that were replaced an hour ago. */
async function removeDropped(place: HistoryPlace, clock: Clock): Promise<void> {
  const before = clock.nowUs() - KEPT_US;
  const gone = (await readHistory(place)).dropped.filter(({ atUs }) => atUs <= before);
  if (gone.length === 0) return;
  for (const { path } of gone) await place.disk.remove(join(place.folder, path));
  const removed = new Set(gone.map(({ path }) => path));
  await changeHistory(place, (present) => ({
    ...present,
    dropped: present.dropped.filter(({ path }) => !removed.has(path)),
  }));
}

/**
 * Removes what was written and never committed, as soon as nobody can commit it any more: of a commit when its partition has come to
 * its positions by another one, of a compaction when a later one has begun.
 */
async function removeOrphans(place: HistoryPlace): Promise<void> {
  const { disk, folder } = place;
  const manifest = await readHistory(place);
  const named = new Set(
    [...manifest.files, ...manifest.deadLetters, ...manifest.dropped].map(({ path }) => path),
  );
  const positions = new Map(
    [...manifest.partitions].map(([name, { position }]) => [pathPart(name), position]),
  );
  const folders = (await disk.names(folder)).filter(
    (name) => isDateFolder(name) || name === DEAD_LETTERS,
  );
  for (const inside of folders)
    for (const file of await disk.names(join(folder, inside))) {
      const path = `${inside}/${file}`;
      if (!named.has(path) && isLost(file, positions, manifest))
        await disk.remove(join(folder, path));
    }
}

/** Removes what was being written a day ago, when its writer came to an end; by the disk's own clock, as it stamps files. */
async function removeScratch({ disk, folder }: HistoryPlace): Promise<void> {
  const scratch = join(folder, SCRATCH);
  const names = await disk.names(scratch);
  if (names.length === 0) return;
  const fresh = await disk.scratch(scratch);
  const nowUs = disk.changedUs(fresh)!;
  await disk.remove(fresh);
  for (const name of names) {
    const changedUs = disk.changedUs(join(scratch, name));
    if (changedUs !== null && changedUs <= nowUs - SCRATCH_US)
      await disk.remove(join(scratch, name));
  }
}

function isLost(
  file: string,
  positions: ReadonlyMap<string, bigint>,
  { compaction }: HistoryManifest,
): boolean {
  const maker = madeBy(file);
  if (maker === null) return false;
  if ('turn' in maker) return maker.turn < compaction;
  return maker.first <= (positions.get(maker.part) ?? -1n);
}
