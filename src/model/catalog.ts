/** The catalog: everything that is defined, by kind and name, and how to find things in it. */
import { nearest, SamewiseError, type Where } from '../base/errors.ts';
import { canonicalJson } from '../base/hash.ts';
import type {
  Catalog,
  Definition,
  DefinitionKind,
  Entity,
  FeatureView,
  OnDemandView,
  Source,
} from './definitions.ts';
import { deepFreeze } from './freeze.ts';
import { MAX_NAME_LENGTH } from './limits.ts';
import { Problems } from './problems.ts';

const SHELF = {
  entity: 'entities',
  source: 'sources',
  featureView: 'featureViews',
  onDemandView: 'onDemandViews',
  featureService: 'featureServices',
} as const satisfies Record<DefinitionKind, keyof Catalog>;

/** How a kind is called in messages. */
export const KIND_TITLE: Readonly<Record<DefinitionKind, string>> = {
  entity: 'entity',
  source: 'source',
  featureView: 'feature view',
  onDemandView: 'on-demand view',
  featureService: 'feature service',
};

/**
 * The catalog of some definitions; the same definition twice counts once.
 * Throws `model/bad-name` and `model/duplicate-name` (two definitions under one name; feature views and on-demand views
 * share their names, because `view:feature` must mean one thing). References are not followed: see `validateCatalog`.
 */
export function catalogOf(definitions: Iterable<Definition>): Catalog {
  const problems = new Problems();
  // Without a prototype, so that a view called `constructor` is just a view.
  const shelves = Object.fromEntries(
    Object.values(SHELF).map((shelf) => [shelf, Object.create(null)]),
  ) as Record<keyof Catalog, Record<string, Definition>>;
  for (const definition of definitions) {
    const { kind, name } = definition;
    const where = whereOf(definition);
    checkName(problems, name, KIND_TITLE[kind], where);
    const before =
      shelves[SHELF[kind]][name] ??
      (kind === 'featureView'
        ? shelves.onDemandViews[name]
        : kind === 'onDemandView'
          ? shelves.featureViews[name]
          : undefined);
    if (before === undefined) shelves[SHELF[kind]][name] = deepFreeze(definition);
    else if (before !== definition && canonicalJson(before) !== canonicalJson(definition)) {
      const both =
        before.kind === kind ? `two ${KIND_TITLE[kind]} definitions are` : 'two views are';
      problems.add(
        'model/duplicate-name',
        `${both} called ${JSON.stringify(name)}`,
        where,
        'give each its own name',
      );
    }
  }
  problems.throwIfAny();
  return deepFreeze(shelves) as unknown as Catalog;
}

/** All definitions of a catalog: entities, sources, feature views, on-demand views, services. */
export function definitionsOf(catalog: Catalog): Definition[] {
  return Object.values(SHELF).flatMap((shelf): Definition[] => Object.values(catalog[shelf]));
}

/** One definition, or undefined. */
export function findDefinition(
  catalog: Catalog,
  kind: DefinitionKind,
  name: string,
): Definition | undefined {
  return own(catalog[SHELF[kind]] as Readonly<Record<string, Definition>>, name);
}

/** The feature view or on-demand view of that name, or undefined. */
export function findView(catalog: Catalog, name: string): FeatureView | OnDemandView | undefined {
  return own(catalog.featureViews, name) ?? own(catalog.onDemandViews, name);
}

/** The entity, or `model/unknown-entity` with the nearest name. */
export function entityOf(catalog: Catalog, name: string): Entity {
  return own(catalog.entities, name) ?? unknown('entity', name, Object.keys(catalog.entities));
}

/** The source, or `model/unknown-source` with the nearest name. */
export function sourceOf(catalog: Catalog, name: string): Source {
  return own(catalog.sources, name) ?? unknown('source', name, Object.keys(catalog.sources));
}

/** The feature view or on-demand view, or `model/unknown-view` with the nearest name. */
export function viewOf(catalog: Catalog, name: string): FeatureView | OnDemandView {
  return (
    findView(catalog, name) ??
    unknown('view', name, [
      ...Object.keys(catalog.featureViews),
      ...Object.keys(catalog.onDemandViews),
    ])
  );
}

/** The feature view of that name; `model/not-a-feature-view` for an on-demand view, which keeps nothing. */
export function featureViewOf(catalog: Catalog, name: string): FeatureView {
  const view = viewOf(catalog, name);
  if (view.kind === 'featureView') return view;
  throw new SamewiseError(
    'model/not-a-feature-view',
    `${name} is an on-demand view: it is computed at each read and keeps no values`,
    { where: { view: name }, hint: 'name a feature view' },
  );
}

/** Position of a feature in a view, or `model/unknown-feature` with the nearest name. */
export function featureIndex(view: FeatureView | OnDemandView, feature: string): number {
  const index = view.features.findIndex(({ name }) => name === feature);
  if (index >= 0) return index;
  throw new SamewiseError(
    'model/unknown-feature',
    `the view ${view.name} has no feature ${JSON.stringify(feature)}`,
    {
      where: { view: view.name, feature },
      hint: suggestion(
        feature,
        view.features.map(({ name }) => name),
      ),
    },
  );
}

/** "did you mean …?", or else what there is. */
export function suggestion(given: string, names: readonly string[]): string {
  const near = nearest(given, names);
  if (near !== undefined) return `did you mean ${JSON.stringify(near)}?`;
  if (names.length === 0) return 'there are none';
  const shown = names.slice(0, 12).join(', ');
  return `there are: ${shown}${names.length > 12 ? ', …' : ''}`;
}

/** Reports a name that is not letters, digits and underscores after a letter, or is too long. */
export function checkName(problems: Problems, name: string, what: string, where: Where): void {
  if (typeof name === 'string' && /^[A-Za-z][A-Za-z0-9_]*$/.test(name)) {
    if (name.length <= MAX_NAME_LENGTH) return;
    problems.add(
      'model/bad-name',
      `the name of the ${what} is longer than ${MAX_NAME_LENGTH} characters`,
      where,
    );
  } else {
    problems.add(
      'model/bad-name',
      `${JSON.stringify(name)} cannot be the name of a ${what}`,
      where,
      'use letters, digits and underscores, starting with a letter',
    );
  }
}

/** The place of a definition in an error. */
export function whereOf(definition: Definition): Where {
  switch (definition.kind) {
    case 'entity':
      return { entity: definition.name };
    case 'source':
      return { source: definition.name };
    case 'featureService':
      return { service: definition.name };
    default:
      return { view: definition.name };
  }
}

function own<T>(shelf: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(shelf, name) ? shelf[name] : undefined;
}

function unknown(what: 'entity' | 'source' | 'view', name: string, names: string[]): never {
  throw new SamewiseError(
    `model/unknown-${what}`,
    `there is no ${what} called ${JSON.stringify(name)}`,
    { where: { [what]: name }, hint: suggestion(name, names) },
  );
}
