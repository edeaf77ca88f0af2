/** Listing, settling and joining the dead letters of a source. */
import { join } from 'node:path';
import { assert, SamewiseError } from '../../base/errors.ts';
import type { DeadLetter, HistoryLog, StoredDeadLetter } from '../history_contract.ts';
import { decodeDeadLetters } from './dead_letters.ts';
import type { DeadLetterFile } from './history_manifest.ts';
import { DEAD_LETTERS, SCRATCH } from './history_names.ts';
import { changeHistory, type HistoryPlace, readHistory } from './history_store.ts';

/** Letters of a file beyond which it is left as it is: they are in memory together. */
const MANY_LETTERS = 1000;
/** So many files of a partition are worth joining. */
const MANY_FILES = 8;

/**
 * In the order of arrival. Within a partition that is the order of the positions, so of each partition one file at a time is in memory.
 */
export async function* listDeadLetters(place: HistoryPlace): AsyncGenerator<StoredDeadLetter> {
  const { deadLetters } = await readHistory(place);
  const partitions = Map.groupBy(deadLetters, ({ range }) => range.partition);
  const heads = [...partitions.values()].map((files) => {
    const letters = lettersOf(place, files.toSorted(byPosition));
    return { letters, next: letters.next() };
  });
  for (;;) {
    let first: (typeof heads)[number] | null = null;
    for (const head of heads) {
      if (head.next.done) continue;
      if (first === null || head.next.value.arrivalUs < first.next.value!.arrivalUs) first = head;
    }
    if (first === null) return;
    yield first.next.value!;
    first.next = first.letters.next();
  }
}

function byPosition(a: DeadLetterFile, b: DeadLetterFile): number {
  return a.range.first < b.range.first ? -1 : 1;
}

function* lettersOf(
  place: HistoryPlace,
  files: readonly DeadLetterFile[],
): Generator<StoredDeadLetter, undefined> {
  for (const file of files) {
    const letters = readFile(place, file);
    const states = statesOf(file);
    for (const [i, letter] of letters.entries()) yield { ...letter, state: states[i]! };
  }
}

function readFile(place: HistoryPlace, file: DeadLetterFile): DeadLetter[] {
  return decodeDeadLetters(readText(place, file), join(place.folder, file.path));
}

function readText({ disk, folder, source }: HistoryPlace, file: DeadLetterFile): string {
  const path = join(folder, file.path);
  const held = disk.hold(path);
  if (held === null)
    throw new SamewiseError('offline/bad-history', `the dead letters ${path} are gone`, {
      where: { source, file: path },
      hint: 'restore the file from a copy',
    });
  try {
    return new TextDecoder().decode(held.bytes);
  } finally {
    held.close();
  }
}

/** Marks dead letters; places that have none are passed by. */
export async function settle(
  place: HistoryPlace,
  places: Parameters<HistoryLog['settleDeadLetters']>[1],
  state: 'replayed' | 'discarded',
): Promise<void> {
  const wanted = Map.groupBy(places, ({ partition }) => partition);
  await changeHistory(place, (present) => {
    let changed = false;
    const deadLetters = present.deadLetters.map((file) => {
      const { partition, first, last } = file.range;
      const positions = new Set(
        (wanted.get(partition) ?? [])
          .map(({ position }) => position)
          .filter((position) => position >= first && position <= last),
      );
      if (positions.size === 0) return file;
      const before = statesOf(file);
      const letters = readFile(place, file);
      const after = before.map((was, i) => (positions.has(letters[i]!.position) ? state : was));
      if (after.every((now, i) => now === before[i])) return file;
      changed = true;
      return { ...file, states: runsOf(after) };
    });
    return changed ? { ...present, deadLetters } : null;
  });
}

/** Files of one partition that are worth joining, in the order of their positions. */
export function deadLetterGroups(files: readonly DeadLetterFile[]): DeadLetterFile[][] {
  const small = files.filter((file) => lettersIn(file) < MANY_LETTERS);
  const partitions = Map.groupBy(small, ({ range }) => range.partition);
  return [...partitions.values()].flatMap((ofPartition) => {
    const groups: DeadLetterFile[][] = [[]];
    let letters = 0;
    for (const file of ofPartition.toSorted(byPosition)) {
      groups.at(-1)!.push(file);
      letters += lettersIn(file);
      if (letters < MANY_LETTERS) continue;
      groups.push([]);
      letters = 0;
    }
    return groups.filter((group) => group.length >= MANY_FILES);
  });
}

/** Writes one file of several; gives its path inside the source's folder. */
export async function joinDeadLetters(
  place: HistoryPlace,
  files: readonly DeadLetterFile[],
  name: string,
): Promise<string> {
  const { disk, folder } = place;
  await disk.folder(join(folder, SCRATCH));
  const scratch = await disk.scratch(join(folder, SCRATCH));
  try {
    const partial = join(scratch, DEAD_LETTERS);
    await disk.write(partial, files.map((file) => readText(place, file)).join(''));
    await disk.flush(partial);
    const path = `${DEAD_LETTERS}/${name}`;
    assert(await disk.link(partial, join(folder, path)), 'a turn belongs to one compaction');
    await disk.flush(join(folder, DEAD_LETTERS));
    return path;
  } finally {
    await disk.remove(scratch);
  }
}

/** What a manifest says of the file that was made of these. */
export function joinedFile(files: readonly DeadLetterFile[], path: string): DeadLetterFile {
  const inOrder = files.toSorted(byPosition);
  const { partition, first } = inOrder[0]!.range;
  const range = { partition, first, last: inOrder.at(-1)!.range.last };
  return { path, range, states: runsOf(inOrder.flatMap(statesOf)) };
}

function lettersIn({ states }: DeadLetterFile): number {
  return states.reduce((sum, [, count]) => sum + count, 0);
}

function statesOf({ states }: DeadLetterFile): StoredDeadLetter['state'][] {
  return states.flatMap(([state, count]) => Array<typeof state>(count).fill(state));
}

function runsOf(states: readonly StoredDeadLetter['state'][]): DeadLetterFile['states'] {
  const runs: [StoredDeadLetter['state'], number][] = [];
  for (const state of states) {
    const last = runs.at(-1);
    if (last?.[0] === state) last[1]++;
    else runs.push([state, 1]);
  }
  return runs;
}
