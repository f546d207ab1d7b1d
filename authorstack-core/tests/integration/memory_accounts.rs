//! The conformance suite of the accounts on the in-memory store.

use async_trait::async_trait;
use authorstack_core::{
    AuthorStack, BearerToken, Email, MemoryStore, Result,
    testing::{FreshAccounts, SignIn},
};

struct Fresh(MemoryStore);

#[async_trait]
impl SignIn for Fresh {
    async fn sign_in(&self, email: &Email, password: &str) -> Result<BearerToken> {
        self.0.sign_in(email, password)
    }
}

#[async_trait]
impl FreshAccounts for Fresh {
    fn stack(&self) -> AuthorStack {
        self.0.stack()
    }

    async fn clean_up(self) {}
}

async fn fresh() -> Fresh {
    Fresh(MemoryStore::new())
}

authorstack_core::accounts_conformance!(fresh);
