/** The registry's tables in PostgreSQL, and how a database comes to have them. */
import { SamewiseError } from '../base/errors.ts';
import type { PostgresLink, Transaction } from './postgres_link.ts';

/** One registry a database; its tables have a schema of their own, so that the database may hold other things. */
const TABLES = `
create schema samewise;
create table samewise.format (format integer not null);

create table samewise.revisions (
  number bigint primary key,
  author text not null,
  at_us bigint not null,
  message text not null,
  changes text not null,
  -- Whoever loses the connection while it commits finds by it whether that came to pass.
  attempt uuid not null unique default gen_random_uuid()
);

create table samewise.objects (
  id bigint generated always as identity unique,
  kind text not null,
  name text not null,
  version bigint not null,
  fingerprint text not null,
  definition text not null,
  pins text not null,
  revision bigint not null references samewise.revisions (number),
  state text not null check (state in ('current', 'pinned', 'retired')),
  -- The revision that changed the row last: who follows reads what is new to it.
  touched bigint not null references samewise.revisions (number),
  primary key (kind, name, version)
);
create unique index one_current on samewise.objects (kind, name) where state = 'current';
create index objects_touched on samewise.objects (touched);

create table samewise.jobs (
  place bigint generated always as identity,
  id text primary key,
  kind text not null,
  view text not null,
  version bigint not null,
  status text not null check (status in ('running', 'succeeded', 'failed', 'interrupted')),
  started_us bigint not null,
  finished_us bigint,
  rows bigint not null default 0,
  bytes bigint not null default 0,
  error text
);
create index jobs_by_start on samewise.jobs (started_us, place);

create table samewise.comparisons (
  view text not null,
  version bigint not null,
  by text not null check (by in ('reconcile', 'prove')),
  at_us bigint not null,
  compared bigint not null,
  different bigint not null,
  causes text not null,
  notes text not null,
  primary key (view, version, by)
);

-- A feature that is null is '' here and below: a primary key has no nulls.
create table samewise.service_levels (
  view text not null,
  version bigint not null,
  feature text not null,
  state text not null check (state in ('fresh', 'stale', 'unknown')),
  since_us bigint not null,
  lag_ms double precision,
  looked_us bigint not null,
  primary key (view, version, feature)
);

create table samewise.level_changes (
  id bigint generated always as identity primary key,
  view text not null,
  version bigint not null,
  feature text not null,
  at_us bigint not null,
  state text not null check (state in ('fresh', 'stale', 'unknown')),
  lag_ms double precision
);
create index level_changes_by_time on samewise.level_changes (at_us);
create index level_changes_by_view on samewise.level_changes (view, at_us);

create table samewise.turns (
  name text primary key,
  next_us bigint not null
);

create function samewise.refuse() returns trigger language plpgsql as
  $$ begin raise exception '% are append-only', tg_table_name; end $$;
create trigger revisions_stay before update or delete or truncate on samewise.revisions
  execute function samewise.refuse();
create trigger level_changes_stay before update on samewise.level_changes
  execute function samewise.refuse();
`;

/** Entry n makes format n + 1 of format n; a database without the tables has format 0. What was published is never changed, only added to. */
const MIGRATIONS = [TABLES];
const FORMAT = MIGRATIONS.length;

/** Of the lock under which formats are brought up to date: "SMWS". */
const LOCK = 0x534d5753;

/**
 * Makes the tables in a database without them, brings older ones up to date, and accepts those that are. Throws
 * `registry/unknown-format` for a newer format and `registry/not-a-registry` where another program has the schema.
 */
export async function preparePostgres(link: PostgresLink): Promise<void> {
  // Whoever may only read opens a registry that is there.
  if ((await link.transaction('read only', (tx) => formatOf(tx, link.name))) === FORMAT) return;
  await link.transaction(
    'read write',
    async (tx) => {
      await tx`select pg_advisory_xact_lock(${LOCK})`;
      // Another process may have made them while this one waited for the lock.
      const found = await formatOf(tx, link.name);
      for (const tables of MIGRATIONS.slice(found)) await tx.unsafe(tables);
      await tx`delete from samewise.format`;
      await tx`insert into samewise.format values (${FORMAT})`;
    },
    { patienceMs: 30_000 },
  );
}

/** At most FORMAT; 0: there are no tables. */
async function formatOf(tx: Transaction, name: string): Promise<number> {
  // Of the catalogue's tables: what functions such as to_regclass say may be older than the lock.
  const [found] = await tx<{ ours: boolean; other: boolean }[]>`
    select bool_or(c.oid is not null) as ours, count(*) > 0 as other from pg_namespace n
    left join pg_class c on c.relnamespace = n.oid and c.relname = 'format'
    where n.nspname = 'samewise'`;
  if (!found!.ours) {
    if (!found!.other) return 0;
    throw new SamewiseError(
      'registry/not-a-registry',
      `${name} has a schema samewise that is not a registry's`,
      { hint: 'give the registry a database of its own' },
    );
  }
  const [row] = await tx<{ format: number }[]>`select format from samewise.format`;
  const format = row?.format ?? 0;
  if (format >= 1 && format <= FORMAT) return format;
  throw new SamewiseError(
    'registry/unknown-format',
    `${name} has format ${format}; this Samewise reads formats up to ${FORMAT}`,
    { hint: 'use the version of Samewise that wrote it, or a newer one' },
  );
}
