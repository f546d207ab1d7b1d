//! The cache in memory passes the suite; a cache that fails is never the caller's problem.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use authorstack_core::{
    AuthorStack, Days, Error, Id, MemoryStore, Result,
    cache::{Cache, Lease, Leased, MemoryCache, Slot, Stale},
    chrono::NaiveDate,
    layers::Cached,
    services::{Dashboard, DashboardQuery},
    testing::{FreshCache, author, caching::Slow},
};
use futures::future::join_all;

use crate::layers::common::Gate;

struct Fresh(MemoryCache);

#[async_trait]
impl FreshCache for Fresh {
    async fn cache(&self) -> Arc<dyn Cache> {
        Arc::new(self.0.clone())
    }

    async fn keys(&self) -> Vec<String> {
        self.0.keys()
    }

    async fn keys_without_end(&self) -> Vec<String> {
        Vec::new()
    }
}

async fn fresh() -> Fresh {
    Fresh(MemoryCache::default())
}

authorstack_core::cache_conformance!(fresh);

/// A cache that fails, or never answers, while it is told to.
#[derive(Debug, Clone, Default)]
struct Broken {
    cache: MemoryCache,
    fails: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Broken {
    async fn ask(&self) -> Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        if self.fails.load(Ordering::SeqCst) {
            return Err(Error::unavailable("down"));
        }
        Ok(())
    }
}

#[async_trait]
impl Cache for Broken {
    async fn get(&self, slot: &Slot) -> Result<Option<Vec<u8>>> {
        self.ask().await?;
        self.cache.get(slot).await
    }
    async fn lease(&self, slot: &Slot, for_time: Duration) -> Result<Leased> {
        self.ask().await?;
        self.cache.lease(slot, for_time).await
    }
    async fn fill(&self, slot: &Slot, lease: &Lease, value: &[u8], ttl: Duration) -> Result<bool> {
        self.ask().await?;
        self.cache.fill(slot, lease, value, ttl).await
    }
    async fn release(&self, slot: &Slot, lease: &Lease) -> Result<()> {
        self.ask().await?;
        self.cache.release(slot, lease).await
    }
    async fn invalidate(&self, stale: &[Stale]) -> Result<()> {
        self.ask().await?;
        self.cache.invalidate(stale).await
    }
}

