//! Streams through layers: whole, in order, one record at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use authorstack_core::{
    AuthorStack, Error, ErrorKind, Id, Result, Sale,
    layers::{Call, Layer, Limited, Next, Operation, Reply, Switched, Traced},
};
use futures::{
    StreamExt, TryStreamExt,
    channel::mpsc,
    stream::{self, BoxStream, FuturesUnordered},
};
use tokio::time::timeout;

use crate::layers::common::{Crowd, Recording, Streaming, all_sales, once, sale};

/// Polls the call among other futures: it has a waker of its own.
#[derive(Debug)]
struct Among;

#[async_trait]
impl Layer for Among {
    async fn call(&self, _: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        let mut calls = FuturesUnordered::new();
        calls.push(next.run());
        match calls.next().await {
            Some(ended) => ended,
            None => Err(Error::internal("there was a call")),
        }
    }
}

/// Gives a call a time limit.
#[derive(Debug)]
struct Within(Duration);

#[async_trait]
impl Layer for Within {
    async fn call(&self, _: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        match timeout(self.0, next.run()).await {
            Ok(ended) => ended,
            Err(_) => Err(Error::timeout(self.0)),
        }
    }
}

fn behind_three(store: &Streaming) -> AuthorStack {
    let builder = AuthorStack::builder().analytics(store);
    let builder = builder.layer(Within(Duration::from_mins(1)));
    builder.layer(Among).layer(Crowd::default()).build()
}

fn sales(stack: &AuthorStack) -> BoxStream<'static, Result<Sale>> {
    stack.sales().stream(Id::new(), all_sales())
}

async fn numbers(sales: BoxStream<'static, Result<Sale>>) -> Vec<i64> {
    sales.map_ok(|sale| sale.id).try_collect().await.unwrap()
}

#[tokio::test]
async fn all_records_come_in_their_order() {
    for count in [0, 1, 2, 1_000] {
        let store = Streaming::up_to(count);
        let found = numbers(sales(&behind_three(&store))).await;
        assert_eq!(found, (0..count).collect::<Vec<i64>>());
        let shipped = AuthorStack::builder().analytics(&store).layer(Traced);
        let shipped = shipped
            .layer(Limited::new(1))
            .layer(Switched::new())
            .build();
        assert_eq!(numbers(sales(&shipped)).await, found);
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_not_the_end() {
    let store = Streaming::unreadable(7, |number| number % 3 == 0);
    let stack = behind_three(&store);
    let found: Vec<Result<i64, String>> = sales(&stack)
        .map(|sale| sale.map(|sale| sale.id).map_err(|error| error.to_string()))
        .collect()
        .await;
    let refused = |number: i64| {
        Err(format!(
            "sales.stream sales_data {number}: the stored record cannot be read: currency; correct \
             or remove the record"
        ))
    };
    assert_eq!(
        found,
        [
            refused(0),
            Ok(1),
            Ok(2),
            refused(3),
            Ok(4),
            Ok(5),
            refused(6)
        ]
    );
    assert_eq!(store.opened(), 1);

    // Another error is.
    let store = Streaming::new(|| {
        let cut = Err(Error::unavailable("the line is cut"));
        stream::iter([cut, Ok(sale(1))]).boxed()
    });
    let found: Vec<_> = sales(&behind_three(&store)).collect().await;
    assert_eq!(found.len(), 1, "{found:?}");
}

#[tokio::test]
async fn a_stream_is_one_call() {
    let (store, recording) = (Streaming::up_to(100), Recording::default());
    let stack = AuthorStack::builder()
        .analytics(&store)
        .layer(recording.clone());
    let stack = stack.build();
    let stream = sales(&stack);
    assert!(
        recording.seen().is_empty(),
        "it begins with the first record"
    );
    assert_eq!(numbers(stream).await.len(), 100);
    let seen = recording.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].is_stream);
    assert_eq!(seen[0].operation, Operation::SalesStream);
    recording.clear();
    assert!(recording.seen().is_empty());
}

