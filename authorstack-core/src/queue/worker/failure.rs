//! How a handler says that it failed.

use std::{any::Any, error::Error as StdError, fmt, time::Duration};

use crate::{Error, ErrorKind};

/// The longest reason and the longest entry of a stack trace, in bytes.
const LONGEST: usize = 4_000;
/// The most entries of a stack trace that are kept.
const ENTRIES: usize = 10;

/// Why an attempt failed. `?` makes one of any error: it is tried again then, except for AuthorStack's
/// errors that no attempt can change (Invalid, Corrupt, Unsupported).
///
/// The reason is stored in the job and shown to people: put no secret into it.
///
/// ```
/// use authorstack_core::queue::JobError;
///
/// fn read() -> Result<(), JobError> {
///     std::fs::read("/no/such/file")?;
///     Ok(())
/// }
/// assert!(read().unwrap_err().is_tried_again());
/// assert!(!JobError::permanent("the report has no line").is_tried_again());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobError {
    reason: String,
    causes: Vec<String>,
    permanent: bool,
    after: Option<Duration>,
}

impl JobError {
    /// Tried again, if the job has attempts left.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self {
            reason: cut(reason.into()),
            causes: Vec::new(),
            permanent: false,
            after: None,
        }
    }

    /// Not tried again: no attempt would change it.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self {
            permanent: true,
            ..Self::retry(reason)
        }
    }

    /// Waits at least so long before the next attempt.
    #[must_use]
    pub const fn after(mut self, wait: Duration) -> Self {
        self.after = Some(wait);
        self
    }

    /// Whether another attempt may help.
    #[must_use]
    pub const fn is_tried_again(&self) -> bool {
        !self.permanent
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// How long to wait at least.
    pub(super) const fn wait(&self) -> Option<Duration> {
        self.after
    }

    /// What a panic said.
    pub(super) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let said = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        let said = said.unwrap_or_else(|| "no message".to_owned());
        Self::retry(format!("the handler panicked: {said}"))
    }

    /// The stack trace of a job, with this failure as its last entry.
    pub(super) fn added_to(&self, mut stacktrace: Vec<String>) -> Vec<String> {
        let mut entry = self.reason.clone();
        for cause in &self.causes {
            entry.push_str("\n  caused by: ");
            entry.push_str(cause);
        }
        stacktrace.push(cut(entry));
        let surplus = stacktrace.len().saturating_sub(ENTRIES);
        stacktrace.drain(..surplus);
        stacktrace
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl<E: StdError + 'static> From<E> for JobError {
    fn from(error: E) -> Self {
        let mut failed = Self::retry(error.to_string());
        let mut cause = error.source();
        while let Some(next) = cause {
            if failed.causes.len() == ENTRIES {
                break;
            }
            failed.causes.push(cut(next.to_string()));
            cause = next.source();
        }
        if let Some(error) = (&error as &dyn Any).downcast_ref::<Error>() {
            match error.kind() {
                ErrorKind::Invalid { .. }
                | ErrorKind::Corrupt { .. }
                | ErrorKind::Unsupported { .. } => failed.permanent = true,
                ErrorKind::RateLimited { retry_after } => failed.after = Some(*retry_after),
                _ => {}
            }
        }
        failed
    }
}

/// Cuts a text at the longest, on a border of characters.
fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let mut end = LONGEST;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_whether_to_try_again() {
        let error = JobError::from(Error::invalid("isbn", "has a wrong check digit"));
        assert!(!error.is_tried_again());
        let error = JobError::from(Error::unavailable("the store is down"));
        assert!(error.is_tried_again());
        let wait = Duration::from_secs(7);
        let error = JobError::from(Error::new(ErrorKind::RateLimited { retry_after: wait }));
        assert_eq!(error.wait(), Some(wait));
    }

    #[test]
    fn a_stack_trace_keeps_the_last_failures() {
        let mut trace = Vec::new();
        for number in 0..30 {
            trace = JobError::retry(format!("failure {number}")).added_to(trace);
        }
        assert_eq!(trace.len(), ENTRIES);
        assert_eq!(trace.last().map(String::as_str), Some("failure 29"));
        let long = JobError::retry("é".repeat(9_000));
        assert!(long.reason().len() < LONGEST + 10);
    }
}
