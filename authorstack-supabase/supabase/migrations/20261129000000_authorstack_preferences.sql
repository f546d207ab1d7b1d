-- The settings of accounts, which the clients of their owners follow. The key is the account's id, not
-- the profile's: an account has settings before it has a profile.
create table public.user_preferences (
  user_id uuid not null,
  theme text,
  notifications boolean,
  updated_at timestamptz not null default date_trunc('milliseconds', now()),
  extra jsonb not null default '{}',
  constraint user_preferences_pkey primary key (user_id),
  constraint user_preferences_theme_check check (theme in ('light', 'dark', 'system')),
  constraint user_preferences_updated_at_check check (
    updated_at >= '4713-01-01 00:00:00+00 BC' and updated_at < '262000-01-01 00:00:00+00'
  ),
  constraint user_preferences_extra_check check (
    jsonb_typeof(extra) = 'object'
    and authorstack.is_json(extra, 16000000)
    -- No unknown field has the name of a known one.
    and not extra ?| array['userId', 'theme', 'notifications', 'updatedAt']
  )
);

-- They go with their account. A project may have no schema auth yet.
do $account$
  begin
    alter table public.user_preferences add constraint user_preferences_user_id_fkey
      foreign key (user_id) references auth.users (id) on delete cascade;
  exception when undefined_table or undefined_column or insufficient_privilege or invalid_schema_name then
    raise warning 'AuthorStack: auth.users cannot be referenced (%): settings stay when an account goes',
      sqlerrm;
  end
$account$;

alter table public.user_preferences enable row level security;

create policy "Owners read their settings" on public.user_preferences
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Owners add their settings" on public.user_preferences
  for insert to authenticated with check ((select auth.uid()) = user_id);
create policy "Owners change their settings" on public.user_preferences
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);

revoke all on public.user_preferences from anon, authenticated;
grant select (user_id, theme, notifications, updated_at),
  insert (user_id, theme, notifications),
  update (theme, notifications)
  on public.user_preferences to authenticated;
grant select, insert, update, delete on public.user_preferences to service_role;

-- A host follows changes by their moment, so nobody sets it but the database and the host.
do $triggers$
  declare
    api_role constant text := format(
      'current_user <> %1$L and not pg_catalog.pg_has_role(current_user, %1$L, ''USAGE'') '
      'and (current_user in (''anon'', ''service_role'') '
      'or pg_catalog.pg_has_role(current_user, ''authenticated'', ''USAGE''))',
      current_user
    );
  begin
    execute format(
      'create trigger closed_during_first_load before insert or update or delete '
      'on public.user_preferences '
      'for each statement when (%s) execute function authorstack.refuse_during_first_load()',
      api_role
    );
    execute format(
      'create trigger moves_updated_at before update on public.user_preferences for each row '
      'when (%s) execute function authorstack.move_updated_at()',
      api_role
    );
  end
$triggers$;

insert into authorstack.schema_version (version) values ('20261129000000');
