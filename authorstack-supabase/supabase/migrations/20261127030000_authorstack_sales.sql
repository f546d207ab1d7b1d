-- A sale is made on a platform, or in a market of it: `kdp`, `kdp:amazon.de`. The names are in small
-- letters, so that KDP and kdp are one platform. Only ASCII letters are changed.

-- Two rows that would become one are not merged: which of them is right, only their owner knows.
do $$
  declare
    named text;
  begin
    select string_agg(pair, '; ') into named
    from (
      select distinct format(
        'sales %s and %s are of one user, book and day, on %s and %s',
        least(odd.id, held.id), greatest(odd.id, held.id),
        least(odd.platform, held.platform), greatest(odd.platform, held.platform)
      ) as pair
      from public.sales_data as odd
        join public.sales_data as held
          on held.user_id = odd.user_id and held.book_id = odd.book_id and held.date = odd.date
            and held.id <> odd.id
            and lower(held.platform collate "C") = lower(odd.platform collate "C")
      where odd.platform <> lower(odd.platform collate "C")
      limit 20
    ) as pairs;
    if named is not null then
      raise exception 'platforms differ by their capitals only: %; delete one sale of each, or change its platform, then migrate again', named;
    end if;
  end
$$;

update public.sales_data set platform = lower(platform collate "C")
where platform <> lower(platform collate "C");
update public.sync_logs set platform = lower(platform collate "C")
where platform <> lower(platform collate "C");

alter table public.sales_data add constraint sales_data_platform_case
  check (platform = lower(platform collate "C"));
alter table public.sync_logs add constraint sync_logs_platform_case
  check (platform = lower(platform collate "C"));

insert into authorstack.schema_version (version) values ('20261127030000');
