//! The one error type of every repository, backend and migration.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use crate::{layers::Operation, shown::shown};

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong. Match on this, and keep a wildcard arm: kinds may be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such record, or it belongs to another user.
    #[error("not found")]
    NotFound,
    /// Another record already holds this value of a unique field.
    #[error("{field} is already taken by another record; choose another value")]
    AlreadyExists {
        /// The field, by its name in the schema.
        field: Cow<'static, str>,
    },
    /// The record changed since it was read: read it again and decide again.
    #[error("{reason}")]
    Conflict {
        /// What changed, and what to do.
        reason: Cow<'static, str>,
    },
    /// A value that the schema does not allow.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field, by its name in the schema.
        field: Cow<'static, str>,
        /// The problem, and how to fix it.
        reason: Cow<'static, str>,
    },
    /// The user has fewer credits than the call would spend; nothing was spent.
    #[error("not enough credits: the balance is {balance}, {needed} are needed")]
    InsufficientCredits {
        /// The balance when the call was refused.
        balance: i64,
        /// What the call would have spent.
        needed: i64,
    },
    /// The caller is not signed in, or the session is no longer valid.
    #[error("not signed in, or the session has ended; sign in again")]
    Unauthenticated,
    /// The caller is known but may not do this.
    #[error("permission denied: {reason}")]
    PermissionDenied {
        /// What is missing.
        reason: Cow<'static, str>,
    },
    /// Too many calls.
    #[error("too many calls; try again in {retry_after:?}")]
    RateLimited {
        /// When the next call can succeed.
        retry_after: Duration,
    },
    /// The store did not answer within the deadline. A write may have happened.
    #[error("the store did not answer within {after:?}")]
    Timeout {
        /// The deadline.
        after: Duration,
    },
    /// The store cannot be reached, or it is restarting or failing over.
    #[error("{reason}")]
    Unavailable {
        /// What the store or the network said.
        reason: Cow<'static, str>,
    },
    /// A stored record does not fit the schema.
    #[error("the stored record cannot be read: {what}")]
    Corrupt {
        /// The field and its problem.
        what: Cow<'static, str>,
    },
    /// This backend cannot do it.
    #[error("unsupported: {what}")]
    Unsupported {
        /// What is not supported, and what to use instead.
        what: Cow<'static, str>,
    },
    /// A setting is wrong: an address, a name, a password.
    #[error("setting {setting}: {reason}")]
    Configuration {
        /// The setting's name in a TOML file, such as `mongodb_url`.
        setting: Cow<'static, str>,
        /// The problem, and how to fix it.
        reason: Cow<'static, str>,
    },
    /// A migration cannot start, and nothing was moved.
    #[error("{reason}")]
    Blocked {
        /// What stands in the way, and how to clear it.
        reason: Cow<'static, str>,
    },
    /// Another migration run holds the target's lock.
    #[error("another run holds the lock of this target; wait for it to end, or stop it")]
    Locked,
    /// The data is being moved to another store: writes are refused until that is done.
    #[error(
        "the data is being moved to another store; nothing was written, repeat the call in a while"
    )]
    Moving,
    /// The store refused the call in a way that AuthorStack did not expect: a bug to report.
    #[error("unexpected answer of the store: {what}")]
    Internal {
        /// What the store said.
        what: Cow<'static, str>,
    },
}

impl ErrorKind {
    /// The kind as a stable code, such as `not_found`: for machines, metrics and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::AlreadyExists { .. } => "already_exists",
            Self::Conflict { .. } => "conflict",
            Self::Invalid { .. } => "invalid",
            Self::InsufficientCredits { .. } => "insufficient_credits",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied { .. } => "permission_denied",
            Self::RateLimited { .. } => "rate_limited",
            Self::Timeout { .. } => "timeout",
            Self::Unavailable { .. } => "unavailable",
            Self::Corrupt { .. } => "corrupt",
            Self::Unsupported { .. } => "unsupported",
            Self::Configuration { .. } => "configuration",
            Self::Blocked { .. } => "blocked",
            Self::Locked => "locked",
            Self::Moving => "moving",
            Self::Internal { .. } => "internal",
        }
    }
}

