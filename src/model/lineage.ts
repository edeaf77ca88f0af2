/** Lineage: what a definition refers to, what refers to it, and which columns a feature's value comes from. */
import { columnsOf } from '../expr/index.ts';
import {
  definitionsOf,
  entityOf,
  featureIndex,
  findDefinition,
  findView,
  sourceOf,
  viewOf,
} from './catalog.ts';
import type { Catalog, Definition, DefinitionKind, Member } from './definitions.ts';
import { parseRef, printRef } from './members.ts';
import { lookupsUsedBy } from './source_columns.ts';

/** A definition by kind and name. */
export interface DefinitionRef {
  readonly kind: DefinitionKind;
  readonly name: string;
}

/** `kind/name`: the form in which the registry pins. */
export function printDefinitionRef(ref: DefinitionRef): string {
  return `${ref.kind}/${ref.name}`;
}

/** What a definition names directly (look-ups via features, and by the columns that it uses, included), each once; what does not exist is left out. */
export function referencesOf(definition: Definition, catalog: Catalog): DefinitionRef[] {
  const found = new Map<string, DefinitionRef>();
  const add = (kind: DefinitionKind, name: string) => {
    if (findDefinition(catalog, kind, name) !== undefined)
      found.set(`${kind}/${name}`, { kind, name });
  };
  const addMember = (member: Member): void => {
    const kind = findView(catalog, member.view)?.kind;
    if (kind !== undefined) add(kind, member.view);
    for (const origin of member.keys) if (origin.from === 'feature') addMember(origin.member);
  };
  switch (definition.kind) {
    case 'featureView':
      add('entity', definition.entity);
      add('source', definition.source);
      if (Object.hasOwn(catalog.sources, definition.source))
        for (const { view } of lookupsUsedBy(definition, sourceOf(catalog, definition.source)))
          add('featureView', view);
      for (const { fallbacks = [] } of definition.features)
        for (const { member } of fallbacks) addMember(member);
      break;
    case 'source':
      for (const { view } of definition.lookups) add('featureView', view);
      break;
    case 'onDemandView':
      Object.values(definition.uses).forEach(addMember);
      break;
    case 'featureService':
      definition.members.forEach(addMember);
      break;
    default:
  }
  return [...found.values()];
}

/** Everything a definition needs, itself not included, each once, what is needed first. */
export function dependenciesOf(definition: Definition, catalog: Catalog): DefinitionRef[] {
  const found = new Map<string, DefinitionRef>();
  const seen = new Set<Definition>([definition]);
  const visit = (at: Definition): void => {
    for (const ref of referencesOf(at, catalog)) {
      const next = findDefinition(catalog, ref.kind, ref.name)!;
      if (seen.has(next)) continue;
      seen.add(next);
      visit(next);
      found.set(printDefinitionRef(ref), ref);
    }
  };
  visit(definition);
  return [...found.values()];
}

/** Everything that directly or through others uses a definition, in the catalog's order. */
export function dependentsOf(ref: DefinitionRef, catalog: Catalog): DefinitionRef[] {
  const usedBy = new Map<string, DefinitionRef[]>();
  for (const user of definitionsOf(catalog)) {
    for (const used of referencesOf(user, catalog)) {
      const key = printDefinitionRef(used);
      const users = usedBy.get(key) ?? [];
      users.push({ kind: user.kind, name: user.name });
      usedBy.set(key, users);
    }
  }
  const found = new Map<string, DefinitionRef>();
  const queue = [ref];
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    for (const user of usedBy.get(printDefinitionRef(at)) ?? []) {
      if (found.has(printDefinitionRef(user))) continue;
      found.set(printDefinitionRef(user), user);
      queue.push(user);
    }
  }
  return [...found.values()];
}

/** Where one feature's values come from, and who uses them. */
export interface FeatureLineage {
  readonly ref: string;
  /** For each source: the columns that the value is computed from, in the source's order; keys and times not included. */
  readonly sources: readonly { readonly source: string; readonly columns: readonly string[] }[];
  /** Request columns that an on-demand feature reads. */
  readonly request: readonly string[];
  /** Features that it is computed from, as `view:feature`; those that stand in for it, only give a key or are looked up by its source included. */
  readonly features: readonly string[];
  readonly entities: readonly string[];
  /** Features that read it, on demand, as a fallback or because their source looks it up, as `view:feature`. */
  readonly usedByFeatures: readonly string[];
  /** Services that serve it, or serve something computed from it. */
  readonly usedByServices: readonly string[];
  readonly models: readonly string[];
}

