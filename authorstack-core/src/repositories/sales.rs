use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{
    Id, NewSale, Result, Sale, SaleKey, SalesFilter, SalesTotal, TotalsBy, UpsertCounts, User,
};

/// The operations on sales. Each call takes the user whose sales they are.
///
/// The user must exist, if the stack also holds users. Whether the book exists is not checked.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait SalesRepository: std::fmt::Debug + Send + Sync {
    /// Writes a batch of any size in one transaction. Sales with new keys are inserted, those with
    /// changed figures are updated, the others are left alone.
    ///
    /// # Errors
    /// Invalid for a date outside the years 1 to 9999, or naming sales that the batch contains
    /// twice; Conflict naming those whose currency would change; NotFound when there is no such
    /// user, also for an empty batch. Nothing is written then. A store's Timeout or Unavailable, as
    /// for every call.
    async fn upsert(&self, user_id: Id<User>, sales: &[NewSale]) -> Result<UpsertCounts>;

    /// The sale with this key.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, user_id: Id<User>, key: &SaleKey) -> Result<Sale>;

    /// Removes the sale with this key. Refresh the roll-up of its day afterwards.
    ///
    /// # Errors
    /// NotFound.
    async fn delete(&self, user_id: Id<User>, key: &SaleKey) -> Result<()>;

    /// Streams sales in the order of date, book and platform, with constant memory. Sales that are
    /// written meanwhile may or may not be included.
    fn stream(&self, user_id: Id<User>, filter: SalesFilter) -> BoxStream<'static, Result<Sale>>;

    /// Sums by group and currency, ordered by both. The store computes them.
    ///
    /// # Errors
    /// Only those of the store.
    async fn totals(
        &self,
        user_id: Id<User>,
        filter: &SalesFilter,
        by: TotalsBy,
    ) -> Result<Vec<SalesTotal>>;
}
