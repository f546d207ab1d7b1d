//! Layers and stores that the tests watch the shipped layers with.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use authorstack_core::{
    Analytics, AnalyticsStore, AuthorStack, AuthorStackBuilder, Days, Error, Extra, Id, Listed,
    MemoryStore, NewSale, NewUser, PageRequest, Platform, Result, Sale, SaleKey, SalesFilter,
    SalesRepository, SalesTotal, TotalsBy, Unreadable, UpsertCounts, User,
    layers::{Access, Call, Layer, Next, Operation, Reply},
};
use futures::{StreamExt, stream, stream::BoxStream};
use tokio::sync::Semaphore;

/// What a layer saw of a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) operation: Operation,
    pub(crate) access: Access,
    pub(crate) store: &'static str,
    pub(crate) user: Option<Id<User>>,
    pub(crate) record: Option<String>,
    pub(crate) is_stream: bool,
}

/// Notes each call that passes, at its beginning.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recording(Arc<Mutex<Vec<Seen>>>);

impl Recording {
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.seen().iter().map(|seen| seen.operation).collect()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

#[async_trait]
impl Layer for Recording {
    async fn call(&self, call: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        self.0.lock().unwrap().push(Seen {
            operation: call.operation(),
            access: call.access(),
            store: call.store(),
            user: call.user(),
            record: call.record(),
            is_stream: call.is_stream(),
        });
        next.run().await
    }
}

/// Holds each call until a test lets it go: a slow store.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    arrived: Arc<AtomicUsize>,
    go: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            arrived: Arc::default(),
            go: Arc::new(Semaphore::new(0)),
        }
    }

    /// How many calls have come so far.
    pub(crate) fn arrived(&self) -> usize {
        self.arrived.load(Ordering::SeqCst)
    }

    /// Lets this number of calls go on, in their order.
    pub(crate) fn let_go(&self, calls: usize) {
        self.go.add_permits(calls);
    }
}

#[async_trait]
impl Layer for Gate {
    async fn call(&self, _: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        self.arrived.fetch_add(1, Ordering::SeqCst);
        self.go.acquire().await.unwrap().forget();
        next.run().await
    }
}

/// Counts the calls that are inside at once, and keeps each there for a moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crowd {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
    stay: Duration,
}

impl Crowd {
    pub(crate) fn staying(stay: Duration) -> Self {
        Self {
            stay,
            ..Self::default()
        }
    }

    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

/// Counts a call out when it ends or is dropped.
struct Leaving<'c>(&'c AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Layer for Crowd {
    async fn call(&self, _: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        let leaving = Leaving(&self.now);
        self.most.fetch_max(now, Ordering::SeqCst);
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.stay.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(self.stay).await;
        }
        let reply = next.run().await;
        tokio::task::yield_now().await;
        drop(leaving);
        reply
    }
}

/// A stack on a store in memory, with a layer outside and one inside.
pub(crate) fn around(store: &MemoryStore, outer: impl Layer, inner: impl Layer) -> AuthorStack {
    on(store).layer(outer).layer(inner).build()
}

/// A builder that has a store in memory.
pub(crate) fn on_memory() -> AuthorStackBuilder {
    on(&MemoryStore::new())
}

/// A builder that has this store for everything.
pub(crate) fn on(store: &MemoryStore) -> AuthorStackBuilder {
    AuthorStack::builder().store(store).accounts(store)
}

pub(crate) fn new_user(name: &str) -> NewUser {
    authorstack_core::testing::new_author(name)
}

/// The names of all users, in the order of their ids.
pub(crate) async fn names(store: &MemoryStore) -> Vec<String> {
    all_users(store)
        .await
        .into_iter()
        .map(|it| it.name)
        .collect()
}

pub(crate) async fn all_users(store: &MemoryStore) -> Vec<User> {
    let stack = store.stack();
    let mut found = Vec::new();
    let mut page = PageRequest::first(PageRequest::MAX_LIMIT);
    loop {
        let users = stack.users().list(page.clone()).await.unwrap();
        found.extend(users.items);
        match users.next {
            Some(next) => page = page.after(next),
            None => return found,
        }
    }
}

