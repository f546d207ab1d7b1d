//! The migration engine, between stores in memory.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use authorstack_core::{
    Book, BookPatch, Error, ErrorKind, Id, MemoryStore, NewBook, NewBoost, NewChecklist,
    NewCompetitor, NewPost, NewTask, Post, Result, User,
    migrate::{
        Applied, BatchLimits, Changes, Checkpoint, Counts, Destination, DifferenceKind, Entry, Key,
        Kind, Ledger, Load, Loaded, Original, Position, Problems, Record, RecordChange, Reject,
        RejectLine, RunLock, RunOptions, Scanned, ScannedBatch, SetAside, Settled, Silent, Sink,
        SinkBatch, SinkSet, SinkState, Snapshot, SourceSet, Status, TransactionalSink, plan,
        repair, replay, run, verify,
    },
    testing::{author, fill_analytics, new_author},
};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use serde_json::Value;
use tokio::sync::Barrier;

/// Users with a number of books each; everyone follows the first user, likes and comments on a post
/// of theirs, and has a checklist, a boost and a competitor.
async fn filled(users: usize, books: usize) -> MemoryStore {
    let store = MemoryStore::new();
    let mut first = None;
    for n in 0..users {
        let user = author(&store.stack(), &format!("user{n}")).await.id;
        store.stack().users().add_credits(user, 100).await.unwrap();
        let mut book = None;
        for n in 0..books {
            let new = NewBook::new(format!("Book {n}"));
            book = Some(store.stack().books().create(user, new).await.unwrap().id);
        }
        fill_for(&store, user, book, &mut first).await;
    }
    store
}

/// Users with a number of books each, and nothing else.
async fn bare(users: usize, books: usize) -> MemoryStore {
    let store = MemoryStore::new();
    for n in 0..users {
        let user = author(&store.stack(), &format!("user{n}")).await;
        for n in 0..books {
            let book = NewBook::new(format!("Book {n}"));
            store.stack().books().create(user.id, book).await.unwrap();
        }
    }
    store
}

async fn fill_for(
    store: &MemoryStore,
    user: Id<User>,
    book: Option<Id<Book>>,
    first: &mut Option<Post>,
) {
    if let Some(book) = book {
        let mut checklist = NewChecklist::empty(book, "Launch");
        checklist.tasks = vec![NewTask::new("Cover"), NewTask::new("Blurb")];
        store
            .stack()
            .checklists()
            .create(user, checklist)
            .await
            .unwrap();
        let boost = NewBoost::new(book, 7, 30);
        store.stack().boosts().purchase(user, boost).await.unwrap();
        fill_analytics(&store.stack(), user, book).await;
    }
    let stack = store.stack();
    let community = stack.community();
    let post = match first {
        Some(post) => post,
        None => first.insert(
            community
                .create(user, NewPost::new("Out now"))
                .await
                .unwrap(),
        ),
    };
    if post.author_id != user {
        store
            .stack()
            .follows()
            .follow(user, post.author_id)
            .await
            .unwrap();
    }
    community.like(user, post.id).await.unwrap();
    let comment = community.comment(user, post.id, "Bravo".to_owned());
    comment.await.unwrap();
    let asin = "B08N5WRWNW".parse().unwrap();
    let competitors = stack.competitors();
    let rival = competitors
        .create(user, NewCompetitor::new(asin))
        .await
        .unwrap();
    for (price, at) in [
        ("4.99", "2024-05-01T00:00:00Z"),
        ("3.99", "2024-04-01T00:00:00Z"),
    ] {
        let (price, at) = (price.parse().unwrap(), at.parse().unwrap());
        let recorded = competitors.record_price(user, rival.id, price, at);
        recorded.await.unwrap();
    }
}

fn small_batches() -> RunOptions {
    RunOptions {
        limits: BatchLimits {
            records: 7,
            bytes: 1 << 20,
        },
        ..RunOptions::default()
    }
}

async fn move_all(source: &MemoryStore, target: &MemoryStore) -> authorstack_core::migrate::Report {
    run(arc(source), &into(target), &small_batches(), &Silent)
        .await
        .unwrap()
}

fn arc(store: &MemoryStore) -> Arc<MemoryStore> {
    Arc::new(store.clone())
}

/// A destination in one store with its ledger.
fn into(store: &MemoryStore) -> Destination {
    Destination::transactional(arc(store))
}

fn counts(read: u64, written: u64, unchanged: u64, rejected: u64) -> Counts {
    Counts {
        read,
        written,
        unchanged,
        rejected,
    }
}

async fn all(store: &MemoryStore, kind: Kind) -> Vec<Record> {
    let scan = Snapshot::scan(store, kind, None, BatchLimits::default());
    let batches: Vec<ScannedBatch> = scan.try_collect().await.unwrap();
    let items = batches.into_iter().flat_map(|batch| batch.items);
    items.map(|item| item.outcome.unwrap()).collect()
}

