//! `Limited`: never more calls at once than there are places.

use std::time::Duration;

use authorstack_core::{
    AuthorStack, ErrorKind, Id, MemoryStore,
    layers::{Limited, Operation},
    testing::author,
};
use futures::{StreamExt, future::join_all};

use crate::layers::common::{
    Crowd, Gate, Streaming, all_sales, around, names, new_user, on_memory, once,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_calls_at_once_than_places() {
    const PLACES: usize = 3;
    let crowd = Crowd::staying(Duration::from_millis(1));
    let stack = around(&MemoryStore::new(), Limited::new(PLACES), crowd.clone());
    let user = author(&stack, "ada").await.id;
    let callers = (0..32).map(|_| {
        let stack = stack.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                stack.users().add_credits(user, 1).await.unwrap();
            }
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    // All places are used, and none twice.
    assert_eq!(crowd.most(), PLACES);
    assert_eq!((crowd.calls(), crowd.now()), (321, 0));
    assert_eq!(stack.users().get(user).await.unwrap().credits, 320);
}

#[tokio::test]
async fn calls_wait_in_their_order() {
    let (store, gate) = (MemoryStore::new(), Gate::new());
    let stack = around(&store, Limited::new(1), gate.clone());
    let waiting = ["a", "b", "c", "d"];
    let mut calls: Vec<_> = waiting
        .iter()
        .map(|name| stack.users().create(new_user(name)))
        .collect();
    for call in &mut calls {
        assert!(once(call).await.is_none());
    }
    for done in 0..waiting.len() {
        // One that comes now waits behind the others, whoever is polled first.
        let mut late = stack.users().create(new_user("late"));
        assert!(once(&mut late).await.is_none());
        for call in calls[done..].iter_mut().rev() {
            assert!(once(call).await.is_none());
        }
        assert_eq!(gate.arrived(), done + 1);
        gate.let_go(1);
        (&mut calls[done]).await.unwrap();
    }
    drop(calls);
    let mut found = names(&store).await;
    found.reverse();
    assert_eq!(found, waiting);
}

#[tokio::test]
async fn who_waits_too_long_is_refused_and_may_come_again() {
    let (gate, patience) = (Gate::new(), Duration::from_millis(30));
    let limited = Limited::new(1).patience(patience);
    let stack = around(&MemoryStore::new(), limited, gate.clone());
    let mut first = stack.users().create(new_user("ada"));
    assert!(once(&mut first).await.is_none());

    let begun = std::time::Instant::now();
    let id = Id::new();
    let refused = stack.users().delete(id).await.unwrap_err();
    assert!(begun.elapsed() >= patience);
    assert!(
        matches!(refused.kind(), ErrorKind::Unavailable { .. }),
        "{refused}"
    );
    assert!(refused.is_retryable());
    assert_eq!(refused.operation(), Some(Operation::UsersDelete));
    assert_eq!(gate.arrived(), 1);

    gate.let_go(2);
    first.await.unwrap();
    assert!(stack.users().delete(id).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn who_gives_up_gives_the_place_up() {
    let gate = Gate::new();
    let stack = around(&MemoryStore::new(), Limited::new(1), gate.clone());
    let users = stack.users();
    let mut calls: Vec<_> = (0..3).map(|_| users.get(Id::new())).collect();
    for call in &mut calls {
        assert!(once(call).await.is_none());
    }
    let mut third = calls.pop().unwrap();
    // One that waits, then the one that is under way.
    drop(calls.pop());
    assert!(once(&mut third).await.is_none());
    assert_eq!(gate.arrived(), 1);
    drop(calls.pop());
    assert!(once(&mut third).await.is_none());
    assert_eq!(gate.arrived(), 2);
    gate.let_go(2);
    assert!(third.await.unwrap_err().is_not_found());
    assert!(users.get(Id::new()).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_stream_holds_its_place() {
    let (store, limited) = (Streaming::up_to(3), Limited::new(1));
    let stack = AuthorStack::builder().documents(&MemoryStore::new());
    let stack = stack.analytics(&store);
    let stack = stack
        .layer(limited.patience(Duration::from_millis(20)))
        .build();
    let is_full = async || {
        let error = stack.users().get(Id::new()).await.unwrap_err();
        matches!(error.kind(), ErrorKind::Unavailable { .. })
    };
    let sales = || stack.sales().stream(Id::new(), all_sales());

    let mut dropped = sales();
    assert!(
        !is_full().await,
        "a stream that nobody reads takes no place"
    );
    assert!(dropped.next().await.unwrap().is_ok());
    assert!(is_full().await);
    drop(dropped);
    assert!(!is_full().await);

    let mut ended = sales();
    for _ in 0..3 {
        assert!(ended.next().await.unwrap().is_ok());
        assert!(is_full().await);
    }
    assert!(ended.next().await.is_none());
    assert!(!is_full().await);
    drop(ended);

    // A stream waits for its turn, too, and is refused.
    let _held = {
        let mut held = sales();
        assert!(held.next().await.unwrap().is_ok());
        held
    };
    let error = sales().next().await.unwrap().unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Unavailable { .. }),
        "{error}"
    );
    assert_eq!(error.operation(), Some(Operation::SalesStream));
}

#[tokio::test]
async fn there_is_always_a_place() {
    let stack = on_memory().layer(Limited::new(0)).build();
    stack.users().create(new_user("ada")).await.unwrap();
    let stack = on_memory().layer(Limited::new(usize::MAX)).build();
    stack.users().create(new_user("ada")).await.unwrap();
}
