-- Optional: makes public.sales_data a table partitioned by month. docs/partitioning.md says what
-- that buys, what it costs, and when to do it.
--
--   psql -1 -v ON_ERROR_STOP=1 -f partition_sales_data.sql "$AUTHORSTACK_SUPABASE_DB_URL"
--
-- As the project's role postgres, after AuthorStack's migrations, while nobody needs the sales:
-- until it has ended, readers and writers of sales and writers of users wait. The rows are copied,
-- so the disk must hold the table and its indexes twice.
set local statement_timeout = 0;

do $$
  begin
    if to_regclass('public.sales_data') is null or to_regnamespace('authorstack') is null then
      raise exception 'public.sales_data is missing: apply the migrations of AuthorStack first';
    end if;
  end
$$;

-- Makes the partition of a day's month, with what the default partition holds of it; false when it
-- is there.
create or replace function authorstack.make_sales_partition(day date) returns boolean
  language plpgsql volatile
  set search_path = ''
  -- Who waits for a lock makes all later ones wait: rather fail, and try again.
  set lock_timeout = '5s'
  as $$
    declare
      first constant date := date_trunc('month', day::timestamp)::date;
      next constant date := (first + interval '1 month')::date;
      name constant text := 'sales_data_' || to_char(first, 'YYYY_MM');
    begin
      -- Two callers at once make it once.
      perform pg_advisory_xact_lock(hashtextextended('authorstack.make_sales_partition', 0));
      if exists (
        select from pg_catalog.pg_inherits
        where inhparent = 'public.sales_data'::regclass
          and inhrelid = to_regclass(format('authorstack.%I', name))
      ) then
        return false;
      end if;
      -- In the order in which deleting a user locks them. Writers must wait: one that has chosen
      -- the default partition already would be refused there.
      lock table public.users in share row exclusive mode;
      lock table only public.sales_data in share row exclusive mode;
      lock table authorstack.sales_data_default in access exclusive mode;
      execute format(
        'create table authorstack.%I '
        '(like public.sales_data including all excluding identity excluding indexes)',
        name
      );
      execute format(
        'with moved as ( '
        '  delete from authorstack.sales_data_default where date >= %L and date < %L returning *) '
        'insert into authorstack.%I select * from moved',
        first, next, name
      );
      execute format(
        'alter table public.sales_data attach partition authorstack.%I for values from (%L) to (%L)',
        name, first, next
      );
      return true;
    end
  $$;

-- Makes the partitions of this month and of the given number of months behind it; says how many
-- were missing.
create or replace function authorstack.make_sales_partitions(months_ahead integer) returns integer
  language sql volatile
  set search_path = ''
  as $$
    select count(*) filter (where made)::integer
    from generate_series(0, months_ahead) as months,
      lateral authorstack.make_sales_partition(
        ((now() at time zone 'utc') + make_interval(months => months))::date
      ) as made
  $$;

revoke all on function authorstack.make_sales_partition(date),
  authorstack.make_sales_partitions(integer)
  from public, anon, authenticated, service_role;

