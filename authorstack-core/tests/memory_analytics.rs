//! The conformance suite of the analytics on the in-memory store.

#![allow(clippy::unwrap_used, reason = "a failed check of a test panics")]

use async_trait::async_trait;
use authorstack_core::{
    AnalyticsStore, Book, DocumentStore, Id, MemoryStore, NewBook, User,
    testing::{FreshAnalytics, author},
};

struct Fresh(MemoryStore);

#[async_trait]
impl FreshAnalytics for Fresh {
    fn store(&self) -> &dyn AnalyticsStore {
        &self.0
    }

    async fn author(&self) -> (Id<User>, Id<Book>) {
        let user = author(&self.0, &Id::<User>::new().to_string()).await;
        let book = self.0.books().create(user.id, NewBook::new("A book")).await;
        (user.id, book.unwrap().id)
    }

    async fn clean_up(self) {}
}

async fn fresh() -> Fresh {
    Fresh(MemoryStore::new())
}

authorstack_core::analytics_conformance!(fresh);
