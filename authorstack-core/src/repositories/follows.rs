use async_trait::async_trait;

use crate::{Follow, FollowCounts, Id, Page, PageRequest, Result, User};

/// The operations on follows.
///
/// ```
/// use authorstack_core::{AuthorStack, NewUser};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// # let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// # let ada = stack.users().create(ada).await?;
/// let grace = NewUser::new("66f2a2".parse()?, "grace@example.org".parse()?, "Grace");
/// let grace = stack.users().create(grace).await?;
/// stack.follows().follow(grace.id, ada.id).await?;
/// assert!(stack.follows().is_following(grace.id, ada.id).await?);
/// assert_eq!(stack.follows().counts(ada.id).await?.followers, 1);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait FollowRepository: std::fmt::Debug + Send + Sync {
    /// Follows an author. If the follow exists already, it is returned unchanged.
    ///
    /// # Errors
    /// NotFound when one of the two does not exist; Invalid when they are the same; Timeout or
    /// Unavailable of a store, as for every call.
    async fn follow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<Follow>;

    /// Ends a follow. It is no error if there is none.
    ///
    /// # Errors
    /// Only those of the store.
    async fn unfollow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<()>;

    /// Whether one follows the other.
    ///
    /// # Errors
    /// Only those of the store.
    async fn is_following(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<bool>;

    /// A page of the follows of an author.
    ///
    /// # Errors
    /// Invalid for a cursor of a different list.
    async fn followers(&self, author_id: Id<User>, page: PageRequest) -> Result<Page<Follow>>;

    /// A page of the follows by a user.
    ///
    /// # Errors
    /// Invalid for a cursor of a different list.
    async fn following(&self, follower_id: Id<User>, page: PageRequest) -> Result<Page<Follow>>;

    /// How many users follow the user, and how many authors the user follows.
    ///
    /// # Errors
    /// Only those of the store.
    async fn counts(&self, user_id: Id<User>) -> Result<FollowCounts>;
}
