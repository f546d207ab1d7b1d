-- Who is signed in, what API roles may read and write, and when they may write. docs/security.md
-- says the same in words.

-- The profile of the account that is signed in; null without one. Accounts have ids of Supabase
-- Auth's making, profiles have ours: auth_id joins them. Only a migration gives an account the id
-- of its profile, and nobody can sign up with such an id: so that id comes first.
-- It runs as its owner, since policies of users ask it.
create function authorstack.user_id() returns uuid
  language sql stable security definer
  set search_path = ''
  as $$
    select coalesce(
      (select id from public.users where id = (select auth.uid())),
      (select id from public.users where auth_id = (select auth.uid())::text)
    )
  $$;
revoke all on function authorstack.user_id() from public, anon;
grant execute on function authorstack.user_id() to authenticated, service_role;

alter policy "Users read themselves" on public.users
  using ((select authorstack.user_id()) = id);
alter policy "Users change themselves" on public.users
  using ((select authorstack.user_id()) = id) with check ((select authorstack.user_id()) = id);

alter policy "Owners read their books" on public.books
  using ((select authorstack.user_id()) = user_id);
alter policy "Owners add their books" on public.books
  with check ((select authorstack.user_id()) = user_id);
alter policy "Owners change their books" on public.books
  using ((select authorstack.user_id()) = user_id)
  with check ((select authorstack.user_id()) = user_id);
alter policy "Owners delete their books" on public.books
  using ((select authorstack.user_id()) = user_id);

alter policy "Owners read their checklists" on public.checklists
  using ((select authorstack.user_id()) = user_id);
alter policy "Owners add checklists about their books" on public.checklists
  with check (
    (select authorstack.user_id()) = user_id
    and exists (
      select from public.books
      where books.id = book_id and books.user_id = (select authorstack.user_id())
    )
  );
alter policy "Owners change their checklists" on public.checklists
  using ((select authorstack.user_id()) = user_id)
  with check (
    (select authorstack.user_id()) = user_id
    and exists (
      select from public.books
      where books.id = book_id and books.user_id = (select authorstack.user_id())
    )
  );
alter policy "Owners delete their checklists" on public.checklists
  using ((select authorstack.user_id()) = user_id);

alter policy "Both see a follow" on public.follows
  using (
    (select authorstack.user_id()) = follower_id or (select authorstack.user_id()) = author_id
  );
alter policy "Followers follow" on public.follows
  with check ((select authorstack.user_id()) = follower_id);
alter policy "Followers end their follows" on public.follows
  using ((select authorstack.user_id()) = follower_id);

alter policy "Viewers read public posts, their own and those of whom they follow"
  on public.community_posts
  using (
    visibility = 'public'
    or (select authorstack.user_id()) = author_id
    or author_id in (
      select follows.author_id from public.follows
      where follows.follower_id = (select authorstack.user_id())
    )
  );
alter policy "Authors add posts" on public.community_posts
  with check ((select authorstack.user_id()) = author_id);
alter policy "Authors edit their posts" on public.community_posts
  using ((select authorstack.user_id()) = author_id)
  with check ((select authorstack.user_id()) = author_id);
alter policy "Authors delete their posts" on public.community_posts
  using ((select authorstack.user_id()) = author_id);

alter policy "Viewers like posts that they see" on public.post_likes
  with check (
    (select authorstack.user_id()) = user_id
    and exists (select from public.community_posts as post where post.id = post_id)
  );
alter policy "Users take their likes back" on public.post_likes
  using ((select authorstack.user_id()) = user_id);

alter policy "Viewers comment on posts that they see" on public.post_comments
  with check (
    (select authorstack.user_id()) = author_id
    and exists (select from public.community_posts as post where post.id = post_id)
  );
alter policy "Comments are removed by their author or the post's" on public.post_comments
  using (
    (select authorstack.user_id()) = author_id
    or exists (
      select from public.community_posts as post
      where post.id = post_id and post.author_id = (select authorstack.user_id())
    )
  );

alter policy "Owners read their boosts" on public.marketplace_boosts
  using ((select authorstack.user_id()) = user_id);

alter policy "Owners read their competitors" on public.competitors
  using ((select authorstack.user_id()) = user_id);
alter policy "Owners add competitors" on public.competitors
  with check ((select authorstack.user_id()) = user_id);
alter policy "Owners change their competitors" on public.competitors
  using ((select authorstack.user_id()) = user_id)
  with check ((select authorstack.user_id()) = user_id);
alter policy "Owners delete their competitors" on public.competitors
  using ((select authorstack.user_id()) = user_id);

