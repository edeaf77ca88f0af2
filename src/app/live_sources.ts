/** Sources that are registered, and the live views of each: what a stream works for. */
import { nearest, SamewiseError } from '../base/errors.ts';
import type { Source, ViewProgram } from '../model/index.ts';
import type { Registered, Registry } from '../registry/contract.ts';
import { type LiveView, liveViews } from './live_views.ts';

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
  const of = registered.filter(
    ({ kind, definition }) =>
      kind !== 'featureView' || (definition as { source?: string }).source === source,
  );
  return of.some(({ kind, state }) => kind === 'featureView' && state !== 'retired')
    ? liveViews(of, null)
    : [];
}

/** Asks for the live views of a source again and again, and compiles them only when the registry has changed. */
export function followViews(
  registry: Registry,
  source: string,
): () => Promise<readonly ViewProgram[]> {
  let head = -1;
  let programs: readonly ViewProgram[] = [];
  return async () => {
    const now = await registry.head();
    if (now !== head) {
      programs = viewsOfSource(await registry.load(), source).map(({ program }) => program);
      head = now;
    }
    return programs;
  };
}
