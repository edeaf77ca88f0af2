/** The view versions that are kept fresh: the current ones, and older ones that a service still names. */
import { nearest, SamewiseError } from '../base/errors.ts';
import { type Catalog, compileView, type ViewProgram } from '../model/index.ts';
import { catalogAt } from '../plan/index.ts';
import type { Registered } from '../registry/contract.ts';

export interface LiveView {
  readonly name: string;
  readonly version: number;
  readonly state: Registered['state'];
  /** The view with what it needs, at the versions that it pins. */
  readonly catalog: Catalog;
  readonly program: ViewProgram;
}

/** All live versions; of `names`, in their order, where they are given. Throws `app/unknown-view` and `app/nothing-registered`. */
export function liveViews(
  registered: readonly Registered[],
  names: readonly string[] | null,
): LiveView[] {
  const views = registered.filter(
    ({ kind, state }) => kind === 'featureView' && state !== 'retired',
  );
  if (views.length === 0) {
    throw new SamewiseError('app/nothing-registered', 'no feature view is registered', {
      hint: 'run `samewise apply` first',
    });
  }
  const known = new Set(views.map(({ name }) => name));
  for (const name of names ?? []) {
    if (known.has(name)) continue;
    const meant = nearest(name, known);
    throw new SamewiseError('app/unknown-view', `no feature view ${JSON.stringify(name)}`, {
      where: { view: name },
      hint:
        meant === undefined ? `registered: ${[...known].join(', ')}` : `did you mean "${meant}"?`,
    });
  }
  const wanted = names === null ? views : names.flatMap((n) => views.filter((v) => v.name === n));
  return wanted.map((view) => liveView(registered, view));
}

/** One of what is registered. */
export function liveView(
  registered: readonly Registered[],
  { name, version, state }: Pick<Registered, 'name' | 'version' | 'state'>,
): LiveView {
  const catalog = catalogAt(registered, { kind: 'featureView', name, version });
  return { name, version, state, catalog, program: compileView(catalog, name) };
}
