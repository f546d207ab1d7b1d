//! Sync logs: what became of each attempt to fetch sales from a platform.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Id, Page, PageRequest, Platform, Result, User,
    values::{check_text, closed_set},
};

closed_set! {
    /// How a sync ended.
    SyncStatus, "status",
    /// Everything was taken over.
    Success = "success",
    /// Some of it was.
    Partial = "partial",
    /// Nothing was.
    Failed = "failed"
}

/// One attempt to fetch sales from a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncLog {
    /// The number of the row, given by the store; later entries have higher ones.
    pub id: i64,
    /// Whose sales.
    pub user_id: Id<User>,
    /// From which platform.
    pub platform: Platform,
    /// How it ended.
    pub status: SyncStatus,
    /// How many sales were taken over.
    pub records_synced: i32,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// When it ended; `None` where an old app left it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced_at: Option<DateTime<Utc>>,
}

/// What is to be noted of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSyncLog {
    /// From which platform.
    pub platform: Platform,
    /// How it ended.
    pub status: SyncStatus,
    /// How many sales were taken over.
    pub records_synced: i32,
    /// What went wrong; never a secret of the platform's.
    pub error_message: Option<String>,
}

impl NewSyncLog {
    /// Checks what the field types do not.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        check_message(self.error_message.as_deref())
    }
}

impl SyncLog {
    /// Checks that every backend can hold the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        check_message(self.error_message.as_deref())
    }
}

fn check_message(message: Option<&str>) -> Result<()> {
    message.map_or(Ok(()), |message| check_text("error_message", message))
}

/// What a host does with sync logs. Each call takes the user whose logs they are.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait SyncLogRepository: std::fmt::Debug + Send + Sync {
    /// Notes a sync that has ended now.
    ///
    /// # Errors
    /// NotFound when there is no such user, where the store holds users too; Invalid; a store's
    /// Timeout or Unavailable, as for every call.
    async fn append(&self, user_id: Id<User>, log: NewSyncLog) -> Result<SyncLog>;

    /// A page of the user's logs, by number; of one platform, where it is named.
    ///
    /// # Errors
    /// Invalid for a cursor of another list.
    async fn recent(
        &self,
        user_id: Id<User>,
        platform: Option<Platform>,
        page: PageRequest,
    ) -> Result<Page<SyncLog>>;
}