#[tokio::test]
async fn everything_moves_and_a_second_run_changes_nothing() {
    let (source, target) = (filled(5, 9).await, MemoryStore::new());
    let report = move_all(&source, &target).await;
    assert_eq!(report.status, Status::Complete);
    let moved: Vec<_> = report
        .kinds
        .iter()
        .map(|kind| (kind.kind, kind.counts))
        .collect();
    let expected = [
        (Kind::Users, 5),
        (Kind::Books, 45),
        (Kind::Checklists, 5),
        (Kind::Follows, 4),
        (Kind::CommunityPosts, 1),
        (Kind::PostLikes, 5),
        (Kind::PostComments, 5),
        (Kind::MarketplaceBoosts, 5),
        (Kind::Competitors, 5),
        (Kind::CompetitorPrices, 10),
        (Kind::SalesData, 10),
        (Kind::DailyAggregates, 10),
        (Kind::SyncLogs, 5),
        (Kind::AiInsights, 10),
        (Kind::RevenueForecasts, 5),
        (Kind::Accounts, 0),
        (Kind::Identities, 0),
    ];
    assert_eq!(
        moved,
        expected.map(|(kind, all)| (kind, counts(all, all, 0, 0)))
    );
    for kind in Kind::ALL {
        assert_eq!(all(&target, *kind).await, all(&source, *kind).await);
    }

    let again = move_all(&source, &target).await;
    let unchanged: Vec<_> = again.kinds.iter().map(|kind| kind.counts).collect();
    assert_eq!(unchanged, expected.map(|(_, all)| counts(all, 0, all, 0)));
    let to = into(&target);
    let verified = verify(arc(&source), &to, Kind::ALL, &Silent).await;
    let verified = verified.unwrap();
    assert_eq!(verified.status, Status::Complete, "{verified:?}");
}

#[tokio::test]
async fn an_empty_source_is_complete() {
    let report = move_all(&MemoryStore::new(), &MemoryStore::new()).await;
    assert_eq!(report.status, Status::Complete);
    assert!(
        report
            .kinds
            .iter()
            .all(|kind| kind.counts == Counts::default())
    );
}

#[tokio::test]
async fn a_second_run_beside_the_first_is_refused() {
    let (source, target) = (filled(1, 1).await, MemoryStore::new());
    let lock = Ledger::lock(&target).await.unwrap();
    let refused = run(
        arc(&source),
        &into(&target),
        &RunOptions::default(),
        &Silent,
    )
    .await;
    assert_eq!(refused.unwrap_err().kind(), &ErrorKind::Locked);
    assert_eq!(all(&target, Kind::Users).await, []);
    drop(lock);
    assert_eq!(move_all(&source, &target).await.status, Status::Complete);
}

/// Makes a store's wrapper a snapshot, a sink and a ledger as the store within is.
macro_rules! forward {
    ($wrapper:ty, $within:ident) => {
        #[async_trait]
        impl Snapshot for $wrapper {
            fn name(&self) -> &'static str {
                "wrapped"
            }
            fn kinds(&self) -> &[Kind] {
                Kind::ALL
            }
            async fn check(&self, kinds: &[Kind]) -> Result<()> {
                self.$within.check(kinds).await
            }
            async fn count(&self, kind: Kind) -> Result<u64> {
                self.$within.count(kind).await
            }
            fn scan(
                &self,
                kind: Kind,
                after: Option<Position>,
                limits: BatchLimits,
            ) -> BoxStream<'_, Result<ScannedBatch>> {
                Snapshot::scan(&self.$within, kind, after, limits)
            }
            async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>> {
                self.$within.fetch(kind, keys).await
            }
            fn encode(&self, kind: Kind, original: &Original) -> Value {
                self.$within.encode(kind, original)
            }
            fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
                self.$within.decode(kind, value)
            }
        }

        #[async_trait]
        impl Sink for $wrapper {
            fn name(&self) -> &'static str {
                "wrapped"
            }
            fn kinds(&self) -> &[Kind] {
                Kind::ALL
            }
            async fn inspect(&self) -> Result<SinkState> {
                self.$within.inspect().await
            }
            async fn prepare(&self) -> Result<()> {
                self.$within.prepare().await
            }
            async fn begin(&self, kind: Kind) -> Result<()> {
                Sink::begin(&self.$within, kind).await
            }
            async fn apply(&self, batch: &SinkBatch<'_>) -> Result<Applied> {
                self.$within.apply(batch).await
            }
            async fn finish(&self, kind: Kind) -> Result<()> {
                Sink::finish(&self.$within, kind).await
            }
        }

        #[async_trait]
        impl Ledger for $wrapper {
            async fn lock(&self) -> Result<Box<dyn RunLock>> {
                Ledger::lock(&self.$within).await
            }
            async fn begin(&self, kind: Kind) -> Result<Checkpoint> {
                Ledger::begin(&self.$within, kind).await
            }
            async fn note(&self, entry: &Entry<'_>) -> Result<u64> {
                self.$within.note(entry).await
            }
            async fn finish(&self, kind: Kind) -> Result<()> {
                Ledger::finish(&self.$within, kind).await
            }
            fn rejects(&self) -> BoxStream<'_, Result<Vec<Reject>>> {
                self.$within.rejects()
            }
            fn set_aside(&self) -> BoxStream<'_, Result<Vec<SetAside>>> {
                Ledger::set_aside(&self.$within)
            }
            async fn set_aside_fields(&self, kind: Kind) -> Result<u64> {
                self.$within.set_aside_fields(kind).await
            }
            async fn replayed(&self, kind: Kind) -> Result<Vec<Settled>> {
                self.$within.replayed(kind).await
            }
            async fn settled(&self, kind: Kind, keys: &[String]) -> Result<Vec<Settled>> {
                self.$within.settled(kind, keys).await
            }
            async fn deferred(&self, kind: Kind) -> Result<Vec<String>> {
                self.$within.deferred(kind).await
            }
        }
    };
}

