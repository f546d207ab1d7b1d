-- Whether a row's id is an ObjectId in its UUID form.
create function authorstack.is_id(id uuid) returns boolean
  language sql immutable strict parallel safe
  set search_path = ''
  as $$
    select get_byte(uuid_send(id), 6) >> 4 = 8
      and get_byte(uuid_send(id), 8) >> 4 = 8
      and substr(uuid_send(id), 14) = '\x000000'::bytea
  $$;

-- The ObjectId that a UUID stands for: 24 hex digits.
create function authorstack.id_text(id uuid) returns text
  language sql immutable strict parallel safe
  set search_path = ''
  as $$
    select substr(hex, 1, 12) || substr(hex, 14, 3) || substr(hex, 18, 9)
    from (select replace(id::text, '-', '') as hex) as digits
  $$;

-- How much of the tasks is done, in whole percent, rounded down.
create function authorstack.checklist_progress(tasks jsonb) returns smallint
  language sql immutable strict parallel safe
  set search_path = ''
  as $$
    select coalesce(
      100 * count(*) filter (where task -> 'completed' = 'true') / nullif(count(*), 0), 0
    )::smallint
    from jsonb_array_elements(case jsonb_typeof(tasks) when 'array' then tasks else '[]' end) as task
  $$;

-- Owners write tasks through the Data API: what they write must stay readable.
create function authorstack.are_tasks(tasks jsonb) returns boolean
  language sql immutable strict parallel safe
  set search_path = ''
  as $$
    select jsonb_typeof(tasks) = 'array' and coalesce((
      select bool_and(
        jsonb_typeof(task) = 'object'
        and coalesce(jsonb_typeof(task -> 'id') = 'string', false)
        and octet_length(task ->> 'id') between 1 and 200
        and task ->> 'id' ~ '[^[:space:]]'
        and coalesce(jsonb_typeof(task -> 'title') = 'string', false)
        and coalesce(jsonb_typeof(task -> 'completed') = 'boolean', false)
        and coalesce(jsonb_typeof(task -> 'description'), 'null') in ('string', 'null')
        and coalesce(jsonb_typeof(task -> 'category'), 'null') in ('string', 'null')
        and (
          coalesce(jsonb_typeof(task -> 'dueDate'), 'null') = 'null'
          or (jsonb_typeof(task -> 'dueDate') = 'string' and task ->> 'dueDate' ~ '^[+-]?[0-9]{4,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$')
        )
        and (
          coalesce(jsonb_typeof(task -> 'completedAt'), 'null') = 'null'
          or (jsonb_typeof(task -> 'completedAt') = 'string' and task ->> 'completedAt' ~ '^[+-]?[0-9]{4,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$')
        )
      )
      from jsonb_array_elements(case jsonb_typeof(tasks) when 'array' then tasks else '[]' end) as task
    ), true)
  $$;

create function authorstack.are_attachments(attachments jsonb) returns boolean
  language sql immutable strict parallel safe
  set search_path = ''
  as $$
    select jsonb_typeof(attachments) = 'array' and coalesce((
      select bool_and(
        jsonb_typeof(item) = 'object'
        and coalesce(jsonb_typeof(item -> 'type') = 'string', false)
        and octet_length(item ->> 'type') between 1 and 50
        and coalesce(jsonb_typeof(item -> 'url') = 'string', false)
        and item ->> 'url' ~* '^https?:[/\\]*[^/\\[:space:][:cntrl:]]'
      )
      from jsonb_array_elements(case jsonb_typeof(attachments) when 'array' then attachments else '[]' end) as item
    ), true)
  $$;

create table public.checklists (
  id uuid not null default authorstack.new_id(),
  book_id uuid not null,
  user_id uuid not null,
  template_id text,
  name text not null,
  tasks jsonb not null default '[]',
  progress smallint not null generated always as (authorstack.checklist_progress(tasks)) stored,
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  updated_at timestamptz not null default date_trunc('milliseconds', now()),
  extra jsonb not null default '{}',
  constraint checklists_pkey primary key (id),
  constraint checklists_book_id_fkey foreign key (book_id) references public.books (id) on delete cascade,
  constraint checklists_user_id_fkey foreign key (user_id) references public.users (id) on delete cascade,
  constraint checklists_id_check check (authorstack.is_id(id)),
  constraint checklists_tasks_check check (authorstack.are_tasks(tasks)),
  constraint checklists_extra_check check (jsonb_typeof(extra) = 'object')
);
create index checklists_user_id_id_idx on public.checklists (user_id, id);
create index checklists_book_id_id_idx on public.checklists (book_id, id);

