//! The conformance suite of [rate limiters](crate::rate_limit).
//!
//! ```
//! use authorstack_core::{
//!     rate_limit::{MemoryRateLimiter, RateLimit, RateLimiter},
//!     testing::FreshLimits,
//! };
//!
//! struct Fresh;
//!
//! #[async_trait::async_trait]
//! impl FreshLimits for Fresh {
//!     async fn limiter(&self, limit: RateLimit) -> std::sync::Arc<dyn RateLimiter> {
//!         std::sync::Arc::new(MemoryRateLimiter::new(limit))
//!     }
//!     async fn keys_without_end(&self) -> Vec<String> {
//!         Vec::new()
//!     }
//! }
//!
//! async fn fresh() -> Fresh {
//!     Fresh
//! }
//!
//! authorstack_core::rate_limit_conformance!(fresh);
//! ```

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    Id, User,
    rate_limit::{Decision, RateLimit, RateLimiter},
};

/// A place for counts that no other test uses.
#[async_trait]
pub trait FreshLimits: Send + Sync {
    /// A limiter there.
    async fn limiter(&self, limit: RateLimit) -> Arc<dyn RateLimiter>;

    /// The keys that would stay for ever.
    async fn keys_without_end(&self) -> Vec<String>;
}

const HOUR: Duration = Duration::from_secs(3600);

/// Both ways to count, of this many calls an hour.
fn hourly(calls: u32) -> [RateLimit; 2] {
    [
        RateLimit::smooth(calls, HOUR).unwrap(),
        RateLimit::window(calls, HOUR).unwrap(),
    ]
}

async fn check(limiter: &Arc<dyn RateLimiter>, subject: &str, cost: u32) -> Decision {
    let decision = limiter.check(subject, cost).await.unwrap();
    assert_eq!(decision.limit, limiter.limit().quota());
    assert!(decision.remaining <= decision.limit, "{decision:?}");
    assert_eq!(
        decision.allowed,
        decision.retry_after.is_none(),
        "{decision:?}"
    );
    decision
}

async fn together(limiter: &Arc<dyn RateLimiter>, callers: usize, cost: u32) -> usize {
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let limiter = Arc::clone(limiter);
            tokio::spawn(async move { check(&limiter, "ada", cost).await.allowed })
        })
        .collect();
    let mut allowed = 0;
    for task in tasks {
        allowed += usize::from(task.await.unwrap());
    }
    allowed
}

pub async fn of_200_at_once_exactly_the_burst_passes(fresh: &dyn FreshLimits) {
    for limit in hourly(10) {
        let limiter = fresh.limiter(limit).await;
        assert_eq!(together(&limiter, 200, 1).await, 10);
    }
}

pub async fn a_limit_of_one_admits_one(fresh: &dyn FreshLimits) {
    for limit in hourly(1) {
        let limiter = fresh.limiter(limit).await;
        let first = check(&limiter, "ada", 1).await;
        assert!(first.allowed && first.remaining == 0, "{first:?}");
        assert!(!check(&limiter, "ada", 1).await.allowed);
    }
}

pub async fn waiting_as_told_admits_the_next(fresh: &dyn FreshLimits) {
    let period = Duration::from_millis(120);
    for limit in [
        RateLimit::smooth(1, period).unwrap(),
        RateLimit::smooth(3, period).unwrap(),
        RateLimit::window(1, period).unwrap(),
        RateLimit::window(3, period).unwrap(),
        RateLimit::window(100, period).unwrap(),
    ] {
        let limiter = fresh.limiter(limit).await;
        for _ in 0..3 {
            // Between two calls, some time may pass and let one more in.
            let mut denied = check(&limiter, "ada", 1).await;
            while denied.allowed {
                denied = check(&limiter, "ada", 1).await;
            }
            tokio::time::sleep(denied.retry_after.unwrap()).await;
            let next = check(&limiter, "ada", 1).await;
            assert!(next.allowed, "{limit:?} {denied:?} {next:?}");
        }
    }
}

