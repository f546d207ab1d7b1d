//! Rate limits: how many calls a user may make.
//!
//! A [`RateLimiter`] checks one [`RateLimit`] for many subjects, such as users. `authorstack-redis`
//! has one for apps that run as several processes; [`MemoryRateLimiter`] is for one process and for
//! tests. Around a limiter there may be:
//!
//! - [`FailSafe`]: a deadline, and what happens where the store is down: calls pass
//!   ([`OnFailure::Open`]) or fail ([`OnFailure::Closed`]).
//! - [`RememberedDenials`]: a call that is denied for a while costs no further round trip.
//! - [`RateLimitHeaders`]: the fields of an HTTP response.
//! - `RateLimitLayer` (feature `tower`): all of it around an HTTP service.
//!
//! ```
//! use std::time::Duration;
//! use authorstack_core::rate_limit::{MemoryRateLimiter, RateLimit, RateLimiter};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> authorstack_core::Result<()> {
//! // 100 calls a minute; up to 10 at once.
//! let limit = RateLimit::smooth(100, Duration::from_secs(60))?.burst(10)?;
//! let limiter = MemoryRateLimiter::new(limit);
//! let decision = limiter.check("66f2a1b3c4d5e6f708192a3b", 1).await?;
//! assert!(decision.allowed);
//! assert_eq!((decision.limit, decision.remaining), (10, 9));
//! # Ok(())
//! # }
//! ```

mod algorithm;
mod decision;
mod denials;
mod fail_safe;
mod headers;
mod limit;
mod limiter;
mod memory;
#[cfg(feature = "tower")]
mod tower;

pub use decision::Decision;
pub use denials::RememberedDenials;
pub use fail_safe::{FailSafe, OnFailure};
pub use headers::RateLimitHeaders;
pub use limit::{Algorithm, RateLimit};
pub use limiter::{Limited, RateLimiter, check_call};
pub use memory::MemoryRateLimiter;
#[cfg(feature = "tower")]
pub use tower::{RateLimitLayer, RateLimitService, RateLimited, RateLimitedFuture};
