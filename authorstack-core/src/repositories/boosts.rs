use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{Boost, Done, Id, Listed, NewBoost, Page, PageRequest, Result, User};

/// The operations on boosts.
///
/// ```
/// use authorstack_core::{AuthorStack, NewBook, NewBoost, NewUser, time};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// # let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// # let ada = stack.users().create(ada).await?;
/// # let book = stack.books().create(ada.id, NewBook::new("The Tide House")).await?;
/// stack.users().add_credits(ada.id, 100).await?;
/// // Its id makes the purchase safe to repeat.
/// let boost = NewBoost::new(book.id, 7, 40);
/// stack.boosts().purchase(ada.id, boost.clone()).await?;
/// stack.boosts().purchase(ada.id, boost).await?;
/// assert_eq!(stack.users().get(ada.id).await?.credits, 60);
/// assert_eq!(stack.boosts().leaderboard(time::now(), 10).await?[0].position, 1);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait BoostRepository: std::fmt::Debug + Send + Sync {
    /// Spends the user's credits and creates the boost, in one transaction. A purchase that is
    /// repeated under its id returns the boost of the first one and spends nothing; see
    /// [`NewBoost`].
    ///
    /// # Errors
    /// NotFound when there is no such user, or the book is not theirs; Conflict if a purchase with
    /// the same id differs; InsufficientCredits; Conflict if the position is taken for a part of
    /// that time; Invalid; Timeout or Unavailable of a store, as for every call. Of several
    /// problems the first in this order is reported, but Invalid before all.
    async fn purchase(&self, user_id: Id<User>, boost: NewBoost) -> Result<Boost>;

    /// A boost of the user.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, user_id: Id<User>, id: Id<Boost>) -> Result<Boost>;

    /// A page of the user's boosts, expired ones too.
    ///
    /// # Errors
    /// Invalid for a cursor of a different list.
    async fn list(&self, user_id: Id<User>, page: PageRequest) -> Result<Page<Boost>>;

    /// The boosts of all users that hold a position at a given time, first position first. At most
    /// `limit`, and at most [`PageRequest::MAX_LIMIT`]; a limit of zero counts as one. What cannot
    /// be read does not count: it is named beside them.
    ///
    /// # Errors
    /// Only those of the store.
    async fn leaderboard(&self, at: DateTime<Utc>, limit: u32) -> Result<Listed<Boost>>;

    /// Marks the boosts of all users that have expired at a given time as inactive. Returns how
    /// many, and names those that the store refuses as they are: they hold nobody else's up.
    ///
    /// # Errors
    /// Only those of the store.
    async fn expire_due(&self, at: DateTime<Utc>) -> Result<Done>;
}
