//! `Fenced`: while it is closed, nothing is written.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use authorstack_core::{
    AuthorStack, ErrorKind, Id, MemoryStore, Result, User,
    layers::{Access, Fenced, Operation},
    testing::author,
};
use futures::{FutureExt, future::join_all};

use crate::layers::{
    calls::make_every_call,
    common::{Crowd, Gate, around, names, new_user, on, on_memory, once},
};

fn is_moving<T: std::fmt::Debug>(answer: Result<T>) -> bool {
    let error = answer.unwrap_err();
    *error.kind() == ErrorKind::Moving && error.is_retryable()
}

/// A fence around a store in memory that is slow.
fn slow() -> (Fenced, Gate, MemoryStore, AuthorStack) {
    let (fence, gate, store) = (Fenced::new(), Gate::new(), MemoryStore::new());
    let stack = around(&store, fence.clone(), gate.clone());
    (fence, gate, store, stack)
}

#[tokio::test]
async fn closed_it_refuses_every_write_and_no_read() {
    let (fence, store) = (Fenced::new(), MemoryStore::new());
    let stack = on(&store).layer(fence.clone()).build();
    fence.close().await;
    assert!(fence.is_closed());
    for made in make_every_call(&stack, Some(&store)).await {
        let error = made.error.map(|error| error.kind().clone());
        match made.operation.access() {
            Access::Write => assert_eq!(error, Some(ErrorKind::Moving), "{}", made.operation),
            Access::Read => assert_ne!(error, Some(ErrorKind::Moving), "{}", made.operation),
        }
    }
    fence.open();
    assert!(!fence.is_closed());
    for made in make_every_call(&stack, Some(&store)).await {
        assert!(made.error.is_none(), "{:?}", made.error);
    }
}

#[tokio::test]
async fn closing_waits_for_the_writes_under_way_and_refuses_later_ones_at_once() {
    let (fence, gate, store, stack) = slow();
    let users = stack.users();
    let mut writes = [users.create(new_user("ada")), users.create(new_user("bob"))];
    for write in &mut writes {
        assert!(once(write).await.is_none());
    }
    let mut close = Box::pin(fence.close());
    assert!(once(&mut close).await.is_none());
    assert!(is_moving(
        users.create(new_user("late")).now_or_never().unwrap()
    ));

    let [ada, bob] = writes;
    gate.let_go(1);
    ada.await.unwrap();
    assert!(
        once(&mut close).await.is_none(),
        "one write is still under way"
    );
    assert!(is_moving(
        users.create(new_user("late")).now_or_never().unwrap()
    ));
    // A write that the host gives up has ended, too.
    drop(bob);
    once(&mut close).await.unwrap();
    assert_eq!(names(&store).await, ["ada"]);

    // Reads go through, and closing again does not wait for them.
    let mut read = users.get(Id::new());
    assert!(once(&mut read).await.is_none());
    fence.close().now_or_never().unwrap();
    gate.let_go(1);
    assert!(read.await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_cancelled_close_stays_closed_until_it_is_opened() {
    let (fence, gate, store, stack) = slow();
    let mut write = stack.users().create(new_user("ada"));
    assert!(once(&mut write).await.is_none());
    let mut close = Box::pin(fence.close());
    assert!(once(&mut close).await.is_none());
    drop(close);
    assert!(fence.is_closed());
    assert!(is_moving(stack.users().create(new_user("bob")).await));
    gate.let_go(2);
    write.await.unwrap();
    assert!(is_moving(stack.users().create(new_user("bob")).await));
    fence.open();
    stack.users().create(new_user("bob")).await.unwrap();
    assert_eq!(names(&store).await.len(), 2);
}

/// A close that nobody polls any more does not hold the writes of an opened fence up.
#[tokio::test]
async fn opened_while_it_closes_it_lets_writes_through_at_once() {
    let (fence, gate, _, stack) = slow();
    let mut slow = stack.users().create(new_user("ada"));
    assert!(once(&mut slow).await.is_none());
    let mut close = Box::pin(fence.close());
    assert!(once(&mut close).await.is_none());
    fence.open();
    let mut write = stack.users().create(new_user("bob"));
    assert!(once(&mut write).await.is_none());
    assert_eq!(gate.arrived(), 2);
    gate.let_go(2);
    slow.await.unwrap();
    write.await.unwrap();
    close.await;
}

#[tokio::test]
async fn clones_are_one_fence() {
    let fence = Fenced::new();
    let stacks = [fence.clone(), fence.clone()].map(|it| on_memory().layer(it).build());
    fence.clone().close().await;
    for stack in &stacks {
        assert!(is_moving(stack.users().create(new_user("ada")).await));
    }
    fence.open();
    for stack in &stacks {
        stack.users().create(new_user("ada")).await.unwrap();
    }
}

/// Writes on and on; counts what was written and what was refused.
async fn write_on(
    stack: AuthorStack,
    user: Id<User>,
    stop: Arc<AtomicBool>,
    (written, refused): (Arc<AtomicU64>, Arc<AtomicU64>),
) {
    while !stop.load(Ordering::SeqCst) {
        match stack.users().add_credits(user, 1).await {
            Ok(_) => written.fetch_add(1, Ordering::SeqCst),
            Err(error) => {
                assert_eq!(*error.kind(), ErrorKind::Moving);
                assert_eq!(error.operation(), Some(Operation::UsersAddCredits));
                tokio::task::yield_now().await;
                refused.fetch_add(1, Ordering::SeqCst)
            }
        };
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn once_closed_nothing_changes_any_more_under_load() {
    let (fence, store) = (Fenced::new(), MemoryStore::new());
    // Behind the fence calls pause before and after the store.
    let stack = around(&store, fence.clone(), Crowd::default());
    let user = author(&stack, "ada").await.id;
    let (stop, counts) = (
        Arc::new(AtomicBool::new(false)),
        <(Arc<_>, Arc<_>)>::default(),
    );
    let writers = (0..8).map(|_| {
        let (stack, stop, counts) = (stack.clone(), Arc::clone(&stop), counts.clone());
        tokio::spawn(write_on(stack, user, stop, counts))
    });
    let writers: Vec<_> = writers.collect();
    let (written, refused) = counts;
    let wait_for_more = async |counter: &AtomicU64| {
        let before = counter.load(Ordering::SeqCst);
        while counter.load(Ordering::SeqCst) < before + 20 {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    };
    for _ in 0..50 {
        wait_for_more(&written).await;
        fence.close().await;
        let before = format!("{store:?}");
        wait_for_more(&refused).await;
        assert_eq!(format!("{store:?}"), before);
        fence.open();
    }
    stop.store(true, Ordering::SeqCst);
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    // What was let through is what was written.
    let balance = stack.users().get(user).await.unwrap().credits;
    assert_eq!(
        u64::try_from(balance).unwrap(),
        written.load(Ordering::SeqCst)
    );
}