fn on(cache: &Broken) -> (AuthorStack, Slow) {
    let slow = Slow::default();
    let stack = AuthorStack::builder().store(&MemoryStore::new());
    let stack = stack.layer(Cached::new(cache.clone())).layer(slow.clone());
    (stack.build(), slow)
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_fails_or_hangs_is_a_miss_and_left_alone() {
    for which in ["fails", "hangs"] {
        let cache = Broken::default();
        let (stack, slow) = on(&cache);
        let ada = author(&stack, "ada").await;
        let flag = if which == "fails" {
            &cache.fails
        } else {
            &cache.hangs
        };
        flag.store(true, Ordering::SeqCst);
        let (asked, reads) = (cache.asked.load(Ordering::SeqCst), slow.reads());
        for _ in 0..100 {
            assert_eq!(stack.users().get(ada.id).await.unwrap(), ada, "{which}");
        }
        assert_eq!(slow.reads() - reads, 100, "{which}");
        // Five failures, then the circuit is open.
        assert!(cache.asked.load(Ordering::SeqCst) - asked <= 8, "{which}");
        flag.store(false, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let reads = slow.reads();
        for _ in 0..100 {
            assert_eq!(stack.users().get(ada.id).await.unwrap(), ada, "{which}");
        }
        assert_eq!(slow.reads() - reads, 1, "{which}");
    }
}

#[tokio::test(start_paused = true)]
async fn dashboards_of_other_days_do_not_wait_for_each_other() {
    let slow = Slow::taking(Duration::from_millis(40));
    let cached = Cached::new(MemoryCache::default());
    let stack = AuthorStack::builder().store(&MemoryStore::new());
    let stack = stack.layer(cached.clone()).layer(slow.clone()).build();
    let ada = author(&stack, "ada").await.id;
    let dashboard = Dashboard::new(&stack).cached(&cached);
    let (before, started) = (slow.reads(), tokio::time::Instant::now());
    let summaries = (1..=8).map(|day| {
        let first = NaiveDate::from_ymd_opt(2024, 3, day).unwrap();
        let query = DashboardQuery::of(Days::up_to(first, 1));
        let dashboard = &dashboard;
        // Each is asked for twice: the two whose answer is kept share one load.
        async move {
            tokio::join!(
                dashboard.summary(ada, &query),
                dashboard.summary(ada, &query)
            )
        }
    });
    for (one, other) in join_all(summaries).await {
        assert_eq!(one.unwrap(), other.unwrap());
    }
    // The clock is the test's: a load takes 40 ms of it.
    assert!(started.elapsed() < Duration::from_millis(50));
    assert!(slow.reads() - before < 2 * 8 * 4);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_removed_is_not_used() {
    let cache = Broken::default();
    let (stack, _) = on(&cache);
    let ada = author(&stack, "ada").await.id;
    assert_eq!(stack.users().get(ada).await.unwrap().credits, 0);
    assert_eq!(cache.cache.len(), 1);
    cache.fails.store(true, Ordering::SeqCst);
    stack.users().add_credits(ada, 5).await.unwrap();
    assert_eq!(stack.users().get(ada).await.unwrap().credits, 5);
    // The value is still there. It is not used when the cache is back, and goes then.
    assert_eq!(cache.cache.len(), 1);
    cache.fails.store(false, Ordering::SeqCst);
    assert_eq!(stack.users().get(ada).await.unwrap().credits, 5);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(cache.cache.len(), 0);
    assert_eq!(stack.users().get(ada).await.unwrap().credits, 5);
    assert_eq!(cache.cache.len(), 1);
}

#[tokio::test]
async fn a_dropped_write_removes_what_it_may_have_changed() {
    let (cache, store) = (MemoryCache::default(), MemoryStore::new());
    let gate = Gate::new();
    let stack = AuthorStack::builder().store(&store);
    let stack = stack
        .layer(Cached::new(cache.clone()))
        .layer(gate.clone())
        .build();
    gate.let_go(2);
    let ada = author(&store.stack(), "ada").await.id;
    assert_eq!(stack.users().get(ada).await.unwrap().credits, 0);
    assert_eq!(cache.len(), 1);
    {
        let write = stack.users().add_credits(ada, 5);
        tokio::pin!(write);
        // The write goes past the gate and into the store, and is dropped before its answer.
        gate.let_go(1);
        let waits = tokio::time::timeout(Duration::ZERO, &mut write);
        drop(waits.await);
    }
    while !cache.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    gate.let_go(10);
    let now = store.stack().users().get(ada).await.unwrap().credits;
    assert_eq!(stack.users().get(ada).await.unwrap().credits, now);
}

#[tokio::test]
async fn a_dropped_reader_gives_its_lease_back() {
    let (cache, store) = (MemoryCache::default(), MemoryStore::new());
    let gate = Gate::new();
    let stack = AuthorStack::builder().store(&store);
    let stack = stack
        .layer(Cached::new(cache.clone()))
        .layer(gate.clone())
        .build();
    let ada = author(&store.stack(), "ada").await;
    {
        let read = stack.users().get(ada.id);
        tokio::pin!(read);
        while gate.arrived() == 0 {
            drop(tokio::time::timeout(Duration::from_millis(1), &mut read).await);
        }
        assert_eq!(cache.keys(), [format!("authorstack:user:{}:lease", ada.id)]);
    }
    while !cache.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    gate.let_go(10);
    assert_eq!(stack.users().get(ada.id).await.unwrap(), ada);
    assert_eq!(cache.keys(), [format!("authorstack:user:{}", ada.id)]);
}

#[tokio::test]
async fn a_full_cache_makes_room() {
    let cache = MemoryCache::new(64);
    let stack = AuthorStack::builder().store(&MemoryStore::new());
    let stack = stack.layer(Cached::new(cache.clone())).build();
    for _ in 0..500 {
        assert!(
            stack
                .users()
                .get(Id::new())
                .await
                .unwrap_err()
                .is_not_found()
        );
    }
    assert!(cache.len() <= 64, "{}", cache.len());
    let ada = author(&stack, "ada").await;
    for _ in 0..3 {
        assert_eq!(stack.users().get(ada.id).await.unwrap(), ada);
    }
}
