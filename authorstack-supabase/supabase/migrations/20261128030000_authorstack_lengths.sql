-- The lengths of names are counted in characters, as `varchar(50)` of the old schema counts them. What
-- was accepted before still is.

create or replace function authorstack.is_name(name text) returns boolean
  language plpgsql immutable strict parallel safe
  set search_path = ''
  as $$ begin return char_length(name) between 1 and 50
    and name !~ '^[\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]|[\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$|[\u0001-\u001f\u007f-\u009f]'; end $$;

alter table public.sales_data
  drop constraint if exists sales_data_platform_check,
  add constraint sales_data_platform_check check (char_length(platform) between 1 and 50);

insert into authorstack.schema_version (version) values ('20261128030000');
