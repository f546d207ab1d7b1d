//! Layers of a host's own: they repeat calls, and answer them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use authorstack_core::{
    AuthorStack, BookFilter, Error, ErrorKind, Id, MemoryStore, NewBook, NewBoost, NewForecast,
    PageRequest, Result, User,
    layers::{Call, Layer, Next, Operation, Reply},
    testing::author,
};
use futures::{FutureExt, StreamExt, TryStreamExt};

use crate::layers::common::{Gate, Streaming, all_sales, around, new_user, on_memory, once, sale};

/// Makes a call again while its error is retryable, up to three times in all.
#[derive(Debug)]
struct Retrying;

#[async_trait]
impl Layer for Retrying {
    async fn call(&self, _: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        for _ in 0..2 {
            match next.run().await {
                Err(error) if error.is_retryable() => {}
                ended => return ended,
            }
        }
        next.run().await
    }
}

/// Loses the answers of the first calls: the store has done what was asked.
#[derive(Debug, Clone)]
struct Losing(Arc<AtomicUsize>);

impl Losing {
    fn first(calls: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(calls)))
    }
}

#[async_trait]
impl Layer for Losing {
    async fn call(&self, _: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        let reply = next.run().await;
        let lose = |left: usize| left.checked_sub(1);
        match self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose)
        {
            Ok(_) => Err(Error::unavailable("the answer was lost")),
            Err(_) => reply,
        }
    }
}

#[tokio::test]
async fn a_repeated_call_has_all_its_values() {
    let store = MemoryStore::new();
    let user = author(&store.stack(), "ada").await.id;
    let stack = around(&store, Retrying, Losing::first(2));
    let mut new = NewBook::new("The Tide House");
    new.genres = vec!["Fantasy".to_owned()];
    new.extra.insert("shelf".to_owned(), 7.into());
    let made = stack.books().create(user, new.clone()).await.unwrap();
    let page = PageRequest::first(10);
    let books = stack
        .books()
        .list(user, BookFilter::default(), page)
        .await
        .unwrap();
    // Three attempts made three books, each of them whole.
    assert_eq!(books.items.len(), 3);
    assert_eq!(books.items[0], made);
    for book in books.items {
        assert_eq!(
            (book.title, book.genres),
            (new.title.clone(), new.genres.clone())
        );
        assert_eq!(book.extra, new.extra);
    }

    let stack = around(&store, Retrying, Losing::first(1));
    let forecast = NewForecast::new("2024-03-01".parse().unwrap(), "5".parse().unwrap());
    let kept = stack
        .forecasts()
        .create(user, vec![forecast.clone(), forecast])
        .await;
    assert_eq!(kept.unwrap().len(), 2);
}

#[tokio::test]
async fn a_repeated_purchase_spends_once() {
    let store = MemoryStore::new();
    let user = author(&store.stack(), "ada").await.id;
    let book = store
        .stack()
        .books()
        .create(user, NewBook::new("A book"))
        .await;
    store.stack().users().add_credits(user, 100).await.unwrap();
    let stack = around(&store, Retrying, Losing::first(2));
    let boost = NewBoost::new(book.unwrap().id, 7, 60);
    let bought = stack.boosts().purchase(user, boost.clone()).await.unwrap();
    assert_eq!(bought.id, boost.id);
    assert_eq!(stack.users().get(user).await.unwrap().credits, 40);
}

#[tokio::test]
async fn what_is_not_retryable_is_not_repeated_and_too_many_failures_are_told() {
    let store = MemoryStore::new();
    let losing = Losing::first(3);
    let stack = around(&store, Retrying, losing.clone());
    let error = stack.users().create(new_user("ada")).await.unwrap_err();
    // The first attempt made the user, so the others found the account taken, and lost that.
    assert!(
        matches!(error.kind(), ErrorKind::Unavailable { .. }),
        "{error}"
    );
    assert_eq!(error.operation(), Some(Operation::UsersCreate));
    let error = stack.users().create(new_user("ada")).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::AlreadyExists { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_stream_that_has_given_nothing_can_be_repeated() {
    let (opened, fails) = (Arc::new(AtomicUsize::new(0)), 2);
    let store = Streaming::new(move || {
        if opened.fetch_add(1, Ordering::SeqCst) < fails {
            let failure = Error::unavailable("failing over");
            futures::stream::iter([Err(failure)]).boxed()
        } else {
            futures::stream::iter((0..3).map(|number| Ok(sale(number)))).boxed()
        }
    });
    let stack = AuthorStack::builder()
        .analytics(&store)
        .layer(Retrying)
        .build();
    let sales = stack.sales().stream(Id::new(), all_sales());
    let found: Vec<i64> = sales.map_ok(|sale| sale.id).try_collect().await.unwrap();
    assert_eq!(found, [0, 1, 2]);
    assert_eq!(store.opened(), 3);
}

#[tokio::test]
async fn a_stream_that_has_given_records_is_not_repeated() {
    let store = Streaming::failing_after(2);
    let stack = AuthorStack::builder()
        .analytics(&store)
        .layer(Retrying)
        .build();
    let mut sales = stack.sales().stream(Id::new(), all_sales());
    assert_eq!(sales.next().await.unwrap().unwrap().id, 0);
    assert_eq!(sales.next().await.unwrap().unwrap().id, 1);
    let error = sales.next().await.unwrap().unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Internal { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("repeated a stream"), "{error}");
    assert_eq!(error.operation(), Some(Operation::SalesStream));
    assert!(sales.next().await.is_none());
    assert_eq!(store.opened(), 1);
}

/// Answers calls itself.
struct Answering(fn() -> Reply);

impl std::fmt::Debug for Answering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answering")
    }
}

