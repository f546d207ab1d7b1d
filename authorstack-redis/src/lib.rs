//! AuthorStack on Redis, for example on Upstash.
//!
//! [`RedisStore`] is the connection. What works on it implements traits of `authorstack-core`, each
//! of which also has an implementation in memory.
//!
//! ```no_run
//! use authorstack_redis::{RedisConfig, RedisStore};
//!
//! # async fn example() -> authorstack_core::Result<()> {
//! let url = std::env::var("AUTHORSTACK_REDIS_URL").unwrap_or_default();
//! let redis = RedisStore::connect(RedisConfig::new(url)).await?;
//! # let _ = redis;
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
