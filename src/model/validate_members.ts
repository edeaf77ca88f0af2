/** Validation of members and services: keys, look-ups via features, names and types that meet in one row. */
import type { Where } from '../base/errors.ts';
import { type Dtype, printDtype, sameDtype } from '../types/dtype.ts';
import { checkName, entityOf, featureIndex, findView, viewOf } from './catalog.ts';
import type { Catalog, FeatureService, FeatureUse, FeatureView, Member } from './definitions.ts';
import { MAX_LOOKUP_DEPTH, MAX_MEMBERS } from './limits.ts';
import { fallbacksOf, featuresTaken, outputName, printRef } from './members.ts';
import type { Problems } from './problems.ts';

/** Checks one use of a view: that view and features exist, and that each key part comes from something of its type. */
export function checkMember(
  problems: Problems,
  member: Member,
  catalog: Catalog,
  where: Where,
  depth = 1,
): void {
  const view = problems.attempt(where, () => viewOf(catalog, member.view));
  if (view === undefined) return;
  if (member.as !== null) checkName(problems, member.as, 'prefix', { ...where, view: view.name });
  problems.attempt(where, () => featuresTaken(view, member));
  if (view.kind === 'onDemandView') {
    if (member.keys.length > 0) {
      problems.add(
        'model/bad-keys',
        `${view.name} is an on-demand view: it has no key of its own`,
        where,
        'give keys to the views that it uses',
      );
    }
  } else checkOrigins(problems, view, member, catalog, where, depth);
}

function checkOrigins(
  problems: Problems,
  view: FeatureView,
  member: Member,
  catalog: Catalog,
  where: Where,
  depth: number,
): void {
  const entity = problems.attempt(where, () => entityOf(catalog, view.entity));
  if (entity === undefined) return;
  if (member.keys.length !== entity.key.length) {
    problems.add(
      'model/bad-keys',
      `${member.keys.length} key parts for the ${entity.key.length} of entity ${entity.name}`,
      where,
    );
    return;
  }
  if (depth > MAX_LOOKUP_DEPTH) {
    problems.add(
      'model/lookup-too-deep',
      `more than ${MAX_LOOKUP_DEPTH} look-ups follow one another`,
      where,
      'each costs a round trip: look the last one up in fewer steps',
    );
    return;
  }
  member.keys.forEach((origin, i) => {
    if (origin.from === 'column') return;
    const part = entity.key[i]!;
    const before = problems.list.length;
    checkMember(problems, origin.member, catalog, where, depth + 1);
    if (problems.list.length > before) return;
    const via = viewOf(catalog, origin.member.view);
    const ref = printRef(via.name, origin.feature);
    if (via.kind !== 'featureView') {
      problems.add(
        'model/bad-keys',
        `the key ${entity.name}.${part.name} comes from ${ref}, which is computed on demand`,
        where,
        'look up via a feature of a feature view',
      );
      return;
    }
    const feature = problems.attempt(where, () => via.features[featureIndex(via, origin.feature)]!);
    if (feature !== undefined && !sameDtype(feature.dtype, part.dtype)) {
      problems.add(
        'model/bad-keys',
        `the key ${entity.name}.${part.name} is a ${printDtype(part.dtype)}, ${ref} a ${printDtype(feature.dtype)}`,
        where,
      );
    }
  });
}

/** Reports a feature of a valid use for which, with its fallbacks and their keys, more look-ups follow one another than may. */
export function checkDepth(
  problems: Problems,
  catalog: Catalog,
  use: FeatureUse,
  where: Where,
): void {
  if (depthOf(catalog, use) <= MAX_LOOKUP_DEPTH) return;
  problems.add(
    'model/lookup-too-deep',
    `with its fallbacks more than ${MAX_LOOKUP_DEPTH} look-ups follow one another`,
    where,
    'each costs a round trip: look the last one up in fewer steps',
  );
}

/** How many look-ups follow one another at most until a feature is known, whatever stands in for it. */
function depthOf(catalog: Catalog, { member, feature }: FeatureUse): number {
  const view = viewOf(catalog, member.view);
  // What an on-demand view uses was checked there.
  if (view.kind === 'onDemandView') return 0;
  const definition = view.features[featureIndex(view, feature)]!;
  const uses = [
    member,
    ...fallbacksOf(catalog, view, definition, member).map((fallback) => fallback.member),
  ];
  const origins = uses.flatMap(({ keys }) => keys.filter(({ from }) => from === 'feature'));
  return 1 + Math.max(0, ...origins.map((origin) => depthOf(catalog, origin as FeatureUse)));
}

/** Checks a service: its members, that no two outputs share a name, and that every column has one type. */
export function checkService(problems: Problems, service: FeatureService, catalog: Catalog): void {
  const where = { service: service.name };
  if (service.members.length === 0 || service.members.length > MAX_MEMBERS) {
    problems.add(
      'model/bad-features',
      `${service.members.length} members; a service has from 1 to ${MAX_MEMBERS}`,
      { ...where, field: 'features' },
    );
  }
  const before = problems.list.length;
  service.members.forEach((member, i) => {
    checkMember(problems, member, catalog, { ...where, field: `features[${i}]` });
  });
  if (problems.list.length === before) checkRow(problems, service.members, catalog, where);
}

/** Reports what would meet under one name in a row of valid members: outputs, key columns, request columns. */
export function checkRow(
  problems: Problems,
  members: readonly Member[],
  catalog: Catalog,
  where: Where,
): void {
  const inputs = new Map<string, { readonly dtype: Dtype; readonly name: string }>();
  const addInput = (name: string, dtype: Dtype, view: string) => {
    const seen = inputs.get(name.toLowerCase());
    if (seen === undefined) inputs.set(name.toLowerCase(), { dtype, name });
    else if (seen.name !== name || !sameDtype(seen.dtype, dtype)) {
      problems.add(
        'model/column-conflict',
        `the column ${name} is needed as ${printDtype(dtype)} by ${view}, but ${seen.name} is already a ${printDtype(seen.dtype)}`,
        { ...where, column: name },
        'give them different names',
      );
    }
  };
  const visited = new Set<string>();
  const visit = (member: Member): void => {
    const view = viewOf(catalog, member.view);
    if (view.kind === 'onDemandView') {
      if (visited.has(view.name)) return;
      visited.add(view.name);
      for (const { name, dtype } of view.request) addInput(name, dtype, view.name);
      for (const used of Object.values(view.uses)) visit(used);
      return;
    }
    const entity = entityOf(catalog, view.entity);
    member.keys.forEach((origin, i) => {
      if (origin.from === 'column') addInput(origin.column, entity.key[i]!.dtype, view.name);
      else visit(origin.member);
    });
  };
  members.forEach(visit);

  const outputs = new Map<string, string>();
  for (const member of members) {
    const view = findView(catalog, member.view)!;
    for (const { name } of featuresTaken(view, member)) {
      checkDepth(problems, catalog, { member, feature: name }, { ...where, view: view.name });
      const output = outputName(member, name);
      const ref = printRef(view.name, name);
      const folded = output.toLowerCase();
      const taken =
        outputs.get(folded) ?? (inputs.has(folded) ? 'a column of the label or request' : null);
      if (taken !== null) {
        problems.add(
          'model/output-clash',
          `${ref} would be called ${output}, and so is ${taken}`,
          { ...where, view: view.name, feature: name },
          'pick fewer features, or give one of the views a prefix: view.as("…")',
        );
      } else outputs.set(folded, ref);
    }
  }
}
