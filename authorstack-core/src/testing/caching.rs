//! The conformance suite of [caches](crate::cache), and of stacks with one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::task::JoinHandle;

use super::author;
use crate::{
    AuthorStack, Book, BookPatch, Days, Id, MemoryStore, NewBook, NewBoost, NewSale, Platform,
    Result, SaleKey, SalesFilter, TotalsBy, User, UserPatch,
    cache::{Cache, Lease, Leased, Slot, Stale},
    layers::{Access, Cached, Call, Layer, Next, Reply},
    services::{Dashboard, DashboardQuery},
};

/// A cache that no other test uses.
#[async_trait]
pub trait FreshCache: Send + Sync {
    /// A handle to it. All handles are to the same values, as from several processes.
    async fn cache(&self) -> Arc<dyn Cache>;

    /// All keys that are there.
    async fn keys(&self) -> Vec<String>;

    /// The keys that would stay for ever.
    async fn keys_without_end(&self) -> Vec<String>;
}

#[async_trait]
impl Cache for Arc<dyn Cache> {
    async fn get(&self, slot: &Slot) -> Result<Option<Vec<u8>>> {
        self.as_ref().get(slot).await
    }
    async fn lease(&self, slot: &Slot, for_time: Duration) -> Result<Leased> {
        self.as_ref().lease(slot, for_time).await
    }
    async fn fill(&self, slot: &Slot, lease: &Lease, value: &[u8], ttl: Duration) -> Result<bool> {
        self.as_ref().fill(slot, lease, value, ttl).await
    }
    async fn release(&self, slot: &Slot, lease: &Lease) -> Result<()> {
        self.as_ref().release(slot, lease).await
    }
    async fn invalidate(&self, stale: &[Stale]) -> Result<()> {
        self.as_ref().invalidate(stale).await
    }
}

const MINUTE: Duration = Duration::from_secs(60);

fn plain() -> Slot {
    Slot {
        key: "authorstack:user:1".to_owned(),
        group: None,
        ttl: MINUTE,
    }
}

fn grouped(range: &str) -> Slot {
    Slot {
        key: format!("authorstack:sales:1:{range}"),
        group: Some("authorstack:sales:1:generation".to_owned()),
        ttl: MINUTE,
    }
}

async fn lease(cache: &dyn Cache, slot: &Slot) -> Lease {
    match cache.lease(slot, MINUTE).await.unwrap() {
        Leased::Yours(lease) => lease,
        other => panic!("{slot:?}: {other:?}"),
    }
}

async fn fill(cache: &dyn Cache, slot: &Slot, value: &[u8]) {
    let lease = lease(cache, slot).await;
    assert!(cache.fill(slot, &lease, value, MINUTE).await.unwrap());
    assert_eq!(cache.get(slot).await.unwrap().as_deref(), Some(value));
}

pub async fn a_value_is_filled_under_a_lease(fresh: &dyn FreshCache) {
    let cache = fresh.cache().await;
    for slot in [plain(), grouped("day")] {
        assert_eq!(cache.get(&slot).await.unwrap(), None);
        let lease = lease(&*cache, &slot).await;
        // One at a time.
        assert_eq!(cache.lease(&slot, MINUTE).await.unwrap(), Leased::Taken);
        assert_eq!(cache.get(&slot).await.unwrap(), None);
        let value = b"\0\xff bytes of any kind \r\n";
        assert!(cache.fill(&slot, &lease, value, MINUTE).await.unwrap());
        assert_eq!(cache.get(&slot).await.unwrap().as_deref(), Some(&value[..]));
        let found = Leased::Found(value.to_vec());
        assert_eq!(cache.lease(&slot, MINUTE).await.unwrap(), found);
        // A lease fills once.
        assert!(!cache.fill(&slot, &lease, b"again", MINUTE).await.unwrap());
        assert_eq!(cache.get(&slot).await.unwrap().as_deref(), Some(&value[..]));
    }
}

pub async fn what_was_read_before_a_write_cannot_go_in_behind_it(fresh: &dyn FreshCache) {
    let cache = fresh.cache().await;
    for slot in [plain(), grouped("day")] {
        let old = lease(&*cache, &slot).await;
        let stale = match &slot.group {
            Some(group) => Stale::Group(group.clone()),
            None => Stale::Key(slot.key.clone()),
        };
        cache.invalidate(&[stale]).await.unwrap();
        assert!(!cache.fill(&slot, &old, b"old", MINUTE).await.unwrap());
        assert_eq!(cache.get(&slot).await.unwrap(), None);
        // The next reader need not wait for the old lease, nor does the old one disturb it.
        let new = lease(&*cache, &slot).await;
        assert!(!cache.fill(&slot, &old, b"old", MINUTE).await.unwrap());
        cache.release(&slot, &old).await.unwrap();
        assert!(cache.fill(&slot, &new, b"new", MINUTE).await.unwrap());
        assert_eq!(
            cache.get(&slot).await.unwrap().as_deref(),
            Some(&b"new"[..])
        );
    }
}

