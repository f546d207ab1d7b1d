//! Each layer alone, and all of them together, pass the whole conformance suite.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use authorstack_core::{
    AuthorStack, AuthorStackBuilder, BearerToken, Book, Email, Id, MemoryStore, NewBook, Result,
    Stores, User,
    cache::MemoryCache,
    layers::{Cached, Call, Fenced, Layer, Limited, Named, Next, Reply, Switched, Traced},
    testing::{FreshAccounts, FreshAnalytics, FreshStore, SignIn, author},
};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::layers::{common::Crowd, traced::listen};

/// A fresh store in memory, and a stack on it that has layers.
struct Fresh {
    store: MemoryStore,
    stack: AuthorStack,
    /// What goes on beside the case.
    beside: Option<JoinHandle<()>>,
}

impl Fresh {
    fn behind(layers: impl FnOnce(AuthorStackBuilder) -> AuthorStackBuilder) -> Self {
        let store = MemoryStore::new();
        let stack = layers(AuthorStack::builder().store(&store).accounts(&store)).build();
        Self {
            store,
            stack,
            beside: None,
        }
    }

    async fn end(self) {
        if let Some(beside) = self.beside {
            beside.abort();
            if let Err(error) = beside.await {
                assert!(error.is_cancelled(), "{error}");
            }
        }
    }
}

#[async_trait]
impl FreshStore for Fresh {
    fn stack(&self) -> AuthorStack {
        self.stack.clone()
    }

    async fn clean_up(self) {
        self.end().await;
    }
}

#[async_trait]
impl FreshAnalytics for Fresh {
    fn stack(&self) -> AuthorStack {
        self.stack.clone()
    }

    async fn author(&self) -> (Id<User>, Id<Book>) {
        let user = author(&self.store.stack(), &Id::<User>::new().to_string()).await;
        let books = self.store.stack();
        let book = books.books().create(user.id, NewBook::new("A book")).await;
        (user.id, book.unwrap().id)
    }

    async fn clean_up(self) {
        self.end().await;
    }
}

#[async_trait]
impl SignIn for Fresh {
    async fn sign_in(&self, email: &Email, password: &str) -> Result<BearerToken> {
        self.store.sign_in(email, password)
    }
}

#[async_trait]
impl FreshAccounts for Fresh {
    fn stack(&self) -> AuthorStack {
        self.stack.clone()
    }

    async fn clean_up(self) {
        self.end().await;
    }
}

/// All suites, in a module for each layer.
macro_rules! conforms {
    ($($layer:ident: $fresh:expr;)+) => {$(
        mod $layer {
            mod documents {
                use super::super::*;

                async fn fresh() -> Fresh {
                    $fresh.await
                }

                authorstack_core::conformance!(fresh);
            }

            mod analytics {
                use super::super::*;

                async fn fresh() -> Fresh {
                    $fresh.await
                }

                authorstack_core::analytics_conformance!(fresh);
            }

            mod accounts {
                use super::super::*;

                async fn fresh() -> Fresh {
                    $fresh.await
                }

                authorstack_core::accounts_conformance!(fresh);
            }
        }
    )+};
}

conforms! {
    named: async { Fresh::behind(|stack| stack.layer(Named)) };
    traced: async {
        listen();
        Fresh::behind(|stack| stack.layer(Traced))
    };
    limited: async { Fresh::behind(|stack| stack.layer(Limited::new(4))) };
    fenced: async { Fresh::behind(|stack| stack.layer(Fenced::new())) };
    cached: async { Fresh::behind(|stack| stack.layer(Cached::new(MemoryCache::default()))) };
    cached_twice: async { cached_twice() };
    switched: async { switched() };
    switched_to_and_fro: switched_to_and_fro();
    stacked: async {
        listen();
        Fresh::behind(stacked)
    };
}

#[cfg(feature = "metrics")]
conforms! {
    metered: async {
        crate::layers::metered::count();
        Fresh::behind(|stack| stack.layer(authorstack_core::layers::Metered))
    };
}

