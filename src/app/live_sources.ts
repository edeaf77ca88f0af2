/** Sources that are registered, and the live views of each: what a stream works for. */
import { nearest, SamewiseError } from '../base/errors.ts';
import type { FeatureView, Source, ViewProgram } from '../model/index.ts';
import { pagesIdAt } from '../plan/index.ts';
import type { Registered, Registry } from '../registry/contract.ts';
import type { LiveViews } from '../stream/partition.ts';
import { type LiveView, liveView } from './live_views.ts';

/** The current sources; of `names`, in their order, where they are given. Throws `app/unknown-source`. */
export function liveSources(
  registered: readonly Registered[],
  names: readonly string[] | null,
): Source[] {
  const sources = registered
    .filter(({ kind, state }) => kind === 'source' && state === 'current')
    .map(({ definition }) => definition as Source);
  if (names === null) return sources;
  return names.map((name) => {
    const found = sources.find((source) => source.name === name);
    if (found !== undefined) return found;
    const known = sources.map((source) => source.name);
    const meant = nearest(name, known);
    throw new SamewiseError('app/unknown-source', `no source ${JSON.stringify(name)}`, {
      where: { source: name },
      hint:
        known.length === 0
          ? 'run `samewise apply` first'
          : meant === undefined
            ? `registered: ${known.join(', ')}`
            : `did you mean "${meant}"?`,
    });
  });
}

/** Live views of a source. */
export function viewsOfSource(registered: readonly Registered[], source: string): LiveView[] {
  return registered
    .filter(
      ({ kind, state, definition }) =>
        kind === 'featureView' &&
        state !== 'retired' &&
        (definition as FeatureView).source === source,
    )
    .map((view) => liveView(registered, view));
}

/** Asks for the live views of a source again and again, and compiles them only when the registry has changed. */
export function followViews(registry: Registry, source: string): () => Promise<LiveViews> {
  let head = -1;
  let views: LiveViews = { programs: [], lookedUp: new Set(), sources: [] };
  return async () => {
    const now = await registry.head();
    if (now !== head) {
      views = liveViewsOf(await registry.load(), source);
      head = now;
    }
    return views;
  };
}

function liveViewsOf(registered: readonly Registered[], source: string): LiveViews {
  const programs = viewsOfSource(registered, source).map(({ program }) => program);
  const sources = sourcesLookedUpBy(registered, source, programs);
  return { programs, lookedUp: lookedUpViews(registered), sources };
}

/** Ids of the views that live views look up. */
export function lookedUpViews(registered: readonly Registered[]): Set<string> {
  const versions = new Map(
    registered
      .filter(({ kind }) => kind === 'featureView')
      .map((view) => [`${view.name} ${view.version}`, pagesIdAt(registered, view)]),
  );
  const ids = new Set<string>();
  for (const { kind, state, pins, definition } of registered) {
    if (kind !== 'featureView' || state === 'retired') continue;
    const { source: from } = definition as FeatureView;
    const source = registered.find(
      (other) =>
        other.kind === 'source' && other.name === from && other.version === pins[`source/${from}`],
    );
    for (const { view } of (source?.definition as Source | undefined)?.lookups ?? []) {
      const id = versions.get(`${view} ${pins[`featureView/${view}`]}`);
      if (id !== undefined) ids.add(id);
    }
  }
  return ids;
}

/** The sources of the views that a source looks up by its current definition, and that its live views pin. */
function sourcesLookedUpBy(
  registered: readonly Registered[],
  name: string,
  programs: readonly ViewProgram[],
): Source[] {
  const sources = liveSources(registered, null);
  const lookups = sources.find((source) => source.name === name)?.lookups ?? [];
  const views = new Set(lookups.map(({ view }) => view));
  const names = new Set(
    programs.flatMap((program) => program.lookups.map((lookup) => lookup.program.source.name)),
  );
  for (const { kind, state, definition } of registered)
    if (kind === 'featureView' && state === 'current' && views.has(definition.name))
      names.add((definition as FeatureView).source);
  return sources.filter((source) => names.has(source.name));
}
