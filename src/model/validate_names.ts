/** Names of columns and features: present, well formed, distinct. */
import type { Where } from '../base/errors.ts';
import type { Schema } from '../types/batch.ts';
import { checkName } from './catalog.ts';
import type { Problems } from './problems.ts';

/** Columns of a key, a source or a request: at least one unless `mayBeEmpty`, named, distinct (engines ignore case). */
export function checkColumns(
  problems: Problems,
  columns: Schema,
  where: Where,
  field: string,
  limit: number,
  mayBeEmpty = false,
): void {
  if ((columns.length === 0 && !mayBeEmpty) || columns.length > limit) {
    problems.add('model/bad-columns', `${columns.length} columns; from 1 to ${limit} are allowed`, {
      ...where,
      field,
    });
  }
  const seen = new Map<string, string>();
  for (const { name } of columns) {
    const folded = name.toLowerCase();
    if (name.trim() === '')
      problems.add('model/bad-name', 'a column needs a name', { ...where, field });
    else if (seen.has(folded)) {
      problems.add(
        'model/duplicate-column',
        `the columns ${seen.get(folded)} and ${name} differ in case at most`,
        { ...where, field, column: name },
      );
    }
    seen.set(folded, name);
  }
}

/** A name for a feature or alias; shared by views. */
export function checkFeatureNames(
  problems: Problems,
  features: readonly { readonly name: string }[],
  where: Where,
  limit: number,
): void {
  if (features.length === 0 || features.length > limit) {
    problems.add(
      'model/bad-features',
      `${features.length} features; a view has from 1 to ${limit}`,
      { ...where, field: 'features' },
    );
  }
  const seen = new Map<string, string>();
  for (const { name } of features) {
    checkName(problems, name, 'feature', { ...where, feature: name });
    const folded = name.toLowerCase();
    if (seen.has(folded)) {
      problems.add(
        'model/duplicate-name',
        `the features ${seen.get(folded)} and ${name} differ in case at most`,
        { ...where, feature: name },
      );
    }
    seen.set(folded, name);
  }
}
