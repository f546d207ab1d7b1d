//! The conformance suite on the in-memory store.

use async_trait::async_trait;
use authorstack_core::{AuthorStack, MemoryStore, testing::FreshStore};

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