pub async fn a_group_becomes_stale_at_once(fresh: &dyn FreshCache) {
    let cache = fresh.cache().await;
    let ranges: Vec<Slot> = (0..20).map(|day| grouped(&day.to_string())).collect();
    for slot in &ranges {
        fill(&*cache, slot, b"sum").await;
    }
    fill(&*cache, &plain(), b"user").await;
    let group = Stale::Group(ranges[0].group.clone().unwrap());
    cache
        .invalidate(std::slice::from_ref(&group))
        .await
        .unwrap();
    for slot in &ranges {
        assert_eq!(cache.get(slot).await.unwrap(), None);
    }
    assert!(cache.get(&plain()).await.unwrap().is_some());
    // And once more with values of the next generation.
    fill(&*cache, &ranges[1], b"new").await;
    assert_eq!(cache.get(&ranges[2]).await.unwrap(), None);
    // One key of a group goes alone.
    fill(&*cache, &ranges[2], b"new").await;
    cache
        .invalidate(&[Stale::Key(ranges[1].key.clone())])
        .await
        .unwrap();
    assert_eq!(cache.get(&ranges[1]).await.unwrap(), None);
    assert!(cache.get(&ranges[2]).await.unwrap().is_some());
}

pub async fn a_lease_is_given_back_or_ends(fresh: &dyn FreshCache) {
    let cache = fresh.cache().await;
    for slot in [plain(), grouped("day")] {
        let first = lease(&*cache, &slot).await;
        cache.release(&slot, &first).await.unwrap();
        cache
            .invalidate(&[Stale::Key(slot.key.clone())])
            .await
            .unwrap();
        let short = Duration::from_millis(30);
        let Leased::Yours(second) = cache.lease(&slot, short).await.unwrap() else {
            panic!("the lease was given back");
        };
        tokio::time::sleep(short * 2).await;
        assert!(!cache.fill(&slot, &second, b"late", MINUTE).await.unwrap());
        fill(&*cache, &slot, b"value").await;
    }
}

pub async fn a_value_ends(fresh: &dyn FreshCache) {
    let cache = fresh.cache().await;
    for slot in [plain(), grouped("day")] {
        let lease = lease(&*cache, &slot).await;
        let short = Duration::from_millis(30);
        assert!(cache.fill(&slot, &lease, b"value", short).await.unwrap());
        tokio::time::sleep(short * 2).await;
        assert_eq!(cache.get(&slot).await.unwrap(), None);
    }
    assert_eq!(fresh.keys_without_end().await, Vec::<String>::new());
}

/// A layer that counts the reads that reach the store, and lets a moment pass before and behind.
#[derive(Debug, Clone, Default)]
pub struct Slow {
    reads: Arc<AtomicUsize>,
    pause: Duration,
}

impl Slow {
    /// Reads that take so long.
    #[must_use]
    pub fn taking(pause: Duration) -> Self {
        Self {
            reads: Arc::default(),
            pause,
        }
    }

    /// How many reads came so far.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Layer for Slow {
    async fn call(&self, call: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        if call.access() == Access::Write {
            return next.run().await;
        }
        let number = self.reads.fetch_add(1, Ordering::SeqCst);
        if !self.pause.is_zero() {
            tokio::time::sleep(self.pause / 2).await;
        }
        let reply = next.run().await;
        // Some readers are slow with what they have read.
        for _ in 0..number % 7 {
            tokio::task::yield_now().await;
        }
        if !self.pause.is_zero() {
            tokio::time::sleep(self.pause / 2).await;
        }
        reply
    }
}

/// A store, and stacks on it as of several processes that share the cache.
struct Stage {
    store: MemoryStore,
    slow: Slow,
    processes: Vec<AuthorStack>,
    layers: Vec<Cached>,
}

async fn stage(fresh: &dyn FreshCache, processes: usize, slow: Slow) -> Stage {
    let store = MemoryStore::new();
    let mut stage = Stage {
        store: store.clone(),
        slow: slow.clone(),
        processes: Vec::new(),
        layers: Vec::new(),
    };
    for _ in 0..processes {
        // No test asserts a time: a loaded machine must not make the cache look slow.
        let cached = Cached::with_deadline(fresh.cache().await, MINUTE);
        let stack = AuthorStack::builder().store(&store);
        let stack = stack.layer(cached.clone()).layer(slow.clone()).build();
        stage.processes.push(stack);
        stage.layers.push(cached);
    }
    stage
}