/// A target that fails at some loads, after or before they are done.
#[derive(Debug)]
struct Faulty {
    store: MemoryStore,
    loads: AtomicUsize,
    fails: fn(usize) -> Option<Fault>,
}

enum Fault {
    /// The batch is lost.
    Before(ErrorKind),
    /// The batch is committed, but the answer is lost.
    After(ErrorKind),
}

forward!(Faulty, store);

#[async_trait]
impl TransactionalSink for Faulty {
    async fn begin_pass(&self, kind: Kind, total: u64) -> Result<Checkpoint> {
        self.store.begin_pass(kind, total).await
    }
    async fn load(&self, load: &Load<'_>) -> Result<Loaded> {
        match (self.fails)(self.loads.fetch_add(1, Ordering::Relaxed)) {
            None => self.store.load(load).await,
            Some(Fault::Before(kind)) => Err(Error::new(kind)),
            Some(Fault::After(kind)) => {
                self.store.load(load).await?;
                Err(Error::new(kind))
            }
        }
    }
    async fn finish_pass(&self, kind: Kind) -> Result<()> {
        self.store.finish_pass(kind).await
    }
}

fn gone() -> ErrorKind {
    ErrorKind::Unavailable {
        reason: "the server went away".into(),
    }
}

fn moved() -> ErrorKind {
    ErrorKind::Conflict {
        reason: "the checkpoint moved".into(),
    }
}

#[tokio::test]
async fn a_run_that_failed_resumes_where_it_stopped() {
    let source = filled(5, 9).await;
    let target = Arc::new(Faulty {
        store: MemoryStore::new(),
        loads: AtomicUsize::new(0),
        fails: |load| match load {
            2 => Some(Fault::Before(gone())),
            5 => Some(Fault::After(gone())),
            _ => None,
        },
    });
    let mut failures = 0;
    let report = loop {
        let to = Destination::transactional(Arc::clone(&target));
        match run(arc(&source), &to, &small_batches(), &Silent).await {
            Ok(report) => break report,
            Err(error) => {
                assert!(
                    matches!(error.kind(), ErrorKind::Unavailable { .. }),
                    "{error:?}"
                );
                assert!(error.is_retryable());
                failures += 1;
            }
        }
    };
    assert_eq!(failures, 2);
    let books = report
        .kinds
        .iter()
        .find(|kind| kind.kind == Kind::Books)
        .unwrap();
    assert_eq!(
        books.counts,
        counts(45, 45, 0, 0),
        "each record was written once"
    );
    assert_eq!(
        all(&target.store, Kind::Books).await,
        all(&source, Kind::Books).await
    );
}

#[tokio::test]
async fn a_checkpoint_moved_by_a_dying_writer_is_read_again() {
    let source = filled(5, 9).await;
    let target = Arc::new(Faulty {
        store: MemoryStore::new(),
        loads: AtomicUsize::new(0),
        fails: |load| (load == 3).then(|| Fault::After(moved())),
    });
    let to = Destination::transactional(Arc::clone(&target));
    let report = run(arc(&source), &to, &small_batches(), &Silent).await;
    let report = report.unwrap();
    assert_eq!(report.kinds[1].counts, counts(45, 45, 0, 0));
    assert_eq!(
        all(&target.store, Kind::Books).await,
        all(&source, Kind::Books).await
    );
}

