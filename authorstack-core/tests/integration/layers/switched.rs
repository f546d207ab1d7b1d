//! `Switched`: calls under way finish on the old store, later ones go to the new one.

use authorstack_core::{
    AuthorStack, Id, MemoryStore,
    layers::{Named, Operation, Switched},
    testing::author,
};
use futures::{FutureExt, StreamExt, TryStreamExt};

use crate::layers::common::{
    Crowd, Gate, Recording, Streaming, all_sales, around, names, new_user, on_memory, once,
};

/// A store in memory, slow where it has a gate.
fn slow(store: &MemoryStore, gate: &Gate) -> AuthorStack {
    around(store, Named, gate.clone())
}

#[tokio::test]
async fn calls_under_way_finish_on_the_old_store() {
    let (switch, gate) = (Switched::new(), Gate::new());
    let (old, new) = (MemoryStore::new(), MemoryStore::new());
    let stack = around(&old, switch.clone(), gate.clone());
    let mut before = stack.users().create(new_user("before"));
    assert!(once(&mut before).await.is_none());

    let drain = switch.to(new.stack());
    stack
        .users()
        .create(new_user("after"))
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(names(&new).await, ["after"]);
    assert!(names(&old).await.is_empty());

    let mut ended = Box::pin(drain.ended());
    assert!(once(&mut ended).await.is_none());
    gate.let_go(1);
    before.await.unwrap();
    once(&mut ended).await.unwrap();
    assert_eq!(names(&old).await, ["before"]);
    assert_eq!(names(&new).await, ["after"]);
}

#[tokio::test]
async fn a_drain_waits_for_its_own_calls_only() {
    let switch = Switched::new();
    let (gates, store) = ([Gate::new(), Gate::new(), Gate::new()], MemoryStore::new());
    let stack = around(&store, switch.clone(), gates[0].clone());
    let users = stack.users();

    // Nothing is under way.
    switch
        .to(slow(&store, &gates[1]))
        .ended()
        .now_or_never()
        .unwrap();

    let mut first = users.create(new_user("first"));
    assert!(once(&mut first).await.is_none());
    let drain = switch.to(slow(&store, &gates[2]));
    let mut first_ended = Box::pin(drain.ended());
    let mut second = users.create(new_user("second"));
    assert!(once(&mut second).await.is_none());
    let drain = switch.back();
    let mut second_ended = Box::pin(drain.ended());
    let mut third = users.create(new_user("third"));
    assert!(once(&mut third).await.is_none());
    assert_eq!(gates.each_ref().map(Gate::arrived), [1, 1, 1]);
    assert!(once(&mut first_ended).await.is_none());
    assert!(once(&mut second_ended).await.is_none());

    gates[2].let_go(1);
    second.await.unwrap();
    assert!(once(&mut first_ended).await.is_none());
    once(&mut second_ended).await.unwrap();
    // A call that the host gives up has ended.
    drop(first);
    once(&mut first_ended).await.unwrap();
    gates[0].let_go(1);
    third.await.unwrap();
}

#[tokio::test]
async fn a_drain_that_is_dropped_lets_its_calls_go_on() {
    let (switch, gate, old) = (Switched::new(), Gate::new(), MemoryStore::new());
    let stack = around(&old, switch.clone(), gate.clone());
    let mut call = stack.users().create(new_user("ada"));
    assert!(once(&mut call).await.is_none());
    drop(switch.to(AuthorStack::memory()));
    gate.let_go(1);
    call.await.unwrap();
    assert_eq!(names(&old).await, ["ada"]);
}

#[tokio::test]
async fn streams_finish_on_the_old_store_too() {
    let (old, new) = (Streaming::up_to(5), Streaming::up_to(2));
    let on = |store| AuthorStack::builder().analytics(store);
    let switch = Switched::new();
    let stack = on(&old).layer(switch.clone()).build();
    let sales = || stack.sales().stream(Id::new(), all_sales());
    let mut ending = sales();
    let mut dropped = sales();
    let late = sales();
    assert_eq!(ending.next().await.unwrap().unwrap().id, 0);
    assert_eq!(dropped.next().await.unwrap().unwrap().id, 0);

    let drain = switch.to(on(&new).build());
    let mut ended = Box::pin(drain.ended());
    // One that was not begun before goes to the new store.
    let found: Vec<i64> = late.map_ok(|sale| sale.id).try_collect().await.unwrap();
    assert_eq!(found, [0, 1]);
    assert_eq!((old.opened(), new.opened()), (2, 1));

    let rest: Vec<i64> = ending.map_ok(|sale| sale.id).try_collect().await.unwrap();
    assert_eq!(rest, [1, 2, 3, 4]);
    assert!(once(&mut ended).await.is_none());
    drop(dropped);
    once(&mut ended).await.unwrap();
}

#[tokio::test]
async fn both_stacks_have_their_layers() {
    let switch = Switched::new();
    let seen = [
        Recording::default(),
        Recording::default(),
        Recording::default(),
    ];
    let stack = on_memory().layer(seen[0].clone()).layer(switch.clone());
    let stack = stack.layer(seen[1].clone()).build();
    drop(switch.to(on_memory().layer(seen[2].clone()).build()));
    let id = Id::new();
    let error = stack.users().get(id).await.unwrap_err();
    assert_eq!(error.operation(), Some(Operation::UsersGet));
    let elsewhere = seen.each_ref().map(|seen| seen.operations().len());
    assert_eq!(elsewhere, [1, 0, 1]);
    drop(switch.back());
    stack.users().get(id).await.unwrap_err();
    let back = seen.each_ref().map(|seen| seen.operations().len());
    assert_eq!(back, [2, 1, 1]);
}

#[tokio::test]
async fn clones_are_one_switch() {
    let switch = Switched::new();
    let stacks = [switch.clone(), switch.clone()].map(|it| on_memory().layer(it).build());
    let new = MemoryStore::new();
    drop(switch.to(new.stack()));
    for (name, stack) in ["ada", "bob"].iter().zip(&stacks) {
        author(stack, name).await;
    }
    assert_eq!(names(&new).await.len(), 2);
}

/// Each call is on one of the two stores, and once its drain has ended, a store changes no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_changes_no_more_once_its_calls_have_ended() {
    let switch = Switched::new();
    let stores = [MemoryStore::new(), MemoryStore::new()];
    let stack = around(&stores[0], switch.clone(), Crowd::default());
    let other = around(&stores[1], Named, Crowd::default());
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let stack = stack.clone();
            tokio::spawn(async move {
                for number in 0..250 {
                    author(&stack, &format!("user-{writer}-{number}")).await;
                }
            })
        })
        .collect();
    let mut now = 0;
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        let drain = if now == 0 {
            switch.to(other.clone())
        } else {
            switch.back()
        };
        drain.ended().await;
        let left = &stores[now];
        let before = format!("{left:?}");
        tokio::task::yield_now().await;
        assert_eq!(format!("{left:?}"), before);
        now = 1 - now;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let (first, second) = (names(&stores[0]).await, names(&stores[1]).await);
    assert_eq!(first.len() + second.len(), 1_000);
    assert!(!first.is_empty() && !second.is_empty());
}
