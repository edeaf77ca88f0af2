/**
 * Fingerprints: SHA-256 of a definition's meaning, with the meaning of all that it refers to. Two definitions with one
 * fingerprint give the same values from the same events, so it is what makes a version, and its first 16 characters
 * prefix a view's pages.
 *
 * Not meaning: owner, description, tags, freshness and what is answered when it is not kept; where a source's files lie and in which format; how late its events
 * may be; how long idle keys stay online; which model a service serves. Meaning: names (that is how things are referred to), types, expressions,
 * aggregates, windows, defaults, fallbacks, the order of features (pages are laid out by it), the SQL text of a query source, and
 * retention (what a page still holds). Of a source a view means only what it uses, so a new column is no new view;
 * a source without an event id means all its columns, for its ids hash them. A looked-up column means the view that it is
 * looked up in.
 */
import { SamewiseError } from '../base/errors.ts';
import { canonicalJson, sha256Hex } from '../base/hash.ts';
import { entityOf, featureViewOf, sourceOf, viewOf, whereOf } from './catalog.ts';
import {
  type Catalog,
  type Definition,
  type FeatureUse,
  type FeatureView,
  IR_VERSION,
  type KeyOrigin,
  type Member,
  type Source,
  type SourceLookup,
} from './definitions.ts';
import { lookupsUsedBy, sourceColumnsOf } from './source_columns.ts';

// Catalogs and definitions are frozen, so what was computed once stays true; services share their views' fingerprints.
const known = new WeakMap<Catalog, Map<Definition, string>>();
const IN_PROGRESS = '';

/**
 * The fingerprint of a definition whose references resolve in `catalog`; 64 hex characters.
 * Throws `model/unknown-…` for a reference that does not resolve.
 */
export function fingerprint(definition: Definition, catalog: Catalog): string {
  let ofCatalog = known.get(catalog);
  if (ofCatalog === undefined) known.set(catalog, (ofCatalog = new Map()));
  const before = ofCatalog.get(definition);
  if (before === IN_PROGRESS) {
    throw new SamewiseError('model/cycle', `${definition.name} uses itself`, {
      where: whereOf(definition),
    });
  }
  if (before !== undefined) return before;
  ofCatalog.set(definition, IN_PROGRESS);
  try {
    const meaning = { ir: IR_VERSION, ...meaningOf(definition, catalog) };
    const hash = sha256Hex(canonicalJson(meaning));
    ofCatalog.set(definition, hash);
    return hash;
  } catch (error) {
    ofCatalog.delete(definition);
    throw error;
  }
}

/**
 * The short id of what a version of a view keeps, 16 hex characters: the prefix of its pages. Fallbacks say what stands in
 * for a value when it is read, so views that differ in nothing else share their pages.
 */
export function pagesIdOf(view: FeatureView, catalog: Catalog): string {
  return pagesMeaning(view, catalog).slice(0, 16);
}

/** The fingerprint that the view would have without fallbacks. */
function pagesMeaning(view: FeatureView, catalog: Catalog): string {
  if (view.features.every(({ fallbacks }) => fallbacks === undefined))
    return fingerprint(view, catalog);
  const features = view.features.map(({ fallbacks: _, ...feature }) => feature);
  const meaning = { ir: IR_VERSION, ...meaningOf({ ...view, features }, catalog) };
  return sha256Hex(canonicalJson(meaning));
}

function meaningOf(definition: Definition, catalog: Catalog): Record<string, unknown> {
  const { kind, name } = definition;
  switch (definition.kind) {
    case 'entity':
      return { kind, name, key: definition.key };
    case 'source':
      return { kind, ...sourceMeaning(definition, null, definition.lookups, catalog) };
    case 'featureView':
      return { kind, name, ...viewMeaning(definition, catalog) };
    case 'onDemandView':
      return {
        kind,
        name,
        request: definition.request,
        uses: Object.fromEntries(
          Object.entries(definition.uses).map(([alias, member]) => [
            alias,
            memberMeaning(member, catalog),
          ]),
        ),
        features: definition.features.map((feature) => ({
          name: feature.name,
          dtype: feature.dtype,
          expr: feature.expr,
          default: feature.default ?? null,
        })),
      };
    case 'featureService':
      return {
        kind,
        name,
        members: definition.members.map((member) => memberMeaning(member, catalog)),
      };
  }
}

function viewMeaning(view: FeatureView, catalog: Catalog): Record<string, unknown> {
  const entity = entityOf(catalog, view.entity);
  const source = sourceOf(catalog, view.source);
  return {
    entity: { name: entity.name, key: entity.key },
    source: sourceMeaning(
      source,
      new Set(sourceColumnsOf(view, source)),
      lookupsUsedBy(view, source),
      catalog,
    ),
    keys: view.keys,
    where: view.where,
    features: view.features.map((feature) => ({
      name: feature.name,
      dtype: feature.dtype,
      aggregate: feature.aggregate,
      input: feature.input,
      window: feature.window,
      default: feature.default ?? null,
      // Absent where there are none: such a feature means what it meant before there were any.
      ...(feature.fallbacks !== undefined && {
        fallbacks: feature.fallbacks.map((use) => useMeaning(use, catalog)),
      }),
    })),
    retentionUs: view.retentionUs,
  };
}

/** Of the columns only `used`, if given; sorted, because their order means nothing. */
function sourceMeaning(
  source: Source,
  used: ReadonlySet<string> | null,
  lookups: readonly SourceLookup[],
  catalog: Catalog,
): Record<string, unknown> {
  return {
    name: source.name,
    columns: source.columns
      .filter(({ name }) => used === null || used.has(name))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    eventTime: source.eventTime,
    eventId: source.eventId,
    arrivalTime: source.arrivalTime,
    op: source.op,
    mutable: source.mutable,
    sql: source.batch?.type === 'query' ? source.batch.sql : null,
    // Absent where there are none: such a source means what it meant before sources could look up.
    ...(lookups.length > 0 && {
      lookups: lookups
        .map(({ name, dtype, view, feature, keys }) => ({
          name,
          dtype,
          // What is looked up is what is kept.
          view: pagesMeaning(featureViewOf(catalog, view), catalog),
          feature,
          keys,
        }))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    }),
  };
}

function useMeaning({ member, feature }: FeatureUse, catalog: Catalog): Record<string, unknown> {
  return { member: memberMeaning(member, catalog), feature };
}

function memberMeaning(member: Member, catalog: Catalog): Record<string, unknown> {
  return {
    view: fingerprint(viewOf(catalog, member.view), catalog),
    features: member.features,
    keys: member.keys.map((origin: KeyOrigin) =>
      origin.from === 'column'
        ? origin
        : { ...origin, member: memberMeaning(origin.member, catalog) },
    ),
    as: member.as,
  };
}
