/** Listing and settling the dead letters of a source. */
import { join } from 'node:path';
import { SamewiseError } from '../../base/errors.ts';
import type { HistoryLog, StoredDeadLetter } from '../history_contract.ts';
import { decodeDeadLetters } from './dead_letters.ts';
import type { DeadLetterFile } from './history_manifest.ts';
import { changeHistory, type HistoryPlace, readHistory } from './history_store.ts';

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
    const states = file.states.flatMap(([state, count]) => Array(count).fill(state));
    for (const [i, letter] of letters.entries()) yield { ...letter, state: states[i] };
  }
}

function readFile({ disk, folder, source }: HistoryPlace, file: DeadLetterFile) {
  const path = join(folder, file.path);
  const held = disk.hold(path);
  if (held === null)
    throw new SamewiseError('offline/bad-history', `the dead letters ${path} are gone`, {
      where: { source, file: path },
      hint: 'restore the file from a copy',
    });
  try {
    return decodeDeadLetters(new TextDecoder().decode(held.bytes), path);
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
      const before = file.states.flatMap(([was, count]) => Array<typeof was>(count).fill(was));
      const letters = readFile(place, file);
      const after = before.map((was, i) => (positions.has(letters[i]!.position) ? state : was));
      if (after.every((now, i) => now === before[i])) return file;
      changed = true;
      return { ...file, states: runsOf(after) };
    });
    return changed ? { ...present, deadLetters } : null;
  });
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
