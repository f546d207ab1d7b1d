//! The repositories of an app, bundled.

use std::sync::Arc;

use crate::{BookRepository, MemoryStore, UserRepository};

/// A store that holds users and books: MongoDB, Supabase, memory.
pub trait DocumentStore: std::fmt::Debug + Send + Sync {
    /// The store's users.
    fn users(&self) -> Arc<dyn UserRepository>;

    /// The store's books.
    fn books(&self) -> Arc<dyn BookRepository>;
}

/// Everything that a host app codes against. Which backend is behind it is one line of the host.
///
/// ```
/// use authorstack_core::{AuthorStack, NewUser};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let stack = AuthorStack::memory();
/// let ada = stack
///     .users()
///     .create(NewUser::new("66f2a1".parse()?, "ada@example.org".parse()?, "Ada"))
///     .await?;
/// assert_eq!(stack.users().get(ada.id).await?, ada);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AuthorStack {
    users: Arc<dyn UserRepository>,
    books: Arc<dyn BookRepository>,
}

impl AuthorStack {
    /// On the free services: the documents in MongoDB.
    #[must_use]
    pub fn distributed(documents: &dyn DocumentStore) -> Self {
        Self::of(documents)
    }

    /// Everything on Supabase.
    #[must_use]
    pub fn supabase(store: &dyn DocumentStore) -> Self {
        Self::of(store)
    }

    /// In memory, for tests and first steps: gone when the last clone is dropped.
    #[must_use]
    pub fn memory() -> Self {
        Self::of(&MemoryStore::new())
    }

    fn of(store: &dyn DocumentStore) -> Self {
        Self {
            users: store.users(),
            books: store.books(),
        }
    }

    /// The users.
    #[must_use]
    pub fn users(&self) -> &dyn UserRepository {
        self.users.as_ref()
    }

    /// The books.
    #[must_use]
    pub fn books(&self) -> &dyn BookRepository {
        self.books.as_ref()
    }
}