create table public.follows (
  id uuid not null default authorstack.new_id(),
  follower_id uuid not null,
  author_id uuid not null,
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  extra jsonb not null default '{}',
  constraint follows_pkey primary key (id),
  constraint follows_follower_id_author_id_key unique (follower_id, author_id),
  constraint follows_follower_id_fkey foreign key (follower_id) references public.users (id) on delete cascade,
  constraint follows_author_id_fkey foreign key (author_id) references public.users (id) on delete cascade,
  constraint follows_id_check check (authorstack.is_id(id)),
  constraint follows_author_id_check check (follower_id <> author_id),
  constraint follows_extra_check check (jsonb_typeof(extra) = 'object')
);
-- The pages of both directions.
create index follows_follower_id_id_idx on public.follows (follower_id, id);
create index follows_author_id_id_idx on public.follows (author_id, id);

create table public.community_posts (
  id uuid not null default authorstack.new_id(),
  author_id uuid not null,
  content text not null default '',
  attachments jsonb not null default '[]',
  visibility text not null default 'public',
  -- Kept by triggers.
  like_count bigint not null default 0,
  comment_count bigint not null default 0,
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  updated_at timestamptz not null default date_trunc('milliseconds', now()),
  extra jsonb not null default '{}',
  constraint community_posts_pkey primary key (id),
  constraint community_posts_author_id_fkey foreign key (author_id) references public.users (id) on delete cascade,
  constraint community_posts_id_check check (authorstack.is_id(id)),
  constraint community_posts_attachments_check check (authorstack.are_attachments(attachments)),
  constraint community_posts_visibility_check check (visibility in ('public', 'followers')),
  constraint community_posts_extra_check check (jsonb_typeof(extra) = 'object')
);
create index community_posts_author_id_id_idx on public.community_posts (author_id, id);

create table public.post_likes (
  post_id uuid not null,
  user_id uuid not null,
  constraint post_likes_pkey primary key (post_id, user_id),
  constraint post_likes_post_id_fkey foreign key (post_id) references public.community_posts (id) on delete cascade,
  constraint post_likes_user_id_fkey foreign key (user_id) references public.users (id) on delete cascade
);
create index post_likes_user_id_idx on public.post_likes (user_id, post_id);

create table public.post_comments (
  post_id uuid not null,
  id text collate "C" not null default authorstack.id_text(authorstack.new_id()),
  author_id uuid not null,
  content text not null,
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  extra jsonb not null default '{}',
  constraint post_comments_pkey primary key (post_id, id),
  constraint post_comments_post_id_fkey foreign key (post_id) references public.community_posts (id) on delete cascade,
  constraint post_comments_author_id_fkey foreign key (author_id) references public.users (id) on delete cascade,
  constraint post_comments_id_check check (octet_length(id) between 1 and 200 and id ~ '[^[:space:]]'),
  constraint post_comments_extra_check check (jsonb_typeof(extra) = 'object')
);
create index post_comments_post_id_created_at_idx on public.post_comments (post_id, created_at, id);
create index post_comments_author_id_idx on public.post_comments (author_id);

create table public.marketplace_boosts (
  id uuid not null default authorstack.new_id(),
  book_id uuid not null,
  user_id uuid not null,
  duration bigint not null,
  position bigint not null,
  credits_spent bigint not null,
  active boolean not null default true,
  started_at timestamptz not null,
  expires_at timestamptz not null,
  extra jsonb not null default '{}',
  constraint marketplace_boosts_pkey primary key (id),
  constraint marketplace_boosts_book_id_fkey foreign key (book_id) references public.books (id) on delete cascade,
  constraint marketplace_boosts_user_id_fkey foreign key (user_id) references public.users (id) on delete cascade,
  constraint marketplace_boosts_id_check check (authorstack.is_id(id)),
  constraint marketplace_boosts_duration_check check (duration between 0 and 4294967295),
  constraint marketplace_boosts_position_check check (position between 0 and 4294967295),
  constraint marketplace_boosts_credits_spent_check check (credits_spent >= 0),
  constraint marketplace_boosts_expires_at_check check (expires_at >= started_at),
  constraint marketplace_boosts_extra_check check (jsonb_typeof(extra) = 'object'),
  -- No two active boosts hold one position at one moment.
  constraint marketplace_boosts_position_excl exclude using gist (
    int8range(position, position, '[]') with &&,
    tstzrange(started_at, expires_at) with &&
  ) where (active)
);
create index marketplace_boosts_user_id_id_idx on public.marketplace_boosts (user_id, id);
create index marketplace_boosts_book_id_idx on public.marketplace_boosts (book_id);
create index marketplace_boosts_active_expires_at_idx on public.marketplace_boosts (active, expires_at);

