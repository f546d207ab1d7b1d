//! Rate limits in Redis: one key, one script, one round trip for each call.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use authorstack_core::{
    Result,
    rate_limit::{Algorithm, Decision, Limited, RateLimit, RateLimiter, check_call},
};
use redis::Script;

use crate::store::RedisStore;

static SMOOTH: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/limit_smooth.lua")));
static WINDOW: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/limit_window.lua")));

/// Counts calls in Redis, by Redis's clock. [`RedisStore::rate_limiter`] makes it.
///
/// The keys are the schema's ([`Limited`]), and each has a time to live: the time until its limit is
/// whole again. Other apps must not write them.
///
/// It fails where Redis does. [`FailSafe`](authorstack_core::rate_limit::FailSafe) says what happens
/// then, and [`RememberedDenials`](authorstack_core::rate_limit::RememberedDenials) saves commands.
///
/// ```no_run
/// use std::time::Duration;
/// use authorstack_core::rate_limit::{
///     FailSafe, Limited, OnFailure, RateLimit, RateLimiter, RememberedDenials,
/// };
/// # async fn example(redis: authorstack_redis::RedisStore, user: authorstack_core::Id<authorstack_core::User>)
/// # -> authorstack_core::Result<()> {
/// let limit = RateLimit::smooth(100, Duration::from_mins(1))?;
/// let limiter = redis.rate_limiter(Limited::Api, limit);
/// let limiter = RememberedDenials::new(FailSafe::new(limiter, OnFailure::Open));
/// limiter.check_user(user, 1).await?.into_result()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RedisRateLimiter {
    store: RedisStore,
    limited: Limited,
    limit: RateLimit,
}

impl RedisStore {
    /// A limiter whose counts are here.
    #[must_use]
    pub fn rate_limiter(&self, limited: Limited, limit: RateLimit) -> RedisRateLimiter {
        RedisRateLimiter {
            store: self.clone(),
            limited,
            limit,
        }
    }
}

#[async_trait]
impl RateLimiter for RedisRateLimiter {
    fn limit(&self) -> RateLimit {
        self.limit
    }

    async fn check(&self, subject: &str, cost: u32) -> Result<Decision> {
        check_call(&self.limit, subject, cost)?;
        let key = self.store.key(&self.limited.key(subject));
        let quota = self.limit.quota();
        let (allowed, remaining, reset, wait): (bool, u32, u64, u64) = match self.limit.algorithm()
        {
            Algorithm::Smooth { interval } => {
                let mut call = SMOOTH.key(&key);
                call.arg(interval).arg(quota).arg(cost);
                self.store.run_script(&call, &key).await?
            }
            Algorithm::Window { length, slice } => {
                let mut call = WINDOW.key(&key);
                call.arg(length).arg(slice).arg(quota).arg(cost);
                self.store.run_script(&call, &key).await?
            }
        };
        Ok(Decision {
            allowed,
            limit: quota,
            remaining,
            reset_after: Duration::from_micros(reset),
            retry_after: (!allowed).then(|| Duration::from_micros(wait)),
        })
    }
}
