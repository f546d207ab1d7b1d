-- What the analytics of an old app hold beyond the schema. Most rows have none of it, so it is null
-- there, which costs nothing.

alter table public.sales_data add column if not exists extra jsonb;
alter table public.sales_data add constraint sales_data_extra_check check (
  extra is null or (
    jsonb_typeof(extra) = 'object'
    and authorstack.is_json(extra, 16000000)
    -- No unknown field has the name of a known one.
    and not extra ?| array[
        'id', 'user_id', 'book_id', 'platform', 'date', 'revenue', 'units', 'page_reads',
        'currency', 'synced_at'
    ]
  )
);

alter table public.daily_aggregates add column if not exists extra jsonb;
alter table public.daily_aggregates add constraint daily_aggregates_extra_check check (
  extra is null or (
    jsonb_typeof(extra) = 'object'
    and authorstack.is_json(extra, 16000000)
    -- No unknown field has the name of a known one.
    and not extra ?| array[
        'id', 'user_id', 'date', 'total_revenue', 'total_units', 'total_page_reads',
        'platform_breakdown', 'book_breakdown'
    ]
  )
);

alter table public.sync_logs add column if not exists extra jsonb;
alter table public.sync_logs add constraint sync_logs_extra_check check (
  extra is null or (
    jsonb_typeof(extra) = 'object'
    and authorstack.is_json(extra, 16000000)
    -- No unknown field has the name of a known one.
    and not extra ?| array[
        'id', 'user_id', 'platform', 'status', 'records_synced', 'error_message', 'synced_at'
    ]
  )
);

alter table public.ai_insights add column if not exists extra jsonb;
alter table public.ai_insights add constraint ai_insights_extra_check check (
  extra is null or (
    jsonb_typeof(extra) = 'object'
    and authorstack.is_json(extra, 16000000)
    -- No unknown field has the name of a known one.
    and not extra ?| array[
        'id', 'user_id', 'book_id', 'insight_type', 'content', 'confidence', 'valid_until',
        'created_at'
    ]
  )
);

alter table public.revenue_forecasts add column if not exists extra jsonb;
alter table public.revenue_forecasts add constraint revenue_forecasts_extra_check check (
  extra is null or (
    jsonb_typeof(extra) = 'object'
    and authorstack.is_json(extra, 16000000)
    -- No unknown field has the name of a known one.
    and not extra ?| array[
        'id', 'user_id', 'forecast_date', 'predicted_revenue', 'actual_revenue', 'confidence',
        'factors', 'created_at'
    ]
  )
);

-- Columns, not tables: what an old app kept beyond the schema is the host's alone.
revoke select on public.sales_data, public.daily_aggregates, public.sync_logs, public.ai_insights,
  public.revenue_forecasts from authenticated;
grant select (id, user_id, book_id, platform, date, revenue, units, page_reads, currency, synced_at)
  on public.sales_data to authenticated;
grant select (id, user_id, date, total_revenue, total_units, total_page_reads, platform_breakdown,
  book_breakdown) on public.daily_aggregates to authenticated;
grant select (id, user_id, platform, status, records_synced, error_message, synced_at)
  on public.sync_logs to authenticated;
grant select (id, user_id, book_id, insight_type, content, confidence, valid_until, created_at)
  on public.ai_insights to authenticated;
grant select (id, user_id, forecast_date, predicted_revenue, actual_revenue, confidence, factors,
  created_at) on public.revenue_forecasts to authenticated;

insert into authorstack.schema_version (version) values ('20261128000000');
