/** What a change touches: everything that is computed from it, through on-demand views and look-ups via features. */
import { columnsOf } from '../expr/index.ts';
import {
  type Catalog,
  type DefinitionKind,
  type DefinitionRef,
  definitionsOf,
  type Member,
  printDefinitionRef,
  printRef,
  referencesOf,
} from '../model/index.ts';
import type { Change } from '../registry/contract.ts';
import type { Touched } from './plan.ts';
import { featureOfPath } from './readable.ts';

/** Who uses what in a catalog, made once for all questions. */
export interface Users {
  readonly catalog: Catalog;
  /** By `kind/name`: what refers to it directly. */
  readonly objects: ReadonlyMap<string, readonly DefinitionRef[]>;
  /** By `view:feature`: the features that read it, or a key of what they read, on demand or as a fallback. */
  readonly features: ReadonlyMap<string, readonly string[]>;
}

export function usersIn(catalog: Catalog): Users {
  const objects = new Map<string, DefinitionRef[]>();
  for (const user of definitionsOf(catalog))
    for (const used of referencesOf(user, catalog))
      append(objects, printDefinitionRef(used), { kind: user.kind, name: user.name });
  const features = new Map<string, string[]>();
  for (const view of Object.values(catalog.onDemandViews)) {
    for (const feature of view.features) {
      const reader = printRef(view.name, feature.name);
      for (const column of columnsOf(feature.expr)) {
        const dot = column.indexOf('.');
        const member = view.uses[column.slice(0, dot)];
        if (member === undefined) continue;
        for (const ref of [printRef(member.view, column.slice(dot + 1)), ...keyFeatures(member)])
          append(features, ref, reader);
      }
    }
  }
  for (const view of Object.values(catalog.featureViews))
    for (const { name, fallbacks = [] } of view.features)
      for (const { member, feature } of fallbacks)
        for (const ref of [printRef(member.view, feature), ...keyFeatures(member)])
          append(features, ref, printRef(view.name, name));
  return { catalog, objects, features };
}

/** Features that give a member its keys, through all levels. */
function keyFeatures(member: Member): string[] {
  return member.keys.flatMap((origin) =>
    origin.from === 'feature'
      ? [printRef(origin.member.view, origin.feature), ...keyFeatures(origin.member)]
      : [],
  );
}

function append<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** All that is reached from `start`, which is included. */
function closure<T>(start: Iterable<T>, next: (at: T) => readonly T[] | undefined): Set<T> {
  const found = new Set(start);
  for (const at of found) for (const user of next(at) ?? []) found.add(user);
  return found;
}

/** Fields that may change without a change of meaning. */
const NOT_MEANING = /^(owner|description|tags\..*|freshness|whenStale|lateness|model)$/;

/**
 * What a change touches beside itself. `changed` has the `kind/name` of everything that gets another version: of what
 * uses a source or an entity, only those views are touched that the change means something to.
 */
export function touchedBy(change: Change, users: Users, changed: ReadonlySet<string>): Touched {
  const { kind, name } = change;
  const ownKey = printDefinitionRef(change);
  const quiet = change.change === 'create' || change.change === 'describe';
  const reached = quiet
    ? [ownKey]
    : [
        ...closure([ownKey], (key) =>
          users.objects
            .get(key)
            ?.map(printDefinitionRef)
            .filter((user) => changed.has(user)),
        ),
      ];
  const named = (of: DefinitionKind) =>
    reached
      .filter((key) => key !== ownKey && key.startsWith(`${of}/`))
      .map((key) => key.slice(of.length + 1));
  const views = named('featureView');
  const services = named('featureService');
  const { catalog } = users;
  const direct = [
    ...changedFeatures(change, catalog),
    ...views.flatMap((view) => allFeatures(catalog, view)),
  ];
  const serving = kind === 'featureService' ? [...services, name] : services;
  const models = quiet
    ? []
    : serving.map((service) => catalog.featureServices[service]?.model ?? null);
  return {
    features: quiet ? direct : [...closure(direct, (ref) => users.features.get(ref))],
    views,
    onDemandViews: named('onDemandView'),
    services,
    models: [...new Set(models.filter((model) => model !== null))],
  };
}

/** Features of a view whose own meaning a change of that view changes; all of them when it is the view's that changes. */
function changedFeatures(change: Change, catalog: Catalog): string[] {
  if (change.change === 'describe') return [];
  if (change.kind !== 'featureView' && change.kind !== 'onDemandView') return [];
  const features = new Set<string>();
  for (const { path } of change.fields) {
    const feature = featureOfPath(path);
    if (feature === null) {
      // What an on-demand view uses touches it feature by feature, from there.
      const used = change.kind === 'onDemandView' && path.startsWith('pins.');
      if (used || NOT_MEANING.test(path)) continue;
      const all = allFeatures(catalog, change.name);
      if (change.change === 'new-version') return all;
    } else {
      const field = path.slice(`features.${feature}.`.length);
      if (!NOT_MEANING.test(field)) features.add(printRef(change.name, feature));
    }
  }
  return [...features];
}

function allFeatures(catalog: Catalog, viewName: string): string[] {
  const view = catalog.featureViews[viewName] ?? catalog.onDemandViews[viewName];
  return (view?.features ?? []).map(({ name }) => printRef(viewName, name));
}
