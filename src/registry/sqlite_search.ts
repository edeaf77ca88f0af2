/** Search over the features of the current views, by FTS5. */
import type { DatabaseSync } from 'node:sqlite';
import type { FeatureView, OnDemandView } from '../model/definitions.ts';
import { definitionFromJson } from '../model/json.ts';
import { printDtype } from '../types/dtype.ts';
import type { FeatureHit } from './contract.ts';

const COLUMNS = 'ref, view, feature, entity, dtype, owner, description, tags, version';
/** Weights of feature, view, entity, owner, description, tags: a name says more than a description. */
const RANK = 'bm25(words, 10, 5, 3, 2, 2, 2)';

/** Makes the index say of the views of these names what their current versions hold; one without leaves it. */
export function indexFeatures(db: DatabaseSync, names: ReadonlySet<string>): void {
  const remove = db.prepare('delete from features where view = ?');
  const current = db.prepare(
    `select definition, version from objects where name = ? and state = 'current'
     and kind in ('featureView', 'onDemandView')`,
  );
  const insert = db.prepare(`insert into features (${COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  for (const name of names) {
    remove.run(name);
    for (const row of current.all(name)) {
      const view = definitionFromJson(row.definition as string) as FeatureView | OnDemandView;
      for (const feature of view.features)
        insert.run(
          `${name}:${feature.name}`,
          name,
          feature.name,
          view.kind === 'featureView' ? view.entity : '',
          printDtype(feature.dtype),
          view.owner,
          feature.description || view.description,
          JSON.stringify({ ...view.tags, ...feature.tags }),
          row.version!,
        );
    }
  }
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
