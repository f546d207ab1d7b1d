//! A dashboard by queries, as one would write it without the repositories. The columns of the schema
//! have no time zone, those of Supabase have one.

use std::collections::HashMap;

use anyhow::Result;
use authorstack_core::{
    Days, Extra, Forecast, ForecastAccuracy, Id, Insight, Sums, User,
    services::{DashboardSummary, percent_change},
};
use chrono::{NaiveDate, Utc};
use sqlx::{PgPool, Row, postgres::PgRow, types::Decimal};
use uuid::Uuid;

const OVERVIEW: &str = "with held as materialized (select * from public.daily_aggregates \
       where user_id = $1 and date between $2 and $3) \
     select 'day', date, null::text, total_revenue, total_units::bigint, \
       total_page_reads::bigint from held \
     union all \
     (select 'platform', null, key, sum((value ->> 'revenue')::numeric) as revenue, \
        sum((value ->> 'units')::bigint)::bigint, sum((value ->> 'page_reads')::bigint)::bigint \
      from held, lateral jsonb_each(platform_breakdown) \
      group by key order by revenue desc, key limit 10) \
     union all \
     (select 'book', null, key, sum((value ->> 'revenue')::numeric) as revenue, \
        sum((value ->> 'units')::bigint)::bigint, sum((value ->> 'page_reads')::bigint)::bigint \
      from held, lateral jsonb_each(book_breakdown) \
      group by key order by revenue desc, key limit 10) \
     union all \
     select 'before', null, null, sum(total_revenue), sum(total_units), sum(total_page_reads) \
     from public.daily_aggregates where user_id = $1 and date between $4 and $5";

const GAPS: &str = "select distinct date from public.sales_data as sale \
     where user_id = $1 and date between $2 and $3 and not exists (\
       select from public.daily_aggregates as held \
       where held.user_id = sale.user_id and held.date = sale.date) order by date";

const INSIGHTS: &str = "select id::bigint, book_id, insight_type, content, confidence, valid_until::timestamptz, \
       created_at::timestamptz from public.ai_insights \
     where user_id = $1 and (valid_until is null or valid_until > $2) order by id desc limit 5";

const FORECASTS: &str = "select distinct on (forecast_date) id::bigint, forecast_date, \
       predicted_revenue, actual_revenue, confidence, factors, \
       created_at::timestamptz \
     from public.revenue_forecasts where user_id = $1 and forecast_date between $2 and $3 \
     order by forecast_date, id desc";

pub(crate) async fn of(pool: &PgPool, user: Uuid, days: Days) -> Result<DashboardSummary> {
    let before = days.before();
    let overview = sqlx::query(OVERVIEW)
        .bind(user)
        .bind(days.first())
        .bind(days.last());
    let overview = overview.bind(before.first()).bind(before.last());
    let gaps = sqlx::query_scalar::<_, NaiveDate>(GAPS).bind(user);
    let gaps = gaps.bind(before.first()).bind(days.last());
    let insights = sqlx::query(INSIGHTS).bind(user).bind(Utc::now());
    let forecasts = sqlx::query(FORECASTS).bind(user);
    let forecasts = forecasts.bind(days.first()).bind(days.last());
    let (overview, gaps, insights, forecasts) = tokio::try_join!(
        overview.fetch_all(pool),
        gaps.fetch_all(pool),
        insights.fetch_all(pool),
        forecasts.fetch_all(pool),
    )?;
    let mut sold = HashMap::new();
    let (mut books, mut platforms) = (Vec::new(), Vec::new());
    let mut previous = Sums::default();
    for row in &overview {
        let sums = Sums {
            revenue: row.try_get::<Option<Decimal>, _>(3)?.unwrap_or_default(),
            units: row.try_get::<Option<i64>, _>(4)?.unwrap_or_default(),
            page_reads: row.try_get::<Option<i64>, _>(5)?.unwrap_or_default(),
        };
        match row.try_get(0)? {
            "day" => drop(sold.insert(row.try_get::<NaiveDate, _>(1)?, sums)),
            "platform" => platforms.push((row.try_get::<&str, _>(2)?.parse()?, sums)),
            "book" => books.push((row.try_get::<&str, _>(2)?.parse()?, sums)),
            _ => previous = sums,
        }
    }
    let mut totals = Sums::default();
    let series: Vec<(NaiveDate, Sums)> = days
        .iter()
        .map(|day| (day, sold.get(&day).copied().unwrap_or_default()))
        .inspect(|(_, sums)| totals += *sums)
        .collect();
    let user_id = Id::from_uuid(user)?;
    let insights = insights.iter().map(|row| insight(row, user_id));
    let forecasts: Result<Vec<Forecast>> =
        forecasts.iter().map(|row| forecast(row, user_id)).collect();
    let forecasts = forecasts?;
    Ok(DashboardSummary {
        days,
        totals,
        previous,
        revenue_change: percent_change(previous.revenue, totals.revenue)
            .filter(|_| gaps.is_empty()),
        gaps,
        series,
        books,
        platforms,
        insights: insights.collect::<Result<_>>()?,
        accuracy: ForecastAccuracy::of(&forecasts),
        forecasts,
        unreadable: Vec::new(),
    })
}

fn insight(row: &PgRow, user_id: Id<User>) -> Result<Insight> {
    let book: Option<Uuid> = row.try_get(1)?;
    let kind: Option<&str> = row.try_get(2)?;
    let confidence: Option<Decimal> = row.try_get(4)?;
    Ok(Insight {
        id: row.try_get(0)?,
        user_id,
        book_id: book.map(Id::from_uuid).transpose()?,
        kind: kind.map(str::parse).transpose()?,
        content: row.try_get(3)?,
        confidence: confidence.map(TryInto::try_into).transpose()?,
        valid_until: row.try_get(5)?,
        created_at: row.try_get(6)?,
        extra: Extra::new(),
    })
}

fn forecast(row: &PgRow, user_id: Id<User>) -> Result<Forecast> {
    let predicted: Option<Decimal> = row.try_get(2)?;
    let actual: Option<Decimal> = row.try_get(3)?;
    let confidence: Option<Decimal> = row.try_get(4)?;
    Ok(Forecast {
        id: row.try_get(0)?,
        user_id,
        date: row.try_get(1)?,
        predicted: predicted.map(TryInto::try_into).transpose()?,
        actual: actual.map(TryInto::try_into).transpose()?,
        confidence: confidence.map(TryInto::try_into).transpose()?,
        factors: row.try_get(5)?,
        created_at: row.try_get(6)?,
        extra: Extra::new(),
    })
}