/// Why a call failed: the kind, the operation, the record, the cause.
///
/// ```
/// use authorstack_core::{Error, ErrorKind, layers::Operation};
///
/// let error = Error::invalid("isbn", "the check digit is wrong; it should be 0")
///     .in_operation(Operation::BooksCreate);
/// assert!(matches!(error.kind(), ErrorKind::Invalid { field, .. } if field == "isbn"));
/// assert_eq!(
///     error.to_string(),
///     "books.create: isbn: the check digit is wrong; it should be 0",
/// );
/// assert!(!error.is_retryable());
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: Option<Operation>,
    record: Option<String>,
    retryable: bool,
    source: Option<Source>,
}

impl Error {
    /// An error of this kind.
    #[must_use]
    pub fn new(kind: ErrorKind) -> Self {
        let retryable = matches!(
            kind,
            ErrorKind::Timeout { .. }
                | ErrorKind::Unavailable { .. }
                | ErrorKind::RateLimited { .. }
                | ErrorKind::Locked
                | ErrorKind::Moving
        );
        Self(Box::new(Inner {
            kind,
            operation: None,
            record: None,
            retryable,
            source: None,
        }))
    }

    /// [`ErrorKind::NotFound`].
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(ErrorKind::NotFound)
    }

    /// [`ErrorKind::AlreadyExists`] for a field.
    #[must_use]
    pub fn already_exists(field: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::AlreadyExists {
            field: field.into(),
        })
    }

    /// [`ErrorKind::Conflict`] after a failed `expected_updated_at`.
    #[must_use]
    pub fn stale() -> Self {
        Self::new(ErrorKind::Conflict {
            reason: "the record was changed since it was read; read it again and repeat the change"
                .into(),
        })
    }

    /// [`ErrorKind::Invalid`] for a field.
    #[must_use]
    pub fn invalid(
        field: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(ErrorKind::Invalid {
            field: field.into(),
            reason: reason.into(),
        })
    }

    /// [`ErrorKind::Corrupt`].
    #[must_use]
    pub fn corrupt(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Corrupt { what: what.into() })
    }

    /// [`ErrorKind::Unavailable`].
    #[must_use]
    pub fn unavailable(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unavailable {
            reason: reason.into(),
        })
    }

    /// [`ErrorKind::Timeout`] after a deadline.
    #[must_use]
    pub fn timeout(after: Duration) -> Self {
        Self::new(ErrorKind::Timeout { after })
    }

    /// [`ErrorKind::Unauthenticated`].
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(ErrorKind::Unauthenticated)
    }

    /// [`ErrorKind::Unsupported`].
    #[must_use]
    pub fn unsupported(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unsupported { what: what.into() })
    }

    /// [`ErrorKind::Configuration`] of a setting, named as in a TOML file.
    #[must_use]
    pub fn configuration(
        setting: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(ErrorKind::Configuration {
            setting: setting.into(),
            reason: reason.into(),
        })
    }

    /// [`ErrorKind::Blocked`].
    #[must_use]
    pub fn blocked(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Blocked {
            reason: reason.into(),
        })
    }

    /// [`ErrorKind::Internal`].
    #[must_use]
    pub fn internal(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Internal { what: what.into() })
    }

    /// Adds the call that failed, such as `books.get`. A name that is there already stays.
    #[must_use]
    pub fn in_operation(mut self, operation: Operation) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// Adds the record. A name that is there already stays.
    #[must_use]
    pub fn for_record(mut self, record: impl fmt::Display) -> Self {
        self.0.record.get_or_insert_with(|| record.to_string());
        self
    }

    /// Sets whether the same call may succeed later, where that does not follow from the kind.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// Adds the cause. It must not contain a secret: `Debug` shows it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The call that failed, such as `books.get`.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        self.0.operation
    }

    /// The record it was about.
    #[must_use]
    pub fn record(&self) -> Option<&str> {
        self.0.record.as_deref()
    }

    /// A message for the client of a host: it holds no id, no name of an operation, and nothing
    /// that a store or the network said. [`Display`](fmt::Display) is for the host's own logs.
    ///
    /// [`ErrorKind::code`] tells machines the same.
    ///
    /// ```
    /// use authorstack_core::{Error, ErrorKind, layers::Operation};
    ///
    /// let taken = Error::already_exists("email").for_record("66f2a1b3c4d5e6f708192a3b");
    /// assert_eq!(
    ///     taken.public_message(),
    ///     "email is already taken by another record; choose another value",
    /// );
    /// assert_eq!(taken.kind().code(), "already_exists");
    ///
    /// let down = Error::unavailable("connection to 10.0.0.7:5432 refused");
    /// assert_eq!(
    ///     down.public_message(),
    ///     "the service is not available at the moment; try again later",
    /// );
    /// ```
    #[must_use]
    pub fn public_message(&self) -> Cow<'static, str> {
        match &self.0.kind {
            kind @ (ErrorKind::NotFound
            | ErrorKind::AlreadyExists { .. }
            | ErrorKind::Invalid { .. }
            | ErrorKind::InsufficientCredits { .. }
            | ErrorKind::Unauthenticated
            | ErrorKind::RateLimited { .. }) => kind.to_string().into(),
            // The reason may name what else is stored.
            ErrorKind::Conflict { .. } => {
                "the record was changed by another call; read it again and repeat the change".into()
            }
            ErrorKind::PermissionDenied { .. } => "permission denied".into(),
            ErrorKind::Timeout { .. } => "the service did not answer in time; try again".into(),
            ErrorKind::Unavailable { .. } | ErrorKind::Locked | ErrorKind::Moving => {
                "the service is not available at the moment; try again later".into()
            }
            ErrorKind::Corrupt { .. } => "a stored record cannot be read".into(),
            ErrorKind::Unsupported { .. } => "the service does not offer this".into(),
            ErrorKind::Configuration { .. }
            | ErrorKind::Blocked { .. }
            | ErrorKind::Internal { .. } => "the service failed unexpectedly".into(),
        }
    }

    /// Whether the same call may succeed when it is made again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// Whether the record does not exist, or belongs to another user.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.0.kind == ErrorKind::NotFound
    }
}

