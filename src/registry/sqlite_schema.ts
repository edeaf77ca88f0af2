/** The registry's tables in SQLite, and how a file comes to have them. */
import type { DatabaseSync } from 'node:sqlite';
import { SamewiseError } from '../base/errors.ts';
import { HEALTH_TABLES } from './sqlite_health.ts';
import { SEARCH_TABLES } from './sqlite_search.ts';

/** Kept in `application_id`, so that another program's database is never taken for ours: "SMWS". */
const APPLICATION_ID = 0x534d5753;

/** Format 1. */
const TABLES = `
create table revisions (
  number integer primary key,
  author text not null,
  at_us integer not null,
  message text not null,
  changes text not null
) strict;

create trigger revisions_stay before update on revisions
  begin select raise(abort, 'revisions are append-only'); end;
create trigger revisions_remain before delete on revisions
  begin select raise(abort, 'revisions are append-only'); end;

create table objects (
  kind text not null,
  name text not null,
  version integer not null,
  fingerprint text not null,
  definition text not null,
  pins text not null,
  revision integer not null references revisions (number),
  state text not null check (state in ('current', 'pinned', 'retired')),
  primary key (kind, name, version)
) strict;
create unique index one_current on objects (kind, name) where state = 'current';

${SEARCH_TABLES}
create table jobs (
  id text primary key,
  kind text not null,
  view text not null,
  version integer not null,
  status text not null check (status in ('running', 'succeeded', 'failed', 'interrupted')),
  started_us integer not null,
  finished_us integer,
  rows integer not null default 0,
  bytes integer not null default 0,
  error text
) strict;
create index jobs_by_start on jobs (started_us);
`;

/** Entry n makes format n + 1 of format n; an empty file has format 0. What was published is never changed, only added to. */
const MIGRATIONS = [TABLES, HEALTH_TABLES];
/** Kept in `user_version`. */
const FORMAT = MIGRATIONS.length;

/**
 * Makes the tables in an empty file, brings a file of an older format up to date, and accepts one that is. Throws
 * `registry/unknown-format` for a newer format and `registry/not-a-registry` for a database of something else.
 */
export function prepareSchema(db: DatabaseSync, path: string): void {
  if (formatSeen(db, path) === FORMAT) return;
  db.exec('begin immediate');
  try {
    // Another process may have made them while this one waited for the lock.
    for (const tables of MIGRATIONS.slice(formatOf(db, path))) db.exec(tables);
    db.exec(`pragma application_id = ${APPLICATION_ID}; pragma user_version = ${FORMAT}`);
    db.exec('commit');
  } catch (error) {
    if (db.isTransaction) db.exec('rollback');
    throw error;
  }
}

/** Read at one moment: between two pragmas another process may have made the tables. */
function formatSeen(db: DatabaseSync, path: string): number {
  db.exec('begin');
  try {
    return formatOf(db, path);
  } finally {
    db.exec('rollback');
  }
}

/** Within a transaction. At most FORMAT; 0: the file is empty. */
function formatOf(db: DatabaseSync, path: string): number {
  const number = (sql: string) => Object.values(db.prepare(sql).get()!)[0] as number;
  const format = number('pragma user_version');
  const application = number('pragma application_id');
  if (application === 0 && number('select count(*) from sqlite_master') === 0) return 0;
  if (application !== APPLICATION_ID) {
    throw new SamewiseError('registry/not-a-registry', `${path} is not a Samewise registry`, {
      where: { file: path },
      hint: 'give the registry a file of its own',
    });
  }
  if (format >= 1 && format <= FORMAT) return format;
  throw new SamewiseError(
    'registry/unknown-format',
    `${path} has format ${format}; this Samewise reads formats up to ${FORMAT}`,
    { where: { file: path }, hint: 'use the version of Samewise that wrote it, or a newer one' },
  );
}