/// All layers.
fn stacked(stack: AuthorStackBuilder) -> AuthorStackBuilder {
    #[cfg(feature = "metrics")]
    let stack = stack.layer(authorstack_core::layers::Metered);
    let (switch, other) = (Switched::new(), MemoryStore::new());
    // To another store, and back: calls go to the stack's own again.
    drop(switch.to(other.stack()));
    drop(switch.back());
    stack
        .layer(Traced)
        .layer(Cached::new(MemoryCache::default()))
        .layer(Limited::new(4).patience(Duration::from_mins(1)))
        .layer(Fenced::new())
        .layer(switch)
        .layer(Named)
}

/// Two processes with one cache, whose calls go to each in turn.
fn cached_twice() -> Fresh {
    let (store, cache) = (MemoryStore::new(), MemoryCache::default());
    let process = || {
        let stack = AuthorStack::builder().store(&store).accounts(&store);
        stack.layer(Cached::new(cache.clone())).build()
    };
    let stack = AuthorStack::builder().store(&store).accounts(&store);
    let stack = stack.layer(InTurn::between([process(), process()])).build();
    Fresh {
        store,
        stack,
        beside: None,
    }
}

/// Sends each call to the next of two stacks.
#[derive(Debug)]
struct InTurn {
    stacks: [Stores; 2],
    calls: AtomicUsize,
}

impl InTurn {
    fn between(stacks: [AuthorStack; 2]) -> Self {
        Self {
            stacks: stacks.map(Stores::from),
            calls: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Layer for InTurn {
    async fn call(&self, _: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        let turn = self.calls.fetch_add(1, Ordering::SeqCst) % 2;
        next.run_on(&self.stacks[turn]).await
    }
}

/// A switch that leads to another stack than the one that it is a layer of.
fn switched() -> Fresh {
    let (store, switch) = (MemoryStore::new(), Switched::new());
    let elsewhere = MemoryStore::new();
    let stack = AuthorStack::builder()
        .store(&elsewhere)
        .accounts(&elsewhere);
    let stack = stack.layer(switch.clone()).build();
    drop(switch.to(store.stack()));
    Fresh {
        store,
        stack,
        beside: None,
    }
}

/// A switch that goes to and fro between three stacks on one store for as long as the case runs.
async fn switched_to_and_fro() -> Fresh {
    let (store, switch) = (MemoryStore::new(), Switched::new());
    let stack = AuthorStack::builder().store(&store).accounts(&store);
    let stack = stack.layer(switch.clone()).build();
    let (first_round, begun) = oneshot::channel();
    let beside = tokio::spawn(to_and_fro(store.clone(), switch, first_round));
    begun.await.unwrap();
    Fresh {
        store,
        stack,
        beside: Some(beside),
    }
}

/// Switches as fast as it can; says so after the first round.
async fn to_and_fro(store: MemoryStore, switch: Switched, first_round: oneshot::Sender<()>) {
    let whole = || AuthorStack::builder().store(&store).accounts(&store);
    let others = [whole().layer(Traced).build(), whole().layer(Named).build()];
    let mut first_round = Some(first_round);
    for round in 0_u64.. {
        for other in &others {
            drop(switch.to(other.clone()));
            tokio::task::yield_now().await;
        }
        let drain = switch.back();
        if round % 16 == 0 {
            drain.ended().await;
        }
        if let Some(done) = first_round.take() {
            done.send(()).unwrap();
        }
        tokio::task::yield_now().await;
    }
}

/// What the cases under load are worth: their calls go to all the stacks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_reach_every_stack_while_it_is_switched_to_and_fro() {
    let (store, switch) = (MemoryStore::new(), Switched::new());
    let crowds = [Crowd::default(), Crowd::default(), Crowd::default()];
    let on = |crowd: &Crowd| AuthorStack::builder().store(&store).layer(crowd.clone());
    let others = [on(&crowds[1]).build(), on(&crowds[2]).build()];
    let stack = AuthorStack::builder().store(&store).layer(switch.clone());
    let stack = stack.layer(crowds[0].clone()).build();
    let user = author(&stack, "ada").await;
    let beside = tokio::spawn(async move {
        loop {
            for other in &others {
                drop(switch.to(other.clone()));
                tokio::task::yield_now().await;
            }
            switch.back().ended().await;
            tokio::task::yield_now().await;
        }
    });
    let mut calls = 0;
    while crowds.iter().any(|crowd| crowd.calls() < 10) {
        assert_eq!(stack.users().get(user.id).await.unwrap(), user);
        calls += 1;
        assert!(calls < 1_000_000, "{crowds:?}");
    }
    beside.abort();
}
