//! The in-memory store: the model that every backend is held to.

mod books;
mod migrate;
mod users;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use crate::{
    Book, BookRepository, DocumentStore, Id, Order, Page, PageRequest, User, UserRepository,
};

/// Users and books in memory, and either side of a migration. Clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    records: Arc<Mutex<Records>>,
}

#[derive(Debug, Default)]
struct Records {
    users: BTreeMap<Id<User>, User>,
    books: BTreeMap<Id<Book>, Book>,
    migration: migrate::Books,
    run: Weak<()>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No call panics while it holds the lock, so what a poisoned lock guards is sound.
    fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DocumentStore for MemoryStore {
    fn users(&self) -> Arc<dyn UserRepository> {
        Arc::new(users::MemoryUsers(self.clone()))
    }

    fn books(&self) -> Arc<dyn BookRepository> {
        Arc::new(books::MemoryBooks(self.clone()))
    }
}

/// The page of the records that match, found by the last id of the page before.
fn page<T: Clone>(
    records: &BTreeMap<Id<T>, T>,
    request: &PageRequest,
    id: impl Fn(&T) -> Id<T>,
    matches: impl Fn(&T) -> bool,
) -> Page<T> {
    use std::ops::Bound::{Excluded, Unbounded};
    let one_more = request.limit() as usize + 1;
    let after = request.after_id().map_or(Unbounded, Excluded);
    let found: Vec<T> = match request.sort_order() {
        Order::OldestFirst => {
            let range = records.range((after, Unbounded)).map(|(_, record)| record);
            range
                .filter(|r| matches(r))
                .take(one_more)
                .cloned()
                .collect()
        }
        Order::NewestFirst => {
            let range = records
                .range((Unbounded, after))
                .rev()
                .map(|(_, record)| record);
            range
                .filter(|r| matches(r))
                .take(one_more)
                .cloned()
                .collect()
        }
    };
    Page::from_one_more(found, request.limit(), id)
}
