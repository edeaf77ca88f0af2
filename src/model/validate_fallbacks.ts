/** Validation of fallbacks: what they are, where their keys come from, and that none is reached from itself. */
import type { Where } from '../base/errors.ts';
import { printDtype, sameDtype } from '../types/dtype.ts';
import { entityOf, featureIndex, suggestion, viewOf } from './catalog.ts';
import type { Catalog, Entity, FeatureView, Member } from './definitions.ts';
import { MAX_FALLBACKS } from './limits.ts';
import { referencesOf } from './lineage.ts';
import { featuresTaken, printRef } from './members.ts';
import type { Problems } from './problems.ts';
import { checkDepth, checkMember } from './validate_members.ts';

/** Checks the fallbacks of views that are valid by themselves. */
export function checkFallbacks(problems: Problems, catalog: Catalog): void {
  for (const view of Object.values(catalog.featureViews)) {
    const before = problems.list.length;
    const entity = entityOf(catalog, view.entity);
    for (const { name, dtype, fallbacks = [], whenStale } of view.features) {
      const where = { view: view.name, feature: name, field: 'fallbacks' };
      if (fallbacks.length > MAX_FALLBACKS) {
        problems.add(
          'model/too-many',
          `${fallbacks.length} fallbacks; at most ${MAX_FALLBACKS} are allowed`,
          where,
        );
      }
      if (whenStale !== undefined && whenStale !== 'null' && whenStale !== 'fail') {
        problems.add(
          'model/bad-policy',
          `${JSON.stringify(whenStale)} says nothing of stale values`,
          { ...where, field: 'whenStale' },
          'use serve, null or fail',
        );
      }
      fallbacks.forEach(({ member, feature }, i) => {
        const at = { ...where, field: `fallbacks[${i}]` };
        const found = problems.list.length;
        checkMember(problems, member, catalog, at);
        if (problems.list.length > found) return;
        const used = viewOf(catalog, member.view);
        const ref = printRef(used.name, feature);
        if (used.kind !== 'featureView') {
          problems.add(
            'model/bad-fallback',
            `${ref} is computed on demand`,
            at,
            'fall back to a feature of a feature view, or combine them in the on-demand view',
          );
          return;
        }
        problems.attempt(at, () => {
          const { dtype: given } = used.features[featureIndex(used, feature)]!;
          if (sameDtype(given, dtype)) return;
          problems.add(
            'model/bad-fallback',
            `${ref} is a ${printDtype(given)}, ${name} a ${printDtype(dtype)}`,
            at,
            'a value that stands in has the type of what it stands in for',
          );
        });
        checkKeyColumns(problems, member, entity, catalog, at);
      });
    }
    if (problems.list.length === before) checkCycle(problems, view, catalog);
  }
  // What follows what can be told only where nothing goes round.
  problems.throwIfAny();
  for (const view of Object.values(catalog.featureViews)) {
    const where = { view: view.name };
    const keys = entityOf(catalog, view.entity).key.map(
      ({ name }) => ({ from: 'column', column: name }) as const,
    );
    const member: Member = { view: view.name, features: null, keys, as: null };
    for (const { name } of featuresTaken(view, member))
      checkDepth(problems, catalog, { member, feature: name }, { ...where, feature: name });
  }
}

/** The columns that give a fallback its key are key columns of the view's own entity: nothing else is at hand wherever the view is used. */
function checkKeyColumns(
  problems: Problems,
  member: Member,
  entity: Entity,
  catalog: Catalog,
  where: Where,
): void {
  const { key } = entityOf(catalog, (viewOf(catalog, member.view) as FeatureView).entity);
  member.keys.forEach((origin, i) => {
    if (origin.from === 'feature') {
      checkKeyColumns(problems, origin.member, entity, catalog, where);
      return;
    }
    const part = key[i]!;
    const own = entity.key.find(({ name }) => name === origin.column);
    if (own === undefined) {
      problems.add(
        'model/bad-fallback',
        `${member.view} is looked up by ${origin.column}, which is no key column of ${entity.name}`,
        where,
        `${suggestion(
          origin.column,
          entity.key.map(({ name }) => name),
        )} take the key from one with .on({ ${part.name}: "…" }), or from a feature with .via({ ${part.name}: … })`,
      );
    } else if (!sameDtype(own.dtype, part.dtype)) {
      problems.add(
        'model/bad-fallback',
        `the key ${member.view}.${part.name} is a ${printDtype(part.dtype)}, ${entity.name}.${own.name} a ${printDtype(own.dtype)}`,
        where,
      );
    }
  });
}

/** Reports a way from a view through fallbacks, their keys and looked-up columns back to it. */
function checkCycle(problems: Problems, view: FeatureView, catalog: Catalog): void {
  const seen = new Set<string>();
  const search = (at: FeatureView): string[] | null => {
    for (const { kind, name } of referencesOf(at, catalog)) {
      if (kind !== 'featureView') continue;
      if (name === view.name) return [at.name, name];
      if (seen.has(name)) continue;
      seen.add(name);
      const rest = search(catalog.featureViews[name]!);
      if (rest !== null) return [at.name, ...rest];
    }
    return null;
  };
  const cycle = search(view);
  if (cycle === null) return;
  problems.add('model/cycle', `it falls back to itself: ${cycle.join(' → ')}`, {
    view: view.name,
    field: 'fallbacks',
  });
}
