//! What happens where the store of the counts is down.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    decision::Decision,
    limit::RateLimit,
    limiter::{RateLimiter, check_call},
};
use crate::{
    Error, ErrorKind, Result,
    circuit::{Circuit, Pass},
    resilience::with_deadline,
};

/// What a limiter does with a call that it cannot count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// The call is allowed: the service matters more than the limit.
    Open,
    /// The call fails with the store's error: the limit protects money.
    Closed,
}

/// A limiter with a deadline and an answer for failures of its store.
///
/// After five failures in a row the store is not asked for a second, then one call tries it; the
/// others get their answer at once.
#[derive(Debug)]
pub struct FailSafe<L> {
    limiter: L,
    on_failure: OnFailure,
    deadline: Duration,
    circuit: Circuit,
}

impl<L: RateLimiter> FailSafe<L> {
    /// A limiter with a deadline of 500 milliseconds.
    pub fn new(limiter: L, on_failure: OnFailure) -> Self {
        Self {
            limiter,
            on_failure,
            deadline: Duration::from_millis(500),
            circuit: Circuit::new(5, Duration::from_secs(1)),
        }
    }

    /// Sets how long the store may take.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    fn failed(&self, error: Error) -> Result<Decision> {
        match self.on_failure {
            OnFailure::Open => Ok(Decision::uncounted(&self.limit())),
            OnFailure::Closed => Err(error),
        }
    }
}

#[async_trait]
impl<L: RateLimiter> RateLimiter for FailSafe<L> {
    fn limit(&self) -> RateLimit {
        self.limiter.limit()
    }

    async fn check(&self, subject: &str, cost: u32) -> Result<Decision> {
        check_call(&self.limit(), subject, cost)?;
        let Some(pass) = self.circuit.pass() else {
            return self.failed(Error::unavailable(
                "the store of the rate limits does not answer; try again in a second",
            ));
        };
        match with_deadline(self.deadline, self.limiter.check(subject, cost)).await {
            Ok(decision) => {
                pass.succeeded();
                Ok(decision)
            }
            Err(error) => {
                // What concerns one key says nothing about the store.
                if matches!(
                    error.kind(),
                    ErrorKind::Corrupt { .. } | ErrorKind::Invalid { .. }
                ) {
                    pass.succeeded();
                } else {
                    Pass::failed(pass);
                }
                tracing::warn!(%error, on_failure = ?self.on_failure, "a call was not counted");
                self.failed(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed check of a test panics")]

    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// Never answers.
    #[derive(Debug, Default)]
    struct Hanging(Arc<AtomicUsize>);

    #[async_trait]
    impl RateLimiter for Hanging {
        fn limit(&self) -> RateLimit {
            RateLimit::smooth(5, Duration::from_secs(1)).unwrap()
        }
        async fn check(&self, _: &str, _: u32) -> Result<Decision> {
            self.0.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_hangs_opens_or_closes_and_is_left_alone() {
        for (on_failure, allowed) in [(OnFailure::Open, true), (OnFailure::Closed, false)] {
            let asked = Arc::new(AtomicUsize::new(0));
            let limiter = FailSafe::new(Hanging(Arc::clone(&asked)), on_failure);
            for _ in 0..50 {
                let answer = limiter.check("ada", 1).await;
                assert_eq!(answer.is_ok(), allowed, "{answer:?}");
            }
            assert_eq!(asked.load(Ordering::SeqCst), 5);
            // A caller's mistake stays one.
            assert_eq!(
                limiter.check("ada", 6).await.unwrap_err().kind().code(),
                "invalid"
            );
        }
    }
}
