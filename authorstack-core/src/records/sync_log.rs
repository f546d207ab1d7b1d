//! Sync logs: the result of each attempt to fetch sales from a platform.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    check::check_fields,
    fields::{Shape, fields, text_scalars},
    json::{input_json, json},
};
use crate::{Extra, Id, Platform, Result, User, limits, time, values::closed_set};

closed_set! {
    /// How a sync ended.
    SyncStatus, "status",
    /// All sales were imported.
    Success = "success",
    /// Some sales were imported.
    Partial = "partial",
    /// No sales were imported.
    Failed = "failed"
}

/// One attempt to fetch sales from a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncLog {
    /// The row number, assigned by the store; later entries have higher ones.
    pub id: i64,
    /// The user.
    pub user_id: Id<User>,
    /// The platform.
    pub platform: Platform,
    /// How it ended.
    pub status: SyncStatus,
    /// How many sales were imported.
    pub records_synced: i32,
    /// What went wrong.
    pub error_message: Option<String>,
    /// When it ended; `None` if an old app did not write it.
    pub synced_at: Option<DateTime<Utc>>,
    /// Fields that the schema does not know, such as columns of an old app.
    pub extra: Extra,
}

/// A sync log to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSyncLog {
    /// The platform.
    pub platform: Platform,
    /// How it ended.
    pub status: SyncStatus,
    /// How many sales were imported.
    pub records_synced: i32,
    /// What went wrong; never a secret of the platform's.
    pub error_message: Option<String>,
}

impl NewSyncLog {
    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        self.clone().into_sync_log(Id::new()).check()
    }

    /// The record to store, with the current time. The store assigns the number.
    #[must_use]
    pub fn into_sync_log(self, user_id: Id<User>) -> SyncLog {
        let Self {
            platform,
            status,
            records_synced,
            error_message,
        } = self;
        SyncLog {
            id: 0,
            user_id,
            platform,
            status,
            records_synced,
            error_message,
            synced_at: Some(time::now()),
            extra: Extra::new(),
        }
    }
}

impl SyncLog {
    /// Checks that every backend can store the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_fields(self)
    }
}

text_scalars!(Shape::Text, SyncStatus);

json!(SyncLog);

input_json! {
    NewSyncLog;
    platform: "platform" required("say from which platform"),
    status: "status" required("say how it ended"),
    records_synced: "recordsSynced" or(0),
    error_message: "errorMessage",
}

fields! {
    SyncLog, extra: extra;
    id: "id" required("give the row a number"),
    user_id: "user_id" required("say whose sales"),
    platform: "platform" required("say from which platform"),
    status: "status" required("say how it ended"),
    records_synced: "records_synced" or(0),
    error_message: "error_message" most(limits::LONG_TEXT),
    synced_at: "synced_at",
}