/** The lineage of `view:feature`. Throws `model/bad-ref`, `model/unknown-view`, `model/unknown-feature`. */
export function lineageOf(catalog: Catalog, ref: string): FeatureLineage {
  const upstream = upstreamOf(catalog, ref);
  const usedByFeatures: string[] = [];
  const lookingUp = Object.values(catalog.featureViews).filter(
    (view) =>
      view.features.some(({ fallbacks }) => fallbacks !== undefined) ||
      lookupsUsedBy(view, sourceOf(catalog, view.source)).length > 0,
  );
  for (const view of [...lookingUp, ...Object.values(catalog.onDemandViews)]) {
    for (const { name } of view.features) {
      const other = printRef(view.name, name);
      if (other !== ref && upstreamOf(catalog, other).features.has(ref)) usedByFeatures.push(other);
    }
  }
  const services = Object.values(catalog.featureServices).filter(({ members }) =>
    members.some((member) => {
      const view = viewOf(catalog, member.view);
      const names = member.features ?? view.features.map(({ name }) => name);
      const served = names.map((name) => printRef(view.name, name));
      return (
        served.some((name) => name === ref || usedByFeatures.includes(name)) ||
        viaFeatures(member).some((name) => name === ref)
      );
    }),
  );
  return {
    ref,
    sources: [...upstream.columns].map(([source, used]) => ({
      source,
      columns: sourceOf(catalog, source)
        .columns.map(({ name }) => name)
        .filter((name) => used.has(name)),
    })),
    request: [...upstream.request],
    features: [...upstream.features],
    entities: [...upstream.entities],
    usedByFeatures,
    usedByServices: services.map(({ name }) => name),
    models: [...new Set(services.flatMap(({ model }) => (model === null ? [] : [model])))],
  };
}

interface Upstream {
  readonly columns: Map<string, Set<string>>;
  readonly request: Set<string>;
  readonly features: Set<string>;
  readonly entities: Set<string>;
}

function upstreamOf(catalog: Catalog, ref: string): Upstream {
  const found: Upstream = {
    columns: new Map(),
    request: new Set(),
    features: new Set(),
    entities: new Set(),
  };
  const visit = (viewName: string, featureName: string): void => {
    const view = viewOf(catalog, viewName);
    const feature = view.features[featureIndex(view, featureName)]!;
    if (view.kind === 'featureView') {
      const columns = found.columns.get(view.source) ?? new Set();
      found.columns.set(view.source, columns);
      found.entities.add(entityOf(catalog, view.entity).name);
      const { input, fallbacks = [] } = feature as (typeof view.features)[number];
      for (const use of fallbacks) visitMember(use.member, use.feature);
      for (const expr of [input, view.where])
        if (expr !== null) for (const name of columnsOf(expr)) columns.add(name);
      for (const { name, view: from, feature } of sourceOf(catalog, view.source).lookups)
        if (columns.has(name) || view.keys.includes(name)) visitRef(printRef(from, feature));
      return;
    }
    for (const name of columnsOf((feature as (typeof view.features)[number]).expr)) {
      const dot = name.indexOf('.');
      const alias = name.slice(0, dot);
      const rest = name.slice(dot + 1);
      if (alias === 'request') found.request.add(rest);
      else visitMember(view.uses[alias]!, rest);
    }
  };
  const visitMember = (member: Member, feature: string): void => {
    for (const ref of [printRef(member.view, feature), ...viaFeatures(member)]) visitRef(ref);
  };
  const visitRef = (ref: string): void => {
    if (found.features.has(ref)) return;
    found.features.add(ref);
    const { view, feature } = parseRef(ref);
    visit(view, feature);
  };
  const { view, feature } = parseRef(ref);
  visit(view, feature);
  return found;
}

/** Features that a member's keys come from, as `view:feature`, through all levels. */
function viaFeatures(member: Member): string[] {
  return member.keys.flatMap((origin) =>
    origin.from === 'feature'
      ? [printRef(origin.member.view, origin.feature), ...viaFeatures(origin.member)]
      : [],
  );
}
