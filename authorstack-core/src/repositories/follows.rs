use async_trait::async_trait;

use crate::{Follow, FollowCounts, Id, Page, PageRequest, Result, User};

/// The operations on follows.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait FollowRepository: std::fmt::Debug + Send + Sync {
    /// Follows an author. Who follows them already goes on with the same follow.
    ///
    /// # Errors
    /// NotFound when one of the two does not exist; Invalid when they are the same; a store's
    /// Timeout or Unavailable, as for every call.
    async fn follow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<Follow>;

    /// Ends a follow; one that is not there is no error.
    ///
    /// # Errors
    /// Only a store's.
    async fn unfollow(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<()>;

    /// Whether one follows the other.
    ///
    /// # Errors
    /// Only a store's.
    async fn is_following(&self, follower_id: Id<User>, author_id: Id<User>) -> Result<bool>;

    /// A page of those who follow an author.
    ///
    /// # Errors
    /// Invalid for a cursor of another list.
    async fn followers(&self, author_id: Id<User>, page: PageRequest) -> Result<Page<Follow>>;

    /// A page of those whom a user follows.
    ///
    /// # Errors
    /// Invalid for a cursor of another list.
    async fn following(&self, follower_id: Id<User>, page: PageRequest) -> Result<Page<Follow>>;

    /// How many there are in both directions.
    ///
    /// # Errors
    /// Only a store's.
    async fn counts(&self, user_id: Id<User>) -> Result<FollowCounts>;
}
