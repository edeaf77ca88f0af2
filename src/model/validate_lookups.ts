/** Validation of what a source looks up: the view, its feature, the key, and one level only. */
import { SamewiseError } from '../base/errors.ts';
import { featureIndex, featureViewOf } from './catalog.ts';
import type { Catalog, Source } from './definitions.ts';
import type { Problems } from './problems.ts';
import { checkDeclared, checkKeys } from './validate_view.ts';

/**
 * Unknown or on-demand views and unknown features; `model/nested-lookup` for a view whose source looks up itself (one level
 * keeps what a value may wait for, and what it was made from, in sight; cycles are among these) and for a key that is
 * looked up; `model/bad-keys`, `model/unknown-column`, `model/bad-dtype`.
 */
export function checkLookups(problems: Problems, source: Source, catalog: Catalog): void {
  for (const { name, dtype, view: viewName, feature, keys } of source.lookups) {
    const where = { source: source.name, field: `lookups.${name}` };
    const view = problems.attempt(where, () => featureViewOf(catalog, viewName));
    if (view === undefined) continue;
    problems.attempt(where, () => {
      const found = view.features[featureIndex(view, feature)]!;
      checkDeclared(dtype, found.dtype);
      if (found.fallbacks === undefined) return;
      throw new SamewiseError(
        'model/nested-lookup',
        `${view.name}:${feature} has fallbacks, and what an event looks up is fixed when it arrives`,
        { hint: 'look up the features themselves, and choose among them with coalesce' },
      );
    });
    // What the view itself gets wrong is said there.
    const from = catalog.sources[view.source];
    if (from !== undefined && from.lookups.length > 0) {
      problems.add(
        'model/nested-lookup',
        from === source
          ? `the view ${view.name} is made of ${source.name} itself`
          : `the view ${view.name} is made of ${from.name}, which looks up too`,
        where,
        'look up a view whose source has no lookups',
      );
    }
    const lookedUp = keys.find((key) => source.lookups.some((other) => other.name === key));
    if (lookedUp !== undefined) {
      problems.add(
        'model/nested-lookup',
        `its key ${lookedUp} is looked up too`,
        { ...where, column: lookedUp },
        "take the key from one of the source's own columns",
      );
    }
    const entity = catalog.entities[view.entity];
    if (entity !== undefined && lookedUp === undefined) {
      checkKeys(
        problems,
        keys,
        entity,
        source.columns,
        source.name,
        where,
        (part) => `${view.name}.on({ ${part}: "…" })`,
      );
    }
  }
}
