//! AI insights: generated texts about a user or a book, kept while they are valid.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Book, Confidence, Error, Id, InsightKind, Page, PageRequest, Result, User, extra::nul_in_value,
    time,
};

/// What a model found out, about a user or about one of their books.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Insight {
    /// The number of the row, given by the store; later insights have higher ones.
    pub id: i64,
    /// Whom it is for.
    pub user_id: Id<User>,
    /// The book; `None` where it is about the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub book_id: Option<Id<Book>>,
    /// What it is about; `None` where an old app left it out.
    #[serde(
        rename = "insight_type",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub kind: Option<InsightKind>,
    /// What the model said.
    pub content: Value,
    /// How sure it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// From this moment on it is outdated; `None` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<DateTime<Utc>>,
    /// When it was made; `None` where an old app left it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
}

/// An insight to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewInsight {
    /// The book; `None` where it is about the user.
    pub book_id: Option<Id<Book>>,
    /// What it is about.
    pub kind: InsightKind,
    /// What the model said.
    pub content: Value,
    /// How sure it is.
    pub confidence: Option<Confidence>,
    /// From this moment on (in whole milliseconds) it is outdated; `None` for never.
    pub valid_until: Option<DateTime<Utc>>,
}

impl NewInsight {
    /// An insight about the user, which is never outdated.
    #[must_use]
    pub const fn new(kind: InsightKind, content: Value) -> Self {
        Self {
            book_id: None,
            kind,
            content,
            confidence: None,
            valid_until: None,
        }
    }

    /// The record that a store will hold: checked, of the present moment.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when a field cannot be stored.
    pub fn into_insight(self, user_id: Id<User>) -> Result<Insight> {
        let insight = Insight {
            id: 0,
            user_id,
            book_id: self.book_id,
            kind: Some(self.kind),
            content: self.content,
            confidence: self.confidence,
            valid_until: self.valid_until.map(time::to_millis),
            created_at: Some(time::now()),
        };
        insight.check()?;
        Ok(insight)
    }
}

impl Insight {
    /// Checks what the field types do not: that every backend can hold the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        match nul_in_value(&self.content) {
            None => Ok(()),
            Some(path) => Err(Error::invalid(
                format!("content{path}"),
                "holds a NUL character, which PostgreSQL cannot store; remove it",
            )),
        }
    }

    /// Whether it is not outdated at a moment.
    #[must_use]
    pub fn is_valid_at(&self, at: DateTime<Utc>) -> bool {
        self.valid_until.is_none_or(|until| at < until)
    }
}

/// What an insight is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InsightScope {
    /// The user.
    User,
    /// One of their books.
    Book(Id<Book>),
}

impl InsightScope {
    /// The book, if it is about one.
    #[must_use]
    pub const fn book_id(self) -> Option<Id<Book>> {
        match self {
            Self::User => None,
            Self::Book(id) => Some(id),
        }
    }
}

/// What a host does with insights. Each call takes the user whom they are for.
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
