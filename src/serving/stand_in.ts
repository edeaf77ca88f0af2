/** What stands in for a value that is missing from its page: its fallbacks, then its default. `assemble` has the same rule for columns. */
import { fallbackStatus, type LookupSlot, type ServicePlan, type Status } from '../model/index.ts';
import type { Column } from '../types/column.ts';
import type { Scalar } from '../types/scalar.ts';

/** Where a value is stored, and what stands in for it. All of one shape: it is looked at for every value. */
export interface StoredSource {
  /** Position of the look-up; −1: it is computed. */
  readonly lookup: number;
  /** Position among the look-up's features, or among the computed outputs. */
  readonly index: number;
  readonly default: Scalar | null;
  /** The first that is present stands in. */
  readonly fallbacks: readonly LookupSlot[];
}

const NONE: readonly LookupSlot[] = [];

/** What a slot of look-ups takes its values from. */
export function storedSource(
  { lookups, chains }: ServicePlan,
  slot: Exclude<ServicePlan['outputs'][number]['from'], { from: 'computed' }>,
): StoredSource {
  const [own, ...fallbacks] = slot.from === 'chain' ? chains[slot.chain]!.levels : [slot];
  const { lookup, index } = own!;
  return {
    lookup,
    index,
    default: lookups[lookup]!.defaults[index]!,
    fallbacks: fallbacks.length === 0 ? NONE : fallbacks,
  };
}

/** By look-up, then by row; holes where none has come. */
export type Pages = readonly (readonly (Page | undefined)[])[];
interface Page {
  readonly values: readonly (Scalar | null)[];
  readonly statuses: readonly Status[];
}
const OWN = 0;
const DEFAULT = -1;

/** The value with what stands in; of a page that did not come null, whatever there is to stand in. */
export function storedValue(pages: Pages, row: number, source: StoredSource): Scalar | null {
  const page = pages[source.lookup]![row]!;
  const own = page.values[source.index]!;
  if (page.statuses[source.index] === 'PRESENT') return own;
  const level = levelOf(pages, row, source);
  if (level === OWN) return own;
  if (level === DEFAULT) return source.default;
  const { lookup, index } = source.fallbacks[level - 1]!;
  return pages[lookup]![row]!.values[index]!;
}

/** Its status. */
export function storedStatus(pages: Pages, row: number, source: StoredSource): Status {
  const own = pages[source.lookup]![row]!.statuses[source.index]!;
  if (own === 'PRESENT') return own;
  const level = levelOf(pages, row, source);
  if (level === OWN) return own;
  if (level === DEFAULT) return 'DEFAULTED';
  const { lookup, index } = source.fallbacks[level - 1]!;
  const status = pages[lookup]![row]!.statuses[index]!;
  return status === 'PRESENT' ? fallbackStatus(level) : status;
}

/** The status of a computed output, of which `raw` is the column before its default. */
export function computedStatus(raw: Column, row: number, source: StoredSource): Status {
  if (raw.validity === null || raw.validity[row] !== 0) return 'PRESENT';
  return source.default === null ? 'NULL_VALUE' : 'DEFAULTED';
}

/** Which level gives a value that is not present by itself: its n-th fallback, the default, or nothing but the feature itself. */
function levelOf(pages: Pages, row: number, { lookup, index, ...source }: StoredSource): number {
  const own = pages[lookup]![row]!;
  // What might have come must not be taken for missing.
  if (own.statuses[index] === 'TIMED_OUT') return OWN;
  const { fallbacks } = source;
  for (let i = 0; i < fallbacks.length; i++) {
    const level = fallbacks[i]!;
    const status = pages[level.lookup]![row]!.statuses[level.index];
    if (status === 'PRESENT' || status === 'TIMED_OUT') return i + 1;
  }
  const standsIn = source.default !== null && (fallbacks.length > 0 || own.values[index] === null);
  return standsIn ? DEFAULT : OWN;
}
