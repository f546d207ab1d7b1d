//! The id of a job.

use std::{fmt, str::FromStr};

use super::{name::check_text, state::JobState};
use crate::{Error, ErrorKind, Result, shown};

/// The longest id, in bytes.
const LONGEST: usize = 500;

/// The names of a queue's own keys in Redis: a job of this id would take their place.
const TAKEN: [&str; 19] = [
    "wait",
    "active",
    "paused",
    "prioritized",
    "delayed",
    "completed",
    "failed",
    "waiting-children",
    "marker",
    "id",
    "pc",
    "limiter",
    "stalled-check",
    "stalled",
    "events",
    "meta",
    "repeat",
    "de",
    "dn",
];

/// The id of a job: a number that the queue gave, or a text of the producer's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(String);

impl JobId {
    /// An id for a new job. While a job with this id exists, adding another one changes nothing: the
    /// id is an idempotency key.
    ///
    /// ```
    /// use authorstack_core::queue::JobId;
    ///
    /// assert!(JobId::custom("kdp-2026-11-27").is_ok());
    /// assert!(JobId::custom("kdp:2026").is_err());
    /// assert!(JobId::custom("42").is_err());
    /// ```
    ///
    /// # Errors
    /// Invalid if it is empty, longer than 500 bytes, has a `:` or control characters, is an
    /// integer (those are the queue's own), or is a name that the queue uses for itself.
    pub fn custom(id: impl Into<String>) -> Result<Self> {
        let id = Self(id.into());
        id.check_custom()?;
        Ok(id)
    }

    pub(super) fn check_custom(&self) -> Result<()> {
        let id = &self.0;
        check_text("job id", id, LONGEST)?;
        let problem = if id.contains(':') {
            "contains :, which separates keys; use -"
        } else if is_integer(id) {
            "is an integer, which only the queue gives; put a letter in front"
        } else if TAKEN.contains(&id.as_str()) {
            "is a key of the queue itself; choose another one"
        } else {
            return Ok(());
        };
        Err(Error::invalid("job id", format!("{} {problem}", shown(id))))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The error of a [`JobQueue`](super::JobQueue) that has no such job.
    #[must_use]
    pub fn missing(&self) -> Error {
        Error::not_found().for_record(self)
    }

    /// The error for a job that is not removed, since a worker runs it.
    #[must_use]
    pub fn running(&self) -> Error {
        conflict(format!("job {self} is run by a worker; wait until it ends"))
    }

    /// The error for a job that is not retried, since it is in another state.
    #[must_use]
    pub fn not_failed(&self, state: JobState) -> Error {
        let state = state.as_str();
        conflict(format!(
            "job {self} has not failed, it is {state}; only failed jobs are retried"
        ))
    }

    /// The error for a job that is not removed, since its schedule would end unseen.
    #[must_use]
    pub fn of_a_schedule(&self) -> Error {
        let reason = format!("{self} is the next job of a schedule; remove the schedule instead");
        Error::invalid("job id", reason)
    }
}

fn conflict(reason: String) -> Error {
    Error::new(ErrorKind::Conflict {
        reason: reason.into(),
    })
}

/// What JavaScript writes as an integer, which is BullMQ's rule.
fn is_integer(id: &str) -> bool {
    let digits = id.strip_prefix('-').unwrap_or(id);
    let canonical = digits == "0" || (!digits.starts_with('0') && id != "-");
    canonical && digits.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(&self.0).fmt(f)
    }
}

/// Any id that a queue holds, to ask for it.
impl FromStr for JobId {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self> {
        check_text("job id", id, LONGEST)?;
        Ok(Self(id.to_owned()))
    }
}

/// An id as it is stored, whatever it is.
impl From<String> for JobId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_the_queue_itself_are_refused() {
        for id in ["", "a:b", "0", "42", "-7", "wait", "events", "a\u{0}"] {
            assert!(JobId::custom(id).is_err(), "{id:?}");
        }
        for id in ["a", "007", "4a", "-", "kdp-1", "é"] {
            assert!(JobId::custom(id).is_ok(), "{id:?}");
        }
    }
}
