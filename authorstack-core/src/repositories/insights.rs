use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{Id, Insight, InsightKind, InsightScope, NewInsight, Page, PageRequest, Result, User};

/// The operations on insights. Each call takes the user whom they are for.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait InsightRepository: std::fmt::Debug + Send + Sync {
    /// Keeps an insight beside the older ones.
    ///
    /// # Errors
    /// NotFound when there is no such user or book of theirs, where the store holds these too;
    /// Invalid; a store's Timeout or Unavailable, as for every call.
    async fn put(&self, user_id: Id<User>, insight: NewInsight) -> Result<Insight>;

    /// The newest insight of a kind about the user or a book that is valid at a moment.
    ///
    /// # Errors
    /// NotFound when there is none.
    async fn latest(
        &self,
        user_id: Id<User>,
        scope: InsightScope,
        kind: &InsightKind,
        at: DateTime<Utc>,
    ) -> Result<Insight>;

    /// A page of the user's insights that are valid at a moment, by number: of all kinds, about
    /// the user and their books.
    ///
    /// # Errors
    /// Invalid for a cursor of another list.
    async fn valid(
        &self,
        user_id: Id<User>,
        at: DateTime<Utc>,
        page: PageRequest,
    ) -> Result<Page<Insight>>;

    /// Removes everyone's insights that are outdated at a moment, and says how many: for a job.
    ///
    /// # Errors
    /// Only a store's.
    async fn purge_expired(&self, at: DateTime<Utc>) -> Result<u64>;
}
