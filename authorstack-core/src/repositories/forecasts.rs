use async_trait::async_trait;

use crate::{Days, Forecast, ForecastAccuracy, Id, Listed, NewForecast, Result, User};

/// The operations on forecasts. Each call takes the user whose revenue is predicted.
///
/// ```
/// use authorstack_core::{AuthorStack, Days, NewForecast, NewUser};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// # let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// # let ada = stack.users().create(ada).await?;
/// let march = Days::month("2024-03-01".parse().unwrap());
/// let forecast = NewForecast::new(march.first(), "90.00".parse()?);
/// stack.forecasts().create(ada.id, vec![forecast]).await?;
/// assert_eq!(stack.forecasts().list(ada.id, march).await?.len(), 1);
/// // Nothing was sold on that day: there is nothing to compare.
/// assert_eq!(stack.forecasts().accuracy(ada.id, march).await?.days, 0);
/// # Ok(())
/// # }
/// ```
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
