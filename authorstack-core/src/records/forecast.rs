//! Forecasts: the revenue that a model predicts for a day, and what was earned.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    check::check_fields,
    fields::fields,
    json::{input_json, json},
};
use crate::{Amount, Confidence, Extra, Id, Result, User, time, values::days::check_day};

/// The revenue that a model predicts for a user's day, in the currency of their roll-ups.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// The row number, assigned by the store; later forecasts have higher ones.
    pub id: i64,
    /// The user.
    pub user_id: Id<User>,
    /// The day.
    pub date: NaiveDate,
    /// The predicted revenue; `None` if an old app did not write it.
    pub predicted: Option<Amount>,
    /// The actual revenue, once it is known.
    pub actual: Option<Amount>,
    /// How sure the model is.
    pub confidence: Option<Confidence>,
    /// What the model based it on.
    pub factors: Option<Value>,
    /// When it was made; `None` if an old app did not write it.
    pub created_at: Option<DateTime<Utc>>,
    /// Fields that the schema does not know, such as columns of an old app.
    pub extra: Extra,
}

/// A forecast to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewForecast {
    /// The day.
    pub date: NaiveDate,
    /// The predicted revenue, in the currency of the user's roll-ups.
    pub predicted: Amount,
    /// How sure the model is.
    pub confidence: Option<Confidence>,
    /// What the model based it on.
    pub factors: Option<Value>,
}

impl NewForecast {
    /// A forecast with a day and an amount only.
    #[must_use]
    pub const fn new(date: NaiveDate, predicted: Amount) -> Self {
        Self {
            date,
            predicted,
            confidence: None,
            factors: None,
        }
    }

    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        self.clone().into_forecast(Id::new()).check()
    }

    /// The record to store, with the current time. The store assigns the number.
    #[must_use]
    pub fn into_forecast(self, user_id: Id<User>) -> Forecast {
        let Self {
            date,
            predicted,
            confidence,
            factors,
        } = self;
        Forecast {
            id: 0,
            user_id,
            date,
            predicted: Some(predicted),
            actual: None,
            confidence,
            factors,
            created_at: Some(time::now()),
            extra: Extra::new(),
        }
    }
}

json!(Forecast);

input_json! {
    NewForecast;
    date: "forecastDate" required("say of which day"),
    predicted: "predictedRevenue" required("say what is predicted"),
    confidence: "confidence",
    factors: "factors",
}

fields! {
    Forecast, extra: extra;
    id: "id" required("give the row a number"),
    user_id: "user_id" required("say whose revenue"),
    date: "forecast_date" column("forecast_date") required("say of which day"),
    predicted: "predicted_revenue" column("predicted_revenue") vital("it is an amount"),
    actual: "actual_revenue" column("actual_revenue") vital("it is an amount"),
    confidence: "confidence",
    factors: "factors",
    created_at: "created_at",
}

impl Forecast {
    /// Checks what the field types cannot: every backend can store the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_day("forecast_date", self.date)?;
        check_fields(self)
    }
}

/// How accurate forecasts were. Of each day the newest forecast counts, if the actual revenue is
/// known.
///
/// ```
/// use authorstack_core::{Amount, Forecast, ForecastAccuracy, Id, NewForecast};
///
/// let user = Id::new();
/// let made = |date: &str, predicted: &str, actual: &str| -> authorstack_core::Result<Forecast> {
///     let new = NewForecast::new(date.parse().unwrap(), predicted.parse()?);
///     let mut forecast = new.into_forecast(user);
///     forecast.actual = Some(actual.parse()?);
///     Ok(forecast)
/// };
/// let days = [made("2024-03-01", "110", "100")?, made("2024-03-02", "60", "80")?];
/// let accuracy = ForecastAccuracy::of(&days);
/// assert_eq!(accuracy.mape.unwrap().to_string(), "17.5000");
/// assert_eq!(accuracy.bias.unwrap().to_string(), "-5.0000");
/// # Ok::<(), authorstack_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ForecastAccuracy {
    /// How many days were compared.
    pub days: u64,
    /// The mean absolute percentage error, in percent with four decimals, over the days with
    /// revenue (there is no percentage of zero). `None` without such a day.
    #[serde(default, with = "crate::json::decimal::option")]
    pub mape: Option<Decimal>,
    /// The mean of predicted minus actual, in units of the currency with four decimals: above zero
    /// if forecasts are too high. `None` without a day.
    #[serde(default, with = "crate::json::decimal::option")]
    pub bias: Option<Decimal>,
}

impl ForecastAccuracy {
    /// Compares forecasts, given in any order. Of several for one day the newest counts.
    #[must_use]
    pub fn of<'f>(forecasts: impl IntoIterator<Item = &'f Forecast>) -> Self {
        let mut newest: BTreeMap<NaiveDate, &Forecast> = BTreeMap::new();
        for forecast in forecasts {
            let kept = newest.entry(forecast.date).or_insert(forecast);
            if kept.id <= forecast.id {
                *kept = forecast;
            }
        }
        let pairs: Vec<(Decimal, Decimal)> = newest
            .into_values()
            .filter_map(|day| Some((day.predicted?.to_decimal(), day.actual?.to_decimal())))
            .collect();
        let errors: Vec<Decimal> = pairs
            .iter()
            .filter(|(_, actual)| !actual.is_zero())
            .map(|(predicted, actual)| ((predicted - actual) / actual).abs() * Decimal::ONE_HUNDRED)
            .collect();
        let differences: Vec<Decimal> = pairs.iter().map(|(p, a)| p - a).collect();
        Self {
            days: pairs.len() as u64,
            mape: mean(&errors),
            bias: mean(&differences),
        }
    }
}

fn mean(values: &[Decimal]) -> Option<Decimal> {
    if values.is_empty() {
        return None;
    }
    let sum: Decimal = values.iter().sum();
    let mean = sum / Decimal::from(values.len());
    let mut mean = mean.round_dp_with_strategy(4, RoundingStrategy::MidpointAwayFromZero);
    mean.rescale(4);
    Some(mean)
}