#[tokio::test]
async fn verify_finds_each_difference() {
    let source = filled(3, 4).await;
    let target = MemoryStore::new();
    move_all(&source, &target).await;
    let compare = || async {
        let to = into(&target);
        verify(arc(&source), &to, Kind::ALL, &Silent).await.unwrap()
    };
    let equal = compare().await;
    assert_eq!(equal.status, Status::Complete);
    assert_eq!(equal.kinds[1].report.counts, counts(12, 0, 12, 0));

    let books = all(&source, Kind::Books).await;
    let (Record::Book(changed), Record::Book(lost)) = (&books[2], &books[7]) else {
        panic!("books are books");
    };
    let patch = BookPatch {
        title: Some("Another".to_owned()),
        ..BookPatch::default()
    };
    target
        .stack()
        .books()
        .update(changed.user_id, changed.id, patch)
        .await
        .unwrap();
    target
        .stack()
        .books()
        .delete(lost.user_id, lost.id)
        .await
        .unwrap();
    let added = target
        .stack()
        .books()
        .create(lost.user_id, NewBook::new("Late"))
        .await
        .unwrap();

    let different = compare().await;
    assert_eq!(different.status, Status::Incomplete);
    let books = &different.kinds[1];
    assert_eq!(
        (books.report.differing, books.report.counts.unchanged),
        (3, 10)
    );
    let found: Vec<_> = books
        .differences
        .iter()
        .map(|d| (d.key.clone(), d.difference.clone()))
        .collect();
    let fields = vec!["title".to_owned(), "updatedAt".to_owned()];
    let expected = [
        (changed.id.to_string(), DifferenceKind::Differs { fields }),
        (lost.id.to_string(), DifferenceKind::MissingInTarget),
        (added.id.to_string(), DifferenceKind::OnlyInTarget),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn users_who_collide_are_rejected_with_their_books_and_can_be_replayed() {
    let source = bare(2, 2).await;
    let target = MemoryStore::new();
    // The target holds the address of one of the users already.
    let mut holder = new_author("holder");
    holder.email = "user1@example.org".parse().unwrap();
    let holder = target.stack().users().create(holder).await.unwrap();

    let report = move_all(&source, &target).await;
    assert_eq!(report.status, Status::Incomplete);
    assert_eq!(report.kinds[0].counts, counts(2, 1, 0, 1));
    assert_eq!(report.kinds[1].counts, counts(4, 2, 0, 2));
    let rejects: Vec<Vec<Reject>> = Ledger::rejects(&target).try_collect().await.unwrap();
    let rejects = rejects.concat();
    let fields: Vec<_> = rejects
        .iter()
        .map(|r| r.problems.0[0].field.as_str())
        .collect();
    assert_eq!(fields, ["email", "userId", "userId"]);

    let mut lines: Vec<RejectLine> = rejects.iter().map(|r| r.to_line().unwrap()).collect();
    lines[0].record["email"] = "user1.other@example.org".into();
    let replayed = replay(
        arc(&source),
        &into(&target),
        stream::iter(lines.into_iter().map(Ok)).boxed(),
        &Silent,
    )
    .await
    .unwrap();
    assert_eq!(replayed.status, Status::Complete);
    assert_eq!(replayed.kinds[0].counts, counts(1, 1, 0, 0));
    assert_eq!(replayed.kinds[1].counts, counts(2, 2, 0, 0));

    // A further run leaves what was replayed alone, and so does a verification.
    let again = move_all(&source, &target).await;
    assert_eq!(again.kinds[0].counts, counts(2, 0, 2, 0));
    target.stack().users().delete(holder.id).await.unwrap();
    let to = into(&target);
    let verified = verify(arc(&source), &to, Kind::ALL, &Silent).await;
    let verified = verified.unwrap();
    assert_eq!(verified.status, Status::Complete, "{verified:?}");
}

/// A source whose second user came out unreadable.
#[derive(Debug)]
struct Dirty(MemoryStore);

#[async_trait]
impl Snapshot for Dirty {
    fn name(&self) -> &'static str {
        "dirty"
    }
    fn kinds(&self) -> &[Kind] {
        Kind::ALL
    }
    async fn check(&self, kinds: &[Kind]) -> Result<()> {
        self.0.check(kinds).await
    }
    async fn count(&self, kind: Kind) -> Result<u64> {
        self.0.count(kind).await
    }
    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        let spoil = move |mut batch: ScannedBatch| {
            if let (Kind::Users, Some(user)) = (kind, batch.items.get_mut(1)) {
                let bytes = br#"{"name": 7, "apiToken": "hush"}"#;
                user.original = Original::Bytes(bytes.to_vec());
                user.outcome = Err(Error::invalid("name", "is a number").into());
            }
            batch
        };
        let scan = Snapshot::scan(&self.0, kind, after, limits);
        scan.map_ok(spoil).boxed()
    }
    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>> {
        self.0.fetch(kind, keys).await
    }
    fn encode(&self, kind: Kind, original: &Original) -> Value {
        self.0.encode(kind, original)
    }
    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        self.0.decode(kind, value)
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_rejected_whole_but_for_secrets() {
    let source = Arc::new(Dirty(bare(3, 1).await));
    let target = MemoryStore::new();
    let planned = plan(source.clone(), &into(&target), Kind::ALL, &Silent).await;
    let planned = planned.unwrap();
    assert_eq!(planned.status, Status::Incomplete);
    assert_eq!(planned.kinds[0].report.counts, counts(3, 2, 0, 1));
    assert_eq!(planned.kinds[1].report.counts, counts(3, 2, 0, 1));
    assert_eq!(planned.kinds[1].rejected_fields["userId"], 1);
    assert_eq!(all(&target, Kind::Users).await, [], "a plan moves nothing");

    let options = RunOptions::default();
    let report = run(source, &into(&target), &options, &Silent)
        .await
        .unwrap();
    assert_eq!(report.kinds[0].counts, planned.kinds[0].report.counts);
    assert_eq!(report.kinds[1].counts, planned.kinds[1].report.counts);
    let rejects: Vec<Vec<Reject>> = Ledger::rejects(&target).try_collect().await.unwrap();
    let line = rejects[0][0].to_line().unwrap();
    assert_eq!(
        (line.kind, line.reason.as_str()),
        (Kind::Users, "name: is a number")
    );
    assert_eq!(line.record["name"], 7);
    assert!(
        !rejects[0][0].record.contains("hush"),
        "a token is no one's business"
    );
}

/// A target that notes which kinds begin and end, and holds books and posts back until both have
/// begun.
#[derive(Debug)]
struct Watched {
    inner: Faulty,
    events: Mutex<Vec<(Kind, &'static str)>>,
    together: Barrier,
}

impl Watched {
    fn event(&self, kind: Kind, what: &'static str) {
        self.events.lock().unwrap().push((kind, what));
    }
}

forward!(Watched, inner);

#[async_trait]
impl TransactionalSink for Watched {
    async fn begin_pass(&self, kind: Kind, total: u64) -> Result<Checkpoint> {
        self.event(kind, "begins");
        if matches!(kind, Kind::Books | Kind::CommunityPosts) {
            self.together.wait().await;
        }
        self.inner.begin_pass(kind, total).await
    }
    async fn load(&self, load: &Load<'_>) -> Result<Loaded> {
        self.inner.load(load).await
    }
    async fn finish_pass(&self, kind: Kind) -> Result<()> {
        self.inner.finish_pass(kind).await?;
        self.event(kind, "ends");
        Ok(())
    }
}

#[tokio::test]
async fn kinds_move_side_by_side_but_behind_those_they_depend_on() {
    let source = filled(2, 2).await;
    let target = Arc::new(Watched {
        inner: Faulty {
            store: MemoryStore::new(),
            loads: AtomicUsize::new(0),
            fails: |_| None,
        },
        events: Mutex::default(),
        together: Barrier::new(2),
    });
    let options = small_batches();
    let to = Destination::transactional(Arc::clone(&target));
    let moving = run(Arc::new(source), &to, &options, &Silent);
    let report = tokio::time::timeout(Duration::from_mins(1), moving).await;
    let report = report.expect("books and posts wait for each other: they must move at once");
    assert_eq!(report.unwrap().status, Status::Complete);
    let events = target.events.lock().unwrap().clone();
    let place = |event| events.iter().position(|found| *found == event).unwrap();
    for kind in Kind::ALL {
        for on in kind.depends_on() {
            assert!(place((on, "ends")) < place((*kind, "begins")), "{events:?}");
        }
    }
}

#[tokio::test]
async fn a_post_that_cannot_move_takes_its_likes_and_comments_to_the_rejects() {
    let source = filled(3, 1).await;
    let target = MemoryStore::new();
    let mut holder = new_author("holder");
    holder.email = "user0@example.org".parse().unwrap();
    target.stack().users().create(holder).await.unwrap();

    let to = into(&MemoryStore::new());
    let planned = plan(arc(&source), &to, Kind::ALL, &Silent);
    assert_eq!(planned.await.unwrap().status, Status::Complete);
    let report = move_all(&source, &target).await;
    let of = |kind| {
        let mut kinds = report.kinds.iter();
        kinds.find(|report| report.kind == kind).unwrap().counts
    };
    // The first user, whose post it is, stays behind.
    assert_eq!(of(Kind::Users), counts(3, 2, 0, 1));
    assert_eq!(of(Kind::CommunityPosts), counts(1, 0, 0, 1));
    assert_eq!(of(Kind::PostLikes), counts(3, 0, 0, 3));
    assert_eq!(of(Kind::PostComments), counts(3, 0, 0, 3));
    assert_eq!(of(Kind::Follows), counts(2, 0, 0, 2));
    assert_eq!(of(Kind::Checklists), counts(3, 2, 0, 1));
    assert_eq!(of(Kind::MarketplaceBoosts), counts(3, 2, 0, 1));
    assert_eq!(of(Kind::CompetitorPrices), counts(6, 4, 0, 2));
    let to = into(&target);
    let verified = verify(arc(&source), &to, Kind::ALL, &Silent);
    let verified = verified.await.unwrap();
    for (kind, moved) in verified.kinds.iter().zip(&report.kinds).skip(1) {
        assert_eq!(kind.report.differing, 0, "{kind:?}");
        assert_eq!(kind.report.counts.rejected, moved.counts.rejected);
    }
}

#[tokio::test]
async fn a_plan_rejects_what_a_run_would() {
    let source = filled(3, 1).await;
    let users = all(&source, Kind::Users).await;
    let Record::User(first) = &users[0] else {
        panic!("users are users")
    };
    let kinds: Vec<Kind> = Kind::ALL.to_vec();
    let without_books: Vec<Kind> = kinds
        .iter()
        .copied()
        .filter(|k| *k != Kind::Books)
        .collect();
    // Books stay behind, and the target has none: checklists and boosts cannot move.
    let target = MemoryStore::new();
    let options = RunOptions {
        kinds: without_books.clone(),
        ..small_batches()
    };
    let report = run(arc(&source), &into(&target), &options, &Silent).await;
    let report = report.unwrap();
    let rejected: u64 = report.kinds.iter().map(|kind| kind.counts.rejected).sum();
    assert_eq!(rejected, 9, "three checklists, boosts, insights");

    // One user less in the source: all that refers to them is an orphan.
    let lost = Lost(source, first.id.cast());
    let to = into(&MemoryStore::new());
    let planned = plan(Arc::new(lost), &to, &kinds, &Silent);
    let planned = planned.await.unwrap();
    let of = |kind| {
        let mut plans = planned.kinds.iter();
        let plan = plans.find(|plan| plan.report.kind == kind).unwrap();
        (plan.report.counts, plan.rejected_fields.clone())
    };
    assert_eq!(of(Kind::Users).0, counts(2, 2, 0, 0));
    assert_eq!(of(Kind::CommunityPosts).0, counts(1, 0, 0, 1));
    let (likes, fields) = of(Kind::PostLikes);
    assert_eq!(likes, counts(3, 0, 0, 3));
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["postId"]);
    assert_eq!(of(Kind::Checklists).0, counts(3, 2, 0, 1));
    assert_eq!(of(Kind::CompetitorPrices).0, counts(6, 4, 0, 2));
}

/// A source that has lost one user.
#[derive(Debug)]
struct Lost(MemoryStore, Id<Record>);

#[async_trait]
impl Snapshot for Lost {
    fn name(&self) -> &'static str {
        "lost"
    }
    fn kinds(&self) -> &[Kind] {
        Kind::ALL
    }
    async fn check(&self, kinds: &[Kind]) -> Result<()> {
        self.0.check(kinds).await
    }
    async fn count(&self, kind: Kind) -> Result<u64> {
        self.0.count(kind).await
    }
    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        let lost = self.1.to_string();
        let without = move |mut batch: ScannedBatch| {
            batch
                .items
                .retain(|item| kind != Kind::Users || item.key != lost);
            batch
        };
        let scan = Snapshot::scan(&self.0, kind, after, limits);
        scan.map_ok(without).boxed()
    }
    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>> {
        self.0.fetch(kind, keys).await
    }
    fn encode(&self, kind: Kind, original: &Original) -> Value {
        self.0.encode(kind, original)
    }
    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        self.0.decode(kind, value)
    }
}

