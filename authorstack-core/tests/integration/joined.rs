//! A stack on two stores, when a call breaks off on the way or another one comes in between.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use authorstack_core::{
    AnalyticsStore, AuthorStack, Book, Days, DocumentStore, Documents, Error, ErrorKind, Id,
    MemoryStore, NewBook, NewSyncLog, PageRequest, Platform, SalesFilter, SyncStatus, User,
    mocks::MockUserRepository,
    services::Erasure,
    testing::{author, fill_analytics},
};
use futures::{FutureExt, StreamExt};

/// The documents of a store in memory, but with these users.
#[derive(Debug)]
struct Faulty(Documents);

impl Faulty {
    fn new(store: &MemoryStore, users: MockUserRepository) -> Self {
        Self(Documents {
            users: Arc::new(users),
            ..store.documents()
        })
    }

    /// A stack on the documents and on the store's analytics.
    fn stack(&self, store: &MemoryStore) -> AuthorStack {
        AuthorStack::distributed(self, store)
    }
}

impl DocumentStore for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn documents(&self) -> Documents {
        self.0.clone()
    }
}

/// A store with a user, their book and their analytics.
async fn filled() -> (MemoryStore, Id<User>, Id<Book>) {
    let store = MemoryStore::new();
    let stack = store.stack();
    let user = author(&stack, "ada").await.id;
    let book = stack.books().create(user, NewBook::new("Tide")).await;
    let book = book.unwrap().id;
    fill_analytics(&stack, user, book).await;
    (store, user, book)
}

async fn has_analytics(store: &MemoryStore, user: Id<User>) -> bool {
    let analytics = store.analytics();
    let mut sales = analytics.sales.stream(user, SalesFilter::of(Days::ALL));
    let days = analytics.aggregates.list(user, Days::ALL).await.unwrap();
    let logs = analytics.sync_logs;
    let logs = logs.list(user, None, PageRequest::first(1)).await;
    sales.next().await.is_some() || !days.is_empty() || !logs.unwrap().items.is_empty()
}

/// A call of the store in memory never waits.
fn at_once<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().unwrap()
}

fn log() -> NewSyncLog {
    NewSyncLog {
        platform: Platform::KDP,
        status: SyncStatus::Success,
        records_synced: 0,
        error_message: None,
    }
}

/// Users who are there for so many looks, and then no more.
fn users_there_for(store: &MemoryStore, looks: usize) -> MockUserRepository {
    let (store, looked) = (store.clone(), AtomicUsize::new(0));
    let mut users = MockUserRepository::new();
    users.expect_get().returning(move |id| {
        if looked.fetch_add(1, Ordering::Relaxed) >= looks {
            return Err(Error::not_found());
        }
        let users = store.documents().users;
        at_once(users.get(id))
    });
    users
}

#[tokio::test]
async fn a_delete_that_broke_off_is_repeated() {
    let (store, user, _) = filled().await;
    let (held, there, mut attempts) = (store.clone(), store.clone(), 0);
    let mut users = MockUserRepository::new();
    // An erasure looks for the user's account.
    users
        .expect_get()
        .returning(move |id| at_once(there.documents().users.get(id)));
    users.expect_delete().times(3).returning(move |id| {
        attempts += 1;
        if attempts == 1 {
            return Err(Error::timeout(Duration::from_secs(1)));
        }
        at_once(held.documents().users.delete(id))
    });
    let stack = Faulty::new(&store, users).stack(&store);
    let broken = stack.users().delete(user).await.unwrap_err();
    assert!(broken.is_retryable());
    // The user is last: they are there, so that the call can be repeated.
    assert!(!has_analytics(&store, user).await);
    assert!(store.documents().users.get(user).await.is_ok());
    let report = Erasure::new(&stack).run(user).await.unwrap();
    assert_eq!(report.user, Some(true));
    assert!(store.documents().users.get(user).await.is_err());
    assert!(stack.users().delete(user).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn what_is_written_during_a_delete_goes_too() {
    let (store, user, _) = filled().await;
    let held = store.clone();
    let mut users = MockUserRepository::new();
    users.expect_delete().returning(move |id| {
        // Another host writes a log; then the user is gone for it.
        at_once(held.analytics().sync_logs.create(id, log())).map(drop)
    });
    let stack = Faulty::new(&store, users).stack(&store);
    stack.users().delete(user).await.unwrap();
    assert!(!has_analytics(&store, user).await);
}

#[tokio::test]
async fn what_is_written_for_a_user_who_goes_meanwhile_is_erased() {
    let (store, user, _) = filled().await;
    let stack = Faulty::new(&store, users_there_for(&store, 1)).stack(&store);
    let refused = stack.sync_logs().create(user, log()).await.unwrap_err();
    assert!(refused.is_not_found(), "{refused:?}");
    assert!(!has_analytics(&store, user).await);
}

#[tokio::test]
async fn nothing_is_touched_for_a_user_who_was_never_there() {
    // A wrong database of documents must not cost a host its sales.
    let (store, user, _) = filled().await;
    let stack = Faulty::new(&store, users_there_for(&store, 0)).stack(&store);
    let refused = stack.sync_logs().create(user, log()).await.unwrap_err();
    assert!(refused.is_not_found(), "{refused:?}");
    assert!(has_analytics(&store, user).await);
    let page = store.analytics().sync_logs;
    let page = page.list(user, None, PageRequest::default()).await;
    assert_eq!(page.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_write_is_not_undone_because_nobody_could_look() {
    let (store, user, _) = filled().await;
    let (held, mut looks) = (store.clone(), 0);
    let mut users = MockUserRepository::new();
    users.expect_get().times(2).returning(move |id| {
        looks += 1;
        if looks > 1 {
            return Err(Error::unavailable("failing over"));
        }
        at_once(held.documents().users.get(id))
    });
    let stack = Faulty::new(&store, users).stack(&store);
    stack.sync_logs().create(user, log()).await.unwrap();
    let logs = store.analytics().sync_logs;
    let logs = logs.list(user, None, PageRequest::default()).await;
    assert_eq!(logs.unwrap().items.len(), 2);
}

#[tokio::test]
async fn a_user_who_cannot_be_read_is_there() {
    let (store, user, _) = filled().await;
    let mut users = MockUserRepository::new();
    users
        .expect_get()
        .returning(|_| Err(Error::corrupt("credits: a list")));
    let stack = Faulty::new(&store, users).stack(&store);
    stack.sync_logs().create(user, log()).await.unwrap();
}

#[tokio::test]
async fn a_stack_without_stores_erases_nothing_and_says_so() {
    let stack = AuthorStack::builder().build();
    let error = Erasure::new(&stack).run(Id::new()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unsupported { .. }));
}

#[tokio::test]
async fn documents_alone_are_erased() {
    let (store, user, _) = filled().await;
    let stack = AuthorStack::builder().documents(&store).build();
    let report = Erasure::new(&stack).run(user).await.unwrap();
    assert_eq!((report.analytics, report.user), (None, Some(true)));
}
