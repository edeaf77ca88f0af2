/** Search over the features of the current views, by FTS5. */
import type { DatabaseSync } from 'node:sqlite';
import type { Definition, FeatureView, OnDemandView } from '../model/definitions.ts';
import { printDtype } from '../types/dtype.ts';
import type { FeatureHit, Registered } from './contract.ts';

const COLUMNS = 'ref, view, feature, entity, dtype, owner, description, tags, version';
/** Weights of feature, view, entity, owner, description, tags: a name says more than a description. */
const RANK = 'bm25(words, 10, 5, 3, 2, 2, 2)';

/** Makes the index say of these views what their current versions hold; a view without one leaves it. */
export function indexFeatures(
  db: DatabaseSync,
  objects: readonly Omit<Registered, 'revision'>[],
): void {
  const remove = db.prepare('delete from features where view = ?');
  const insert = db.prepare(`insert into features (${COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const views = objects.filter((object) => isView(object.definition));
  for (const name of new Set(views.map((object) => object.name))) remove.run(name);
  for (const { name, version, state, definition } of views) {
    if (state !== 'current' || !isView(definition)) continue;
    const entity = definition.kind === 'featureView' ? definition.entity : '';
    for (const feature of definition.features)
      insert.run(
        `${name}:${feature.name}`,
        name,
        feature.name,
        entity,
        printDtype(feature.dtype),
        definition.owner,
        feature.description || definition.description,
        JSON.stringify({ ...definition.tags, ...feature.tags }),
        version,
      );
  }
}

function isView(definition: Definition): definition is FeatureView | OnDemandView {
  return definition.kind === 'featureView' || definition.kind === 'onDemandView';
}

/** See `Registry.search`. */
export function searchFeatures(
  db: DatabaseSync,
  text: string,
  filter: { entity?: string; owner?: string; tag?: string },
  limit: number,
): FeatureHit[] {
  const conditions: string[] = [];
  const values: (string | number)[] = [];
  const match = matchOf(text);
  if (match !== '') {
    conditions.push('words match ?');
    values.push(match);
  }
  if (filter.entity !== undefined) {
    conditions.push('f.entity = ?');
    values.push(filter.entity);
  }
  if (filter.owner !== undefined) {
    conditions.push('f.owner = ?');
    values.push(filter.owner);
  }
  if (filter.tag !== undefined) {
    conditions.push(
      "exists (select 1 from json_each(f.tags) t where t.key = ? or t.key || '=' || t.value = ?)",
    );
    values.push(filter.tag, filter.tag);
  }
  const columns = COLUMNS.split(', ').map((column) => `f.${column}`);
  const sql = [
    `select ${columns.join(', ')} from features f`,
    match === '' ? '' : 'join words on words.rowid = f.id',
    conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`,
    `order by ${match === '' ? '' : `${RANK}, `}f.ref limit ?`,
  ].join(' ');
  const rows = db.prepare(sql).all(...values, limit) as unknown as (Omit<FeatureHit, 'tags'> & {
    tags: string;
  })[];
  return rows.map((row) => ({ ...row, tags: JSON.parse(row.tags) }));
}

/** Every word must be there, as a prefix. Words are quoted, so nothing in them is FTS5 syntax. */
function matchOf(text: string): string {
  return text
    .split(/[\s\0]+/)
    .filter((word) => /[\p{L}\p{N}]/u.test(word))
    .map((word) => `"${word.replaceAll('"', '""')}"*`)
    .join(' AND ');
}
