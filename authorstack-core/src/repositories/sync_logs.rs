use async_trait::async_trait;

use crate::{Id, NewSyncLog, Page, PageRequest, Platform, Result, SyncLog, User};

/// The operations on sync logs. Each call takes the user whose logs they are.
///
/// ```
/// use authorstack_core::{AuthorStack, NewSyncLog, NewUser, PageRequest, Platform, SyncStatus};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// # let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// # let ada = stack.users().create(ada).await?;
/// let log = NewSyncLog {
///     platform: Platform::KDP,
///     status: SyncStatus::Success,
///     records_synced: 120,
///     error_message: None,
/// };
/// stack.sync_logs().create(ada.id, log).await?;
/// let page = stack.sync_logs().list(ada.id, Some(Platform::KDP), PageRequest::first(20)).await?;
/// assert_eq!(page.items[0].records_synced, 120);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait SyncLogRepository: std::fmt::Debug + Send + Sync {
    /// Stores the log of a sync that has ended now.
    ///
    /// # Errors
    /// NotFound when there is no such user, where the stack holds users too; Invalid; Timeout or
    /// Unavailable of a store, as for every call.
    async fn create(&self, user_id: Id<User>, log: NewSyncLog) -> Result<SyncLog>;

    /// A page of the user's logs, ordered by number; only those of the platform, if one is given.
    ///
    /// # Errors
    /// Invalid for a cursor of a different list.
    async fn list(
        &self,
        user_id: Id<User>,
        platform: Option<Platform>,
        page: PageRequest,
    ) -> Result<Page<SyncLog>>;
}
