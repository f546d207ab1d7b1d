//! The trait of what holds the values.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use crate::Result;

/// Holds values for a while, and lets one caller at a time fill a key.
///
/// [`layers::Cached`](crate::layers::Cached) uses it; see [the module](crate::cache) for the protocol.
///
/// ```
/// use authorstack_core::{AuthorStack, MemoryStore, NewBook, NewUser, cache::MemoryCache, layers::Cached};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// // A host puts the layer around its stack; `authorstack-redis` has the cache of several processes.
/// let stack = AuthorStack::builder().store(&MemoryStore::new());
/// let stack = stack.layer(Cached::new(MemoryCache::default())).build();
/// let ada = NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada");
/// let ada = stack.users().create(ada).await?;
/// let book = stack.books().create(ada.id, NewBook::new("The Tide House")).await?;
/// assert_eq!(stack.books().get(ada.id, book.id).await?, book, "read from the store");
/// assert_eq!(stack.books().get(ada.id, book.id).await?, book, "read from the cache");
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Cache: fmt::Debug + Send + Sync {
    /// The value of a key, if there is one, and its group is still of the value's generation.
    ///
    /// # Errors
    /// Errors of the store.
    async fn get(&self, slot: &Slot) -> Result<Option<Vec<u8>>>;

    /// The value, or the right to fill it in, in one step. The right ends after `for_time`, or when
    /// the key or its group becomes stale.
    ///
    /// # Errors
    /// Errors of the store.
    async fn lease(&self, slot: &Slot, for_time: Duration) -> Result<Leased>;

    /// Fills in a value that was read from the database after the lease was given. Returns whether
    /// the lease was still right; without it nothing is written.
    ///
    /// # Errors
    /// Errors of the store.
    async fn fill(&self, slot: &Slot, lease: &Lease, value: &[u8], ttl: Duration) -> Result<bool>;

    /// Gives a lease back unused.
    ///
    /// # Errors
    /// Errors of the store.
    async fn release(&self, slot: &Slot, lease: &Lease) -> Result<()>;

    /// Removes values, and the leases on them. No value that was read before comes back.
    ///
    /// # Errors
    /// Errors of the store.
    async fn invalidate(&self, stale: &[Stale]) -> Result<()>;
}

/// A place for a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The key, such as `authorstack:user:{userId}`.
    pub key: String,
    /// The key of the group's generation, for values that become stale together.
    pub group: Option<String>,
    /// How long a value is kept at most.
    pub ttl: Duration,
}

/// The answer to a wish to fill a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leased {
    /// There is a value by now.
    Found(Vec<u8>),
    /// The caller is to fill it.
    Yours(Lease),
    /// Another caller is filling it.
    Taken,
}

/// The right to fill a key. It is no one's secret; it tells one right from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The lease's own text.
    pub token: String,
    /// The generation of the group, or nothing.
    pub generation: String,
}

/// What became stale.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stale {
    /// One key.
    Key(String),
    /// All keys of a group, by the key of its generation.
    Group(String),
}

impl Stale {
    /// The key that holds the lease on a key.
    #[must_use]
    pub fn lease_of(key: &str) -> String {
        format!("{key}:lease")
    }

    /// The keys to remove.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        match self {
            Self::Key(key) => vec![key.clone(), Self::lease_of(key)],
            Self::Group(key) => vec![key.clone()],
        }
    }
}
