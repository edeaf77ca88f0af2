/**
 * What the rows of a mutable source leave behind: ids that were taken away, and keys that an id was under before. An online
 * store needs both: the first must not come back when an older delivery does, the pages of the second are to be made anew.
 */
import { type Events, NO_TOMBSTONES, type Resolved } from '../../timeline/index.ts';
import { gatherEvents } from '../../timeline/rows.ts';
import type { Tombstone } from '../../timeline/tail.ts';
import { type Column, scalarAt } from '../../types/column.ts';
import { sameScalar } from '../../types/scalar.ts';

/** What a resolved row is. */
const STANDS = 0;
const TAKEN_AWAY = 1;
/** It was under this key once. */
const WAS_HERE = 2;

export interface LeftBehind {
  readonly rows: readonly number[];
  /** Row `rows[i]` belongs to the key of this row: a retract may come without one. */
  readonly keyRows: readonly number[];
  readonly roles: readonly number[];
}

export const NOTHING_LEFT: LeftBehind = { rows: [], keyRows: [], roles: [] };

/**
 * Of rows sorted by id, id i having rows starts[i] to starts[i + 1], exactly one decides: it is in `standing` or in `buried`,
 * both in the order of ids. An id that was taken away and never had a key left nothing.
 */
export function rowsLeftBehind(
  starts: Int32Array,
  keys: readonly Column[],
  arrivalUs: Float64Array,
  standing: Int32Array,
  buried: readonly number[],
): LeftBehind {
  const rows: number[] = [];
  const keyRows: number[] = [];
  const roles: number[] = [];
  const add = (row: number, keyRow: number, role: number) => {
    rows.push(row);
    keyRows.push(keyRow);
    roles.push(role);
  };
  const hasKey = (row: number) => keys.every(({ validity }) => validity?.[row] !== 0);
  const sameKey = (x: number, y: number) =>
    keys.every((key) => sameScalar(scalarAt(key, x), scalarAt(key, y)));
  for (let i = 0, s = 0, b = 0; i + 1 < starts.length; i++) {
    const [lo, hi] = [starts[i]!, starts[i + 1]!];
    const gone = b < buried.length && buried[b]! < hi;
    const decides = gone ? buried[b++]! : standing[s++]!;
    if (!gone && hi === lo + 1) continue;
    const keyed = Array.from({ length: hi - lo }, (_, at) => lo + at).filter(hasKey);
    const newest = (x: number, y: number) => (arrivalUs[y]! > arrivalUs[x]! ? y : x);
    if (keyed.length === 0) continue;
    const home = hasKey(decides) ? decides : keyed.reduce(newest);
    if (gone) add(decides, home, TAKEN_AWAY);
    for (const row of keyed) if (!sameKey(row, home)) add(row, row, WAS_HERE);
  }
  return { rows, keyRows, roles };
}

/** Takes rows that do not stand out of sorted rows, and makes tombstones of those that were taken away. */
export function splitLeftBehind(
  starts: Int32Array,
  roles: Float64Array,
  events: Events,
): Pick<Resolved, 'events' | 'starts' | 'tombstones'> {
  if (roles.every((role) => role === STANDS)) return { events, starts, tombstones: NO_TOMBSTONES };
  const standing = new Int32Array(events.length);
  const standingStarts = new Int32Array(starts.length);
  const tombstones = new Map<number, Tombstone[]>();
  let kept = 0;
  for (let i = 0; i + 1 < starts.length; i++) {
    const own: Tombstone[] = [];
    for (let row = starts[i]!; row < starts[i + 1]!; row++) {
      const timeUs = events.timeUs[row]!;
      if (roles[row] === STANDS) standing[kept++] = row;
      else if (roles[row] === TAKEN_AWAY)
        own.push({ timeUs, id: events.id[row]!, arrivalUs: events.arrivalUs?.[row] ?? timeUs });
    }
    standingStarts[i + 1] = kept;
    if (own.length > 0) tombstones.set(i, own);
  }
  const left = gatherEvents(events, standing.subarray(0, kept));
  return { events: left, starts: standingStarts, tombstones };
}
