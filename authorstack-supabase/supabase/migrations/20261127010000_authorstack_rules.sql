-- What a table accepts is what the SDK can read: the rules of authorstack-core's `limits`, `values`
-- and `records/check.rs`, in SQL. The test `accepted` of authorstack-supabase holds the two together.
--
-- Functions in PL/pgSQL call none of this schema: those who write rows have no access to it. The
-- others are parsed when they are made, so they may. Where a value may have another form, a `case`
-- keeps the next expression from failing.
--
-- The constraints are not valid at first: rows that were there before stay as they are. Whoever
-- wants to know them all: `alter table … validate constraint …`.

-- A platform, a provider, a kind: 1 to 50 bytes without control characters and outer spaces.
create function authorstack.is_name(name text) returns boolean
  language plpgsql immutable strict parallel safe
  set search_path = ''
  as $$ begin return octet_length(name) between 1 and 50
    and name !~ '^[\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]|[\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$|[\u0001-\u001f\u007f-\u009f]'; end $$;

-- The id of a task or a comment: 1 to 200 bytes, not only spaces.
create function authorstack.is_local_id(id text) returns boolean
  language plpgsql immutable strict parallel safe
  set search_path = ''
  as $$ begin return octet_length(id) between 1 and 200
    and id ~ '[^\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'; end $$;

-- An e-mail address, in lower case.
create function authorstack.is_email(email text) returns boolean
  language plpgsql immutable strict parallel safe
  set search_path = ''
  as $$ begin return octet_length(email) <= 255
    and email = lower(email)
    and email ~ '^[^@\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\u0001-\u001f\u007f-\u009f]+@[^@\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\u0001-\u001f\u007f-\u009f]+$'; end $$;

-- An absolute address on the web: `http` or `https`, a host, and a port if any.
create function authorstack.is_web_url(url text) returns boolean
  language plpgsql immutable strict parallel safe
  set search_path = ''
  as $$ begin return octet_length(url) <= 4000
    and url ~ ('^[Hh][Tt][Tt][Pp][Ss]?://'
      || '(\[[0-9A-Fa-f:.]+\]|[-A-Za-z0-9_\u00a1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e\u2030-\u205e\u2060-\u2fff\u3001-\U0010ffff][-.A-Za-z0-9_\u00a1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e\u2030-\u205e\u2060-\u2fff\u3001-\U0010ffff]*)'
      || '(:([0-9]{1,4}|[0-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])?)?'
      || '([/?#][^\u0001-\u001f\u007f-\u009f\u0020]*)?$'); end $$;

-- The address of a cover: on the web, or a path as old apps stored it.
create function authorstack.is_cover(url text) returns boolean
  language sql immutable strict parallel safe
  set search_path = ''
  return octet_length(url) <= 4000
    and (url !~ '^[^/?#]*:' or authorstack.is_web_url(url));

-- An ISBN without hyphens whose check digit is right.
create function authorstack.is_isbn(isbn text) returns boolean
  language plpgsql immutable strict parallel safe
  set search_path = ''
  as $$ begin return case
    when isbn ~ '^[0-9]{9}[0-9X]$' then (
      select sum((11 - place) * case substr(isbn, place, 1) when 'X' then 10 else substr(isbn, place, 1)::int end) % 11 = 0
      from generate_series(1, 10) as place
    )
    when isbn ~ '^97[89][0-9]{10}$' then (
      select sum((1 + 2 * ((place + 1) % 2)) * substr(isbn, place, 1)::int) % 10 = 0
      from generate_series(1, 13) as place
    )
    else false
  end; end $$;

-- A price: zero or more, with at most 15 digits that count.
create function authorstack.is_price(price numeric) returns boolean
  language plpgsql immutable strict parallel safe
  set search_path = ''
  as $$ begin return price >= 0 and price < 1e15 and scale(trim_scale(price)) <= 28
    and length(ltrim(replace(trim_scale(price)::text, '.', ''), '0')) <= 15; end $$;

-- A list of at most 1,000 texts, each of at most so many bytes.
create function authorstack.are_texts(texts text[], most int) returns boolean
  language plpgsql immutable strict parallel safe
  set search_path = ''
  as $$ begin return coalesce(array_ndims(texts), 1) = 1
    and cardinality(texts) <= 1000
    and not exists (
      select from unnest(texts) as item where item is null or octet_length(item) > most
    ); end $$;

-- A list of at most 1,000 names.
create function authorstack.are_names(names text[]) returns boolean
  language sql immutable strict parallel safe
  set search_path = ''
  return coalesce(array_ndims(names), 1) = 1
    and cardinality(names) <= 1000
    and not exists (
      select from unnest(names) as item where item is null or not authorstack.is_name(item)
    );