pub async fn a_thousand_misses_load_once(fresh: &dyn FreshCache) {
    let stage = stage(fresh, 1, Slow::taking(Duration::from_millis(200))).await;
    let stack = &stage.processes[0];
    let user = author(&stage.store.stack(), "ada").await;
    let reads = (0..1_000).map(|_| {
        let (stack, user) = (stack.clone(), user.clone());
        tokio::spawn(async move { assert_eq!(stack.users().get(user.id).await.unwrap(), user) })
    });
    for read in reads.collect::<Vec<_>>() {
        read.await.unwrap();
    }
    assert_eq!(stage.slow.reads(), 1);
    assert_eq!(stack.users().get(user.id).await.unwrap(), user);
    assert_eq!(stage.slow.reads(), 1);
}

pub async fn another_process_waits_for_the_first(fresh: &dyn FreshCache) {
    let stage = stage(fresh, 2, Slow::taking(Duration::from_millis(60))).await;
    let user = author(&stage.store.stack(), "ada").await;
    let [first, second] = &stage.processes[..] else {
        unreachable!();
    };
    let read = async |stack: &AuthorStack| stack.users().get(user.id).await.unwrap();
    let later = async {
        while stage.slow.reads() == 0 {
            tokio::task::yield_now().await;
        }
        read(second).await
    };
    let (one, other) = tokio::join!(read(first), later);
    assert_eq!((&one, &other), (&user, &user));
    // The second may have lost its patience on a slow machine; it is right all the same.
    assert!(stage.slow.reads() <= 2);
}

