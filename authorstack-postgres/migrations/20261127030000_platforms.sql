-- Sales whose platform an old app has written in capitals: there are few of them, or none, and an
-- upsert must find them at once.
create index if not exists idx_sales_platform_case on public.sales_data (user_id)
  where platform <> lower(platform collate "C");
