//! The payloads of AuthorStack's own queues. In JSON their fields are named as in a Node app:
//! `userId`, `bookId`.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{name::QueueName, payload::Payload};
use crate::{Book, Currency, Id, InsightKind, Platform, User};

/// Fetches a user's sales from a platform: queue `data-sync`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncPlatform {
    /// Whose.
    pub user_id: Id<User>,
    /// From where.
    pub platform: Platform,
    /// The first day; the platform's earliest by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<NaiveDate>,
    /// The last day; today by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<NaiveDate>,
}

impl SyncPlatform {
    /// All that the platform has.
    #[must_use]
    pub const fn new(user_id: Id<User>, platform: Platform) -> Self {
        Self {
            user_id,
            platform,
            from: None,
            to: None,
        }
    }
}

impl Payload for SyncPlatform {
    const QUEUE: QueueName = QueueName::DATA_SYNC;
    const NAME: &'static str = "sync-platform";
}

/// Refreshes a user's roll-ups: queue `analytics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefreshRollups {
    /// Whose.
    pub user_id: Id<User>,
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// The currency of the sums; the user's own by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
}

impl RefreshRollups {
    /// The days from `from` to `to`, both included.
    #[must_use]
    pub const fn new(user_id: Id<User>, from: NaiveDate, to: NaiveDate) -> Self {
        Self {
            user_id,
            from,
            to,
            currency: None,
        }
    }
}

impl Payload for RefreshRollups {
    const QUEUE: QueueName = QueueName::ANALYTICS;
    const NAME: &'static str = "refresh-rollups";
}

/// Makes insights for a user: queue `analytics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerateInsights {
    /// Whose.
    pub user_id: Id<User>,
    /// About which book; about all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub book_id: Option<Id<Book>>,
    /// Which; all by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<InsightKind>,
}

impl GenerateInsights {
    /// All insights about all books.
    #[must_use]
    pub const fn new(user_id: Id<User>) -> Self {
        Self {
            user_id,
            book_id: None,
            kinds: Vec::new(),
        }
    }
}

impl Payload for GenerateInsights {
    const QUEUE: QueueName = QueueName::ANALYTICS;
    const NAME: &'static str = "generate-insights";
}

/// Sends an e-mail to a user: queue `notifications`. The worker looks the address up: a job that
/// waits must not send to an old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendEmail {
    /// To whom.
    pub user_id: Id<User>,
    /// Which text.
    pub template: String,
    /// What the text needs.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
}

impl SendEmail {
    /// A text that needs nothing else.
    pub fn new(user_id: Id<User>, template: impl Into<String>) -> Self {
        Self {
            user_id,
            template: template.into(),
            parameters: Map::new(),
        }
    }
}

impl Payload for SendEmail {
    const QUEUE: QueueName = QueueName::NOTIFICATIONS;
    const NAME: &'static str = "send-email";
}
