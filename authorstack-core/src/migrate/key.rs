use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use super::{KeyForm, Kind, Record};
use crate::{CommentId, Competitor, Error, Id, Post, Result, User, values::excerpt};

/// The key of a record, unique within its kind. Keys are ordered by their parts; both sides of a
/// migration are read in that order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The id of a record that has one.
    Id(Id<Record>),
    /// A like: one for each post and user.
    Like(Id<Post>, Id<User>),
    /// A comment: its id is unique within the post; ids are compared byte by byte.
    Comment(Id<Post>, CommentId),
    /// A price: one for each competitor and moment.
    Price(Id<Competitor>, DateTime<Utc>),
    /// The number of a row of the analytics.
    Row(i64),
}

impl Key {
    /// Reads a key of a kind in its text form.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is not a key of this kind.
    pub fn parse(kind: Kind, text: &str) -> Result<Self> {
        let parts = text.split_once('.');
        let key = match kind.description().key {
            KeyForm::Id => text.parse().ok().map(Self::Id),
            KeyForm::Row => text.parse().ok().map(Self::Row),
            KeyForm::Like => parts
                .and_then(|(post, user)| Some(Self::Like(post.parse().ok()?, user.parse().ok()?))),
            KeyForm::Comment => parts.and_then(|(post, comment)| {
                Some(Self::Comment(post.parse().ok()?, comment.parse().ok()?))
            }),
            KeyForm::Price => parts.and_then(|(competitor, millis)| {
                let at = DateTime::from_timestamp_millis(millis.parse().ok()?)?;
                Some(Self::Price(competitor.parse().ok()?, at))
            }),
        };
        key.ok_or_else(|| {
            let problem = format!("{} is not a key of {kind}", excerpt(text));
            Error::invalid("key", problem)
        })
    }

    /// The id of the record, or of the record that it is a part of; `None` for a numbered row.
    #[must_use]
    pub fn id(&self) -> Option<Id<Record>> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Like(post, _) | Self::Comment(post, _) => Some(post.cast()),
            Self::Price(competitor, _) => Some(competitor.cast()),
            Self::Row(_) => None,
        }
    }
}

impl<T> From<Id<T>> for Key {
    fn from(id: Id<T>) -> Self {
        Self::Id(id.cast())
    }
}

impl fmt::Display for Key {
    /// A row's number, or an id's 24 hex digits. For a part: the id of the whole, a full stop, and
    /// the rest of the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => fmt::Display::fmt(id, f),
            Self::Row(number) => fmt::Display::fmt(number, f),
            Self::Like(post, user) => write!(f, "{post}.{user}"),
            Self::Comment(post, comment) => write!(f, "{post}.{comment}"),
            Self::Price(competitor, at) => write!(f, "{competitor}.{}", at.timestamp_millis()),
        }
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
