/** Merging changes into the sorted rows of a leaf, or into the open rows. */
import { arrivalsOf, compareContent, compareIds, idWords, precedence } from './identity.ts';
import type { Changes, Events } from './layout.ts';
import { joinRuns, Runs } from './rows.ts';

/** Changes with one delivery an event left, in order of (t, id). */
export interface Winners {
  readonly changes: Changes;
  readonly arrivalUs: Float64Array;
  readonly words: Int32Array;
  /** Rows of `changes`. */
  readonly rows: ArrayLike<number> & { readonly length: number };
}

/** Of the deliveries of each event in a batch, the one that stands. */
export function winnersOf(mutable: boolean, changes: Changes): Winners {
  const { timeUs, retract, columns } = changes;
  const arrivalUs = arrivalsOf(changes);
  const words = idWords(changes.id);
  const all: number[] = [];
  for (let i = 0; i < changes.length; i++) all.push(i);
  let inOrder = true;
  for (let i = 1; i < changes.length && inOrder; i++)
    inOrder =
      timeUs[i]! > timeUs[i - 1]! ||
      (timeUs[i] === timeUs[i - 1] && compareIds(words, i - 1, words, i) < 0);
  if (inOrder) return { changes, arrivalUs, words, rows: all };
  const retracted = (row: number): number => (retract === null ? 0 : retract[row]!);
  const sameEvent = (x: number, y: number): boolean =>
    timeUs[x] === timeUs[y] && compareIds(words, x, words, y) === 0;
  all.sort((x, y) => timeUs[x]! - timeUs[y]! || compareIds(words, x, words, y));
  const rows: number[] = [];
  for (let i = 0, next = 0; i < all.length; i = next) {
    let best = all[i]!;
    for (next = i + 1; next < all.length && sameEvent(best, all[next]!); next++) {
      const row = all[next]!;
      const order =
        precedence(mutable, arrivalUs[row]!, retracted(row), arrivalUs[best]!, retracted(best)) ||
        compareContent(columns, best, columns, row);
      if (order > 0) best = row;
    }
    rows.push(best);
  }
  return { changes, arrivalUs, words, rows };
}

/**
 * The rows after the changes from…to of `winners`; null if they are the same. Every retract that stands is
 * given to `bury`, whether or not it took a row away.
 */
export function mergeRows(
  mutable: boolean,
  rows: Events,
  winners: Winners,
  from: number,
  to: number,
  bury: (change: number) => void,
): Events | null {
  const { changes } = winners;
  const words = idWords(rows.id);
  const arrivalUs = arrivalsOf(rows);
  const inserts: number[] = [];
  let gone: Uint8Array | null = null;
  let tied = false;
  for (let k = from; k < to; k++) {
    const change = winners.rows[k]!;
    const us = changes.timeUs[change]!;
    const retract = changes.retract === null ? 0 : changes.retract[change]!;
    const live = find(rows, words, us, winners.words, change);
    if (live >= 0) {
      const order =
        precedence(mutable, winners.arrivalUs[change]!, retract, arrivalUs[live]!, 0) ||
        compareContent(rows.columns, live, changes.columns, change);
      if (order <= 0) continue;
      gone ??= new Uint8Array(rows.length);
      gone[live] = 1;
    }
    if (retract === 1) bury(change);
    else {
      tied ||= inserts.length > 0 && changes.timeUs[inserts.at(-1)!] === us;
      inserts.push(change);
    }
  }
  if (inserts.length === 0 && gone === null) return null;
  const order = (x: number, y: number): number =>
    changes.timeUs[x]! - changes.timeUs[y]! ||
    winners.arrivalUs[x]! - winners.arrivalUs[y]! ||
    compareIds(winners.words, x, winners.words, y);
  if (tied) inserts.sort(order);

  const runs = new Runs();
  let at = 0;
  for (const change of inserts) {
    const us = changes.timeUs[change]!;
    let place = Math.max(at, lowerBound(rows.timeUs, us));
    while (
      place < rows.length &&
      rows.timeUs[place] === us &&
      (arrivalUs[place]! - winners.arrivalUs[change]! ||
        compareIds(words, place, winners.words, change)) < 0
    )
      place++;
    keepRows(runs, gone, at, place);
    at = place;
    runs.add(1, change, 1);
  }
  keepRows(runs, gone, at, rows.length);
  return joinRuns([rows, changes], runs);
}

function keepRows(runs: Runs, gone: Uint8Array | null, from: number, to: number): void {
  if (gone === null) runs.add(0, from, to - from);
  else for (let i = from; i < to; i++) if (gone[i] === 0) runs.add(0, i, 1);
}

/** The row of the same (t, id) as a change; −1 if there is none. */
function find(
  rows: Events,
  words: Int32Array,
  us: number,
  changeWords: Int32Array,
  change: number,
): number {
  for (let i = lowerBound(rows.timeUs, us); i < rows.length && rows.timeUs[i] === us; i++)
    if (compareIds(words, i, changeWords, change) === 0) return i;
  return -1;
}

/** The first row not before `us`. */
function lowerBound(timeUs: Float64Array, us: number): number {
  let lo = 0;
  let hi = timeUs.length;
  // Most changes come after everything.
  if (hi > 0 && timeUs[hi - 1]! < us) return hi;
  while (lo < hi) {
    const middle = (lo + hi) >> 1;
    if (timeUs[middle]! < us) lo = middle + 1;
    else hi = middle;
  }
  return lo;
}