create table public.competitors (
  id uuid not null default authorstack.new_id(),
  user_id uuid not null,
  asin text not null,
  title text,
  author text,
  current_price numeric,
  currency text,
  genre text,
  last_checked timestamptz,
  created_at timestamptz not null default date_trunc('milliseconds', now()),
  extra jsonb not null default '{}',
  constraint competitors_pkey primary key (id),
  constraint competitors_user_id_asin_key unique (user_id, asin),
  constraint competitors_user_id_fkey foreign key (user_id) references public.users (id) on delete cascade,
  constraint competitors_id_check check (authorstack.is_id(id)),
  constraint competitors_asin_check check (asin ~ '^[A-Z0-9]{10}$'),
  constraint competitors_current_price_check check (
    current_price >= 0 and current_price < 1e15 and scale(trim_scale(current_price)) <= 28
  ),
  constraint competitors_currency_check check (currency ~ '^[A-Z]{3}$'),
  constraint competitors_extra_check check (jsonb_typeof(extra) = 'object')
);
create index competitors_user_id_id_idx on public.competitors (user_id, id);
create index competitors_asin_idx on public.competitors (asin);
create index competitors_last_checked_idx on public.competitors (last_checked nulls first, id);

create table public.competitor_prices (
  competitor_id uuid not null,
  date timestamptz not null,
  price numeric not null,
  extra jsonb not null default '{}',
  constraint competitor_prices_pkey primary key (competitor_id, date),
  constraint competitor_prices_competitor_id_fkey foreign key (competitor_id) references public.competitors (id) on delete cascade,
  constraint competitor_prices_price_check check (
    price >= 0 and price < 1e15 and scale(trim_scale(price)) <= 28
  ),
  constraint competitor_prices_extra_check check (jsonb_typeof(extra) = 'object')
);

-- The counts of a post's likes and comments: one update for a statement, however many rows it
-- wrote. The posts are locked in the order of their ids, so that writers do not deadlock.
-- The function runs as its owner: who likes a post may not write to it.
create function authorstack.count_parts() returns trigger
  language plpgsql security definer
  set search_path = ''
  as $$
  declare
    step int := case tg_op when 'INSERT' then 1 else -1 end;
  begin
    perform 1 from public.community_posts
      where id in (select post_id from changed)
      order by id for no key update;
    if tg_table_name = 'post_likes' then
      update public.community_posts as post set like_count = post.like_count + step * parts.n
        from (select post_id, count(*) as n from changed group by post_id) as parts
        where post.id = parts.post_id;
    else
      update public.community_posts as post set comment_count = post.comment_count + step * parts.n
        from (select post_id, count(*) as n from changed group by post_id) as parts
        where post.id = parts.post_id;
    end if;
    return null;
  end
  $$;
revoke all on function authorstack.count_parts() from public;

create trigger post_likes_counted_in after insert on public.post_likes
  referencing new table as changed for each statement execute function authorstack.count_parts();
create trigger post_likes_counted_out after delete on public.post_likes
  referencing old table as changed for each statement execute function authorstack.count_parts();
create trigger post_comments_counted_in after insert on public.post_comments
  referencing new table as changed for each statement execute function authorstack.count_parts();
create trigger post_comments_counted_out after delete on public.post_comments
  referencing old table as changed for each statement execute function authorstack.count_parts();

alter table public.checklists enable row level security;
alter table public.follows enable row level security;
alter table public.community_posts enable row level security;
alter table public.post_likes enable row level security;
alter table public.post_comments enable row level security;
alter table public.marketplace_boosts enable row level security;
alter table public.competitors enable row level security;
alter table public.competitor_prices enable row level security;

-- Older projects grant everything on new tables by default: start from nothing.
revoke all on public.checklists, public.follows, public.community_posts, public.post_likes,
  public.post_comments, public.marketplace_boosts, public.competitors, public.competitor_prices
  from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.checklists, public.follows, public.community_posts,
  public.marketplace_boosts, public.competitors, public.competitor_prices to service_role;
-- A like or a comment does not move to another post: the counts would not follow.
grant select, insert, delete on public.post_likes, public.post_comments to service_role;
grant update (content, extra) on public.post_comments to service_role;

grant select, insert, update, delete on public.checklists to authenticated;
grant select, insert, delete on public.follows to authenticated;
-- The counts are not the author's to write, nor is whose post it is.
grant select, delete on public.community_posts to authenticated;
grant insert (id, author_id, content, attachments, visibility, created_at, updated_at, extra)
  on public.community_posts to authenticated;
grant update (content, attachments, visibility, updated_at, extra)
  on public.community_posts to authenticated;
grant select, insert, delete on public.post_likes to authenticated;
grant select, insert, delete on public.post_comments to authenticated;
-- A purchase spends credits: it goes through the host.
grant select on public.marketplace_boosts to authenticated;
grant select, insert, update, delete on public.competitors to authenticated;
grant select, insert, update, delete on public.competitor_prices to authenticated;