/// Slow readers and writers race; a read never gives less than what had been written before it.
pub async fn ten_thousand_reads_race_writers_and_none_is_stale(fresh: &dyn FreshCache) {
    const READERS: usize = 8;
    const READS: usize = 10_000 / READERS;
    let stage = stage(fresh, 3, Slow::default()).await;
    let user = author(&stage.store.stack(), "ada").await.id;
    let book = new_book(&stage.store.stack(), user).await;
    let written = Arc::new(AtomicI64::new(0));
    let mut tasks = Vec::new();
    for reader in 0..READERS {
        let stack = stage.processes[reader % 3].clone();
        let written = Arc::clone(&written);
        tasks.push(tokio::spawn(async move {
            for _ in 0..READS {
                let before = written.load(Ordering::SeqCst);
                let (found, what) = if reader % 2 == 0 {
                    (stack.users().get(user).await.unwrap().credits, "credits")
                } else {
                    let sums = sums(&stack, user).await;
                    (sums, "sales")
                };
                assert!(
                    found >= before,
                    "{what}: {found} after {before} was written"
                );
            }
        }));
    }
    let mut process = 0;
    while !tasks.iter().all(JoinHandle::is_finished) {
        // The writer is in turn each of the processes.
        process = (process + 1) % 3;
        let stack = &stage.processes[process];
        let next = written.load(Ordering::SeqCst) + 1;
        assert_eq!(
            stack.users().add_credits(user, 1).await.unwrap().credits,
            next
        );
        sell(stack, user, book, next).await;
        written.store(next, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    let writes = written.load(Ordering::SeqCst);
    assert!(writes > 10, "only {writes} writes raced the reads");
    // The cache had its part: some reads did not reach the store.
    let reads = stage.slow.reads();
    assert!(reads < READS * READERS, "{reads}");
}

fn day() -> Days {
    let day = "2024-03-01".parse().unwrap();
    Days::new(day, day).unwrap()
}

async fn new_book(stack: &AuthorStack, user: Id<User>) -> Id<Book> {
    stack
        .books()
        .create(user, NewBook::new("The Tide House"))
        .await
        .unwrap()
        .id
}

/// Sells so many of a book on one day, in all.
async fn sell(stack: &AuthorStack, user: Id<User>, book: Id<Book>, units: i64) {
    let key = SaleKey::new(book, Platform::KDP, day().first());
    let mut sale = NewSale::new(key, "1.00".parse().unwrap(), "USD".parse().unwrap());
    sale.units = i32::try_from(units).unwrap();
    stack.sales().upsert(user, &[sale]).await.unwrap();
}

/// How many were sold on that day.
async fn sums(stack: &AuthorStack, user: Id<User>) -> i64 {
    let filter = SalesFilter::of(day());
    let totals = stack
        .sales()
        .totals(user, &filter, TotalsBy::Currency)
        .await
        .unwrap();
    totals.items.iter().map(|total| total.sums.units).sum()
}

pub async fn keys_are_exactly_the_schemas(fresh: &dyn FreshCache) {
    let stage = stage(fresh, 1, Slow::default()).await;
    let stack = &stage.processes[0];
    let user = author(stack, "ada").await.id;
    let book = new_book(stack, user).await;
    sell(stack, user, book, 3).await;
    let dashboard = Dashboard::new(stack).cached(&stage.layers[0]);
    let query = DashboardQuery::of(day());
    for _ in 0..2 {
        stack.users().get(user).await.unwrap();
        stack.books().get(user, book).await.unwrap();
        assert_eq!(sums(stack, user).await, 3);
        dashboard.summary(user, &query).await.unwrap();
    }
    let reads = stage.slow.reads();
    assert_eq!(reads, 3 + 4, "the second round was answered by the cache");
    let mut keys = fresh.keys().await;
    keys.sort();
    let mut expected = vec![
        format!("authorstack:book:{book}"),
        format!("authorstack:dashboard:{user}"),
        format!("authorstack:sales:{user}:2024-03-01..2024-03-01:Currency"),
        format!("authorstack:sales:{user}:generation"),
        format!("authorstack:user:{user}"),
        format!("authorstack:user:{user}:books"),
    ];
    expected.sort();
    assert_eq!(keys, expected);
    assert_eq!(fresh.keys_without_end().await, Vec::<String>::new());
}

/// Every write that changes a value is seen by another process at once.
pub async fn every_write_is_seen_at_once(fresh: &dyn FreshCache) {
    let stage = stage(fresh, 2, Slow::default()).await;
    let [here, there] = &stage.processes[..] else {
        unreachable!();
    };
    let plain = stage.store.stack();
    let same = async |user: Id<User>, book: Id<Book>, what: &str| {
        let query = DashboardQuery::of(day());
        let dashboard = Dashboard::new(there).cached(&stage.layers[1]);
        for stack in [there, here] {
            let user_now = plain.users().get(user).await.ok();
            assert_eq!(stack.users().get(user).await.ok(), user_now, "{what}");
            let book_now = plain.books().get(user, book).await.ok();
            assert_eq!(stack.books().get(user, book).await.ok(), book_now, "{what}");
            assert_eq!(sums(stack, user).await, sums(&plain, user).await, "{what}");
            let now = Dashboard::new(&plain).summary(user, &query).await.unwrap();
            assert_eq!(
                dashboard.summary(user, &query).await.unwrap(),
                now,
                "{what}"
            );
        }
    };
    let ada = author(here, "ada").await.id;
    let book = new_book(here, ada).await;
    same(ada, book, "create").await;
    here.users().add_credits(ada, 500).await.unwrap();
    same(ada, book, "add_credits").await;
    here.users().spend_credits(ada, 30).await.unwrap();
    same(ada, book, "spend_credits").await;
    here.boosts().purchase(ada, a_boost(book)).await.unwrap();
    same(ada, book, "purchase").await;
    let patch = UserPatch {
        name: Some("Ada L.".to_owned()),
        ..UserPatch::default()
    };
    here.users().update(ada, patch).await.unwrap();
    same(ada, book, "update").await;
    let at = crate::time::now();
    here.users()
        .connect_platform(ada, Platform::KDP, at)
        .await
        .unwrap();
    same(ada, book, "connect_platform").await;
    here.users()
        .mark_synced(ada, &Platform::KDP, at)
        .await
        .unwrap();
    same(ada, book, "mark_synced").await;
    here.users()
        .disconnect_platform(ada, &Platform::KDP)
        .await
        .unwrap();
    same(ada, book, "disconnect_platform").await;
    let patch = BookPatch {
        title: Some("The Tide".to_owned()),
        ..BookPatch::default()
    };
    here.books().update(ada, book, patch).await.unwrap();
    same(ada, book, "books.update").await;
    sell(here, ada, book, 5).await;
    same(ada, book, "sales.upsert").await;
    let dollars = crate::Conversion::into("USD".parse().unwrap());
    here.aggregates()
        .refresh(ada, day(), &dollars)
        .await
        .unwrap();
    same(ada, book, "aggregates.refresh").await;
    let key = SaleKey::new(book, Platform::KDP, day().first());
    here.sales().delete(ada, &key).await.unwrap();
    same(ada, book, "sales.delete").await;
    sell(here, ada, book, 7).await;
    here.erasure().erase_user(ada).await.unwrap();
    same(ada, book, "erase_user").await;
    here.books().delete(ada, book).await.unwrap();
    same(ada, book, "books.delete").await;
    let other = new_book(here, ada).await;
    sell(here, ada, other, 9).await;
    same(ada, other, "another book").await;
    here.users().delete(ada).await.unwrap();
    same(ada, other, "users.delete").await;
    assert!(
        there
            .books()
            .get(ada, other)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

fn a_boost(book: Id<Book>) -> NewBoost {
    serde_json::from_value(serde_json::json!({
        "bookId": book, "duration": 7, "creditsSpent": 100,
    }))
    .unwrap()
}

pub async fn a_book_is_shown_to_its_user_only(fresh: &dyn FreshCache) {
    let stage = stage(fresh, 1, Slow::default()).await;
    let stack = &stage.processes[0];
    let (ada, bob) = (author(stack, "ada").await.id, author(stack, "bob").await.id);
    let book = new_book(stack, ada).await;
    for _ in 0..3 {
        assert!(stack.books().get(ada, book).await.is_ok());
        assert!(
            stack
                .books()
                .get(bob, book)
                .await
                .unwrap_err()
                .is_not_found()
        );
    }
}

pub async fn what_does_not_exist_is_kept_until_it_does(fresh: &dyn FreshCache) {
    let stage = stage(fresh, 1, Slow::default()).await;
    let stack = &stage.processes[0];
    let nobody = Id::<User>::new();
    for _ in 0..5 {
        let error = stack.users().get(nobody).await.unwrap_err();
        assert!(error.is_not_found() && error.record() == Some(&nobody.to_string()));
    }
    assert_eq!(stage.slow.reads(), 1);
    // Creation removes it: as if the id had been asked for before.
    let cache = fresh.cache().await;
    let ada = author(stack, "ada").await;
    let slot = Slot {
        key: format!("authorstack:user:{}", ada.id),
        group: None,
        ttl: MINUTE,
    };
    assert_eq!(cache.get(&slot).await.unwrap(), None);
    let early = lease(&*cache, &slot).await;
    let bob = author(stack, "bob").await;
    assert!(cache.fill(&slot, &early, b"\x01-", MINUTE).await.unwrap());
    assert!(stack.users().get(ada.id).await.unwrap_err().is_not_found());
    stack.users().add_credits(ada.id, 1).await.unwrap();
    assert_eq!(stack.users().get(ada.id).await.unwrap().credits, 1);
    assert_eq!(stack.users().get(bob.id).await.unwrap(), bob);
}

pub async fn old_bytes_are_a_miss(fresh: &dyn FreshCache) {
    let stage = stage(fresh, 1, Slow::default()).await;
    let stack = &stage.processes[0];
    let ada = author(stack, "ada").await;
    let cache = fresh.cache().await;
    let slot = Slot {
        key: format!("authorstack:user:{}", ada.id),
        group: None,
        ttl: MINUTE,
    };
    let texts: [&[u8]; 4] = [b"{\"name\":\"Ada\"}", b"\x00+{}", b"\x01+{\"name\":5}", b""];
    for old in texts {
        cache
            .invalidate(&[Stale::Key(slot.key.clone())])
            .await
            .unwrap();
        fill(&*cache, &slot, old).await;
        let reads = stage.slow.reads();
        for _ in 0..3 {
            assert_eq!(stack.users().get(ada.id).await.unwrap(), ada);
        }
        assert_eq!(stage.slow.reads(), reads + 1, "{old:?}");
    }
}

/// Makes a named test of every case of the suite of caches.
///
/// Takes the name of an async function without arguments that returns a
/// [`FreshCache`](crate::testing::FreshCache). The crate needs `tokio` with its macros.
#[macro_export]
macro_rules! cache_conformance {
    ($fresh:ident) => {
        $crate::__cache_cases! { $fresh:
            a_value_is_filled_under_a_lease,
            what_was_read_before_a_write_cannot_go_in_behind_it,
            a_group_becomes_stale_at_once,
            a_lease_is_given_back_or_ends,
            a_value_ends,
            a_thousand_misses_load_once,
            another_process_waits_for_the_first,
            ten_thousand_reads_race_writers_and_none_is_stale,
            keys_are_exactly_the_schemas,
            every_write_is_seen_at_once,
            a_book_is_shown_to_its_user_only,
            what_does_not_exist_is_kept_until_it_does,
            old_bytes_are_a_miss,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cache_cases {
    ($fresh:ident: $($case:ident,)+) => {
        mod caching {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::testing::caching::$case(&super::$fresh().await).await;
                }
            )+
        }
    };
}