do $partition$
  declare
    held regclass;
    old_sequence regclass;
    new_sequence text;
    obstacles text;
    definitions text[];
    statement text;
  begin
    -- The catalogs then name everything with its schema.
    perform set_config('search_path', '', true);
    perform set_config('lock_timeout', '10s', true);
    -- In the order in which deleting a user locks them.
    lock table public.users in share row exclusive mode;
    lock table public.sales_data in access exclusive mode;
    held := 'public.sales_data'::regclass;
    if (select relkind from pg_class where oid = held) = 'p' then
      raise exception 'public.sales_data is partitioned already';
    end if;

    -- What would be lost with the old table, or cannot be on a partitioned one.
    select string_agg(obstacle, ', ' order by obstacle) into obstacles
    from (
      select distinct format('%s reads it or is a rule of it', ev_class::regclass)
      from pg_depend join pg_rewrite on pg_rewrite.oid = objid
      where classid = 'pg_rewrite'::regclass and refclassid = 'pg_class'::regclass
        and refobjid = held
      union all
      select format('the foreign key %I of %s refers to it', conname, conrelid::regclass)
      from pg_constraint where contype = 'f' and confrelid = held
      union all
      select format('the trigger %I is on it', tgname)
      from pg_trigger
      where tgrelid = held and not tgisinternal and tgname <> 'closed_during_first_load'
      union all
      select format('the publication %I names it', pubname)
      from pg_publication_rel join pg_publication on pg_publication.oid = prpubid
      where prrelid = held
      union all
      select format('%s inherits from it or the other way around', inhrelid::regclass)
      from pg_inherits where held in (inhrelid, inhparent)
      union all
      select format('the unique index %s is without its date', indexrelid::regclass)
      from pg_index
      where indrelid = held and indisunique and not indisprimary
        and not exists (
          select from pg_attribute
          where attrelid = held and attname = 'date' and attnum = any (indkey)
        )
      union all
      select distinct format('a migration has put off %I; let it end', name)
      from authorstack.deferred_ddl where kind = 'sales_data'
    ) as found (obstacle);
    if obstacles is not null then
      raise exception 'public.sales_data cannot be partitioned: %', obstacles
        using hint = 'Take these away, run the script again, and make them anew afterwards.';
    end if;

    -- What makes everything but the columns and checks again, in the order of the second column.
    select array_agg(definition order by step, definition) into definitions
    from (
      select format('alter table public.sales_data add constraint %I %s', conname,
               case contype when 'p' then 'primary key (id, date)'
               else pg_get_constraintdef(oid) end),
             case contype when 'f' then 3 else 1 end
      from pg_constraint where conrelid = held and contype in ('p', 'u', 'f')
      union all
      select pg_get_indexdef(indexrelid), 2
      from pg_index
      where indrelid = held
        and not exists (select from pg_constraint where conindid = indexrelid and conrelid = held)
      union all
      select 'alter table public.sales_data enable row level security', 4
      from pg_class where oid = held and relrowsecurity
      union all
      select 'alter table public.sales_data force row level security', 4
      from pg_class where oid = held and relforcerowsecurity
      union all
      select format('create policy %I on public.sales_data as %s for %s to %s', policyname,
               permissive, cmd, (select string_agg(quote_ident(role), ', ') from unnest(roles) as role))
             || coalesce(' using (' || qual || ')', '')
             || coalesce(' with check (' || with_check || ')', ''),
             5
      from pg_policies where schemaname = 'public' and tablename = 'sales_data'
      union all
      -- Older projects grant everything on new tables by default: start from nothing.
      select 'revoke all on public.sales_data, public.sales_data_id_seq '
             'from public, anon, authenticated, service_role',
             6
      union all
      select format('grant %s on %s to %s', what.privilege, what.object,
               case grantee when 0 then 'public' else grantee::regrole::text end)
             || case when is_grantable then ' with grant option' else '' end,
             7
      from (
        select 'public.sales_data', privilege_type, grantee, is_grantable
        from pg_class, aclexplode(relacl)
        where oid = held and grantee <> relowner
        union all
        select 'public.sales_data', format('%s (%I)', privilege_type, attname), grantee, is_grantable
        from pg_attribute, aclexplode(attacl)
        where attrelid = held
        union all
        select 'sequence public.sales_data_id_seq', privilege_type, grantee, is_grantable
        from pg_class, aclexplode(relacl)
        where oid = pg_get_serial_sequence('public.sales_data', 'id')::regclass
          and grantee <> relowner
      ) as what (object, privilege, grantee, is_grantable)
      union all
      select format('comment on table public.sales_data is %L', obj_description(held, 'pg_class')), 7
      union all
      select pg_get_triggerdef(oid), 8
      from pg_trigger where tgrelid = held and tgname = 'closed_during_first_load'
    ) as made (definition, step);

    -- Its sequence, indexes and constraints go with it and leave their names.
    old_sequence := pg_get_serial_sequence('public.sales_data', 'id')::regclass;
    alter table public.sales_data set schema authorstack;
    create table public.sales_data (
      like authorstack.sales_data including all excluding identity excluding indexes
    ) partition by range (date);
    alter table public.sales_data alter column id add generated by default as identity;
    new_sequence := pg_get_serial_sequence('public.sales_data', 'id');
    execute format('select setval(%L, last_value, is_called) from %s', new_sequence, old_sequence);

    -- A date that is a slip must not make thousands of months: ten years back, three months ahead.
    create table authorstack.sales_data_default partition of public.sales_data default;
    perform authorstack.make_sales_partition(month::date)
    from (
      select (now() at time zone 'utc') as today,
        (select min(date) from authorstack.sales_data
         where date >= (now() at time zone 'utc') - interval '10 years') as oldest
    ) as span,
      generate_series(
        date_trunc('month', least(oldest, today)), today + interval '3 months', '1 month'
      ) as month;

    insert into public.sales_data select * from authorstack.sales_data;
    foreach statement in array definitions loop
      execute statement;
    end loop;
    drop table authorstack.sales_data;
    analyze public.sales_data;
  end
$partition$;
