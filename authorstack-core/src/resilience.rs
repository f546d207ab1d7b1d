//! Deadlines and retries, as every backend uses them.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{Error, ErrorKind, Result};

/// Runs something within a deadline. Dropping it when the time is over must leave the store
/// consistent, as for every call.
///
/// # Errors
/// Its own; Timeout.
pub async fn with_deadline<T>(limit: Duration, run: impl Future<Output = Result<T>>) -> Result<T> {
    match timeout(limit, run).await {
        Ok(result) => result,
        Err(_) => Err(Error::timeout(limit)),
    }
}

/// Does a unit of work again when another transaction came between, a few times with growing
/// pauses: nothing of it was kept.
///
/// # Errors
/// That of the last attempt.
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
