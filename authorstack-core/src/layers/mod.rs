//! Layers: code that runs around every call to a repository.
//!
//! A [`Layer`] is one type with one method. It gets a description of the [`Call`] and the [`Next`]
//! step on the way to the store. It may observe the call, delay it, refuse it, repeat it, answer
//! it, or send it to another store. A stream is one call, from its first record to its end.
//!
//! A host adds layers with [`AuthorStackBuilder::layer`]. These are shipped:
//!
//! - [`Named`] adds the operation and the record to errors; every stack has it.
//! - [`Traced`] makes a `tracing` span for every call.
//! - `Metered` (feature `metrics`) counts calls and measures their latency.
//! - [`Limited`] limits how many calls run at once.
//! - [`Cached`] answers from a [cache](crate::cache).
//! - [`Fenced`] refuses writes while it is closed.
//! - [`Switched`] changes the store behind a stack at run time.
//!
//! `repositories.rs` implements the repository traits once for "layers around a store". It is the
//! only place that names the operations of repositories and checks their arguments; the checks run
//! at the end of the way, right before the store. Errors of a layer itself get the operation and
//! the record too. `stream.rs` does the same work for calls that return a stream.
//!
//! This is a layer of a host's own:
//!
//! ```
//! use std::sync::atomic::{AtomicU64, Ordering};
//!
//! use async_trait::async_trait;
//! use authorstack_core::{
//!     AuthorStack, MemoryStore, PageRequest, Result,
//!     layers::{Access, Call, Layer, Next, Reply},
//! };
//!
//! /// Counts writes.
//! #[derive(Debug, Default)]
//! struct Writes(AtomicU64);
//!
//! #[async_trait]
//! impl Layer for Writes {
//!     async fn call(&self, call: &Call<'_>, next: Next<'_>) -> Result<Reply> {
//!         if call.operation().access() == Access::Write {
//!             self.0.fetch_add(1, Ordering::Relaxed);
//!         }
//!         next.run().await
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let writes = std::sync::Arc::new(Writes::default());
//! let stack = AuthorStack::builder()
//!     .store(&MemoryStore::new())
//!     .shared_layer(writes.clone())
//!     .build();
//! stack.users().list(PageRequest::first(10)).await?;
//! assert_eq!(writes.0.load(Ordering::Relaxed), 0);
//! # Ok(())
//! # }
//! ```
//!
//! [`AuthorStackBuilder::layer`]: crate::AuthorStackBuilder::layer

#[cfg(feature = "stores")]
mod answer;
#[cfg(feature = "stores")]
mod cached;
#[cfg(feature = "stores")]
mod call;
#[cfg(feature = "stores")]
mod fenced;
#[cfg(feature = "stores")]
mod limited;
#[cfg(feature = "metrics")]
mod metered;
#[cfg(feature = "stores")]
mod named;
mod operation;
#[cfg(feature = "stores")]
mod repositories;
#[cfg(feature = "stores")]
mod stream;
#[cfg(feature = "stores")]
mod switched;
#[cfg(feature = "stores")]
mod traced;
#[cfg(feature = "stores")]
mod under_way;

#[cfg(feature = "stores")]
pub use cached::Cached;
#[cfg(feature = "stores")]
pub use call::{Call, Layer, Next, Reply};
#[cfg(feature = "stores")]
pub use fenced::Fenced;
#[cfg(feature = "stores")]
pub use limited::Limited;
#[cfg(feature = "metrics")]
pub use metered::Metered;
#[cfg(feature = "stores")]
pub use named::Named;
pub use operation::{Access, Operation};
#[cfg(feature = "stores")]
pub use switched::{Drain, Switched};
#[cfg(feature = "stores")]
pub use traced::Traced;

#[cfg(feature = "stores")]
pub(crate) use repositories::Layered;
