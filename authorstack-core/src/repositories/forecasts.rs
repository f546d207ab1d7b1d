use async_trait::async_trait;

use crate::{Days, Forecast, ForecastAccuracy, Id, NewForecast, Result, User};

/// The operations on forecasts. Each call takes the user whose revenue they foretell.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ForecastRepository: std::fmt::Debug + Send + Sync {
    /// Keeps forecasts beside the older ones, in one transaction.
    ///
    /// # Errors
    /// NotFound when there is no such user, where the store holds users too; Invalid; a store's
    /// Timeout or Unavailable, as for every call. Nothing is written then.
    async fn put(&self, user_id: Id<User>, forecasts: Vec<NewForecast>) -> Result<Vec<Forecast>>;

    /// The forecasts of these days, by day; the newest of each day alone.
    ///
    /// # Errors
    /// Only a store's.
    async fn range(&self, user_id: Id<User>, days: Days) -> Result<Vec<Forecast>>;

    /// Sets what was earned on these days, from the roll-ups, in all forecasts of these days, and
    /// says how many have changed. A day without a roll-up counts as one without sales: call this
    /// for days that are over, after their refresh. Calling it again corrects what was set.
    ///
    /// # Errors
    /// Only a store's.
    async fn fill_actuals(&self, user_id: Id<User>, days: Days) -> Result<u64>;

    /// How right the forecasts of these days were.
    ///
    /// # Errors
    /// Only a store's.
    async fn accuracy(&self, user_id: Id<User>, days: Days) -> Result<ForecastAccuracy>;
}
