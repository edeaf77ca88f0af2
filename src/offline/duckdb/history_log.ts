/**
 * History that a stream writes, on a disk: Parquet by event date, lines of JSON for dead letters, and manifests that name them.
 * See docs/decisions/0014-streams.md, and history_store.ts for how a manifest changes.
 */
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { assert } from '../../base/errors.ts';
import type { HistoryCommit, HistoryLog, HistoryState } from '../history_contract.ts';
import type { Engine } from './engine.ts';
import { compactHistory } from './history_compact.ts';
import { listDeadLetters, settle } from './history_dead_letters.ts';
import type { Disk } from './history_disk.ts';
import type { HistoryManifest } from './history_manifest.ts';
import { sourceFolder } from './history_names.ts';
import { changeHistory, type HistoryPlace, readHistory } from './history_store.ts';
import { type Written, writeCommit } from './history_write.ts';
import { writeError } from './write.ts';

export interface HistoryLogContext {
  readonly engine: Engine;
  readonly historyDir: string;
  readonly clock: Clock;
  readonly disk: Disk;
}

/** The history of streams under `historyDir`. */
export function openHistoryLog(context: HistoryLogContext): HistoryLog {
  const { historyDir, disk } = context;
  const placeOf = (source: string): HistoryPlace => ({
    disk,
    source,
    folder: sourceFolder(historyDir, source),
  });
  const coded = async <T>(
    source: string,
    body: (place: HistoryPlace) => Promise<T>,
  ): Promise<T> => {
    const place = placeOf(source);
    try {
      return await body(place);
    } catch (error) {
      throw writeError(error, place.folder);
    }
  };
  return {
    state: (source) => coded(source, async (place) => stateOf(await readHistory(place))),
    commit: (commit) => coded(commit.source.name, (place) => add(place, context, commit)),
    compact: (source, running = {}) =>
      coded(source.name, (place) => compactHistory(place, context, source, running)),
    deadLetters: (source) => listDeadLetters(placeOf(source)),
    settleDeadLetters: (source, places, state) =>
      coded(source, (place) => settle(place, places, state)),
  };
}

function stateOf({ number, partitions, files }: HistoryManifest): HistoryState {
  const bytes = files.reduce((sum, file) => sum + (file.bytes ?? 0), 0);
  return { version: number, partitions, files: files.length, bytes };
}

async function add(
  place: HistoryPlace,
  context: HistoryLogContext,
  commit: HistoryCommit,
): Promise<boolean> {
  check(commit);
  if (!follows(await readHistory(place), commit)) return false;
  const written: Written = { files: [], deadLetters: [] };
  const fate = { made: false };
  try {
    await writeCommit(place, context, commit, written);
    let known = false;
    const change = (present: HistoryManifest): HistoryManifest | null => {
      known = has(present, written);
      return known || !follows(present, commit) ? null : withCommit(present, commit, written);
    };
    return (await changeHistory(place, change, fate)) !== null || known;
  } finally {
    if (!fate.made) await removeWritten(place, written);
  }
}

/** Nobody names these files, nor ever will. If they cannot be removed now, compaction does it. */
async function removeWritten({ disk, folder }: HistoryPlace, written: Written): Promise<void> {
  for (const { path } of [...written.files, ...written.deadLetters])
    await disk.remove(join(folder, path)).catch(() => undefined);
}

function check({
  rows,
  arrivalUs,
  positions,
  retract,
  after,
  to,
  deadLetters,
}: HistoryCommit): void {
  assert(positions.length === rows.length, 'a position for each row');
  assert(arrivalUs.length === rows.length, 'an arrival for each row');
  assert(retract === null || retract.length === rows.length, 'for each row, whether it retracts');
  const begin = after?.position ?? -1n;
  assert(to.position > begin, 'a commit goes forward');
  for (const some of [positions, deadLetters.map(({ position }) => position)]) {
    let last = begin;
    for (const position of some) {
      assert(position > last && position <= to.position, 'positions grow, up to the checkpoint');
      last = position;
    }
  }
}

function follows({ partitions }: HistoryManifest, { partition, after }: HistoryCommit): boolean {
  return partitions.get(partition)?.position === after?.position;
}

/** Whether a manifest names these files: then the commit is in it, though its maker did not see that. */
function has({ files, deadLetters }: HistoryManifest, written: Written): boolean {
  const one = written.files[0]?.path ?? written.deadLetters[0]?.path;
  return [...files, ...deadLetters].some(({ path }) => path === one);
}

function withCommit(
  present: HistoryManifest,
  { partition, to, rows, late, deadLetters }: HistoryCommit,
  written: Written,
): HistoryManifest {
  const before = present.partitions.get(partition);
  const at = {
    position: to.position,
    arrivalUs: to.arrivalUs,
    newestUs: to.newestUs,
    rows: (before?.rows ?? 0) + rows.length,
    late: (before?.late ?? 0) + late,
    deadLetters: (before?.deadLetters ?? 0) + deadLetters.length,
  };
  return {
    ...present,
    partitions: new Map([...present.partitions, [partition, at]]),
    files: [...present.files, ...written.files],
    deadLetters: [...present.deadLetters, ...written.deadLetters],
  };
}