-- JSON of at most so many bytes and 100 levels, whose numbers are doubles. Short JSON can have
-- neither so many levels nor such numbers.
create function authorstack.is_json(value jsonb, most int) returns boolean
  language plpgsql immutable strict parallel safe
  set search_path = ''
  as $$ begin return octet_length(value::text) <= most
    and (
      octet_length(value::text) < 190
      or not (
        jsonb_path_exists(value, 'strict $.**{100}')
        or jsonb_path_exists(
          value,
          'strict $.** ? (@.type() == "number" && (@ >= $end || @ <= -$end))',
          '{"end": 179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880177904174497792}'
        )
      )
    ); end $$;

-- A text of at most so many bytes, or nothing.
create function authorstack.is_json_text(value jsonb, most int) returns boolean
  language plpgsql immutable parallel safe
  set search_path = ''
  as $$ begin return coalesce(jsonb_typeof(value), 'null') = 'null'
    or (jsonb_typeof(value) = 'string' and octet_length(value #>> '{}') <= most); end $$;

-- A whole number as `u32` holds it, or nothing.
create function authorstack.is_json_count(value jsonb) returns boolean
  language plpgsql immutable parallel safe
  set search_path = ''
  as $$ begin return case coalesce(jsonb_typeof(value), 'null')
    when 'null' then true
    when 'number' then value::text ~ '^[0-9]{1,10}$' and value <= '4294967295'::jsonb
    else false
  end; end $$;

-- A moment in JSON (RFC 3339), or nothing: a date that there is, in the years -4712 to 261999.
create function authorstack.is_json_moment(value jsonb) returns boolean
  language plpgsql immutable parallel safe
  set search_path = ''
  as $$
  declare
    written text := value #>> '{}';
    parts text[];
    year int;
    month int;
    day int;
  begin
    if coalesce(jsonb_typeof(value), 'null') = 'null' then
      return true;
    end if;
    if jsonb_typeof(value) <> 'string' then
      return false;
    end if;
    -- Most moments: every month has these days.
    if written ~ '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z$' then
      return true;
    end if;
    parts := regexp_match(written, '^([0-9]{4}|[+-][0-9]{4,6})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])'
      || 'T(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?(Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$');
    if parts is null then
      return false;
    end if;
    year := parts[1];
    month := parts[2];
    day := parts[3];
    return (
        day <= 28
        or (day <= 30 and month <> 2)
        or (day = 31 and month in (1, 3, 5, 7, 8, 10, 12))
        or (day = 29 and year % 4 = 0 and (year % 100 <> 0 or year % 400 = 0))
      )
      and case when parts[4] = 'Z' then year between -4712 and 261999 else year between 1 and 9999 end;
  end $$;

-- The settings of a user.
create function authorstack.are_preferences(value jsonb) returns boolean
  language sql immutable parallel safe
  set search_path = ''
  return authorstack.is_json(value, 1000000)
    and jsonb_typeof(value) = 'object'
    and coalesce(jsonb_typeof(value -> 'emailNotifications'), 'null') in ('boolean', 'null')
    and coalesce(jsonb_typeof(value -> 'weeklyDigest'), 'null') in ('boolean', 'null')
    and coalesce(value -> 'theme', 'null') in ('"light"', '"dark"', '"system"', 'null')
    and authorstack.is_json_text(value -> 'timezone', 4000)
    and authorstack.is_json_text(value -> 'currency', 3)
    and coalesce(value ->> 'currency', 'USD') ~ '^[A-Za-z]{3}$';

-- Lengths and series of a book.
create function authorstack.is_metadata(value jsonb) returns boolean
  language sql immutable parallel safe
  set search_path = ''
  return authorstack.is_json(value, 1000000)
    and jsonb_typeof(value) = 'object'
    and authorstack.is_json_count(value -> 'pageCount')
    and authorstack.is_json_count(value -> 'wordCount')
    and authorstack.is_json_text(value -> 'series', 4000)
    and coalesce(jsonb_typeof(value -> 'seriesPosition'), 'null') in ('number', 'null');

-- The platforms that a user has connected.
create function authorstack.are_connected_platforms(platforms jsonb) returns boolean
  language sql immutable parallel safe
  set search_path = ''
  return authorstack.is_json(platforms, 1000000)
    and case
      when jsonb_typeof(platforms) <> 'array' then false
      when jsonb_array_length(platforms) > 1000 then false
      else coalesce((
        select bool_and(coalesce(
          jsonb_typeof(item) = 'object'
          and jsonb_typeof(item -> 'platform') = 'string'
          and authorstack.is_name(item ->> 'platform')
          and authorstack.is_json_moment(item -> 'connectedAt')
          and authorstack.is_json_moment(item -> 'lastSync'),
          false
        ))
        from jsonb_array_elements(platforms) as item
      ), true)
    end;

-- The tasks of a checklist; their ids differ.
create function authorstack.are_sound_tasks(tasks jsonb) returns boolean
  language sql immutable parallel safe
  set search_path = ''
  return authorstack.is_json(tasks, 1000000)
    and case
      when jsonb_typeof(tasks) <> 'array' then false
      when jsonb_array_length(tasks) > 1000 then false
      else coalesce((
        select bool_and(coalesce(
          jsonb_typeof(task) = 'object'
          and jsonb_typeof(task -> 'id') = 'string'
          and authorstack.is_local_id(task ->> 'id')
          and jsonb_typeof(task -> 'title') = 'string'
          and authorstack.is_json_text(task -> 'title', 4000)
          and jsonb_typeof(task -> 'completed') = 'boolean'
          and authorstack.is_json_text(task -> 'description', 100000)
          and authorstack.is_json_text(task -> 'category', 4000)
          and authorstack.is_json_moment(task -> 'dueDate')
          and authorstack.is_json_moment(task -> 'completedAt'),
          false
        )) and count(distinct task ->> 'id') = count(*)
        from jsonb_array_elements(tasks) as task
      ), true)
    end;

-- The attachments of a post.
create function authorstack.are_sound_attachments(attachments jsonb) returns boolean
  language sql immutable parallel safe
  set search_path = ''
  return authorstack.is_json(attachments, 1000000)
    and case
      when jsonb_typeof(attachments) <> 'array' then false
      when jsonb_array_length(attachments) > 1000 then false
      else coalesce((
        select bool_and(coalesce(
          jsonb_typeof(item) = 'object'
          and jsonb_typeof(item -> 'type') = 'string'
          and authorstack.is_name(item ->> 'type')
          and jsonb_typeof(item -> 'url') = 'string'
          and authorstack.is_web_url(item ->> 'url'),
          false
        ))
        from jsonb_array_elements(attachments) as item
      ), true)
    end;

alter table public.users
  drop constraint if exists users_email_check,
  drop constraint if exists users_preferences_check,
  drop constraint if exists users_connected_platforms_check,
  drop constraint if exists users_updated_at_check,
  drop constraint if exists users_extra_check,
  add constraint users_auth_id_check check (
    octet_length(auth_id) between 1 and 255
  ) not valid,
  add constraint users_auth_provider_check check (
    auth_provider in ('appwrite', 'supabase') or authorstack.is_name(auth_provider)
  ) not valid,
  add constraint users_email_check check (
    authorstack.is_email(email)
  ) not valid,
  add constraint users_name_check check (
    octet_length(name) <= 4000
  ) not valid,
  add constraint users_preferences_check check (
    preferences = '{}' or authorstack.are_preferences(preferences)
  ) not valid,
  add constraint users_connected_platforms_check check (
    connected_platforms = '[]' or authorstack.are_connected_platforms(connected_platforms)
  ) not valid,
  add constraint users_created_at_check check (
    created_at >= '4713-01-01 00:00:00+00 BC' and created_at < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint users_updated_at_check check (
    updated_at >= '4713-01-01 00:00:00+00 BC' and updated_at < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint users_extra_check check (
    extra = '{}' or (
      jsonb_typeof(extra) = 'object'
      and authorstack.is_json(extra, 16000000)
      -- No unknown field has the name of a known one.
      and not extra ?| array[
          '_id', 'authId', 'authProvider', 'email', 'name', 'subscriptionTier', 'credits',
          'preferences', 'connectedPlatforms', 'createdAt', 'updatedAt'
        ]
    )
  ) not valid;

alter table public.books
  drop constraint if exists books_metadata_check,
  drop constraint if exists books_extra_check,
  add constraint books_title_check check (
    octet_length(title) <= 4000
  ) not valid,
  add constraint books_subtitle_check check (
    octet_length(subtitle) <= 4000
  ) not valid,
  add constraint books_author_check check (
    octet_length(author) <= 4000
  ) not valid,
  add constraint books_description_check check (
    octet_length(description) <= 100000
  ) not valid,
  add constraint books_isbn_check check (
    authorstack.is_isbn(isbn)
  ) not valid,
  add constraint books_asin_check check (
    asin ~ '^[A-Z0-9]{10}$'
  ) not valid,
  add constraint books_cover_url_check check (
    authorstack.is_cover(cover_url)
  ) not valid,
  add constraint books_genres_check check (
    authorstack.are_texts(genres, 1000)
  ) not valid,
  add constraint books_platforms_check check (
    (
      platforms <@ array['kdp', 'gumroad', 'apple_books']
      and coalesce(array_ndims(platforms), 1) = 1
      and cardinality(platforms) <= 1000
    )
    or authorstack.are_names(platforms)
  ) not valid,
  add constraint books_published_date_check check (
    published_date >= '4713-01-01 00:00:00+00 BC' and published_date < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint books_metadata_check check (
    metadata = '{}' or authorstack.is_metadata(metadata)
  ) not valid,
  add constraint books_created_at_check check (
    created_at >= '4713-01-01 00:00:00+00 BC' and created_at < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint books_updated_at_check check (
    updated_at >= '4713-01-01 00:00:00+00 BC' and updated_at < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint books_extra_check check (
    extra = '{}' or (
      jsonb_typeof(extra) = 'object'
      and authorstack.is_json(extra, 16000000)
      -- No unknown field has the name of a known one.
      and not extra ?| array[
          '_id', 'userId', 'title', 'subtitle', 'author', 'description', 'isbn', 'asin',
          'coverUrl', 'genres', 'platforms', 'publishedDate', 'status', 'metadata',
          'createdAt', 'updatedAt'
        ]
    )
  ) not valid;

alter table public.checklists
  drop constraint if exists checklists_tasks_check,
  drop constraint if exists checklists_extra_check,
  add constraint checklists_template_id_check check (
    octet_length(template_id) <= 4000
  ) not valid,
  add constraint checklists_name_check check (
    octet_length(name) <= 4000
  ) not valid,
  add constraint checklists_tasks_check check (
    tasks = '[]' or authorstack.are_sound_tasks(tasks)
  ) not valid,
  add constraint checklists_created_at_check check (
    created_at >= '4713-01-01 00:00:00+00 BC' and created_at < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint checklists_updated_at_check check (
    updated_at >= '4713-01-01 00:00:00+00 BC' and updated_at < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint checklists_extra_check check (
    extra = '{}' or (
      jsonb_typeof(extra) = 'object'
      and authorstack.is_json(extra, 16000000)
      -- No unknown field has the name of a known one.
      and not extra ?| array[
          '_id', 'bookId', 'userId', 'templateId', 'name', 'tasks', 'progress', 'createdAt',
          'updatedAt'
        ]
    )
  ) not valid;

alter table public.follows
  drop constraint if exists follows_extra_check,
  add constraint follows_created_at_check check (
    created_at >= '4713-01-01 00:00:00+00 BC' and created_at < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint follows_extra_check check (
    extra = '{}' or (
      jsonb_typeof(extra) = 'object'
      and authorstack.is_json(extra, 16000000)
      -- No unknown field has the name of a known one.
      and not extra ?| array[
          '_id', 'followerId', 'authorId', 'createdAt'
        ]
    )
  ) not valid;

alter table public.community_posts
  drop constraint if exists community_posts_attachments_check,
  drop constraint if exists community_posts_extra_check,
  add constraint community_posts_content_check check (
    octet_length(content) <= 100000
  ) not valid,
  add constraint community_posts_attachments_check check (
    attachments = '[]' or authorstack.are_sound_attachments(attachments)
  ) not valid,
  add constraint community_posts_created_at_check check (
    created_at >= '4713-01-01 00:00:00+00 BC' and created_at < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint community_posts_updated_at_check check (
    updated_at >= '4713-01-01 00:00:00+00 BC' and updated_at < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint community_posts_extra_check check (
    extra = '{}' or (
      jsonb_typeof(extra) = 'object'
      and authorstack.is_json(extra, 16000000)
      -- No unknown field has the name of a known one.
      and not extra ?| array[
          '_id', 'authorId', 'content', 'attachments', 'visibility', 'createdAt', 'updatedAt',
          'likes', 'comments'
        ]
    )
  ) not valid;

alter table public.post_comments
  drop constraint if exists post_comments_id_check,
  drop constraint if exists post_comments_extra_check,
  add constraint post_comments_id_check check (
    authorstack.is_local_id(id)
  ) not valid,
  add constraint post_comments_content_check check (
    octet_length(content) <= 100000
  ) not valid,
  add constraint post_comments_created_at_check check (
    created_at >= '4713-01-01 00:00:00+00 BC' and created_at < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint post_comments_extra_check check (
    extra = '{}' or (
      jsonb_typeof(extra) = 'object'
      and authorstack.is_json(extra, 16000000)
      -- No unknown field has the name of a known one.
      and not extra ?| array[
          'id', 'authorId', 'content', 'createdAt'
        ]
    )
  ) not valid;

alter table public.marketplace_boosts
  drop constraint if exists marketplace_boosts_expires_at_check,
  drop constraint if exists marketplace_boosts_extra_check,
  add constraint marketplace_boosts_started_at_check check (
    started_at >= '4713-01-01 00:00:00+00 BC' and started_at < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint marketplace_boosts_expires_at_check check (
    expires_at >= started_at and expires_at < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint marketplace_boosts_extra_check check (
    extra = '{}' or (
      jsonb_typeof(extra) = 'object'
      and authorstack.is_json(extra, 16000000)
      -- No unknown field has the name of a known one.
      and not extra ?| array[
          '_id', 'bookId', 'userId', 'duration', 'position', 'credits_spent', 'active',
          'startedAt', 'expiresAt'
        ]
    )
  ) not valid;

alter table public.competitors
  drop constraint if exists competitors_current_price_check,
  drop constraint if exists competitors_extra_check,
  add constraint competitors_title_check check (
    octet_length(title) <= 4000
  ) not valid,
  add constraint competitors_author_check check (
    octet_length(author) <= 4000
  ) not valid,
  add constraint competitors_current_price_check check (
    authorstack.is_price(current_price)
  ) not valid,
  add constraint competitors_genre_check check (
    octet_length(genre) <= 4000
  ) not valid,
  add constraint competitors_last_checked_check check (
    last_checked >= '4713-01-01 00:00:00+00 BC' and last_checked < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint competitors_created_at_check check (
    created_at >= '4713-01-01 00:00:00+00 BC' and created_at < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint competitors_extra_check check (
    extra = '{}' or (
      jsonb_typeof(extra) = 'object'
      and authorstack.is_json(extra, 16000000)
      -- No unknown field has the name of a known one.
      and not extra ?| array[
          '_id', 'userId', 'asin', 'title', 'author', 'currentPrice', 'currency', 'genre',
          'lastChecked', 'createdAt', 'priceHistory'
        ]
    )
  ) not valid;

alter table public.competitor_prices
  drop constraint if exists competitor_prices_price_check,
  drop constraint if exists competitor_prices_extra_check,
  add constraint competitor_prices_date_check check (
    date >= '4713-01-01 00:00:00+00 BC' and date < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint competitor_prices_price_check check (
    authorstack.is_price(price)
  ) not valid,
  add constraint competitor_prices_extra_check check (
    extra = '{}' or (
      jsonb_typeof(extra) = 'object'
      and authorstack.is_json(extra, 16000000)
      -- No unknown field has the name of a known one.
      and not extra ?| array[
          'price', 'date'
        ]
    )
  ) not valid;

alter table public.sync_logs
  drop constraint if exists sync_logs_platform_check,
  add constraint sync_logs_platform_check check (
    platform in ('kdp', 'gumroad', 'apple_books') or authorstack.is_name(platform)
  ) not valid,
  add constraint sync_logs_error_message_check check (
    octet_length(error_message) <= 100000
  ) not valid,
  add constraint sync_logs_synced_at_check check (
    synced_at >= '4713-01-01 00:00:00+00 BC' and synced_at < '262000-01-01 00:00:00+00'
  ) not valid;

alter table public.ai_insights
  drop constraint if exists ai_insights_insight_type_check,
  add constraint ai_insights_insight_type_check check (
    insight_type in ('trend', 'pricing', 'forecast') or authorstack.is_name(insight_type)
  ) not valid,
  add constraint ai_insights_content_check check (
    authorstack.is_json(content, 16000000)
  ) not valid,
  add constraint ai_insights_valid_until_check check (
    valid_until >= '4713-01-01 00:00:00+00 BC' and valid_until < '262000-01-01 00:00:00+00'
  ) not valid,
  add constraint ai_insights_created_at_check check (
    created_at >= '4713-01-01 00:00:00+00 BC' and created_at < '262000-01-01 00:00:00+00'
  ) not valid;

alter table public.revenue_forecasts
  add constraint revenue_forecasts_factors_check check (
    authorstack.is_json(factors, 16000000)
  ) not valid,
  add constraint revenue_forecasts_created_at_check check (
    created_at >= '4713-01-01 00:00:00+00 BC' and created_at < '262000-01-01 00:00:00+00'
  ) not valid;

insert into authorstack.schema_version (version) values ('20261127010000');