#[tokio::test]
async fn keys_of_every_kind_are_read_back_from_their_text_and_are_in_order() {
    let source = filled(3, 2).await;
    for kind in Kind::DATA {
        let records = all(&source, *kind).await;
        assert!(!records.is_empty(), "{kind}");
        assert!(records.is_sorted_by(|a, b| a.key() < b.key()), "{kind}");
        for record in records {
            let text = record.key().to_string();
            assert_eq!(Key::parse(*kind, &text).unwrap(), record.key());
            let json = record.to_json();
            assert_eq!(Record::from_json(*kind, json).unwrap(), record);
        }
    }
    for (kind, text) in [
        (Kind::Users, "7"),
        (Kind::PostLikes, "6b0379ca3f6979be1a457c2c"),
        (Kind::PostLikes, "6b0379ca3f6979be1a457c2c.7"),
        (Kind::PostComments, "6b0379ca3f6979be1a457c2c."),
        (Kind::CompetitorPrices, "6b0379ca3f6979be1a457c2c.soon"),
        (Kind::SalesData, "6b0379ca3f6979be1a457c2c"),
    ] {
        assert!(Key::parse(kind, text).is_err(), "{kind} {text}");
    }
}

/// A sink that fails after some batches: they are written, but the caller gets an error.
#[derive(Debug)]
struct Forgetful {
    store: MemoryStore,
    batches: AtomicUsize,
}

