//! The conformance suite on the in-memory store.

use async_trait::async_trait;
use authorstack_core::{DocumentStore, MemoryStore, testing::FreshStore};

struct Fresh(MemoryStore);

#[async_trait]
impl FreshStore for Fresh {
    fn store(&self) -> &dyn DocumentStore {
        &self.0
    }

    async fn clean_up(self) {}
}

async fn fresh() -> Fresh {
    Fresh(MemoryStore::new())
}

authorstack_core::conformance!(fresh);
