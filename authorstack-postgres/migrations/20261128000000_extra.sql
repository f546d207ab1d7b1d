-- Fields that the schema does not know, where a table has no column for them. A migration back into
-- this database keeps them here; the app that made the table need not know the column.
alter table public.sales_data add column if not exists extra jsonb;
alter table public.daily_aggregates add column if not exists extra jsonb;
alter table public.sync_logs add column if not exists extra jsonb;
alter table public.ai_insights add column if not exists extra jsonb;
alter table public.revenue_forecasts add column if not exists extra jsonb;
