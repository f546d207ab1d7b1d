-- What AuthorStack keeps for itself: the version of its schema and the books of a migration.
-- The API roles get nothing here.
create schema authorstack;

create table authorstack.schema_version (
  version text primary key,
  applied_at timestamptz not null default now()
);

-- How far each kind of record has come.
create table authorstack.checkpoints (
  kind text primary key,
  -- The source's own text, in UTF-8: text of PostgreSQL's could not hold a NUL.
  position bytea,
  -- Whether the table was empty when the pass began.
  first_load boolean not null default false,
  complete boolean not null default false,
  read bigint not null default 0,
  written bigint not null default 0,
  unchanged bigint not null default 0,
  rejected bigint not null default 0,
  updated_at timestamptz not null default now()
);

-- Records that could not move, whole.
create table authorstack.rejects (
  kind text not null,
  -- A key may be longer than an index can hold.
  key_digest bytea not null,
  key bytea not null,
  problems text not null,
  record text not null,
  source_digest bytea not null,
  -- The record that a replay made of it; null while the reject is open.
  replayed_as uuid,
  updated_at timestamptz not null default now(),
  primary key (kind, key_digest)
);

-- Indexes and foreign keys that a first load has put off.
create table authorstack.deferred_ddl (
  kind text not null,
  name text not null,
  is_index boolean not null,
  definition text not null,
  primary key (kind, name)
);

-- A new id in AuthorStack's form, for rows that are inserted without one.
create function authorstack.new_id() returns uuid
  language sql volatile
  set search_path = ''
  as $$
    select (
      lpad(to_hex(floor(extract(epoch from clock_timestamp()))::bigint), 8, '0')
      || substr(hex, 1, 4)
      || '8' || substr(hex, 5, 3)
      || '8' || substr(hex, 8, 3)
      || substr(hex, 18, 6)
      || '000000'
    )::uuid
    from (select replace(gen_random_uuid()::text, '-', '') as hex) as random
  $$;

insert into authorstack.schema_version (version) values ('20261123000000');