/// Polls a future once: its answer, or `None` where it waits.
pub(crate) async fn once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

pub(crate) fn all_sales() -> SalesFilter {
    SalesFilter::of(Days::ALL)
}

/// A sale whose number tells it from others.
pub(crate) fn sale(number: i64) -> Sale {
    Sale {
        id: number,
        user_id: Id::new(),
        book_id: Id::new(),
        channel: Platform::KDP.into(),
        date: "2024-03-01".parse().unwrap(),
        revenue: "1.00".parse().unwrap(),
        units: 1,
        page_reads: 0,
        currency: "USD".parse().unwrap(),
        synced_at: None,
        extra: Extra::new(),
    }
}

/// A store of sales whose stream is a test's own.
#[derive(Clone)]
pub(crate) struct Streaming {
    open: Arc<dyn Fn() -> BoxStream<'static, Result<Sale>> + Send + Sync>,
    opened: Arc<AtomicUsize>,
    given: Arc<AtomicUsize>,
}

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streaming")
    }
}

impl Streaming {
    pub(crate) fn new(
        open: impl Fn() -> BoxStream<'static, Result<Sale>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            open: Arc::new(open),
            opened: Arc::default(),
            given: Arc::default(),
        }
    }

    /// Numbered sales, from 0 up to this number.
    pub(crate) fn up_to(count: i64) -> Self {
        Self::new(move || stream::iter((0..count).map(|number| Ok(sale(number)))).boxed())
    }

    /// Numbered sales, then an error.
    pub(crate) fn failing_after(count: i64) -> Self {
        Self::new(move || {
            let sales = stream::iter((0..count).map(|number| Ok(sale(number))));
            let failure = stream::iter([Err(Error::unavailable("the line is cut"))]);
            sales.chain(failure).boxed()
        })
    }

    /// Numbered sales, of which some cannot be read.
    pub(crate) fn unreadable(count: i64, is_unreadable: fn(i64) -> bool) -> Self {
        Self::new(move || {
            let sales = (0..count).map(move |number| {
                if is_unreadable(number) {
                    let fields = vec!["currency".to_owned()];
                    Err(Unreadable::new("sales_data", number.to_string(), fields).into())
                } else {
                    Ok(sale(number))
                }
            });
            stream::iter(sales).boxed()
        })
    }

    /// How often the stream was opened.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// How many items it has given, errors too.
    pub(crate) fn given(&self) -> usize {
        self.given.load(Ordering::SeqCst)
    }
}

impl AnalyticsStore for Streaming {
    fn name(&self) -> &'static str {
        "streaming"
    }

    fn analytics(&self) -> Analytics {
        Analytics {
            sales: Arc::new(self.clone()),
            ..MemoryStore::new().analytics()
        }
    }
}

#[async_trait]
impl SalesRepository for Streaming {
    async fn upsert(&self, _: Id<User>, _: &[NewSale]) -> Result<UpsertCounts> {
        Err(Error::internal("only streams"))
    }
    async fn get(&self, _: Id<User>, _: &SaleKey) -> Result<Sale> {
        Err(Error::internal("only streams"))
    }
    async fn delete(&self, _: Id<User>, _: &SaleKey) -> Result<()> {
        Err(Error::internal("only streams"))
    }
    fn stream(&self, _: Id<User>, _: SalesFilter) -> BoxStream<'static, Result<Sale>> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let given = Arc::clone(&self.given);
        (self.open)()
            .inspect(move |_| {
                given.fetch_add(1, Ordering::SeqCst);
            })
            .boxed()
    }
    async fn totals(
        &self,
        _: Id<User>,
        _: &SalesFilter,
        _: TotalsBy,
    ) -> Result<Listed<SalesTotal>> {
        Err(Error::internal("only streams"))
    }
}