#[async_trait]
impl Sink for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }
    fn kinds(&self) -> &[Kind] {
        Kind::ALL
    }
    async fn inspect(&self) -> Result<SinkState> {
        self.store.inspect().await
    }
    async fn prepare(&self) -> Result<()> {
        self.store.prepare().await
    }
    async fn begin(&self, kind: Kind) -> Result<()> {
        Sink::begin(&self.store, kind).await
    }
    async fn apply(&self, batch: &SinkBatch<'_>) -> Result<Applied> {
        let applied = self.store.apply(batch).await;
        match self.batches.fetch_add(1, Ordering::Relaxed) {
            1 | 4 | 9 => Err(Error::new(gone())),
            _ => applied,
        }
    }
    async fn finish(&self, kind: Kind) -> Result<()> {
        Sink::finish(&self.store, kind).await
    }
}

#[async_trait]
impl Snapshot for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }
    fn kinds(&self) -> &[Kind] {
        Kind::ALL
    }
    async fn check(&self, _: &[Kind]) -> Result<()> {
        Ok(())
    }
    async fn count(&self, kind: Kind) -> Result<u64> {
        self.store.count(kind).await
    }
    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        Snapshot::scan(&self.store, kind, after, limits)
    }
    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>> {
        self.store.fetch(kind, keys).await
    }
    fn encode(&self, kind: Kind, original: &Original) -> Value {
        self.store.encode(kind, original)
    }
    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        self.store.decode(kind, value)
    }
}

