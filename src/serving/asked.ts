/** A list of features of one entity, as it comes in a request, resolved to an ad-hoc service. */
import { SamewiseError } from '../base/errors.ts';
import type { Catalog, Entity, Feature, FeatureView, Member } from '../model/definitions.ts';
import { entityOf, findView, ownKeys, suggestion } from '../model/index.ts';
import { type Columns, columnsOf } from './answer.ts';
import { compileMembers, type ServiceProgram } from './service_program.ts';

/** Most features of one request. */
export const MAX_FEATURES_ASKED = 10_000;

export interface Asked {
  readonly entity: Entity;
  readonly members: readonly Member[];
  readonly program: ServiceProgram;
  /** The answer: names as asked. Two names of one feature share its output. */
  readonly columns: Columns;
}

interface Found {
  readonly view: FeatureView;
  readonly feature: Feature;
}

/**
 * Resolves `view:feature` and bare names (which one view of the entity must have), separated by commas; a repeated name
 * counts once. Throws `model/unknown-entity`, `serving/unknown-view`, `serving/unknown-feature`,
 * `serving/ambiguous-feature`, `serving/too-many-features` and `serving/bad-field` (an empty list).
 */
export function resolveAsked(catalog: Catalog, entityName: string, features: string): Asked {
  const entity = entityOf(catalog, entityName);
  const names = namesIn(features);
  const views = Object.values(catalog.featureViews).filter((view) => view.entity === entityName);
  const byName = new Map<string, Found[]>();
  for (const view of views)
    for (const feature of view.features) {
      const found = byName.get(feature.name);
      if (found === undefined) byName.set(feature.name, [{ view, feature }]);
      else found.push({ view, feature });
    }
  const found = names.map((name) => find(catalog, entity, views, byName, name));
  const distinct = [...new Map(found.map((each) => [each.feature, each])).values()];
  const members = membersOf(entity, distinct);
  const program = compileMembers(catalog, members);
  const outputOf = new Map(distinct.map(({ feature }, output) => [feature, output]));
  const outputs = found.map(({ feature }) => outputOf.get(feature)!);
  return { entity, members, program, columns: columnsOf(program, { names, outputs }) };
}

/** Members in the order asked. A name that several views have is put out as `view_feature`, every other under its own name. */
function membersOf(entity: Entity, found: readonly Found[]): Member[] {
  const times = new Map<string, number>();
  for (const { feature } of found) times.set(feature.name, (times.get(feature.name) ?? 0) + 1);
  const members: (Member & { features: string[] })[] = [];
  for (const { feature, view } of found) {
    const as = times.get(feature.name)! > 1 ? view.name : null;
    const last = members.at(-1);
    if (last?.view === view.name && last.as === as) last.features.push(feature.name);
    else members.push({ view: view.name, features: [feature.name], keys: ownKeys(entity), as });
  }
  return members;
}

/** The different names of a list with commas. Throws `serving/bad-field` and `serving/too-many-features`. */
export function namesIn(features: string): string[] {
  const names = new Set<string>();
  for (const part of features.split(',')) {
    const name = part.trim();
    if (name !== '') names.add(name);
  }
  if (names.size === 0) {
    throw new SamewiseError('serving/bad-field', 'the list of features is empty', {
      where: { field: 'features' },
      hint: 'write features=a,b with names of features or view:feature',
    });
  }
  if (names.size > MAX_FEATURES_ASKED) {
    throw new SamewiseError(
      'serving/too-many-features',
      `${names.size} features asked; at most ${MAX_FEATURES_ASKED} in one request`,
      { where: { field: 'features' } },
    );
  }
  return [...names];
}

function find(
  catalog: Catalog,
  entity: Entity,
  views: readonly FeatureView[],
  byName: ReadonlyMap<string, Found[]>,
  name: string,
): Found {
  const colon = name.indexOf(':');
  if (colon >= 0) {
    const viewName = name.slice(0, colon);
    const view = views.find((candidate) => candidate.name === viewName);
    if (view === undefined) throw unknownView(catalog, entity, views, viewName, name);
    const feature = view.features.find((candidate) => candidate.name === name.slice(colon + 1));
    if (feature !== undefined) return { view, feature };
    throw unknownFeature(
      entity,
      name,
      view.features.map((candidate) => `${view.name}:${candidate.name}`),
    );
  }
  const found = byName.get(name);
  if (found === undefined) throw unknownFeature(entity, name, [...byName.keys()]);
  if (found.length === 1) return found[0]!;
  throw new SamewiseError(
    'serving/ambiguous-feature',
    `${found.length} views of ${entity.name} have a feature called ${name}`,
    {
      where: { field: 'features', entity: entity.name, feature: name },
      hint: `say which: ${found.map(({ view }) => `${view.name}:${name}`).join(', ')}`,
    },
  );
}

function unknownView(
  catalog: Catalog,
  entity: Entity,
  views: readonly FeatureView[],
  viewName: string,
  ref: string,
): SamewiseError {
  const other = findView(catalog, viewName);
  const why =
    other === undefined
      ? `there is no view called ${JSON.stringify(viewName)}`
      : other.kind === 'featureView'
        ? `the view ${viewName} describes ${other.entity}, not ${entity.name}`
        : `${viewName} is an on-demand view, whose features need request data`;
  return new SamewiseError('serving/unknown-view', `cannot read ${ref}: ${why}`, {
    where: { field: 'features', entity: entity.name, view: viewName },
    hint:
      other?.kind === 'onDemandView'
        ? 'read it through a feature service'
        : suggestion(
            viewName,
            views.map(({ name }) => name),
          ),
  });
}

function unknownFeature(entity: Entity, name: string, known: readonly string[]): SamewiseError {
  return new SamewiseError(
    'serving/unknown-feature',
    `${entity.name} has no feature called ${JSON.stringify(name)}`,
    {
      where: { field: 'features', entity: entity.name, feature: name },
      hint: suggestion(name, known),
    },
  );
}
