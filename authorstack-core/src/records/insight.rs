//! AI insights: generated texts about a user or a book, valid for a time.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    check::check_fields,
    fields::fields,
    json::{input_json, json},
};
use crate::{Book, Confidence, Extra, Id, InsightKind, Result, User, time};

/// A model's finding about a user or one of their books.
#[derive(Debug, Clone, PartialEq)]
pub struct Insight {
    /// The row number, assigned by the store; later insights have higher ones.
    pub id: i64,
    /// The user.
    pub user_id: Id<User>,
    /// The book; `None` where it is about the user.
    pub book_id: Option<Id<Book>>,
    /// What it is about; `None` if an old app did not write it.
    pub kind: Option<InsightKind>,
    /// The content, as the model wrote it.
    pub content: Value,
    /// How sure it is.
    pub confidence: Option<Confidence>,
    /// It is outdated from this time on; `None` for never.
    pub valid_until: Option<DateTime<Utc>>,
    /// When it was made; `None` if an old app did not write it.
    pub created_at: Option<DateTime<Utc>>,
    /// Fields that the schema does not know, such as columns of an old app.
    pub extra: Extra,
}

/// An insight to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewInsight {
    /// The book; `None` where it is about the user.
    pub book_id: Option<Id<Book>>,
    /// What it is about.
    pub kind: InsightKind,
    /// The content, as the model wrote it.
    pub content: Value,
    /// How sure it is.
    pub confidence: Option<Confidence>,
    /// It is outdated from this time on (in whole milliseconds); `None` for never.
    pub valid_until: Option<DateTime<Utc>>,
}

impl NewInsight {
    /// An insight about the user that never becomes outdated.
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

    /// Checks what the field types cannot.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        self.clone().into_insight(Id::new()).check()
    }

    /// The record to store, with the current time. The store assigns the number.
    #[must_use]
    pub fn into_insight(self, user_id: Id<User>) -> Insight {
        let Self {
            book_id,
            kind,
            content,
            confidence,
            valid_until,
        } = self;
        Insight {
            id: 0,
            user_id,
            book_id,
            kind: Some(kind),
            content,
            confidence,
            valid_until: valid_until.map(time::to_millis),
            created_at: Some(time::now()),
            extra: Extra::new(),
        }
    }
}

json!(Insight);

input_json! {
    NewInsight;
    book_id: "bookId",
    kind: "insightType" required("say what it is about"),
    content: "content" required("say what the model said"),
    confidence: "confidence",
    valid_until: "validUntil",
}

fields! {
    Insight, extra: extra;
    id: "id" required("give the row a number"),
    user_id: "user_id" required("say whom it is for"),
    book_id: "book_id",
    kind: "insight_type" column("insight_type"),
    content: "content" required("say what the model said"),
    confidence: "confidence",
    valid_until: "valid_until",
    created_at: "created_at",
}

impl Insight {
    /// Checks what the field types cannot: every backend can store the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first invalid field.
    pub fn check(&self) -> Result<()> {
        check_fields(self)
    }

    /// Whether it is valid at a given time.
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
