//! The conformance suite on the in-memory store.

use async_trait::async_trait;
use authorstack_core::{AuthorStack, MemoryStore, testing, testing::FreshStore};

struct Fresh(MemoryStore);

#[async_trait]
impl FreshStore for Fresh {
    fn stack(&self) -> AuthorStack {
        self.0.stack()
    }

    async fn clean_up(self) {}
}

async fn fresh() -> Fresh {
    Fresh(MemoryStore::new())
}

authorstack_core::conformance!(fresh);

/// Two threads seldom meet in the gap between two locks, so this races more often.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_deletes_one_succeeds_every_time() {
    testing::racing::competitors_race(&AuthorStack::memory(), 5_000).await;
}
