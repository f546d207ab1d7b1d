-- The ledger of a migration back: from here to other stores, which keep none themselves.

-- How far each kind of record has come.
create table authorstack.return_checkpoints (
  kind text primary key,
  position bytea,
  complete boolean not null default false,
  read bigint not null default 0,
  written bigint not null default 0,
  unchanged bigint not null default 0,
  rejected bigint not null default 0,
  updated_at timestamptz not null default now()
);

-- Records that could not move, whole.
create table authorstack.return_rejects (
  kind text not null,
  key_digest bytea not null,
  key bytea not null,
  problems text not null,
  record text not null,
  source_digest bytea not null,
  -- The key of the record that a replay made of it; null while the reject is open.
  replayed_as text,
  updated_at timestamptz not null default now(),
  primary key (kind, key_digest)
);

insert into authorstack.schema_version (version) values ('20261126000000');
