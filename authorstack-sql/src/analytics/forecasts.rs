use std::sync::Arc;

use async_trait::async_trait;
use authorstack_core::{
    Amount, Confidence, Days, Error, Forecast, ForecastAccuracy, ForecastRepository, Id,
    NewForecast, Result, User,
};
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;

use super::{Dialect, SqlAnalytics, confidence, in_dialect, json, named, statement};
use crate::{Jsonb, Moment, get};

#[derive(Debug)]
pub(super) struct SqlForecasts(pub(super) SqlAnalytics);

#[derive(Debug)]
pub(super) struct Texts {
    put: Arc<str>,
    range: Arc<str>,
    fill: Arc<str>,
}

pub(super) const COLUMNS: &str = "id::bigint, user_id, forecast_date, predicted_revenue, \
     actual_revenue, confidence, factors, utc(created_at)";

impl Texts {
    pub(super) fn new(dialect: Dialect) -> Self {
        let put = format!(
            "insert into public.revenue_forecasts \
               (user_id, forecast_date, predicted_revenue, confidence, factors, created_at) \
             values ($1, $2, $3, $4, $5, utc($6::timestamptz)) returning {COLUMNS}"
        );
        let range = format!(
            "select distinct on (forecast_date) {COLUMNS} from public.revenue_forecasts \
             where user_id = $1 and forecast_date between $2 and $3 order by forecast_date, id desc"
        );
        // What changes is locked in one order, beside another call for the same days.
        let fill = "with earned as ( \
               select f.id, coalesce(a.total_revenue, 0) as revenue \
               from public.revenue_forecasts as f \
                 left join public.daily_aggregates as a \
                   on a.user_id = f.user_id and a.date = f.forecast_date \
               where f.user_id = $1 and f.forecast_date between $2 and $3 \
                 and f.actual_revenue is distinct from coalesce(a.total_revenue, 0) \
               order by f.id for no key update of f), \
             filled as ( \
               update public.revenue_forecasts as f set actual_revenue = earned.revenue \
               from earned where earned.id = f.id returning 1) \
             select count(*) from filled";
        Self {
            put: in_dialect(dialect, &put),
            range: in_dialect(dialect, &range),
            fill: fill.into(),
        }
    }
}

impl SqlForecasts {
    pub(super) fn forecast(&self, row: &PgRow) -> Result<Forecast> {
        let id: i64 = get(row, 0)?;
        let amount = |index, field: &str| -> Result<Option<Amount>> {
            let amount: Option<Decimal> = get(row, index)?;
            let amount = amount.map(Amount::new).transpose();
            amount.map_err(|error| Error::corrupt(format!("{field}: {}", error.kind())))
        };
        let read = || {
            Ok(Forecast {
                id,
                user_id: self.0.id(get(row, 1)?, "user_id")?,
                date: get(row, 2)?,
                predicted: amount(3, "predicted_revenue")?,
                actual: amount(4, "actual_revenue")?,
                confidence: confidence(row, 5)?,
                factors: json(row, 6)?,
                created_at: get::<Option<Moment>>(row, 7)?.map(|at| at.0),
            })
        };
        read().map_err(|error: Error| error.for_record(format_args!("forecast {id}")))
    }

    async fn insert(&self, user_id: Id<User>, new: Vec<NewForecast>) -> Result<Vec<Forecast>> {
        let new: Result<Vec<Forecast>> = new
            .into_iter()
            .map(|forecast| forecast.into_forecast(user_id))
            .collect();
        let new = new?;
        let mut unit = self.0.pool.unit().await?;
        let mut stored = Vec::with_capacity(new.len());
        for forecast in &new {
            let insert = statement(&self.0.texts.forecasts.put)
                .bind(self.0.uuid(user_id))
                .bind(forecast.date)
                .bind(forecast.predicted.map(Amount::to_decimal))
                .bind(forecast.confidence.map(Confidence::to_decimal))
                .bind(forecast.factors.as_ref().map(Jsonb))
                .bind(forecast.created_at.map(Moment));
            let row = unit.fetch_optional(insert).await?;
            let row = row.ok_or_else(|| Error::internal("an insert answered no row"))?;
            stored.push(self.forecast(&row)?);
        }
        unit.commit().await?;
        Ok(stored)
    }

    async fn newest(&self, user_id: Id<User>, days: Days) -> Result<Vec<Forecast>> {
        let select = statement(&self.0.texts.forecasts.range)
            .bind(self.0.uuid(user_id))
            .bind(days.first())
            .bind(days.last());
        let rows = self.0.pool.fetch_all(select).await?;
        rows.iter().map(|row| self.forecast(row)).collect()
    }
}

#[async_trait]
impl ForecastRepository for SqlForecasts {
    async fn put(&self, user_id: Id<User>, forecasts: Vec<NewForecast>) -> Result<Vec<Forecast>> {
        named(self.insert(user_id, forecasts).await, "forecasts.put")
    }

    async fn range(&self, user_id: Id<User>, days: Days) -> Result<Vec<Forecast>> {
        named(self.newest(user_id, days).await, "forecasts.range")
    }

    async fn fill_actuals(&self, user_id: Id<User>, days: Days) -> Result<u64> {
        let fill = async {
            let update = statement(&self.0.texts.forecasts.fill)
                .bind(self.0.uuid(user_id))
                .bind(days.first())
                .bind(days.last());
            let row = self.0.pool.fetch_optional(update).await?;
            let row = row.ok_or_else(|| Error::internal("a count answered no row"))?;
            Ok(get::<i64>(&row, 0)?.unsigned_abs())
        };
        named(fill.await, "forecasts.fill_actuals")
    }

    async fn accuracy(&self, user_id: Id<User>, days: Days) -> Result<ForecastAccuracy> {
        let newest = self.newest(user_id, days).await;
        named(
            newest.map(|all| ForecastAccuracy::of(&all)),
            "forecasts.accuracy",
        )
    }
}
