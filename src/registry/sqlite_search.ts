/** Search over the features of the current views, by FTS5. */
import type { DatabaseSync } from 'node:sqlite';
import type { Definition, FeatureView, OnDemandView } from '../model/definitions.ts';
import { definitionFromJson } from '../model/json.ts';
import { printDtype } from '../types/dtype.ts';
import type { FeatureHit } from './contract.ts';

const COLUMNS = 'ref, view, feature, entity, dtype, owner, description, tags, version';
/** Weights of feature, view, entity, owner, description, tags: a name says more than a description. */
const RANK = 'bm25(words, 10, 5, 3, 2, 2, 2)';

/** Part of format 1. */
export const SEARCH_TABLES = `
-- Features of the current views, for search.
create table features (
  id integer primary key,
  ref text not null unique,
  view text not null,
  feature text not null,
  entity text not null,
  dtype text not null,
  owner text not null,
  description text not null,
  tags text not null,
  version integer not null
) strict;
create index features_of_view on features (view);

create virtual table words using fts5 (
  feature, view, entity, owner, description, tags,
  content = 'features', content_rowid = 'id', prefix = '2 3'
);
create trigger feature_in after insert on features begin
  insert into words (rowid, feature, view, entity, owner, description, tags)
  values (new.id, new.feature, new.view, new.entity, new.owner, new.description, new.tags);
end;
create trigger feature_out after delete on features begin
  insert into words (words, rowid, feature, view, entity, owner, description, tags)
  values ('delete', old.id, old.feature, old.view, old.entity, old.owner, old.description, old.tags);
end;
`;

/** Makes the index say of the views of these names what their current versions hold; one without leaves it. */
export function indexFeatures(db: DatabaseSync, names: ReadonlySet<string>): void {
  const current = db.prepare(
    `select definition, version from objects where name = ? and state = 'current'
     and kind in ('featureView', 'onDemandView')`,
  );
  for (const name of names) {
    const row = current.get(name);
    indexView(
      db,
      name,
      row && {
        definition: definitionFromJson(row.definition as string),
        version: row.version as number,
      },
    );
  }
}

/** Makes the index say what a view of this name holds; without one it leaves the index. */
export function indexView(
  db: DatabaseSync,
  name: string,
  current: { readonly definition: Definition; readonly version: number } | undefined,
): void {
  db.prepare('delete from features where view = ?').run(name);
  if (current === undefined) return;
  const view = current.definition as FeatureView | OnDemandView;
  const insert = db.prepare(`insert into features (${COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
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
      current.version,
    );
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
