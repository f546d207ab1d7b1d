create table public.users (
  id uuid not null default authorstack.new_id(),
  auth_id text not null,
  auth_provider text not null,
  email text not null,
  name text not null,
  subscription_tier text not null default 'free',
  credits bigint not null default 0,
  preferences jsonb not null default '{}',
  connected_platforms jsonb not null default '[]',
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  updated_at timestamptz not null default date_trunc('milliseconds', now()),
  extra jsonb not null default '{}',
  constraint users_pkey primary key (id),
  constraint users_auth_id_key unique (auth_id),
  constraint users_email_key unique (email),
  constraint users_id_check check (
    get_byte(uuid_send(id), 6) >> 4 = 8
    and get_byte(uuid_send(id), 8) >> 4 = 8
    and substr(uuid_send(id), 14) = '\x000000'::bytea
  ),
  constraint users_email_check check (email = lower(email)),
  constraint users_subscription_tier_check check (
    subscription_tier in ('free', 'starter', 'professional', 'enterprise')
  ),
  constraint users_credits_check check (credits >= 0),
  -- Owners write this column through the Data API: what they write must stay readable.
  constraint users_preferences_check check (
    jsonb_typeof(preferences) = 'object'
    and coalesce(jsonb_typeof(preferences -> 'emailNotifications'), 'null') in ('boolean', 'null')
    and coalesce(jsonb_typeof(preferences -> 'weeklyDigest'), 'null') in ('boolean', 'null')
    and coalesce(preferences -> 'theme', 'null') in ('"light"', '"dark"', '"system"', 'null')
    and coalesce(jsonb_typeof(preferences -> 'timezone'), 'null') in ('string', 'null')
    and (
      coalesce(jsonb_typeof(preferences -> 'currency'), 'null') = 'null'
      or (
        jsonb_typeof(preferences -> 'currency') = 'string'
        and preferences ->> 'currency' ~ '^[A-Za-z]{3}$'
      )
    )
    and not jsonb_path_exists(preferences, '$.**{110}')
  ),
  constraint users_connected_platforms_check check (jsonb_typeof(connected_platforms) = 'array'),
  constraint users_extra_check check (jsonb_typeof(extra) = 'object'),
  constraint users_updated_at_check check (isfinite(updated_at) and updated_at < '262000-01-01 00:00:00+00')
);

create table public.books (
  id uuid not null default authorstack.new_id(),
  user_id uuid not null,
  title text not null,
  subtitle text,
  author text,
  description text,
  isbn text,
  asin text,
  cover_url text,
  genres text[] not null default '{}',
  platforms text[] not null default '{}',
  published_date timestamptz,
  status text not null default 'draft',
  metadata jsonb not null default '{}',
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  updated_at timestamptz not null default date_trunc('milliseconds', now()),
  extra jsonb not null default '{}',
  constraint books_pkey primary key (id),
  constraint books_user_id_fkey foreign key (user_id) references public.users (id) on delete cascade,
  constraint books_id_check check (
    get_byte(uuid_send(id), 6) >> 4 = 8
    and get_byte(uuid_send(id), 8) >> 4 = 8
    and substr(uuid_send(id), 14) = '\x000000'::bytea
  ),
  constraint books_status_check check (status in ('draft', 'published', 'archived')),
  constraint books_metadata_check check (jsonb_typeof(metadata) = 'object'),
  constraint books_extra_check check (jsonb_typeof(extra) = 'object')
);

-- The leading column serves the schema's { userId: 1 }, the policies and the foreign key.
create index books_user_id_id_idx on public.books (user_id, id);
create index books_user_id_status_idx on public.books (user_id, status, id);
create index books_asin_idx on public.books (asin) where asin is not null;

alter table public.users enable row level security;
alter table public.books enable row level security;

-- Older projects grant everything on new tables by default: start from nothing.
revoke all on public.users, public.books from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.users, public.books to service_role;
-- Credits, subscription and e-mail address are not the owner's to write.
grant select on public.users to authenticated;
grant update (name, preferences, updated_at) on public.users to authenticated;
grant select, insert, update, delete on public.books to authenticated;

create policy "Users read themselves" on public.users
  for select to authenticated using ((select auth.uid()) = id);
create policy "Users change themselves" on public.users
  for update to authenticated
  using ((select auth.uid()) = id) with check ((select auth.uid()) = id);

create policy "Owners read their books" on public.books
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Owners add their books" on public.books
  for insert to authenticated with check ((select auth.uid()) = user_id);
create policy "Owners change their books" on public.books
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
create policy "Owners delete their books" on public.books
  for delete to authenticated using ((select auth.uid()) = user_id);

insert into authorstack.schema_version (version) values ('20261123000001');
