use async_trait::async_trait;

use crate::{Conversion, DailyAggregate, Days, Id, Listed, Overview, RefreshCounts, Result, User};

/// The operations on roll-ups. Each call takes the user whose sales are summed.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AggregateRepository: std::fmt::Debug + Send + Sync {
    /// Computes the roll-ups of these days from the sales again, inside the store. Days without
    /// sales lose their roll-up; roll-ups that are right already stay untouched.
    ///
    /// Refreshes of one user run one after the other, so the last one has seen every sale that was
    /// written before it began. Use the same currency each time: the table has no column for it.
    ///
    /// # Errors
    /// Invalid naming the currencies of sales without a rate, or a total that the table cannot
    /// hold; NotFound when there is no such user. Nothing is changed then. A store's Timeout or
    /// Unavailable, as for every call.
    async fn refresh(
        &self,
        user_id: Id<User>,
        days: Days,
        conversion: &Conversion,
    ) -> Result<RefreshCounts>;

    /// The roll-ups of these days, in order. A day without sales has none.
    ///
    /// # Errors
    /// Only those of the store.
    async fn range(&self, user_id: Id<User>, days: Days) -> Result<Listed<DailyAggregate>>;

    /// The roll-ups of these days summed, with at most `top` books and platforms.
    ///
    /// # Errors
    /// Only those of the store.
    async fn overview(&self, user_id: Id<User>, days: Days, top: u32) -> Result<Overview>;
}
