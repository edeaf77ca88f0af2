/** Members: how services and on-demand views use views. Names, keys and references of what they bring in. */
import { SamewiseError } from '../base/errors.ts';
import { entityOf, featureIndex, viewOf } from './catalog.ts';
import type {
  Catalog,
  Entity,
  Feature,
  FeatureUse,
  FeatureView,
  KeyOrigin,
  Member,
  OnDemandFeature,
  OnDemandView,
} from './definitions.ts';

/** `view:feature`, as people write a reference to a feature. */
export function printRef(view: string, feature: string): string {
  return `${view}:${feature}`;
}

/** Reads `view:feature`; anything else is `model/bad-ref`. */
export function parseRef(text: string): { view: string; feature: string } {
  const match = /^([A-Za-z][A-Za-z0-9_]*):([A-Za-z][A-Za-z0-9_]*)$/.exec(text);
  if (match === null) {
    throw new SamewiseError(
      'model/bad-ref',
      `${JSON.stringify(text)} is not a reference to a feature`,
      { hint: 'write view:feature, such as customer_spending:avg_amount_7d' },
    );
  }
  return { view: match[1]!, feature: match[2]! };
}

/** Key origins of a view that is looked up under its own key columns. */
export function ownKeys(entity: Entity): KeyOrigin[] {
  return entity.key.map(({ name }) => ({ from: 'column', column: name }));
}

/** The features a member takes, in its order. Throws `model/unknown-feature`. */
export function featuresTaken(
  view: FeatureView | OnDemandView,
  member: Member,
): readonly (Feature | OnDemandFeature)[] {
  return member.features === null
    ? view.features
    : member.features.map((name) => view.features[featureIndex(view, name)]!);
}

/**
 * The fallbacks of a feature of a view that a member uses, under the member's keys: where they name a key column of the
 * view's entity, they take what gives the member that column.
 */
export function fallbacksOf(
  catalog: Catalog,
  view: FeatureView,
  { fallbacks = [] }: Feature,
  member: Member,
): FeatureUse[] {
  const { key } = entityOf(catalog, view.entity);
  const origins = new Map(key.map(({ name }, i) => [name, member.keys[i]!]));
  return fallbacks.map((use) => ({ ...use, member: rekeyed(use.member, origins) }));
}

function rekeyed(member: Member, origins: ReadonlyMap<string, KeyOrigin>): Member {
  const keys = member.keys.map(
    (origin): KeyOrigin =>
      origin.from === 'column'
        ? origins.get(origin.column)!
        : { ...origin, member: rekeyed(origin.member, origins) },
  );
  return { ...member, keys };
}

/** Name of a member's feature in the output. */
export function outputName(member: Member, feature: string): string {
  return member.as === null ? feature : `${member.as}_${feature}`;
}

/**
 * Members for a bare list of references, in its order, each view under its own key columns.
 * Throws `model/bad-ref`, `model/unknown-view`, `model/unknown-feature`.
 */
export function membersFor(catalog: Catalog, refs: readonly string[]): Member[] {
  const members: { view: string; features: string[]; keys: KeyOrigin[]; as: null }[] = [];
  for (const ref of refs) {
    const { view: viewName, feature } = parseRef(ref);
    const view = viewOf(catalog, viewName);
    featureIndex(view, feature);
    const last = members.at(-1);
    if (last?.view === viewName) last.features.push(feature);
    else {
      const keys = view.kind === 'featureView' ? ownKeys(entityOf(catalog, view.entity)) : [];
      members.push({ view: viewName, features: [feature], keys, as: null });
    }
  }
  return members;
}
