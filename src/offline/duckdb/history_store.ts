/**
 * The manifest that counts is the one of the greatest number. It changes by an exclusive create of the next: of several who
 * try, one wins, and the others look again at what there is now.
 *
 * Old manifests are removed from the least number on, and the newest few stay. So a number that is taken stays taken for whoever
 * still sees the manifest that he began with; whoever does not has been asleep, and what he made counts for nothing.
 */
import { join } from 'node:path';
import { SamewiseError } from '../../base/errors.ts';
import type { Disk, Held } from './history_disk.ts';
import {
  decodeHistory,
  emptyHistory,
  encodeHistory,
  type HistoryManifest,
} from './history_manifest.ts';
import { MANIFESTS, manifestName, manifestNumber, SCRATCH } from './history_names.ts';

/** Old manifests that stay: readers list the folder and then open the newest. */
const KEPT = 16;

/** A source's folder on a disk. */
export interface HistoryPlace {
  readonly disk: Disk;
  readonly source: string;
  readonly folder: string;
}

/** What there is now; an empty history where nothing was ever committed. */
export async function readHistory(place: HistoryPlace): Promise<HistoryManifest> {
  const newest = await holdNewest(place);
  newest?.held.close();
  return newest?.manifest ?? emptyHistory(place.source);
}

/** Whether a manifest was made of a change, or may have been; until then nothing refers to its files. */
export interface Fate {
  made: boolean;
}

/**
 * Puts `change` on top of what there is: it is told the present manifest, perhaps several times, and gives the next one, or null
 * to leave things as they are; gives the one that has it. Durable and seen by all when it resolves.
 */
export async function changeHistory(
  place: HistoryPlace,
  change: (present: HistoryManifest) => HistoryManifest | null,
  fate: Fate = { made: false },
): Promise<HistoryManifest | null> {
  const manifests = join(place.folder, MANIFESTS);
  for (;;) {
    const newest = (await holdNewest(place)) ?? (await begin(place));
    try {
      const wanted = change(newest.manifest);
      if (wanted === null) return null;
      const next = { ...wanted, number: newest.manifest.number + 1 };
      const path = join(manifests, manifestName(next.number));
      if (!(await create(place, path, encodeHistory(next), fate))) continue;
      if (!newest.held.stillThere()) continue;
      await removeOld(place);
      return next;
    } finally {
      newest.held.close();
    }
  }
}

interface Newest {
  readonly manifest: HistoryManifest;
  readonly held: Held;
}

async function holdNewest({ disk, folder, source }: HistoryPlace): Promise<Newest | null> {
  const manifests = join(folder, MANIFESTS);
  for (;;) {
    const number = numbersOf(await disk.names(manifests)).at(-1);
    if (number === undefined) return null;
    const path = join(manifests, manifestName(number));
    const held = disk.hold(path);
    // So many were made since the folder was listed that this one is gone.
    if (held === null) continue;
    try {
      const manifest = decodeHistory(held.bytes, source, path);
      if (manifest.number === number) return { manifest, held };
      throw new SamewiseError(
        'offline/bad-history',
        `the history of ${source} cannot be read: its manifest ${number} says that it is ${manifest.number}`,
        { where: { source, file: path } },
      );
    } catch (error) {
      held.close();
      throw error;
    }
  }
}

/** The manifest 0, which others build on. */
async function begin(place: HistoryPlace): Promise<Newest> {
  const { disk, folder, source } = place;
  await disk.folder(join(folder, MANIFESTS));
  const path = join(folder, MANIFESTS, manifestName(0));
  await create(place, path, encodeHistory(emptyHistory(source)), { made: false });
  return (await holdNewest(place))!;
}

/** A file that is there whole or not at all; false if the name is taken. */
async function create(
  { disk, folder }: HistoryPlace,
  path: string,
  text: string,
  fate: Fate,
): Promise<boolean> {
  await disk.folder(join(folder, SCRATCH));
  const scratch = await disk.scratch(join(folder, SCRATCH));
  try {
    const partial = join(scratch, 'manifest');
    await disk.write(partial, text);
    await disk.flush(partial);
    const before = fate.made;
    fate.made = true;
    if (!(await disk.link(partial, path))) {
      fate.made = before;
      return false;
    }
    await disk.flush(join(folder, MANIFESTS));
    return true;
  } finally {
    await disk.remove(scratch);
  }
}

async function removeOld({ disk, folder }: HistoryPlace): Promise<void> {
  const manifests = join(folder, MANIFESTS);
  const numbers = numbersOf(await disk.names(manifests));
  if (numbers.length <= 2 * KEPT) return;
  // One after the other: see the head of this file.
  for (const number of numbers.slice(0, -KEPT))
    await disk.remove(join(manifests, manifestName(number)));
}

function numbersOf(names: readonly string[]): number[] {
  return names
    .map(manifestNumber)
    .filter((number) => number !== null)
    .sort((a, b) => a - b);
}