alter policy "Owners read the prices of their competitors" on public.competitor_prices
  using (exists (
    select from public.competitors as rival
    where rival.id = competitor_id and rival.user_id = (select authorstack.user_id())
  ));
-- A price of the future would stay the newest until then.
alter policy "Owners add prices of their competitors" on public.competitor_prices
  with check (date <= now() and exists (
    select from public.competitors as rival
    where rival.id = competitor_id and rival.user_id = (select authorstack.user_id())
  ));
alter policy "Owners change prices of their competitors" on public.competitor_prices
  using (exists (
    select from public.competitors as rival
    where rival.id = competitor_id and rival.user_id = (select authorstack.user_id())
  ))
  with check (exists (
    select from public.competitors as rival
    where rival.id = competitor_id and rival.user_id = (select authorstack.user_id())
  ));
alter policy "Owners delete prices of their competitors" on public.competitor_prices
  using (exists (
    select from public.competitors as rival
    where rival.id = competitor_id and rival.user_id = (select authorstack.user_id())
  ));

alter policy "Owners read their sales" on public.sales_data
  using ((select authorstack.user_id()) = user_id);
alter policy "Owners read their roll-ups" on public.daily_aggregates
  using ((select authorstack.user_id()) = user_id);
alter policy "Owners read their sync logs" on public.sync_logs
  using ((select authorstack.user_id()) = user_id);
alter policy "Owners read their insights" on public.ai_insights
  using ((select authorstack.user_id()) = user_id);
alter policy "Owners read their forecasts" on public.revenue_forecasts
  using ((select authorstack.user_id()) = user_id);

-- Columns, not tables: unknown fields and what may hold tokens (extra, connected_platforms) are
-- the host's alone; ids and moments that lists are ordered by are the database's.
revoke all on public.users, public.books, public.checklists, public.follows,
  public.community_posts, public.post_likes, public.post_comments, public.marketplace_boosts,
  public.competitors, public.competitor_prices from authenticated;

grant select (id, auth_id, auth_provider, email, name, subscription_tier, credits, preferences,
    created_at, updated_at),
  update (name, preferences)
  on public.users to authenticated;

grant delete,
  select (id, user_id, title, subtitle, author, description, isbn, asin, cover_url, genres,
    platforms, published_date, status, metadata, created_at, updated_at),
  insert (user_id, title, subtitle, author, description, isbn, asin, cover_url, genres, platforms,
    published_date, status, metadata),
  update (title, subtitle, author, description, isbn, asin, cover_url, genres, platforms,
    published_date, status, metadata)
  on public.books to authenticated;

grant delete,
  select (id, book_id, user_id, template_id, name, tasks, progress, created_at, updated_at),
  insert (book_id, user_id, template_id, name, tasks),
  update (book_id, template_id, name, tasks)
  on public.checklists to authenticated;

grant delete,
  select (id, follower_id, author_id, created_at),
  insert (follower_id, author_id)
  on public.follows to authenticated;

grant delete,
  select (id, author_id, content, attachments, visibility, like_count, comment_count, created_at,
    updated_at),
  insert (author_id, content, attachments, visibility),
  update (content, attachments, visibility)
  on public.community_posts to authenticated;

grant delete,
  select (post_id, user_id),
  insert (post_id, user_id)
  on public.post_likes to authenticated;

grant delete,
  select (post_id, id, author_id, content, created_at),
  insert (post_id, author_id, content)
  on public.post_comments to authenticated;

grant select (id, book_id, user_id, duration, position, credits_spent, active, started_at,
    expires_at)
  on public.marketplace_boosts to authenticated;

-- What a check has found is the host's to write: due checks are listed by the last one.
grant delete,
  select (id, user_id, asin, title, author, current_price, currency, genre, last_checked,
    created_at),
  insert (user_id, asin, title, author, currency, genre),
  update (asin, title, author, currency, genre)
  on public.competitors to authenticated;

alter table public.competitor_prices
  alter column date set default date_trunc('milliseconds', now());
grant delete,
  select (competitor_id, date, price),
  insert (competitor_id, date, price),
  update (price)
  on public.competitor_prices to authenticated;

-- What an API role changes moves updated_at forward, as the SDK does itself.
create function authorstack.move_updated_at() returns trigger
  language plpgsql
  set search_path = ''
  as $$
  begin
    new.updated_at := greatest(
      date_trunc('milliseconds', clock_timestamp()), old.updated_at + interval '1 millisecond'
    );
    return new;
  end
  $$;
revoke all on function authorstack.move_updated_at() from public;