#[async_trait]
impl Layer for Answering {
    async fn call(&self, _: &Call<'_>, _: Next<'_>) -> Result<Reply> {
        Ok((self.0)())
    }
}

fn grace() -> User {
    new_user("grace").into_user()
}

#[tokio::test]
async fn an_answer_of_the_right_type_is_taken() {
    let stack = on_memory().layer(Answering(|| Reply::new(grace()))).build();
    assert_eq!(stack.users().get(Id::new()).await.unwrap().name, "grace");

    // A stream that a layer answers has no records.
    let store = Streaming::up_to(3);
    let stack = AuthorStack::builder().analytics(&store);
    let stack = stack.layer(Answering(|| Reply::new(()))).build();
    assert!(
        stack
            .sales()
            .stream(Id::new(), all_sales())
            .next()
            .await
            .is_none()
    );
    assert_eq!(store.opened(), 0);
    let (user, id) = (Id::new(), Id::new());
    stack.books().delete(user, id).await.unwrap();
}

#[tokio::test]
async fn an_answer_of_another_type_is_internal() {
    let stack = on_memory().layer(Answering(|| Reply::new("grace"))).build();
    let id = Id::new();
    let error = stack.users().get(id).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Internal { .. }),
        "{error}"
    );
    assert_eq!(error.operation(), Some(Operation::UsersGet));
    assert_eq!(error.record(), Some(id.to_string().as_str()));

    let mut sales = stack.sales().stream(Id::new(), all_sales());
    let error = sales.next().await.unwrap().unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Internal { .. }),
        "{error}"
    );
    assert_eq!(error.operation(), Some(Operation::SalesStream));
    assert!(sales.next().await.is_none());
}

/// Looks at the answer on its way, and hands it on.
#[derive(Debug, Clone, Default)]
struct Looking(Arc<AtomicUsize>);

#[async_trait]
impl Layer for Looking {
    async fn call(&self, call: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        let reply = next.run().await?;
        if call.operation() == Operation::UsersAddCredits {
            assert!(reply.get::<String>().is_none());
            let user = reply.get::<User>().unwrap();
            self.0
                .store(usize::try_from(user.credits).unwrap(), Ordering::SeqCst);
        }
        assert_eq!(format!("{reply:?}"), "Reply(…)");
        Ok(reply)
    }
}

#[tokio::test]
async fn a_layer_may_look_at_the_answer() {
    let looking = Looking::default();
    let stack = on_memory().layer(looking.clone()).build();
    let user = author(&stack, "ada").await.id;
    stack.users().add_credits(user, 42).await.unwrap();
    assert_eq!(looking.0.load(Ordering::SeqCst), 42);
}

/// The layer that is added first sees a call first and its end last.
#[tokio::test]
async fn layers_are_in_the_order_in_which_they_are_added() {
    #[derive(Debug)]
    struct Steps(&'static str, Arc<std::sync::Mutex<Vec<String>>>);

    #[async_trait]
    impl Layer for Steps {
        async fn call(&self, _: &Call<'_>, next: Next<'_>) -> Result<Reply> {
            self.1.lock().unwrap().push(format!("into {}", self.0));
            let reply = next.run().await;
            self.1.lock().unwrap().push(format!("out of {}", self.0));
            reply
        }
    }

    let steps = Arc::default();
    let layer = |name| Steps(name, Arc::clone(&steps));
    let stack = on_memory()
        .layer(layer("a"))
        .shared_layer(Arc::new(layer("b")))
        .build();
    author(&stack, "ada").await;
    let steps = steps.lock().unwrap().join(", ");
    assert_eq!(steps, "into a, into b, out of b, out of a");
}

#[tokio::test]
async fn a_call_that_is_dropped_is_dropped_in_all_layers() {
    let (store, gate) = (MemoryStore::new(), Gate::new());
    let crowd = crate::layers::common::Crowd::default();
    let stack = around(&store, crowd.clone(), gate.clone());
    let mut call = stack.users().create(new_user("ada"));
    assert!(once(&mut call).await.is_none());
    assert!(once(&mut call).await.is_none());
    assert_eq!((crowd.now(), gate.arrived()), (1, 1));
    drop(call);
    assert_eq!(crowd.now(), 0);
    gate.let_go(1);
    assert!(
        stack
            .users()
            .list(PageRequest::first(1))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert!(stack.users().get(Id::new()).now_or_never().is_none());
}
