/** View versions that nobody names any more: their pages go. */
import type { OnlineStore } from '../online/contract.ts';
import { pagesIdAt } from '../plan/index.ts';
import type { Registered, Registry } from '../registry/contract.ts';
import { builtViewOf } from '../stream/built.ts';
import { indexViewOf } from '../stream/row_index.ts';
import { forgetView, readWatermark } from './materialize_state.ts';
import { readViewOf } from './read_keys.ts';

/** A retired view version that the online store still keeps. */
export interface RetiredView {
  readonly name: string;
  readonly version: number;
  /** Of its pages, as in `ViewProgram`. */
  readonly id: string;
}

/** Retired versions of `names` (null: of all views) that still have something in the online store. */
export async function retiredViews(
  { registry, online }: { readonly registry: Registry; readonly online: OnlineStore },
  names: readonly string[] | null,
): Promise<RetiredView[]> {
  const registered = await registry.load({ retired: true });
  const live = liveIds(registered);
  const found: RetiredView[] = [];
  for (const view of registered) {
    if (view.kind !== 'featureView') continue;
    const { name, version } = view;
    const id = pagesIdAt(registered, view);
    if (live.has(id) || (names !== null && !names.includes(name))) continue;
    // Two retired versions may have the same pages.
    if (found.some((other) => other.id === id)) continue;
    if (await isKept(online, id)) found.push({ name, version, id });
  }
  return found;
}

/**
 * Drops the pages of a retired version and what is remembered of them, and gives of how many keys they were. One that has
 * come to life again since it was found is left alone.
 */
export async function dropRetired(
  { registry, online }: { readonly registry: Registry; readonly online: OnlineStore },
  { id }: RetiredView,
): Promise<number> {
  if (liveIds(await registry.load()).has(id)) return 0;
  const { keys } = await online.size(id);
  // First, for a run that is cut off here must not leave half a view that is said to be whole.
  await forgetView(online, id);
  await online.dropView(indexViewOf({ id }));
  await online.dropView(builtViewOf({ id }));
  await online.dropView(readViewOf({ id }));
  await online.dropView(id);
  return keys;
}

async function isKept(online: OnlineStore, id: string): Promise<boolean> {
  for (const view of [id, indexViewOf({ id })]) if ((await online.size(view)).keys > 0) return true;
  return (await readWatermark(online, id)) !== null;
}

function liveIds(registered: readonly Registered[]): Set<string> {
  const views = registered.filter(
    ({ kind, state }) => kind === 'featureView' && state !== 'retired',
  );
  return new Set(views.map((view) => pagesIdAt(registered, view)));
}
