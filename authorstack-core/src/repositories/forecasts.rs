use async_trait::async_trait;

use crate::{Days, Forecast, ForecastAccuracy, Id, Listed, NewForecast, Result, User};

/// The operations on forecasts. Each call takes the user whose revenue is predicted.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ForecastRepository: std::fmt::Debug + Send + Sync {
    /// Adds forecasts in one transaction; older ones stay.
    ///
    /// # Errors
    /// NotFound when there is no such user, where the stack holds users too; Invalid; Timeout or
    /// Unavailable of a store, as for every call. Nothing is written then.
    async fn create(&self, user_id: Id<User>, forecasts: Vec<NewForecast>)
    -> Result<Vec<Forecast>>;

    /// The newest forecast of each of these days, ordered by day.
    ///
    /// # Errors
    /// Only those of the store.
    async fn list(&self, user_id: Id<User>, days: Days) -> Result<Listed<Forecast>>;

    /// Sets the actual revenue in all forecasts of these days, from the roll-ups. Returns how many
    /// forecasts changed. What was earned on a day with sales and no roll-up is not known: its
    /// forecasts have no actual revenue then. A day without sales earned nothing, so call this for
    /// days that are over, after their refresh. Calling it again corrects earlier values.
    ///
    /// # Errors
    /// Only those of the store.
    async fn fill_actuals(&self, user_id: Id<User>, days: Days) -> Result<u64>;

    /// How accurate the forecasts of these days were: those that can be read.
    ///
    /// # Errors
    /// Only those of the store.
    async fn accuracy(&self, user_id: Id<User>, days: Days) -> Result<ForecastAccuracy>;
}