#[tokio::test]
async fn a_sink_with_its_ledger_elsewhere_resumes_and_ends_equal() {
    let source = filled(5, 9).await;
    let (store, ledger) = (MemoryStore::new(), MemoryStore::new());
    let sink = Arc::new(Forgetful {
        store: store.clone(),
        batches: AtomicUsize::new(0),
    });
    let to = Destination::paired(sink, arc(&ledger));
    let mut failures = 0;
    let report = loop {
        match run(arc(&source), &to, &small_batches(), &Silent).await {
            Ok(report) => break report,
            Err(error) => {
                assert!(error.is_retryable(), "{error:?}");
                failures += 1;
            }
        }
    };
    assert_eq!(failures, 3);
    assert_eq!(report.status, Status::Complete);
    for kind in Kind::ALL {
        assert_eq!(all(&store, *kind).await, all(&source, *kind).await);
        let moved = report.kinds.iter().find(|found| found.kind == *kind);
        let counts = moved.unwrap().counts;
        assert_eq!(counts.read, all(&source, *kind).await.len() as u64);
        assert!(counts.balance());
    }
    let verified = verify(arc(&source), &to, Kind::ALL, &Silent).await.unwrap();
    assert_eq!(verified.status, Status::Complete);

    let lost = all(&store, Kind::Books).await;
    let gone: Vec<Key> = lost.iter().take(3).map(Record::key).collect();
    let batch = SinkBatch {
        kind: Kind::Books,
        upserts: &[],
        removals: &gone,
    };
    assert_eq!(store.apply(&batch).await.unwrap().removed, 3);
    let repaired = repair(arc(&source), &to, Kind::ALL, &Silent).await.unwrap();
    assert_eq!(repaired.kinds[1].report.counts.written, 3);
    let verified = verify(arc(&source), &to, Kind::ALL, &Silent).await.unwrap();
    assert_eq!(verified.status, Status::Complete);
}

#[tokio::test]
async fn a_rejected_record_is_replayed_with_a_ledger_elsewhere() {
    let source = bare(2, 2).await;
    let (store, ledger) = (MemoryStore::new(), MemoryStore::new());
    let mut holder = new_author("holder");
    holder.email = "user1@example.org".parse().unwrap();
    store.stack().users().create(holder).await.unwrap();
    let to = Destination::paired(arc(&store), arc(&ledger));
    let report = run(arc(&source), &to, &small_batches(), &Silent).await;
    assert_eq!(report.unwrap().kinds[0].counts, counts(2, 1, 0, 1));
    let rejects: Vec<Vec<Reject>> = to.rejects().try_collect().await.unwrap();
    let lines = rejects.concat().into_iter().map(|reject| {
        let mut line = reject.to_line().unwrap();
        if line.kind == Kind::Users {
            line.record["email"] = "user1.other@example.org".into();
        }
        Ok(line)
    });
    let lines: Vec<Result<RejectLine>> = lines.collect();
    let replayed = replay(arc(&source), &to, stream::iter(lines).boxed(), &Silent);
    assert_eq!(replayed.await.unwrap().status, Status::Complete);
    let open: Vec<Vec<Reject>> = to.rejects().try_collect().await.unwrap();
    assert_eq!(open.concat(), []);
    let again = run(arc(&source), &to, &small_batches(), &Silent).await;
    assert_eq!(again.unwrap().kinds[0].counts, counts(2, 0, 2, 0));
}

#[tokio::test]
async fn sets_read_and_write_each_kind_in_its_own_store() {
    let (documents, analytics) = (filled(2, 2).await, MemoryStore::new());
    let whole = into(&analytics);
    run(arc(&documents), &whole, &small_batches(), &Silent)
        .await
        .unwrap();
    let only = |store: &MemoryStore, kinds: &'static [Kind]| {
        Arc::new(Only {
            store: store.clone(),
            kinds,
        })
    };
    let source = SourceSet::new(vec![
        only(&documents, Kind::DOCUMENTS),
        only(&analytics, Kind::ANALYTICS),
    ]);
    let store = MemoryStore::new();
    let targets = SinkSet::new()
        .with(only(&store, Kind::DOCUMENTS))
        .with(only(&store, Kind::ANALYTICS));
    let to = Destination::paired(Arc::new(targets), Arc::new(MemoryStore::new()));
    let report = run(Arc::new(source), &to, &small_batches(), &Silent).await;
    assert_eq!(report.unwrap().status, Status::Complete);
    for kind in Kind::ALL {
        assert_eq!(all(&store, *kind).await, all(&documents, *kind).await);
    }
}

