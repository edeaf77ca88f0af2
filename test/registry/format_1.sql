-- A registry of format 1, as it was published: it must be read for ever.
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

insert into revisions values (1, 'ann', 1700000000000000, 'first', '[]');
insert into jobs values ('one-1', 'materialize', 'spending', 1, 'succeeded', 1, 2, 3, 4, null);
pragma application_id = 1397577555;
pragma user_version = 1;