#[tokio::test]
async fn the_store_is_not_read_ahead() {
    let store = Streaming::up_to(50);
    let mut stream = sales(&behind_three(&store));
    assert_eq!((store.opened(), store.given()), (0, 0));
    for taken in 1..=50 {
        assert!(stream.next().await.unwrap().is_ok());
        tokio::task::yield_now().await;
        assert!(store.given() <= taken + 1, "{} of {taken}", store.given());
    }
    assert!(stream.next().await.is_none());
    assert_eq!((store.opened(), store.given()), (1, 50));
}

#[tokio::test]
async fn an_error_midway_comes_behind_the_records_before_it() {
    let store = Streaming::failing_after(3);
    let mut stream = sales(&behind_three(&store));
    for number in 0..3 {
        assert_eq!(stream.next().await.unwrap().unwrap().id, number);
    }
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Unavailable { .. }),
        "{error}"
    );
    assert_eq!(error.operation(), Some(Operation::SalesStream));
    assert_eq!(error.to_string(), "sales.stream: the line is cut");
    assert!(stream.next().await.is_none());
}

/// A layer that gives up does not lose what the store has given already.
#[tokio::test]
async fn a_layers_own_error_comes_behind_the_records_too() {
    let store = Streaming::new(|| {
        let two = futures::stream::iter((0..2).map(|number| Ok(sale(number))));
        two.chain(futures::stream::pending()).boxed()
    });
    let stack = AuthorStack::builder().analytics(&store);
    let stack = stack.layer(Within(Duration::from_millis(20))).build();
    let mut stream = sales(&stack);
    assert_eq!(stream.next().await.unwrap().unwrap().id, 0);
    assert_eq!(stream.next().await.unwrap().unwrap().id, 1);
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error}");
    assert_eq!(error.operation(), Some(Operation::SalesStream));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn dropping_a_stream_drops_the_call() {
    let crowd = Crowd::default();
    let store = Streaming::up_to(10);
    let stack = AuthorStack::builder()
        .analytics(&store)
        .layer(crowd.clone());
    let stack = stack.layer(Among).build();
    let mut stream = sales(&stack);
    assert!(stream.next().await.unwrap().is_ok());
    assert_eq!(crowd.now(), 1);
    drop(stream);
    assert_eq!(crowd.now(), 0);
    assert_eq!(store.given(), 1);
    // One that is never read is no call.
    drop(sales(&stack));
    assert_eq!((crowd.calls(), store.opened()), (1, 1));
}

/// Who waits may change: the stream is polled in one task and goes on in another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_may_move_between_tasks() {
    let (mut send, receive) = mpsc::channel(1);
    let receive = std::sync::Mutex::new(Some(receive));
    let store = Streaming::new(move || receive.lock().unwrap().take().unwrap().boxed());
    let mut stream = sales(&behind_three(&store));
    assert!(once(&mut stream.next()).await.is_none());
    assert!(once(&mut stream.next()).await.is_none());
    let taken = Arc::new(AtomicUsize::new(0));
    let reader = tokio::spawn({
        let taken = Arc::clone(&taken);
        async move {
            while let Some(sale) = stream.next().await {
                sale.unwrap();
                taken.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    for number in 0..100 {
        if number % 10 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        futures::SinkExt::send(&mut send, Ok(sale(number)))
            .await
            .unwrap();
    }
    drop(send);
    timeout(Duration::from_secs(30), reader)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(taken.load(Ordering::SeqCst), 100);
}

/// Many at once, each with its own records.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_at_once_do_not_mix() {
    let store = Streaming::up_to(200);
    let stack = behind_three(&store);
    let readers = (0..16).map(|_| tokio::spawn(numbers(sales(&stack))));
    for found in futures::future::join_all(readers).await {
        assert_eq!(found.unwrap(), (0..200).collect::<Vec<i64>>());
    }
    assert_eq!(store.opened(), 16);
}