/// For people: ids and values from data, and servers' answers, are escaped and shortened
/// ([`shown`]).
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The most characters of the kind's message.
        const MOST: usize = 2_000;
        let record = self.0.record.as_deref().map(shown);
        match (self.0.operation, record) {
            (Some(operation), Some(record)) => write!(f, "{operation} {record}: ")?,
            (Some(operation), None) => write!(f, "{operation}: ")?,
            (None, Some(record)) => write!(f, "{record}: ")?,
            (None, None) => {}
        }
        let kind = self.0.kind.to_string();
        fmt::Display::fmt(&shown(&kind).up_to(MOST), f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("record", &self.0.record)
            .field("retryable", &self.0.retryable)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Error, ErrorKind};
    use crate::layers::Operation;

    #[test]
    fn a_public_message_shows_nothing_of_the_inside() {
        const INSIDE: &str = "10.0.0.7 as role app_owner";
        let inside = || INSIDE.into();
        let kinds = [
            ErrorKind::NotFound,
            ErrorKind::AlreadyExists {
                field: "email".into(),
            },
            ErrorKind::Conflict { reason: inside() },
            ErrorKind::Invalid {
                field: "isbn".into(),
                reason: "is too short".into(),
            },
            ErrorKind::InsufficientCredits {
                balance: 1,
                needed: 2,
            },
            ErrorKind::Unauthenticated,
            ErrorKind::PermissionDenied { reason: inside() },
            ErrorKind::RateLimited {
                retry_after: Duration::from_secs(3),
            },
            ErrorKind::Timeout {
                after: Duration::from_secs(3),
            },
            ErrorKind::Unavailable { reason: inside() },
            ErrorKind::Corrupt { what: inside() },
            ErrorKind::Unsupported { what: inside() },
            ErrorKind::Configuration {
                setting: "mongodb_url".into(),
                reason: inside(),
            },
            ErrorKind::Blocked { reason: inside() },
            ErrorKind::Locked,
            ErrorKind::Moving,
            ErrorKind::Internal { what: inside() },
        ];
        for kind in kinds {
            let error = Error::new(kind)
                .in_operation(Operation::BooksGet)
                .for_record("66f2a1b3c4d5e6f708192a3b");
            assert!(error.to_string().contains("books.get"));
            let message = error.public_message();
            assert!(!message.is_empty());
            for hidden in [INSIDE, "66f2a1", "books.get", "mongodb_url"] {
                assert!(!message.contains(hidden), "{message}");
            }
        }
    }
}
