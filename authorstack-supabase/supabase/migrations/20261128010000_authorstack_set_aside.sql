-- Records that moved without the values that make no sense, and which fields these are. The values
-- are in the records, in extra. One table for each ledger.
create table authorstack.set_aside (
  kind text not null,
  key_digest bytea not null,
  key bytea not null,
  problems text not null,
  -- How many fields these are.
  fields bigint not null,
  primary key (kind, key_digest)
);

create table authorstack.return_set_aside (
  kind text not null,
  key_digest bytea not null,
  key bytea not null,
  problems text not null,
  fields bigint not null,
  primary key (kind, key_digest)
);

insert into authorstack.schema_version (version) values ('20261128010000');
