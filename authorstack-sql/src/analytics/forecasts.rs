use std::sync::Arc;

use async_trait::async_trait;
use authorstack_core::{
    Days, Error, Forecast, ForecastAccuracy, ForecastRepository, Id, Listed, NewForecast, Result,
    User, migrate::Stored,
};

use super::{
    base::{Base, statement, statement_with},
    dialect::Dialect,
};
use crate::get;

#[derive(Debug)]
pub(super) struct SqlForecasts {
    base: Base,
    texts: Texts,
}

#[derive(Debug)]
struct Texts {
    put: Arc<str>,
    range: Arc<str>,
    fill: Arc<str>,
}

impl Texts {
    fn new(dialect: Dialect) -> Self {
        let columns = dialect.select_list(Forecast::KIND);
        let (given, parameters) = dialect.insert(Forecast::KIND);
        let put = format!(
            "insert into public.revenue_forecasts ({given}) values ({parameters}) \
             returning {columns}"
        );
        let range = format!(
            "select distinct on (forecast_date) {columns} from public.revenue_forecasts \
             where user_id = $1 and forecast_date between $2 and $3 order by forecast_date, id desc"
        );
        // Rows are locked in one order, so that calls for the same days do not deadlock.
        // What was earned on a day with sales and no roll-up is not known.
        let earned = "case when a.date is not null then a.total_revenue \
                           when exists (select from public.sales_data as s \
                             where s.user_id = f.user_id and s.date = f.forecast_date) then null \
                           else 0 end";
        let fill = format!(
            "with earned as ( \
               select f.id, {earned} as revenue \
               from public.revenue_forecasts as f \
                 left join public.daily_aggregates as a \
                   on a.user_id = f.user_id and a.date = f.forecast_date \
               where f.user_id = $1 and f.forecast_date between $2 and $3 \
                 and f.actual_revenue is distinct from ({earned}) \
               order by f.id for no key update of f), \
             filled as ( \
               update public.revenue_forecasts as f set actual_revenue = earned.revenue \
               from earned where earned.id = f.id returning 1) \
             select count(*) from filled"
        );
        Self {
            put: put.into(),
            range: range.into(),
            fill: fill.into(),
        }
    }
}

impl SqlForecasts {
    pub(super) fn new(base: Base) -> Self {
        let texts = Texts::new(base.dialect);
        Self { base, texts }
    }
}

#[async_trait]
impl ForecastRepository for SqlForecasts {
    async fn create(
        &self,
        user_id: Id<User>,
        forecasts: Vec<NewForecast>,
    ) -> Result<Vec<Forecast>> {
        if forecasts.is_empty() {
            self.base.known_user(user_id).await?;
            return Ok(Vec::new());
        }
        let mut unit = self.base.pool.unit().await?;
        let mut stored = Vec::with_capacity(forecasts.len());
        for forecast in forecasts {
            let forecast = forecast.into_forecast(user_id);
            let insert = statement_with(&self.texts.put, self.base.arguments(&forecast)?);
            let row = unit.fetch_optional(insert).await?;
            let row = row.ok_or_else(|| Error::internal("an insert returned no row"))?;
            stored.push(self.base.read(&row)?);
        }
        unit.commit().await?;
        Ok(stored)
    }

    async fn list(&self, user_id: Id<User>, days: Days) -> Result<Listed<Forecast>> {
        let select = statement(&self.texts.range)
            .bind(self.base.uuid(user_id))
            .bind(days.first())
            .bind(days.last());
        let rows = self.base.pool.fetch_all(select).await?;
        Ok(self.base.read_all(&rows))
    }

    async fn fill_actuals(&self, user_id: Id<User>, days: Days) -> Result<u64> {
        let update = statement(&self.texts.fill)
            .bind(self.base.uuid(user_id))
            .bind(days.first())
            .bind(days.last());
        let row = self.base.pool.fetch_optional(update).await?;
        let row = row.ok_or_else(|| Error::internal("a count returned no row"))?;
        Ok(get::<i64>(&row, 0)?.unsigned_abs())
    }

    async fn accuracy(&self, user_id: Id<User>, days: Days) -> Result<ForecastAccuracy> {
        let newest = self.list(user_id, days).await?;
        Ok(ForecastAccuracy::of(&newest))
    }
}
