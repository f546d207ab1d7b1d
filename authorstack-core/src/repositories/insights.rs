use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{Id, Insight, InsightKind, InsightScope, NewInsight, Page, PageRequest, Result, User};

/// The operations on insights. Each call takes the user whose insights they are.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait InsightRepository: std::fmt::Debug + Send + Sync {
    /// Adds an insight; older ones stay.
    ///
    /// # Errors
    /// NotFound when there is no such user or book of theirs, where the stack holds these too;
    /// Invalid; Timeout or Unavailable of a store, as for every call.
    async fn create(&self, user_id: Id<User>, insight: NewInsight) -> Result<Insight>;

    /// The newest insight of a kind about the user or a book that is valid at a given time.
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

    /// A page of the user's insights that are valid at a given time, ordered by number: of all
    /// kinds, about the user and their books.
    ///
    /// # Errors
    /// Invalid for a cursor of a different list.
    async fn list_valid(
        &self,
        user_id: Id<User>,
        at: DateTime<Utc>,
        page: PageRequest,
    ) -> Result<Page<Insight>>;

    /// Removes the insights of all users that are outdated at a given time. Returns how many. For a
    /// job.
    ///
    /// # Errors
    /// Only those of the store.
    async fn delete_expired(&self, at: DateTime<Utc>) -> Result<u64>;
}
