//! The suite of rate limiters on those in memory.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use authorstack_core::{
    rate_limit::{
        FailSafe, MemoryRateLimiter, OnFailure, RateLimit, RateLimiter, RememberedDenials,
    },
    testing::FreshLimits,
};

/// Limiters in memory. Fresh subjects for each limiter, so that they do not share their counts.
struct Fresh;

#[async_trait]
impl FreshLimits for Fresh {
    async fn limiter(&self, limit: RateLimit) -> Arc<dyn RateLimiter> {
        Arc::new(MemoryRateLimiter::new(limit))
    }

    async fn keys_without_end(&self) -> Vec<String> {
        Vec::new()
    }
}

async fn fresh() -> Fresh {
    Fresh
}

authorstack_core::rate_limit_conformance!(fresh);

/// The same with all that there is around a limiter.
mod wrapped {
    use super::*;

    struct Wrapped;

    #[async_trait]
    impl FreshLimits for Wrapped {
        async fn limiter(&self, limit: RateLimit) -> Arc<dyn RateLimiter> {
            let limiter = FailSafe::new(MemoryRateLimiter::new(limit), OnFailure::Closed);
            let limiter = limiter.deadline(Duration::from_secs(60));
            Arc::new(RememberedDenials::new(limiter))
        }

        async fn keys_without_end(&self) -> Vec<String> {
            Vec::new()
        }
    }

    async fn fresh() -> Wrapped {
        Wrapped
    }

    authorstack_core::rate_limit_conformance!(fresh);
}
