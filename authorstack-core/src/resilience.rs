//! Deadlines and retries: the one implementation that every backend uses.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{Error, ErrorKind, Result};

/// Runs a future with a deadline. When the time is over, the future is dropped. That must leave the
/// store consistent, as for every call.
///
/// # Errors
/// Timeout after the deadline; the future's own errors.
pub async fn with_deadline<T>(limit: Duration, run: impl Future<Output = Result<T>>) -> Result<T> {
    match timeout(limit, run).await {
        Ok(result) => result,
        Err(_) => Err(Error::timeout(limit)),
    }
}

/// Repeats a unit of work that conflicted with another transaction, a few times and with growing
/// pauses. A failed attempt must leave nothing in the store.
///
/// # Errors
/// The error of the last attempt, or the first error that is not such a conflict.
pub async fn retry_on_conflict<T, F>(mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    const ATTEMPTS: u32 = 6;
    const PAUSE: Duration = Duration::from_millis(10);
    for round in 1..ATTEMPTS {
        match attempt().await {
            Err(error)
                if matches!(error.kind(), ErrorKind::Conflict { .. }) && error.is_retryable() =>
            {
                sleep(PAUSE * round * round).await;
            }
            other => return other,
        }
    }
    attempt().await
}
