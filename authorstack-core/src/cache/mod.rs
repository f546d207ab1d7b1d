//! A cache that gives no stale reads.
//!
//! A host puts [`layers::Cached`](crate::layers::Cached) around its stack. It keeps users, books and
//! sums of sales in a [`Cache`]: the one of `authorstack-redis`, or a [`MemoryCache`].
//! [`services::Dashboard`](crate::services::Dashboard) uses it too.
//!
//! # How a value gets in
//! 1. Whoever finds nothing takes a **lease** on the key, and reads the database only then.
//! 2. The value goes in if the lease is still there.
//! 3. Whoever writes to the database removes the value **and the lease** afterwards, before the call
//!    returns. So a value that was read before the write cannot go in behind it.
//!
//! A set of keys can have a **group**, such as the sales of a user over all ranges. The group's
//! generation is a part of each value; removing the generation makes all of them misses at once,
//! with one command.
//!
//! # What is promised
//! - A read that begins after a write has returned never sees a value older than that write, in this
//!   process and in others, as long as the cache can be reached.
//! - When the cache fails or is slow, the database is read. Calls never fail for the cache's sake.
//!   If a value cannot be removed, this process does not use it until it could be; another process
//!   that reaches the cache may see it until its time is over (five minutes at most).
//! - Errors are not kept. That a record does not exist is kept for ten seconds; creating it removes
//!   that.
//! - Writes that go past this stack, such as another app's, show when the time of a value is over.

mod engine;
mod flights;
mod memory;
mod payload;
mod stale;
mod store;

pub use memory::MemoryCache;
pub use store::{Cache, Lease, Leased, Slot, Stale};

pub(crate) use engine::{Codec, Engine, Kept};
pub(crate) use payload::{decode, encode, encode_absent};
