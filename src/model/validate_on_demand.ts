/** Validation of on-demand views: what they use, the types of their expressions, cycles. */
import type { Field, Schema } from '../types/batch.ts';
import { coerce } from '../types/scalar.ts';
import { checkName, findView, viewOf } from './catalog.ts';
import type { Catalog, OnDemandView } from './definitions.ts';
import { MAX_COLUMNS, MAX_FEATURES, MAX_MEMBERS } from './limits.ts';
import { featuresTaken } from './members.ts';
import type { Problems } from './problems.ts';
import { checkDepth, checkMember } from './validate_members.ts';
import { checkColumns, checkFeatureNames } from './validate_names.ts';
import { checkExpr } from './validate_view.ts';

export function checkOnDemandView(problems: Problems, view: OnDemandView, catalog: Catalog): void {
  const where = { view: view.name };
  const before = problems.list.length;
  checkColumns(problems, view.request, where, 'request', MAX_COLUMNS, true);
  checkFeatureNames(problems, view.features, where, MAX_FEATURES);
  const uses = Object.entries(view.uses);
  if (uses.length > MAX_MEMBERS) {
    problems.add(
      'model/too-many',
      `uses ${uses.length} views; at most ${MAX_MEMBERS} are allowed`,
      {
        ...where,
        field: 'uses',
      },
    );
  }
  for (const [alias, member] of uses) {
    const place = { ...where, field: `uses.${alias}` };
    checkName(problems, alias, 'used view', place);
    if (alias === 'request') {
      problems.add(
        'model/bad-name',
        'a used view cannot be called "request"',
        place,
        'that name stands for the data of the request: rename the alias',
      );
    }
    const found = problems.list.length;
    checkMember(problems, member, catalog, place);
    if (problems.list.length > found) continue;
    for (const { name } of featuresTaken(viewOf(catalog, member.view), member))
      checkDepth(problems, catalog, { member, feature: name }, place);
  }
  const cycle = cycleThrough(view, catalog);
  if (cycle !== null) {
    problems.add('model/cycle', `it uses itself: ${cycle.join(' → ')}`, {
      ...where,
      field: 'uses',
    });
  }
  // The types of expressions can be told only where everything they use is there.
  if (problems.list.length > before) return;
  const columns = onDemandColumns(view, catalog);
  for (const feature of view.features) {
    const place = { ...where, feature: feature.name };
    problems.attempt(place, () => checkExpr(feature.expr, feature.dtype, columns));
    problems.attempt({ ...place, field: 'default' }, () => coerce(feature.default, feature.dtype));
  }
}

/** What an on-demand view's expressions may name: `request.<column>` and `<alias>.<feature>`. */
export function onDemandColumns(view: OnDemandView, catalog: Catalog): Schema {
  const columns: Field[] = view.request.map(({ name, dtype }) => ({
    name: `request.${name}`,
    dtype,
  }));
  for (const [alias, member] of Object.entries(view.uses))
    for (const { name, dtype } of featuresTaken(viewOf(catalog, member.view), member))
      columns.push({ name: `${alias}.${name}`, dtype });
  return columns;
}

/** The names from `view` round to itself, or null. */
function cycleThrough(view: OnDemandView, catalog: Catalog): string[] | null {
  const seen = new Set<string>();
  const search = (at: OnDemandView): string[] | null => {
    for (const { view: name } of Object.values(at.uses)) {
      if (name === view.name) return [at.name, name];
      const next = findView(catalog, name);
      if (next?.kind !== 'onDemandView' || seen.has(name)) continue;
      seen.add(name);
      const rest = search(next);
      if (rest !== null) return [at.name, ...rest];
    }
    return null;
  };
  return search(view);
}
