/** Health records in SQLite; the caller sees to transactions and to coded errors. */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { canonicalJson } from '../base/hash.ts';
import type {
  ComparedBy,
  Comparison,
  HealthRecords,
  LevelChange,
  LevelState,
  ServiceLevel,
} from './health_contract.ts';

/** Changes that are kept at most. */
const MAX_CHANGES = 100_000;

type Row = Record<string, SQLInputValue>;

/** What format 2 has beyond format 1. A feature that is null is '' here: a primary key has no nulls. */
export const HEALTH_TABLES = `
create table comparisons (
  view text not null,
  version integer not null,
  by text not null check (by in ('reconcile', 'prove')),
  at_us integer not null,
  compared integer not null,
  different integer not null,
  causes text not null,
  notes text not null,
  primary key (view, version, by)
) strict;

create table service_levels (
  view text not null,
  version integer not null,
  feature text not null,
  state text not null check (state in ('fresh', 'stale', 'unknown')),
  since_us integer not null,
  lag_ms real,
  looked_us integer not null,
  primary key (view, version, feature)
) strict;

create table level_changes (
  id integer primary key,
  view text not null,
  version integer not null,
  feature text not null,
  at_us integer not null,
  state text not null check (state in ('fresh', 'stale', 'unknown')),
  lag_ms real
) strict;
create index level_changes_by_time on level_changes (at_us);
create index level_changes_by_view on level_changes (view, at_us);
create trigger level_changes_stay before update on level_changes
  begin select raise(abort, 'changes are append-only'); end;

create table turns (
  name text primary key,
  next_us integer not null
) strict;
`;

export function readComparisons(db: DatabaseSync): Comparison[] {
  const rows = db.prepare('select * from comparisons order by view, version, by').all() as Row[];
  return rows.map((row) => ({
    view: row.view as string,
    version: row.version as number,
    by: row.by as ComparedBy,
    atUs: row.at_us as number,
    compared: row.compared as number,
    different: row.different as number,
    causes: JSON.parse(row.causes as string),
    notes: row.notes as string,
  }));
}

export function writeComparison(db: DatabaseSync, of: Comparison): void {
  db.prepare('insert or replace into comparisons values (?, ?, ?, ?, ?, ?, ?, ?)').run(
    of.view,
    of.version,
    of.by,
    of.atUs,
    of.compared,
    of.different,
    canonicalJson(of.causes),
    of.notes,
  );
}

export function readServiceLevels(db: DatabaseSync): ServiceLevel[] {
  const rows = db
    .prepare('select * from service_levels order by view, version, feature')
    .all() as Row[];
  return rows.map((row) => ({
    ...levelOf(row),
    state: row.state as LevelState,
    sinceUs: row.since_us as number,
    lag_ms: row.lag_ms as number | null,
    lookedUs: row.looked_us as number,
  }));
}

export function writeServiceLevels(
  db: DatabaseSync,
  levels: Parameters<HealthRecords['putServiceLevels']>[0],
  changes: Parameters<HealthRecords['putServiceLevels']>[1],
  keepFromUs: number,
): void {
  const put = db.prepare('insert or replace into service_levels values (?, ?, ?, ?, ?, ?, ?)');
  for (const { view, version, feature, state, sinceUs, lag_ms, lookedUs } of levels)
    put.run(view, version, feature ?? '', state, sinceUs, lag_ms, lookedUs);
  const add = db.prepare(
    'insert into level_changes (view, version, feature, at_us, state, lag_ms) values (?, ?, ?, ?, ?, ?)',
  );
  for (const { view, version, feature, atUs, state, lag_ms } of changes)
    add.run(view, version, feature ?? '', atUs, state, lag_ms);
  db.prepare(
    'delete from level_changes where at_us < ? or id <= (select max(id) from level_changes) - ?',
  ).run(keepFromUs, MAX_CHANGES);
}

export function readLevelChanges(db: DatabaseSync, view: string | null): LevelChange[] {
  const rows = db
    .prepare('select * from level_changes where ?1 is null or view = ?1 order by at_us, id')
    .all(view) as Row[];
  return rows.map((row) => ({
    ...levelOf(row),
    atUs: row.at_us as number,
    state: row.state as LevelState,
    lag_ms: row.lag_ms as number | null,
  }));
}

export function takeTurn(
  db: DatabaseSync,
  { name, nowUs, nextUs, furthestUs }: Parameters<HealthRecords['takeTurn']>[0],
): boolean {
  const { changes } = db
    .prepare(
      `insert into turns values (?1, ?2) on conflict (name) do update set next_us = ?2
       where next_us <= ?3 or next_us > ?4`,
    )
    .run(name, nextUs, nowUs, furthestUs);
  return changes === 1;
}

export function writeTurn(db: DatabaseSync, name: string, nextUs: number): void {
  db.prepare('insert or replace into turns values (?, ?)').run(name, nextUs);
}

function levelOf(row: Row) {
  return {
    view: row.view as string,
    version: row.version as number,
    feature: row.feature === '' ? null : (row.feature as string),
  };
}
