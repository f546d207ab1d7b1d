//! The trait.

use std::fmt;

use async_trait::async_trait;

use super::{decision::Decision, limit::RateLimit};
use crate::{Error, Id, Result, User, shown::shown};

/// Counts calls against a limit.
///
/// ```
/// use authorstack_core::{rate_limit::{MemoryRateLimiter, RateLimit, RateLimiter as _}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let once = RateLimit::window(1, std::time::Duration::from_secs(60))?;
/// let limiter = MemoryRateLimiter::new(once);
/// assert!(limiter.check("203.0.113.7", 1).await?.allowed);
/// assert!(!limiter.check("203.0.113.7", 1).await?.allowed);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait RateLimiter: fmt::Debug + Send + Sync {
    /// The limit.
    fn limit(&self) -> RateLimit;

    /// Counts a call of a subject if the limit allows it: a user's id, or another text that tells
    /// callers apart, such as an address. The cost is how many calls it counts for.
    ///
    /// Dropping the future may leave the call counted.
    ///
    /// # Errors
    /// Invalid if the cost is 0 or above the limit, or the subject is empty, has control characters
    /// or more than 200 bytes; errors of the store. A denied call is no error.
    async fn check(&self, subject: &str, cost: u32) -> Result<Decision>;

    /// Counts a call of a user.
    ///
    /// # Errors
    /// As of [`RateLimiter::check`].
    async fn check_user(&self, user: Id<User>, cost: u32) -> Result<Decision> {
        self.check(&user.to_string(), cost).await
    }
}

#[async_trait]
impl<L: RateLimiter + ?Sized> RateLimiter for std::sync::Arc<L> {
    fn limit(&self) -> RateLimit {
        self.as_ref().limit()
    }

    async fn check(&self, subject: &str, cost: u32) -> Result<Decision> {
        self.as_ref().check(subject, cost).await
    }
}

/// What is limited. Each has keys of its own in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limited {
    /// All calls of a user: `authorstack:ratelimit:{userId}`.
    Api,
    /// Calls that cost AI credits: `authorstack:ai-ratelimit:{userId}`.
    Ai,
}

impl Limited {
    /// The key of a subject.
    ///
    /// ```
    /// use authorstack_core::rate_limit::Limited;
    ///
    /// let id = "66f2a1b3c4d5e6f708192a3b";
    /// assert_eq!(Limited::Api.key(id), "authorstack:ratelimit:66f2a1b3c4d5e6f708192a3b");
    /// assert_eq!(Limited::Ai.key(id), "authorstack:ai-ratelimit:66f2a1b3c4d5e6f708192a3b");
    /// ```
    #[must_use]
    pub fn key(self, subject: &str) -> String {
        let name = match self {
            Self::Api => "ratelimit",
            Self::Ai => "ai-ratelimit",
        };
        format!("authorstack:{name}:{subject}")
    }
}

/// Refuses a call that no limiter can count; for whoever implements one.
///
/// # Errors
/// As of [`RateLimiter::check`].
pub fn check_call(limit: &RateLimit, subject: &str, cost: u32) -> Result<()> {
    const LONGEST: usize = 200;
    if subject.is_empty() || subject.len() > LONGEST || subject.chars().any(char::is_control) {
        return Err(Error::invalid(
            "subject",
            format!(
                "must have 1 to {LONGEST} bytes and no control characters; it is {:?}",
                shown(subject).to_string()
            ),
        ));
    }
    if cost == 0 {
        return Err(Error::invalid("cost", "a call costs at least 1"));
    }
    if cost > limit.quota() {
        return Err(Error::invalid(
            "cost",
            format!(
                "{cost} is above the limit of {} at once, so the call would never be allowed; \
                 split it, or raise the limit",
                limit.quota()
            ),
        ));
    }
    Ok(())
}
