use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{Id, Insight, InsightKind, InsightScope, NewInsight, Page, PageRequest, Result, User};

/// The operations on insights. Each call takes the user whose insights they are.
///
/// ```
/// use authorstack_core::{AuthorStack, InsightKind, NewInsight, NewUser, PageRequest, time};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// # let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// # let ada = stack.users().create(ada).await?;
/// let content = serde_json::json!({ "text": "Sales rise on Fridays." });
/// let insight = NewInsight::new(InsightKind::TREND, content);
/// stack.insights().create(ada.id, insight).await?;
/// let valid = stack.insights().list_valid(ada.id, time::now(), PageRequest::first(5)).await?;
/// assert_eq!(valid.items[0].kind, Some(InsightKind::TREND));
/// # Ok(())
/// # }
/// ```
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