/// Some kinds of a store.
#[derive(Debug)]
struct Only {
    store: MemoryStore,
    kinds: &'static [Kind],
}

#[async_trait]
impl Snapshot for Only {
    fn name(&self) -> &'static str {
        "only"
    }
    fn kinds(&self) -> &[Kind] {
        self.kinds
    }
    async fn check(&self, _: &[Kind]) -> Result<()> {
        Ok(())
    }
    async fn count(&self, kind: Kind) -> Result<u64> {
        assert!(self.kinds.contains(&kind));
        self.store.count(kind).await
    }
    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        assert!(self.kinds.contains(&kind));
        Snapshot::scan(&self.store, kind, after, limits)
    }
    async fn fetch(&self, kind: Kind, keys: &[String]) -> Result<Vec<Scanned>> {
        self.store.fetch(kind, keys).await
    }
    fn encode(&self, kind: Kind, original: &Original) -> Value {
        self.store.encode(kind, original)
    }
    fn decode(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        self.store.decode(kind, value)
    }
}

#[async_trait]
impl Sink for Only {
    fn name(&self) -> &'static str {
        "only"
    }
    fn kinds(&self) -> &[Kind] {
        self.kinds
    }
    async fn inspect(&self) -> Result<SinkState> {
        Ok(SinkState::default())
    }
    async fn prepare(&self) -> Result<()> {
        Ok(())
    }
    async fn begin(&self, kind: Kind) -> Result<()> {
        Sink::begin(&self.store, kind).await
    }
    async fn apply(&self, batch: &SinkBatch<'_>) -> Result<Applied> {
        assert!(self.kinds.contains(&batch.kind));
        self.store.apply(batch).await
    }
    async fn finish(&self, kind: Kind) -> Result<()> {
        Sink::finish(&self.store, kind).await
    }
}

#[tokio::test]
async fn changes_follow_a_snapshot_and_end_with_equal_stores() {
    let (source, target) = (filled(3, 2).await, MemoryStore::new());
    let start = source.position().await.unwrap();
    move_all(&source, &target).await;

    // What an app does meanwhile: new records, changes, removals.
    let late = author(&source.stack(), "late").await;
    let stack = source.stack();
    let books = all(&source, Kind::Books).await;
    let (Record::Book(edited), Record::Book(lost)) = (&books[0], &books[1]) else {
        panic!("books are books");
    };
    let patch = BookPatch {
        title: Some("Another".to_owned()),
        ..BookPatch::default()
    };
    let update = stack.books().update(edited.user_id, edited.id, patch);
    update.await.unwrap();
    stack.books().delete(lost.user_id, lost.id).await.unwrap();
    stack.users().add_credits(late.id, 100).await.unwrap();
    let new = stack.books().create(late.id, NewBook::new("Late")).await;
    fill_for(&source, late.id, Some(new.unwrap().id), &mut None).await;
    let users = all(&source, Kind::Users).await;
    let Record::User(leaving) = &users[1] else {
        panic!("users are users");
    };
    stack.users().delete(leaving.id).await.unwrap();
    stack.users().add_credits(late.id, 5).await.unwrap();

    let mut position = start;
    let mut changes = source.follow(position.clone());
    while position != source.position().await.unwrap() {
        let batch = changes.next().await.unwrap().unwrap();
        assert!(!batch.changes.is_empty());
        for change in batch.changes {
            let (kind, upserts, removals) = match change {
                RecordChange::Upsert { kind, scanned } => {
                    (kind, vec![scanned.outcome.unwrap()], vec![])
                }
                RecordChange::Removal { kind, key } => (kind, vec![], vec![key]),
            };
            let batch = SinkBatch {
                kind,
                upserts: &upserts,
                removals: &removals,
            };
            let applied = target.apply(&batch).await.unwrap();
            assert_eq!(applied.refused, [], "{kind}");
        }
        position = batch.position;
    }
    for kind in Kind::ALL {
        assert_eq!(
            all(&target, *kind).await,
            all(&source, *kind).await,
            "{kind}"
        );
    }

    // Nothing comes until something changes.
    let waiting = tokio::time::timeout(Duration::from_millis(50), changes.next());
    assert!(waiting.await.is_err());
    stack.users().add_credits(late.id, 1).await.unwrap();
    let next = changes.next().await.unwrap().unwrap();
    assert!(matches!(
        next.changes[0],
        RecordChange::Upsert {
            kind: Kind::Users,
            ..
        }
    ));
}

#[tokio::test]
async fn a_position_that_the_store_does_not_know_ends_the_changes() {
    let store = bare(1, 1).await;
    for unknown in ["7", "x"] {
        let mut changes = store.follow(Position(unknown.to_owned()));
        assert!(changes.next().await.unwrap().is_err(), "{unknown}");
        assert!(changes.next().await.is_none());
    }
}
