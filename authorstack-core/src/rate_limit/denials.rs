//! Denials that are remembered.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{
    decision::Decision,
    limit::RateLimit,
    limiter::{RateLimiter, check_call},
};
use crate::Result;

/// A limiter that remembers denials: while a subject must wait, further calls of it are denied
/// without asking the store.
///
/// It never denies a call that the store would allow. A denial holds from the moment at which the
/// store was asked, a little shorter than the store said, since two clocks do not run alike; and
/// only for calls of the same cost. (Who deletes a key in the store to pardon a user must wait.)
#[derive(Debug)]
pub struct RememberedDenials<L> {
    limiter: L,
    denials: Mutex<HashMap<(String, u32), Denial>>,
}

#[derive(Debug, Clone, Copy)]
struct Denial {
    decision: Decision,
    /// When the store was asked.
    asked: Instant,
    /// How long it holds.
    holds: Duration,
}

/// How many denials are remembered.
const MOST: usize = 10_000;

impl<L: RateLimiter> RememberedDenials<L> {
    /// Remembers the denials of this limiter.
    pub fn new(limiter: L) -> Self {
        Self {
            limiter,
            denials: Mutex::default(),
        }
    }

    fn known(&self, subject: &(String, u32)) -> Option<Decision> {
        let denials = self.denials.lock();
        let mut denials = denials.unwrap_or_else(PoisonError::into_inner);
        let denial = *denials.get(subject)?;
        let since = denial.asked.elapsed();
        if since >= denial.holds {
            denials.remove(subject);
            return None;
        }
        Some(Decision {
            reset_after: denial.decision.reset_after.saturating_sub(since),
            retry_after: denial
                .decision
                .retry_after
                .map(|wait| wait.saturating_sub(since)),
            ..denial.decision
        })
    }

    fn remember(&self, subject: (String, u32), denial: Denial) {
        let denials = self.denials.lock();
        let mut denials = denials.unwrap_or_else(PoisonError::into_inner);
        if denials.len() >= MOST {
            denials.retain(|_, denial| denial.asked.elapsed() < denial.holds);
        }
        if denials.len() < MOST {
            denials.insert(subject, denial);
        }
    }
}

/// How long a denial holds here: two milliseconds and a hundredth shorter than in the store.
fn holds(wait: Duration) -> Duration {
    wait.saturating_sub(wait / 100 + Duration::from_millis(2))
}

#[async_trait]
impl<L: RateLimiter> RateLimiter for RememberedDenials<L> {
    fn limit(&self) -> RateLimit {
        self.limiter.limit()
    }

    async fn check(&self, subject: &str, cost: u32) -> Result<Decision> {
        check_call(&self.limit(), subject, cost)?;
        let key = (subject.to_owned(), cost);
        if let Some(denial) = self.known(&key) {
            return Ok(denial);
        }
        // Before the store is asked: the wait begins at some moment after this one.
        let asked = Instant::now();
        let decision = self.limiter.check(subject, cost).await?;
        if let (false, Some(wait)) = (decision.allowed, decision.retry_after) {
            let denial = Denial {
                decision,
                asked,
                holds: holds(wait),
            };
            self.remember(key, denial);
        }
        Ok(decision)
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
    use crate::rate_limit::memory::MemoryRateLimiter;

    #[derive(Debug)]
    struct Counting(MemoryRateLimiter, Arc<AtomicUsize>);

    #[async_trait]
    impl RateLimiter for Counting {
        fn limit(&self) -> RateLimit {
            self.0.limit()
        }
        async fn check(&self, subject: &str, cost: u32) -> Result<Decision> {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.check(subject, cost).await
        }
    }

    #[tokio::test]
    async fn a_denied_subject_costs_one_question() {
        let limit = RateLimit::window(2, Duration::from_secs(3600)).unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let limiter = Counting(MemoryRateLimiter::new(limit), Arc::clone(&asked));
        let limiter = RememberedDenials::new(limiter);
        assert!(limiter.check("ada", 1).await.unwrap().allowed);
        // A call that costs less is still allowed.
        assert!(!limiter.check("ada", 2).await.unwrap().allowed);
        assert!(limiter.check("ada", 1).await.unwrap().allowed);
        for _ in 0..100 {
            assert!(!limiter.check("ada", 1).await.unwrap().allowed);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 4);
        assert!(limiter.check("bob", 1).await.unwrap().allowed);
    }

    /// Every call is first put to a copy that remembers no denials: what it allows is not denied.
    #[tokio::test]
    async fn no_allowed_call_is_denied() {
        for limit in [
            RateLimit::window(1, Duration::from_millis(20)).unwrap(),
            RateLimit::smooth(1, Duration::from_millis(7)).unwrap(),
            RateLimit::window(3, Duration::from_millis(20)).unwrap(),
        ] {
            let plain = MemoryRateLimiter::new(limit);
            let limiter = RememberedDenials::new(plain.clone());
            let mut allowed = 0;
            while allowed < 20 {
                let would = plain.copied().check("ada", 1).await.unwrap().allowed;
                let decision = limiter.check("ada", 1).await.unwrap();
                assert!(decision.allowed || !would, "{decision:?}");
                allowed += usize::from(decision.allowed);
                tokio::time::sleep(Duration::from_micros(500)).await;
            }
        }
    }
}
