use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{
    Id, NewSale, Result, Sale, SaleKey, SalesFilter, SalesTotal, TotalsBy, UpsertCounts, User,
};

/// The operations on sales. Each call takes the user whose sales they are.
///
/// Whether the user exists is checked where the store holds users too; a book is not looked for.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait SalesRepository: std::fmt::Debug + Send + Sync {
    /// Writes a batch of any size in one transaction: sales with new keys are inserted, those with
    /// other figures updated, the rest left alone.
    ///
    /// # Errors
    /// Invalid for a date outside the years 1 to 9999, or naming sales that are twice in the
    /// batch; Conflict naming those whose currency would change; NotFound when there is no such
    /// user. Nothing is written then. A store's Timeout or Unavailable, as for every call.
    async fn upsert(&self, user_id: Id<User>, sales: &[NewSale]) -> Result<UpsertCounts>;

    /// The sale with this key.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, user_id: Id<User>, key: &SaleKey) -> Result<Sale>;

    /// Removes the sale with this key; refresh the roll-up of its day afterwards.
    ///
    /// # Errors
    /// NotFound.
    async fn delete(&self, user_id: Id<User>, key: &SaleKey) -> Result<()>;

    /// Streams sales in the order of their dates, those of one date by book and platform; memory
    /// stays flat. Sales that are written meanwhile may or may not be among them.
    fn stream(&self, user_id: Id<User>, filter: SalesFilter) -> BoxStream<'static, Result<Sale>>;

    /// Sums, by a group and by currency, ordered by both; computed in the store.
    ///
    /// # Errors
    /// Only a store's.
    async fn totals(
        &self,
        user_id: Id<User>,
        filter: &SalesFilter,
        by: TotalsBy,
    ) -> Result<Vec<SalesTotal>>;
}
