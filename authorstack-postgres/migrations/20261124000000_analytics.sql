-- The schema's five tables. Each statement leaves alone what an old app has made with the schema's
-- own SQL, its data above all.
create table if not exists public.sales_data (
  id serial primary key,
  user_id uuid not null,
  book_id uuid not null,
  platform varchar(50) not null,
  date date not null,
  revenue decimal(10,2) not null,
  units integer not null,
  page_reads integer default 0,
  currency varchar(3) default 'USD',
  synced_at timestamp default now(),
  unique (user_id, book_id, platform, date)
);
create index if not exists idx_sales_user_date on public.sales_data (user_id, date desc);
create index if not exists idx_sales_platform on public.sales_data (platform);
create index if not exists idx_sales_book on public.sales_data (book_id);

create table if not exists public.daily_aggregates (
  id serial primary key,
  user_id uuid not null,
  date date not null,
  total_revenue decimal(10,2) not null,
  total_units integer not null,
  total_page_reads integer default 0,
  platform_breakdown jsonb,
  book_breakdown jsonb,
  unique (user_id, date)
);
create index if not exists idx_aggregates_user_date on public.daily_aggregates (user_id, date desc);

create table if not exists public.sync_logs (
  id serial primary key,
  user_id uuid not null,
  platform varchar(50) not null,
  status varchar(20) not null,
  records_synced integer default 0,
  error_message text,
  synced_at timestamp default now()
);
create index if not exists idx_sync_user on public.sync_logs (user_id, synced_at desc);
-- Logs and insights are listed by their numbers: their dates may be missing.
create index if not exists idx_sync_user_id on public.sync_logs (user_id, id);

create table if not exists public.ai_insights (
  id serial primary key,
  user_id uuid not null,
  book_id uuid,
  insight_type varchar(50),
  content jsonb not null,
  confidence decimal(3,2),
  valid_until timestamp,
  created_at timestamp default now()
);
create index if not exists idx_insights_user on public.ai_insights (user_id, created_at desc);
create index if not exists idx_insights_user_id on public.ai_insights (user_id, id);
-- The schema's condition, valid_until > now(), is none that an index can have.
create index if not exists idx_insights_valid on public.ai_insights (valid_until)
  where valid_until is not null;

create table if not exists public.revenue_forecasts (
  id serial primary key,
  user_id uuid not null,
  forecast_date date not null,
  predicted_revenue decimal(10,2),
  actual_revenue decimal(10,2),
  confidence decimal(3,2),
  factors jsonb,
  created_at timestamp default now()
);
create index if not exists idx_forecasts_user on public.revenue_forecasts (user_id, forecast_date);