pub async fn a_cost_counts_as_so_many_calls(fresh: &dyn FreshLimits) {
    for limit in hourly(10) {
        let limiter = fresh.limiter(limit).await;
        assert_eq!(check(&limiter, "ada", 4).await.remaining, 6);
        assert_eq!(check(&limiter, "ada", 5).await.remaining, 1);
        let denied = check(&limiter, "ada", 2).await;
        assert!(!denied.allowed && denied.remaining == 1, "{denied:?}");
        // What was denied costs nothing.
        assert!(check(&limiter, "ada", 1).await.allowed);
        assert!(!check(&limiter, "ada", 1).await.allowed);
    }
}

pub async fn costs_at_once_never_pass_the_limit(fresh: &dyn FreshLimits) {
    for limit in hourly(10) {
        let limiter = fresh.limiter(limit).await;
        assert_eq!(together(&limiter, 100, 3).await, 3);
    }
}

pub async fn a_cost_that_can_never_pass_is_invalid(fresh: &dyn FreshLimits) {
    for limit in hourly(10) {
        let limiter = fresh.limiter(limit).await;
        for cost in [0, 11, u32::MAX] {
            let error = limiter.check("ada", cost).await.unwrap_err();
            assert_eq!(error.kind().code(), "invalid");
            assert!(error.to_string().contains("cost"), "{error}");
        }
        assert!(check(&limiter, "ada", 10).await.allowed);
    }
}

pub async fn a_bad_subject_is_invalid(fresh: &dyn FreshLimits) {
    let limiter = fresh.limiter(hourly(10)[0]).await;
    for subject in ["", "a\nb", "a\0b", &"a".repeat(201)] {
        let error = limiter.check(subject, 1).await.unwrap_err();
        assert_eq!(error.kind().code(), "invalid", "{subject:?}");
    }
}

pub async fn subjects_do_not_count_for_each_other(fresh: &dyn FreshLimits) {
    for limit in hourly(1) {
        let limiter = fresh.limiter(limit).await;
        let (ada, bob) = (Id::<User>::new(), Id::<User>::new());
        for user in [ada, bob] {
            assert!(limiter.check_user(user, 1).await.unwrap().allowed);
            assert!(!limiter.check_user(user, 1).await.unwrap().allowed);
        }
        assert!(check(&limiter, "2001:db8::1", 1).await.allowed);
    }
}

pub async fn a_limit_comes_back_bit_by_bit_or_by_window(fresh: &dyn FreshLimits) {
    // GCRA gives one call back after a tenth of the period, a window none.
    let [smooth, window] = hourly(10);
    let wait = async |limit| {
        let limiter = fresh.limiter(limit).await;
        assert!(check(&limiter, "ada", 10).await.allowed);
        let denied = check(&limiter, "ada", 1).await;
        assert!(
            denied.reset_after <= HOUR && denied.reset_after > HOUR / 2,
            "{denied:?}"
        );
        denied.retry_after.unwrap()
    };
    assert!(wait(smooth).await <= HOUR / 10);
    assert!(wait(window).await > HOUR / 2);
}

pub async fn every_key_ends(fresh: &dyn FreshLimits) {
    for limit in hourly(100) {
        let limiter = fresh.limiter(limit).await;
        for subject in ["ada", "bob", "eve"] {
            for cost in [1, 5, 90, 90] {
                check(&limiter, subject, cost).await;
            }
        }
    }
    assert_eq!(fresh.keys_without_end().await, Vec::<String>::new());
}

/// Makes a named test of every case of the suite of rate limiters.
///
/// Takes the name of an async function without arguments that returns a
/// [`FreshLimits`](crate::testing::FreshLimits). The crate needs `tokio` with its macros.
#[macro_export]
macro_rules! rate_limit_conformance {
    ($fresh:ident) => {
        $crate::__rate_limit_cases! { $fresh:
            of_200_at_once_exactly_the_burst_passes,
            a_limit_of_one_admits_one,
            waiting_as_told_admits_the_next,
            a_cost_counts_as_so_many_calls,
            costs_at_once_never_pass_the_limit,
            a_cost_that_can_never_pass_is_invalid,
            a_bad_subject_is_invalid,
            subjects_do_not_count_for_each_other,
            a_limit_comes_back_bit_by_bit_or_by_window,
            every_key_ends,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __rate_limit_cases {
    ($fresh:ident: $($case:ident,)+) => {
        mod limits {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::testing::limits::$case(&super::$fresh().await).await;
                }
            )+
        }
    };
}
