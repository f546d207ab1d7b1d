use async_trait::async_trait;

use crate::{Book, ErasedAnalytics, Id, Result, User};

/// Erases what an analytics store holds of a user or a book, whether they still exist or not.
///
/// A host seldom calls it: [`UserRepository::delete`](crate::UserRepository::delete),
/// [`BookRepository::delete`](crate::BookRepository::delete) and
/// [`services::Erasure`](crate::services::Erasure) do.
///
/// ```
/// use authorstack_core::{AnalyticsStore as _, Id, MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let analytics = MemoryStore::new().analytics();
/// // Nothing is held of a user who never was.
/// assert_eq!(analytics.erasure.erase_user(Id::new()).await?.total(), 0);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ErasureRepository: std::fmt::Debug + Send + Sync {
    /// Erases all sales, roll-ups, sync logs, insights and forecasts of a user, in one transaction.
    /// It is no error if there are none.
    ///
    /// # Errors
    /// Timeout or Unavailable of a store, as for every call.
    async fn erase_user(&self, user_id: Id<User>) -> Result<ErasedAnalytics>;

    /// Erases the insights about a book of the user. Returns how many. Sales stay when a book goes:
    /// they are money that was earned.
    ///
    /// # Errors
    /// Only those of the store.
    async fn erase_book(&self, user_id: Id<User>, book_id: Id<Book>) -> Result<u64>;
}
