use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{Boost, Id, NewBoost, Page, PageRequest, Result, User};

/// The operations on boosts.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait BoostRepository: std::fmt::Debug + Send + Sync {
    /// Spends the user's credits and creates the boost, in one transaction: never one without
    /// the other. A repeated purchase of the same [`NewBoost`] spends nothing.
    ///
    /// # Errors
    /// NotFound when there is no such user, or the book is not theirs; InsufficientCredits;
    /// Conflict when the position is taken for a part of that time; AlreadyExists for `_id` when
    /// the id is another purchase's; Invalid; a store's Timeout or Unavailable, as for every call.
    /// Of several problems the first in this order is told, Invalid before all.
    async fn purchase(&self, user_id: Id<User>, boost: NewBoost) -> Result<Boost>;

    /// A boost of the user.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, user_id: Id<User>, id: Id<Boost>) -> Result<Boost>;

    /// A page of the user's boosts, expired ones too.
    ///
    /// # Errors
    /// Invalid for a cursor of another list.
    async fn list(&self, user_id: Id<User>, page: PageRequest) -> Result<Page<Boost>>;

    /// The boosts that hold a position at a moment, everyone's, first position first; at most
    /// `limit`, and at most [`PageRequest::MAX_LIMIT`]; a limit of zero counts as one.
    ///
    /// # Errors
    /// Only a store's.
    async fn leaderboard(&self, at: DateTime<Utc>, limit: u32) -> Result<Vec<Boost>>;

    /// Marks the boosts, everyone's, whose time is over at a moment as no longer active; answers
    /// how many they are.
    ///
    /// # Errors
    /// Only a store's.
    async fn expire_due(&self, at: DateTime<Utc>) -> Result<u64>;
}
