-- What a role that may create functions in `public` can do to those who call functions without
-- naming their schema: a function or an operator whose types fit a call better than those of
-- pg_catalog is called instead. Each of these fails, and says so.
do $make$
declare
  it record;
  swap record;
  arguments text;
begin
  for swap in
    select * from (values
      ('text', 'character varying'), ('bigint', 'integer'), ('integer', 'smallint'),
      ('double precision', 'integer'), ('timestamp with time zone', 'date'),
      ('timestamp without time zone', 'date'), ('anyelement', 'character varying'),
      ('anyelement', 'uuid'), ('anyelement', 'date'), ('anyelement', 'numeric'),
      ('anyelement', 'integer'), ('anyelement', 'bigint'), ('anyelement', 'jsonb'),
      ('anyelement', 'timestamp without time zone'), ('anyelement', 'text'),
      ('"any"', 'character varying'), ('"any"', 'uuid'), ('"any"', 'integer'),
      ('anynonarray', 'character varying'), ('anynonarray', 'text'), ('anynonarray', 'uuid'),
      ('anyarray', 'text[]'), ('anyarray', 'character varying[]'), ('anyarray', 'uuid[]')
    ) as swaps (theirs, ours)
  loop
    for it in
      select p.proname,
        array(select pg_catalog.format_type(t, null)
              from pg_catalog.unnest(p.proargtypes::oid[]) with ordinality as a (t, n)
              order by n) as types
      from pg_catalog.pg_proc as p
      where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind in ('f', 'a')
        and p.pronargs between 1 and 5
    loop
      continue when not swap.theirs = any (it.types);
      arguments := pg_catalog.array_to_string(
        pg_catalog.array_replace(it.types, swap.theirs, swap.ours), ', ');
      begin
        execute pg_catalog.format(
          'create function public.%I(%s) returns text language plpgsql as '
          '$shadow$ begin raise ''a shadow was called: %s''; end $shadow$',
          it.proname, arguments, it.proname);
      exception when others then
        -- It exists already, or nobody could call it.
      end;
    end loop;
    for it in
      select o.oprname, pg_catalog.format_type(o.oprleft, null) as one,
        pg_catalog.format_type(o.oprright, null) as other
      from pg_catalog.pg_operator as o
      where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprkind = 'b'
    loop
      continue when not swap.theirs in (it.one, it.other);
      declare
        one text := case when it.one = swap.theirs then swap.ours else it.one end;
        other text := case when it.other = swap.theirs then swap.ours else it.other end;
      begin
        begin
          execute pg_catalog.format(
            'create function public.shadow_operator(%s, %s) returns boolean language plpgsql as '
            '$shadow$ begin raise ''a shadow was called: an operator''; end $shadow$',
            one, other);
        exception when duplicate_function then
          -- For another operator of these types.
        end;
        execute pg_catalog.format(
          'create operator public.%s (leftarg = %s, rightarg = %s, function = public.shadow_operator)',
          it.oprname, one, other);
      exception when others then
        -- As above.
      end;
    end loop;
  end loop;
end
$make$;
