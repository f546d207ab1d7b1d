use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Book, Error, Id, Result, User, values::excerpt};

/// A kind of record, named as its collection and table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Users.
    Users,
    /// Books.
    Books,
}

impl Kind {
    /// Every kind, each behind those it depends on.
    pub const ALL: &'static [Self] = &[Self::Users, Self::Books];

    /// The kinds whose records this kind's records refer to: they move first.
    #[must_use]
    pub const fn depends_on(self) -> &'static [Self] {
        match self {
            Self::Users => &[],
            Self::Books => &[Self::Users],
        }
    }

    /// The name of the collection and the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Books => "books",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
                Error::invalid(
                    "kind",
                    format!("{} is not one of {}", excerpt(text), names.join(", ")),
                )
            })
    }
}

/// A record of any kind.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Record {
    /// A user.
    User(Box<User>),
    /// A book.
    Book(Box<Book>),
}

impl Record {
    /// The kind of the record.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::User(_) => Kind::Users,
            Self::Book(_) => Kind::Books,
        }
    }

    /// The record's id, whatever its kind.
    #[must_use]
    pub fn id(&self) -> Id<Record> {
        match self {
            Self::User(user) => user.id.cast(),
            Self::Book(book) => book.id.cast(),
        }
    }

    /// The record as JSON, its fields named as in the schema.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let json = match self {
            Self::User(user) => serde_json::to_value(user),
            Self::Book(book) => serde_json::to_value(book),
        };
        json.unwrap_or_default()
    }

    /// Checks that every backend can hold the record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), naming the first field at fault.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::User(user) => user.check(),
            Self::Book(book) => book.check(),
        }
    }
}

impl From<User> for Record {
    fn from(user: User) -> Self {
        Self::User(Box::new(user))
    }
}

impl From<Book> for Record {
    fn from(book: Book) -> Self {
        Self::Book(Box::new(book))
    }
}
