-- The same checks of sales in words that cost less for each row: most are of one of three platforms and
-- in US dollars, and a comparison of bytes finds that out.

alter table public.sales_data
  drop constraint if exists sales_data_platform_case,
  drop constraint if exists sales_data_platform_check,
  drop constraint if exists sales_data_currency_check,
  add constraint sales_data_platform_check check (
    platform collate "C" in ('kdp', 'gumroad', 'apple_books')
    or (
      char_length(platform) between 1 and 50
      -- Only ASCII letters have a small form here.
      and platform = lower(platform collate "C")
    )
  ),
  add constraint sales_data_currency_check check (
    currency collate "C" = 'USD' or currency ~ '^[A-Z]{3}$'
  );

insert into authorstack.schema_version (version) values ('20261201000000');