create policy "Owners read their checklists" on public.checklists
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Owners add checklists about their books" on public.checklists
  for insert to authenticated with check (
    (select auth.uid()) = user_id
    and exists (
      select from public.books where books.id = book_id and books.user_id = (select auth.uid())
    )
  );
create policy "Owners change their checklists" on public.checklists
  for update to authenticated
  using ((select auth.uid()) = user_id)
  with check (
    (select auth.uid()) = user_id
    and exists (
      select from public.books where books.id = book_id and books.user_id = (select auth.uid())
    )
  );
create policy "Owners delete their checklists" on public.checklists
  for delete to authenticated using ((select auth.uid()) = user_id);

create policy "Both see a follow" on public.follows
  for select to authenticated
  using ((select auth.uid()) = follower_id or (select auth.uid()) = author_id);
create policy "Followers follow" on public.follows
  for insert to authenticated with check ((select auth.uid()) = follower_id);
create policy "Followers end their follows" on public.follows
  for delete to authenticated using ((select auth.uid()) = follower_id);

create policy "Viewers read public posts, their own and those of whom they follow"
  on public.community_posts
  for select to authenticated using (
    visibility = 'public'
    or (select auth.uid()) = author_id
    or author_id in (
      select follows.author_id from public.follows
      where follows.follower_id = (select auth.uid())
    )
  );
create policy "Authors add posts" on public.community_posts
  for insert to authenticated with check ((select auth.uid()) = author_id);
create policy "Authors edit their posts" on public.community_posts
  for update to authenticated
  using ((select auth.uid()) = author_id) with check ((select auth.uid()) = author_id);
create policy "Authors delete their posts" on public.community_posts
  for delete to authenticated using ((select auth.uid()) = author_id);

-- A post is looked up under its own policy.
create policy "Viewers read the likes of posts that they see" on public.post_likes
  for select to authenticated
  using (exists (select from public.community_posts as post where post.id = post_id));
create policy "Viewers like posts that they see" on public.post_likes
  for insert to authenticated with check (
    (select auth.uid()) = user_id
    and exists (select from public.community_posts as post where post.id = post_id)
  );
create policy "Users take their likes back" on public.post_likes
  for delete to authenticated using ((select auth.uid()) = user_id);

create policy "Viewers read the comments on posts that they see" on public.post_comments
  for select to authenticated
  using (exists (select from public.community_posts as post where post.id = post_id));
create policy "Viewers comment on posts that they see" on public.post_comments
  for insert to authenticated with check (
    (select auth.uid()) = author_id
    and exists (select from public.community_posts as post where post.id = post_id)
  );
create policy "Comments are removed by their author or the post's" on public.post_comments
  for delete to authenticated using (
    (select auth.uid()) = author_id
    or exists (
      select from public.community_posts as post
      where post.id = post_id and post.author_id = (select auth.uid())
    )
  );

create policy "Owners read their boosts" on public.marketplace_boosts
  for select to authenticated using ((select auth.uid()) = user_id);

create policy "Owners read their competitors" on public.competitors
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Owners add competitors" on public.competitors
  for insert to authenticated with check ((select auth.uid()) = user_id);
create policy "Owners change their competitors" on public.competitors
  for update to authenticated
  using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
create policy "Owners delete their competitors" on public.competitors
  for delete to authenticated using ((select auth.uid()) = user_id);

create policy "Owners read the prices of their competitors" on public.competitor_prices
  for select to authenticated using (exists (
    select from public.competitors as rival
    where rival.id = competitor_id and rival.user_id = (select auth.uid())
  ));
create policy "Owners add prices of their competitors" on public.competitor_prices
  for insert to authenticated with check (exists (
    select from public.competitors as rival
    where rival.id = competitor_id and rival.user_id = (select auth.uid())
  ));
create policy "Owners change prices of their competitors" on public.competitor_prices
  for update to authenticated
  using (exists (
    select from public.competitors as rival
    where rival.id = competitor_id and rival.user_id = (select auth.uid())
  ))
  with check (exists (
    select from public.competitors as rival
    where rival.id = competitor_id and rival.user_id = (select auth.uid())
  ));
create policy "Owners delete prices of their competitors" on public.competitor_prices
  for delete to authenticated using (exists (
    select from public.competitors as rival
    where rival.id = competitor_id and rival.user_id = (select auth.uid())
  ));

-- Records are named by the text of their keys: parts have more than an id.
alter table authorstack.rejects alter column replayed_as type text
  using authorstack.id_text(replayed_as);

insert into authorstack.schema_version (version) values ('20261124000000');
