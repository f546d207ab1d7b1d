-- A post from before the rules may break one, and PostgreSQL then refuses every change of its row,
-- that of its counts as well. A like, a comment and the removal of somebody who wrote one must not
-- fail for that: such a post keeps its counts, and the other posts are counted.
create or replace function authorstack.count_parts() returns trigger
  language plpgsql security definer
  set search_path = ''
  as $$
  declare
    step int := case tg_op when 'INSERT' then 1 else -1 end;
    part record;
  begin
    perform 1 from public.community_posts
      where id in (select post_id from changed)
      order by id for no key update;
    for part in select post_id, count(*) as n from changed group by post_id loop
      begin
        if tg_table_name = 'post_likes' then
          update public.community_posts set like_count = like_count + step * part.n
            where id = part.post_id;
        else
          update public.community_posts set comment_count = comment_count + step * part.n
            where id = part.post_id;
        end if;
      exception when check_violation then
        raise warning 'the post % breaks a rule, so its likes and comments are not counted',
          part.post_id;
      end;
    end loop;
    return null;
  end
  $$;

insert into authorstack.schema_version (version) values ('20261127040000');
