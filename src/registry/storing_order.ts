/** In which order an applied plan's objects are stored. */
import type { Registered } from './contract.ts';

const ORDER = { retired: 0, pinned: 1, current: 2 };

/** What stops being current goes first: two current versions of one name are never stored. New ones are of revision `revision`. */
export function inStoringOrder(
  objects: readonly Omit<Registered, 'revision'>[],
  revision: number,
): Registered[] {
  return objects
    .toSorted((a, b) => ORDER[a.state] - ORDER[b.state])
    .map((object) => ({ ...object, revision }));
}
