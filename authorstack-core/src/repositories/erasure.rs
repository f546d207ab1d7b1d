use async_trait::async_trait;

use crate::{Book, ErasedAnalytics, Id, Result, User};

/// Erases what an analytics store holds of a user or a book, whether they still exist or not.
///
/// A host seldom calls it: [`UserRepository::delete`](crate::UserRepository::delete),
/// [`BookRepository::delete`](crate::BookRepository::delete) and
/// [`services::Erasure`](crate::services::Erasure) do.
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
