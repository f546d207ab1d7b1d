//! The limiter of one process.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{
    algorithm::State,
    decision::Decision,
    limit::RateLimit,
    limiter::{RateLimiter, check_call},
};
use crate::Result;

/// Tells the time since some moment.
type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Counts calls in memory: for one process, and for tests. Clones share their counts.
#[derive(Clone)]
pub struct MemoryRateLimiter {
    limit: RateLimit,
    clock: Clock,
    subjects: Arc<Mutex<Subjects>>,
}

#[derive(Debug, Default)]
struct Subjects {
    states: HashMap<String, State>,
    /// With so many, those that say nothing any more are removed.
    sweep_at: usize,
}

impl fmt::Debug for MemoryRateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRateLimiter")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl MemoryRateLimiter {
    /// A limiter that has counted nothing.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        let start = Instant::now();
        Self::with_clock(limit, move || start.elapsed())
    }

    /// A limiter whose clock is given: the time since some moment. For tests.
    #[must_use]
    pub fn with_clock(
        limit: RateLimit,
        clock: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self {
            limit,
            clock: Arc::new(clock),
            subjects: Arc::default(),
        }
    }

    /// A limiter of its own with the same counts.
    #[cfg(test)]
    pub(super) fn copied(&self) -> Self {
        let subjects = self.subjects.lock();
        let states = subjects
            .unwrap_or_else(PoisonError::into_inner)
            .states
            .clone();
        let subjects = Subjects {
            states,
            sweep_at: 0,
        };
        Self {
            subjects: Arc::new(Mutex::new(subjects)),
            ..self.clone()
        }
    }

    /// How many subjects are in memory. Those whose limit is whole again go by and by.
    #[must_use]
    pub fn subjects(&self) -> usize {
        let subjects = self.subjects.lock();
        subjects
            .unwrap_or_else(PoisonError::into_inner)
            .states
            .len()
    }
}

#[async_trait]
impl RateLimiter for MemoryRateLimiter {
    fn limit(&self) -> RateLimit {
        self.limit
    }

    async fn check(&self, subject: &str, cost: u32) -> Result<Decision> {
        /// So many are kept without a look.
        const FEW: usize = 1_000;
        check_call(&self.limit, subject, cost)?;
        let subjects = self.subjects.lock();
        let mut subjects = subjects.unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that moments come in order.
        let now = u64::try_from((self.clock)().as_micros()).unwrap_or(u64::MAX / 2);
        if subjects.states.len() >= subjects.sweep_at.max(FEW) {
            let limit = self.limit;
            subjects.states.retain(|_, state| state.ends(&limit) > now);
            subjects.sweep_at = subjects.states.len() * 2;
        }
        if let Some(state) = subjects.states.get_mut(subject) {
            return Ok(state.call(&self.limit, now, cost));
        }
        let mut state = State::new(&self.limit);
        let decision = state.call(&self.limit, now, cost);
        subjects.states.insert(subject.to_owned(), state);
        Ok(decision)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed check of a test panics")]

    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test]
    async fn the_clock_is_given_and_old_subjects_go() {
        let millis = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&millis);
        let limit = RateLimit::smooth(1, Duration::from_secs(1)).unwrap();
        let limiter = MemoryRateLimiter::with_clock(limit, move || {
            Duration::from_millis(clock.load(Ordering::SeqCst))
        });
        assert!(limiter.check("ada", 1).await.unwrap().allowed);
        assert!(!limiter.check("ada", 1).await.unwrap().allowed);
        millis.store(999, Ordering::SeqCst);
        let denied = limiter.check("ada", 1).await.unwrap();
        assert_eq!(denied.retry_after, Some(Duration::from_millis(1)));
        millis.store(1_000, Ordering::SeqCst);
        assert!(limiter.check("ada", 1).await.unwrap().allowed);

        for number in 0..1_500 {
            limiter.check(&format!("user {number}"), 1).await.unwrap();
        }
        assert!(limiter.subjects() > 1_500);
        millis.store(5_000, Ordering::SeqCst);
        for number in 0..4_000 {
            limiter.check(&format!("later {number}"), 1).await.unwrap();
            millis.fetch_add(10, Ordering::SeqCst);
        }
        assert!(limiter.subjects() < 2_100, "{}", limiter.subjects());
    }
}
