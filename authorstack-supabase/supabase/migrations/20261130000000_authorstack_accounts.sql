-- Which accounts a migration made, and the ids that they had at the account service before. Profiles
-- follow: users.auth_id is the new id, and a later run knows by this table whose the old one was.
create table authorstack.moved_accounts (
  -- Compared byte by byte: both sides of a migration are read in this order.
  old_id text collate "C" not null,
  old_provider text not null,
  -- What the profile had as its provider; null where it came without a profile.
  profile_provider text,
  id uuid not null,
  constraint moved_accounts_pkey primary key (old_id),
  constraint moved_accounts_id_key unique (id)
);

-- Profiles have ids of accounts as text.
create index moved_accounts_id_text_idx on authorstack.moved_accounts ((id::text));

-- They go with their account. A project may have no schema auth yet.
do $account$
  begin
    alter table authorstack.moved_accounts add constraint moved_accounts_id_fkey
      foreign key (id) references auth.users (id) on delete cascade;
  exception when undefined_table or undefined_column or insufficient_privilege or invalid_schema_name then
    raise warning 'AuthorStack: auth.users cannot be referenced (%): notes stay when an account goes',
      sqlerrm;
  end
$account$;

insert into authorstack.schema_version (version) values ('20261130000000');
