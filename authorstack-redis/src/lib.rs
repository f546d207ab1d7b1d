//! AuthorStack on Redis, for example on Upstash.
//!
//! [`RedisStore`] is the connection. What works on it implements traits of `authorstack-core`, each
//! of which also has an implementation in memory.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use authorstack_core::{
//!     layers::Cached,
//!     queue::{JobQueue as _, NewJob, QueueName, payloads::SendEmail},
//!     rate_limit::{Limited, RateLimit, RateLimiter as _},
//! };
//! use authorstack_redis::{RedisConfig, RedisStore};
//!
//! # async fn example() -> authorstack_core::Result<()> {
//! let url = std::env::var("AUTHORSTACK_REDIS_URL").unwrap_or_default();
//! let redis = RedisStore::connect(RedisConfig::new(url)).await?;
//!
//! // What is read often: a layer of the stack.
//! # let stack = authorstack_core::AuthorStack::builder();
//! let stack = stack.layer(Cached::new(redis.cache())).build();
//!
//! // A hundred calls a minute for each user.
//! let limit = RateLimit::smooth(100, Duration::from_secs(60))?;
//! let limiter = redis.rate_limiter(Limited::Api, limit);
//! limiter.check("66f2a1b3c4d5e6f708192a3b", 1).await?.into_result()?;
//!
//! // Work for later, by a worker of Rust or of Node.
//! let queue = redis.queue(QueueName::NOTIFICATIONS);
//! let mail = SendEmail::new("66f2a1b3c4d5e6f708192a3b".parse()?, "weekly-digest");
//! queue.add(NewJob::of(&mail)?).await?;
//! # let _ = stack;
//! # Ok(())
//! # }
//! ```

mod cache;
mod config;
mod error;
mod flush;
mod limits;
mod queue;
mod server;
mod store;

pub use cache::RedisCache;
pub use config::RedisConfig;
pub use limits::RedisRateLimiter;
pub use queue::RedisQueue;
pub use store::RedisStore;