-- While a first load has put foreign keys off, nothing checks what API roles write. What is put
-- off commits with its note in deferred_ddl, and the note goes when it is back: also after a run
-- that was killed.
create function authorstack.refuse_during_first_load() returns trigger
  language plpgsql security definer
  set search_path = ''
  as $$
  begin
    if exists (select from authorstack.deferred_ddl) then
      raise exception 'records are being moved into this project'
        using errcode = 'PT503',
          hint = 'Try again when the migration has ended; until then only reading is possible.';
    end if;
    return null;
  end
  $$;
revoke all on function authorstack.refuse_during_first_load() from public;

-- Both are for API roles, and for roles that inherit from them; not for the owner of the tables, as
-- whom hosts and migrations connect.
do $triggers$
  declare
    api_role constant text := format(
      'current_user <> %1$L and not pg_catalog.pg_has_role(current_user, %1$L, ''USAGE'') '
      'and (current_user in (''anon'', ''service_role'') '
      'or pg_catalog.pg_has_role(current_user, ''authenticated'', ''USAGE''))',
      current_user
    );
    name text;
  begin
    foreach name in array array[
      'users', 'books', 'checklists', 'follows', 'community_posts', 'post_likes', 'post_comments',
      'marketplace_boosts', 'competitors', 'competitor_prices', 'sales_data', 'daily_aggregates',
      'sync_logs', 'ai_insights', 'revenue_forecasts'
    ] loop
      execute format(
        'create trigger closed_during_first_load before insert or update or delete on public.%I '
        'for each statement when (%s) execute function authorstack.refuse_during_first_load()',
        name, api_role
      );
    end loop;
    -- The service sets moments itself.
    foreach name in array array['users', 'books', 'checklists', 'community_posts'] loop
      execute format(
        'create trigger moves_updated_at before update on public.%I for each row '
        'when (%s and current_user <> ''service_role'') '
        'execute function authorstack.move_updated_at()',
        name, api_role
      );
    end loop;
  end
$triggers$;

-- A profile for an account with a confirmed e-mail address that has none. It never fails, and
-- never waits long: a failing trigger would refuse the sign-up. What is not made now is made at
-- the next sign-in. An account never takes over a profile by its e-mail address: where projects
-- do not confirm addresses, anybody could.
create function authorstack.add_profile() returns trigger
  language plpgsql security definer
  set search_path = ''
  set lock_timeout = '2s'
  as $$
  declare
    profile uuid;
    said jsonb;
    display_name text;
  begin
    if exists (select from authorstack.deferred_ddl)
      or exists (select from public.users where id = new.id)
      or exists (select from public.users where auth_id = new.id::text)
    then
      return null;
    end if;
    -- An account that a migration made has the id of its profile.
    profile := case when authorstack.is_id(new.id) then new.id else authorstack.new_id() end;
    -- The user wrote these: of any type, and of any length.
    said := case jsonb_typeof(new.raw_user_meta_data) when 'object' then new.raw_user_meta_data end;
    display_name := left(coalesce(
      case jsonb_typeof(said -> 'full_name') when 'string' then said ->> 'full_name' end,
      case jsonb_typeof(said -> 'name') when 'string' then said ->> 'name' end,
      ''
    ), 100);
    begin
      insert into public.users (id, auth_id, auth_provider, email, name)
        values (profile, new.id::text, 'supabase', lower(new.email), display_name)
        on conflict do nothing;
    exception when check_violation then
      insert into public.users (id, auth_id, auth_provider, email, name)
        values (profile, new.id::text, 'supabase', lower(new.email), '')
        on conflict do nothing;
    end;
    if not exists (select from public.users where auth_id = new.id::text) then
      raise warning 'AuthorStack: the account % has no profile: another one has its e-mail address',
        new.id;
    end if;
    return null;
  exception when others then
    raise warning 'AuthorStack: the account % has no profile: % (%)', new.id, sqlerrm, sqlstate;
    return null;
  end
  $$;
revoke all on function authorstack.add_profile() from public;

do $watch$
  begin
    create trigger authorstack_add_profile
      after insert or update of email, email_confirmed_at, last_sign_in_at on auth.users
      for each row when (
        new.email_confirmed_at is not null and new.email like '%_@_%' and new.deleted_at is null
      )
      execute function authorstack.add_profile();
  exception when undefined_table or undefined_column or insufficient_privilege then
    raise warning 'AuthorStack: auth.users cannot be watched (%): the host makes the profiles',
      sqlerrm;
  end
$watch$;

insert into authorstack.schema_version (version) values ('20261127000000');
