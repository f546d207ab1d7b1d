//! What the tests share: a database of each test's own.

#![allow(dead_code, reason = "not every test uses everything")]

pub(crate) mod node;

use std::{
    ops::Deref,
    panic::{AssertUnwindSafe, resume_unwind},
};

use async_trait::async_trait;
use authorstack_core::{
    AuthorStack,
    migrate::{Kind, Scanned, Snapshot},
    testing::{FreshStore, servers},
};
use authorstack_mongo::{MongoConfig, MongoStore};
use bson::{Document, RawArrayBuf, RawDocumentBuf, raw::cstr};
use futures::FutureExt;
use mongodb::Collection;

/// A store on a database of its own, and a stack on it, whose repositories the tests call.
pub(crate) struct Fresh {
    pub(crate) mongo: MongoStore,
    stack: AuthorStack,
}

impl Fresh {
    pub(crate) fn on(mongo: MongoStore) -> Self {
        let stack = AuthorStack::builder().documents(&mongo).build();
        Self { mongo, stack }
    }

    pub(crate) async fn empty() -> Self {
        let config = MongoConfig::new(servers::mongodb_url()).database(servers::fresh_name());
        Self::on(MongoStore::connect(config).await.unwrap())
    }

    pub(crate) async fn with_indexes() -> Self {
        let fresh = Self::empty().await;
        fresh.mongo.ensure_indexes().await.unwrap();
        fresh
    }
}

impl Deref for Fresh {
    type Target = AuthorStack;

    fn deref(&self) -> &AuthorStack {
        &self.stack
    }
}

#[async_trait]
impl FreshStore for Fresh {
    fn stack(&self) -> AuthorStack {
        self.stack.clone()
    }

    async fn clean_up(self) {
        self.mongo.database().drop().await.unwrap();
    }
}

/// Runs a test on an empty database, which is dropped also when the test fails.
pub(crate) async fn on_empty(test: impl AsyncFnOnce(&Fresh)) {
    on(Fresh::empty().await, test).await;
}

/// Runs a test on a database with the schema's indexes.
pub(crate) async fn on_indexed(test: impl AsyncFnOnce(&Fresh)) {
    on(Fresh::with_indexes().await, test).await;
}

async fn on(fresh: Fresh, test: impl AsyncFnOnce(&Fresh)) {
    let outcome = AssertUnwindSafe(test(&fresh)).catch_unwind().await;
    fresh.clean_up().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

pub(crate) fn documents(store: &MongoStore, name: &str) -> Collection<Document> {
    store.database().collection(name)
}

/// Bytes that the server takes as they are, also where they are not UTF-8.
pub(crate) async fn insert_raw(store: &MongoStore, name: &str, document: RawDocumentBuf) {
    // The driver's own insert refuses an `_id` that is not UTF-8.
    let mut documents = RawArrayBuf::new();
    documents.push(document);
    let mut insert = RawDocumentBuf::new();
    insert.append(cstr!("insert"), name);
    insert.append(cstr!("documents"), documents);
    store.database().run_raw_command(insert).await.unwrap();
}

/// The record of a kind with this key, as a migration reads it.
pub(crate) async fn fetch(store: &MongoStore, kind: Kind, key: &str) -> Option<Scanned> {
    let keys = [key.to_owned()];
    let mut found = Snapshot::fetch(store, kind, &keys).await.unwrap();
    assert!(found.len() <= 1, "{found:?}");
    found.pop()
}
