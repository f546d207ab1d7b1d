//! Rows that no rule kept out: each list names them and returns the others, and so do jobs, streams
//! and the comparison of a migration.

use crate::common;

use std::{fmt::Debug, sync::Arc};

use authorstack_core::{
    BookFilter, ChecklistFilter, Cursor, DateRange, Days, ErrorKind, Feed, Id, MemoryStore,
    NewBook, NewPost, Order, Page, PageRequest, Post, Result, SalesFilter, TotalsBy, Unreadable,
    User,
    migrate::{
        Destination, DifferenceKind, Kind, RunOptions, Silent, Snapshot, Status, repair, run,
        verify,
    },
    services::{Dashboard, DashboardQuery},
    testing::new_author,
};
use chrono::{DateTime, Utc};
use common::{Database, Host, Via, filled::filled, on_database};
use futures::StreamExt;

/// Rows were there before the rules.
const WITHOUT_RULES: &str = "do $$ declare c record; begin \
    for c in select conrelid::regclass as held, conname from pg_catalog.pg_constraint \
      where contype = 'c' and connamespace = 'public'::regnamespace loop \
      execute format('alter table %s drop constraint %I', c.held, c.conname); \
    end loop; end $$";

struct Stage {
    store: Host,
    memory: MemoryStore,
    /// The author of the post that all comment on.
    ada: Id<User>,
    /// Another author, who writes what nobody can read.
    eve: Id<User>,
    post: Id<Post>,
}

impl Stage {
    async fn new(database: &Database) -> Self {
        let memory = filled().await;
        let store = database.migrated(Via::Direct).await;
        let from = Arc::new(memory.clone());
        let options = RunOptions {
            kinds: Kind::DATA.to_vec(),
            ..RunOptions::default()
        };
        let moved = run(from, &store.destination(), &options, &Silent).await;
        assert_eq!(moved.unwrap().status, Status::Complete);
        database.execute(WITHOUT_RULES).await;
        let oldest = PageRequest::first(5).order(Order::OldestFirst);
        let users = store.users().list(oldest).await.unwrap().items;
        let (ada, eve) = (users[0].id, users[1].id);
        let feed = store
            .community()
            .feed(ada, Feed::Author(ada), PageRequest::first(1));
        let post = feed.await.unwrap().items[0].post.id;
        Self {
            store,
            memory,
            ada,
            eve,
            post,
        }
    }

    async fn plant(&self, database: &Database) {
        let (ada, eve) = (self.ada.to_uuid(), self.eve.to_uuid());
        let post = self.post.to_uuid();
        let book =
            format!("(select min(id::text)::uuid from public.books where user_id = '{ada}')");
        let rival =
            format!("(select min(id::text)::uuid from public.competitors where user_id = '{ada}')");
        let good = r#"{"id": "a", "title": "Good", "completed": false, "dueDate": "2024-01-01T00:00:00Z"}"#;
        let bad =
            r#"{"id": "b", "title": "Bad", "completed": false, "dueDate": "2024-02-30T00:00:00Z"}"#;
        for sql in [
            "insert into public.users (auth_id, auth_provider, email, name) \
                select 'evil', auth_provider, 'nobody', 'Eve' from public.users limit 1"
                .to_owned(),
            format!(
                "insert into public.books (user_id, title, isbn, asin) values ('{ada}', 'Bad', '', 'B08N5WRWNW')"
            ),
            format!(
                "insert into public.checklists (user_id, book_id, name, tasks) values ('{ada}', {book}, 'Bad', '[{good}, {bad}]')"
            ),
            format!(
                "insert into public.follows (follower_id, author_id, created_at) values ('{ada}', '{eve}', 'infinity')"
            ),
            // The greatest id there is: first in every feed.
            format!(
                "insert into public.community_posts (id, author_id, attachments) values ('ffffffff-ffff-8fff-8fff-ffffff000000', '{eve}', \
                '[{{\"type\": \"image\", \"url\": \"https://example.org:99999/\"}}]')"
            ),
            format!(
                "insert into public.post_comments (post_id, id, author_id, content) values ('{post}', U&'\\00A0', '{eve}', 'x')"
            ),
            format!(
                "insert into public.post_comments (post_id, id, author_id, content, created_at) values ('{post}', 'never', '{eve}', 'x', 'infinity')"
            ),
            format!(
                "insert into public.post_comments (post_id, id, author_id, content, created_at) values ('{post}', 'ever', '{eve}', 'x', '-infinity')"
            ),
            format!(
                "insert into public.marketplace_boosts (user_id, book_id, duration, position, credits_spent, started_at, expires_at) \
                values ('{ada}', {book}, 7, -5, 1, '2020-01-01', '2100-01-01')"
            ),
            format!(
                "insert into public.competitors (user_id, asin, current_price) values ('{ada}', 'B000000001', 'NaN')"
            ),
            format!(
                "insert into public.competitor_prices (competitor_id, date, price) values ({rival}, '2024-06-01', 'NaN'), ({rival}, 'infinity', 1)"
            ),
            format!(
                "insert into public.sales_data (user_id, book_id, platform, date, revenue, units) values ('{ada}', {book}, '', '2024-01-01', 1, 1), \
                ('{ada}', {book}, 'kdp', 'infinity', 1, 1)"
            ),
            format!(
                "insert into public.daily_aggregates (user_id, date, total_revenue, total_units, platform_breakdown) values ('{ada}', '2023-01-01', 1, 1, '[]')"
            ),
            format!(
                "insert into public.sync_logs (user_id, platform, status) values ('{ada}', '', 'success')"
            ),
            format!(
                "insert into public.ai_insights (user_id, insight_type, content, confidence) values ('{ada}', 'x', '1', 'NaN')"
            ),
            format!(
                "insert into public.revenue_forecasts (user_id, forecast_date, predicted_revenue) values ('{ada}', '2023-01-01', 'NaN')"
            ),
        ] {
            database.execute(&sql).await;
        }
    }
}

/// All pages of a list, one record a page, in both orders.
async fn walk<T: Debug>(
    fetch: impl AsyncFn(PageRequest) -> Result<Page<T>>,
) -> [(Vec<String>, Vec<Unreadable>); 2] {
    let mut walked = Vec::new();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let (mut items, mut unreadable) = (Vec::new(), Vec::new());
        let mut after: Option<Cursor> = None;
        for turn in 0.. {
            assert!(turn < 100, "the pages do not end");
            let mut request = PageRequest::first(1).order(order);
            if let Some(after) = after {
                // As a client returns it.
                request = request.after(after.to_string().parse().unwrap());
            }
            let page = fetch(request).await.unwrap();
            items.extend(page.items.iter().map(|item| format!("{item:?}")));
            unreadable.extend(page.unreadable);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        walked.push((items, unreadable));
    }
    walked.try_into().unwrap()
}

/// After all checks.
fn end() -> DateTime<Utc> {
    "9999-12-31T12:00:00Z".parse().unwrap()
}

fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Walks each list before and after the rows are planted: the same records, and those named.
macro_rules! lists {
    ($stage:ident, $database:ident, $($name:literal: |$page:ident| $call:expr => [$(($kind:literal, $field:literal)),* $(,)?],)+) => {{
        let before = [$(walk(async |$page| $call).await),+];
        $stage.plant($database).await;
        let after = [$(walk(async |$page| $call).await),+];
        let expected = [$((
            $name,
            vec![$(($kind.to_owned(), $field.to_owned())),*],
        )),+];
        for ((before, after), (name, named)) in before.into_iter().zip(after).zip(expected) {
            for ((sound, none), (found, unreadable)) in before.into_iter().zip(after) {
                assert_eq!(none, [], "{name}");
                assert_eq!(found, sound, "{name}");
                let mut unreadable: Vec<(String, String)> = unreadable
                    .into_iter()
                    .map(|one| (one.kind.into_owned(), one.fields.join(", ")))
                    .collect();
                unreadable.sort();
                assert_eq!(unreadable, named, "{name}");
            }
        }
    }};
}

#[tokio::test]
async fn every_page_returns_what_can_be_read_and_names_the_rest() {
    on_database(async |database| {
        let stage = Stage::new(database).await;
        let (ada, eve, post) = (stage.ada, stage.eve, stage.post);
        let store = &stage.store;
        for content in ["One", "Two"] {
            store.community().create(eve, NewPost::new(content)).await.unwrap();
        }
        let rivals = store.competitors().list(ada, PageRequest::first(1)).await.unwrap();
        let rival = rivals.items[0].id;
        lists!(stage, database,
            "users": |page| store.users().list(page).await => [("users", "email")],
            "books": |page| store.books().list(ada, BookFilter::default(), page).await
                => [("books", "isbn")],
            "checklists": |page| store.checklists().list(ada, ChecklistFilter::default(), page).await
                => [("checklists", "tasks")],
            "follows": |page| store.follows().following(ada, page).await
                => [("follows", "createdAt")],
            "followers": |page| store.follows().followers(eve, page).await
                => [("follows", "createdAt")],
            "everyone": |page| store.community().feed(ada, Feed::Everyone, page).await.map(|page| page.map(|view| view.post.id))
                => [("community_posts", "attachments")],
            "author": |page| store.community().feed(ada, Feed::Author(eve), page).await.map(|page| page.map(|view| view.post.id))
                => [("community_posts", "attachments")],
            "comments": |page| store.community().comments(ada, post, page).await
                => [("post_comments", "createdAt"), ("post_comments", "createdAt"), ("post_comments", "id")],
            "likers": |page| store.community().likers(ada, post, page).await => [],
            "boosts": |page| store.boosts().list(ada, page).await
                => [("marketplace_boosts", "position")],
            "competitors": |page| store.competitors().list(ada, page).await
                => [("competitors", "currentPrice")],
            "prices": |page| store.competitors().history(ada, rival, DateRange::default(), page).await
                => [("competitor_prices", "date"), ("competitor_prices", "price")],
            "logs": |page| store.sync_logs().list(ada, None, page).await
                => [("sync_logs", "platform")],
            "insights": |page| store.insights().list_valid(ada, "2024-01-01T00:00:00Z".parse().unwrap(), page).await
                => [("ai_insights", "confidence")],
        );
        let error = store.community().get(ada, "ffffffffffffffffffffffff".parse().unwrap()).await;
        let error = error.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("ffffffffffffffffffffffff"), "{error}");

        // The task that can be read is due all the same.
        let due = store.checklists().due(ada, now(), PageRequest::first(10)).await.unwrap();
        assert!(due.items.iter().any(|due| due.task.title == "Good"), "{due:?}");
        assert_eq!(due.unreadable.len(), 1, "{due:?}");
    })
    .await;
}

#[tokio::test]
async fn lists_jobs_streams_and_sums_go_past_what_cannot_be_read() {
    on_database(async |database| {
        let stage = Stage::new(database).await;
        let store = &stage.store;
        let ada = stage.ada;
        let mut book = NewBook::new("Good");
        let asin = "B08N5WRWNW".parse().unwrap();
        book.asin = Some("B08N5WRWNW".parse().unwrap());
        let all = || SalesFilter::of(Days::ALL);
        let sales = store.sales().stream(ada, all()).count().await;
        let totals = store
            .sales()
            .totals(ada, &all(), TotalsBy::Platform)
            .await
            .unwrap();
        let days = store.aggregates().list(ada, Days::ALL).await.unwrap();
        let forecasts = store.forecasts().list(ada, Days::ALL).await.unwrap();
        let overview = store
            .aggregates()
            .overview(ada, Days::ALL, 5)
            .await
            .unwrap();
        let board = store.boosts().leaderboard(now(), 200).await.unwrap();
        let due = store.competitors().due_for_check(end(), 200).await.unwrap();
        stage.plant(database).await;
        let good = store.books().create(ada, book).await.unwrap();

        let found = store.books().list_by_asin(ada, &asin).await.unwrap();
        assert_eq!(found.items, [good]);
        assert_eq!(
            found.unreadable[0].to_string().split(' ').next(),
            Some("books")
        );

        // The first of the board and of the job is the one that cannot be read.
        let first = store.boosts().leaderboard(now(), 1).await.unwrap();
        assert_eq!((&first[..], first.unreadable.len()), (&board[..1], 1));
        let first = store.competitors().due_for_check(end(), 1).await.unwrap();
        assert_eq!((first.len(), first.unreadable.len()), (1, 1), "{first:?}");
        let whole = store.competitors().due_for_check(end(), 200).await.unwrap();
        assert_eq!((&whole[..], whole.unreadable.len()), (&due[..], 1));

        // An error of a row is not the end of a stream.
        let streamed: Vec<_> = store.sales().stream(ada, all()).collect().await;
        let (read, refused): (Vec<_>, Vec<_>) = streamed.into_iter().partition(Result::is_ok);
        assert_eq!(read.len(), sales);
        let [Err(refused)] = &refused[..] else {
            panic!("{refused:?}")
        };
        assert!(
            matches!(refused.kind(), ErrorKind::Corrupt { .. }),
            "{refused}"
        );
        assert!(
            refused.to_string().starts_with("sales.stream sales_data "),
            "{refused}"
        );

        let found = store
            .sales()
            .totals(ada, &all(), TotalsBy::Platform)
            .await
            .unwrap();
        assert_eq!((&found[..], found.unreadable.len()), (&totals[..], 1));
        let found = store.aggregates().list(ada, Days::ALL).await.unwrap();
        assert_eq!((&found[..], found.unreadable.len()), (&days[..], 1));
        let found = store.forecasts().list(ada, Days::ALL).await.unwrap();
        assert_eq!((&found[..], found.unreadable.len()), (&forecasts[..], 1));
        let found = store
            .aggregates()
            .overview(ada, Days::ALL, 5)
            .await
            .unwrap();
        assert_eq!(found.totals, overview.totals);
        assert_eq!(found.books, overview.books);
        assert_eq!(found.unreadable.len(), 1, "{found:?}");

        let query =
            DashboardQuery::of("2023-01-01".parse().map(|day| Days::up_to(day, 1)).unwrap());
        let summary = Dashboard::new(store).summary(ada, &query).await.unwrap();
        let kinds: Vec<&str> = summary.unreadable.iter().map(|one| &*one.kind).collect();
        assert_eq!(
            kinds,
            ["daily_aggregates", "ai_insights", "revenue_forecasts"]
        );

        // A rule that is younger than a boost which breaks it.
        let rule = "alter table public.marketplace_boosts add constraint \
            marketplace_boosts_position_check check (position > 0) not valid";
        database.execute(rule).await;
        let late = "2200-01-01T00:00:00Z".parse().unwrap();
        let done = store.boosts().expire_due(late).await.unwrap();
        assert_eq!(done.count, 5);
        assert_eq!(done.unreadable.len(), 1, "{done:?}");
        assert_eq!(done.unreadable[0].fields, ["position"]);
    })
    .await;
}

#[tokio::test]
async fn a_comparison_counts_what_the_target_cannot_read() {
    on_database(async |database| {
        let stage = Stage::new(database).await;
        stage.plant(database).await;
        // One that the source has, too.
        let broken = format!(
            "update public.books set isbn = '' where user_id = '{}'",
            stage.eve.to_uuid()
        );
        database.execute(&broken).await;
        let source: Arc<dyn Snapshot> = Arc::new(stage.memory.clone());
        let to = stage.store.destination();
        let found = verify(source.clone(), &to, Kind::DATA, &Silent)
            .await
            .unwrap();
        assert_eq!(found.status, Status::Incomplete);
        for kind in &found.kinds {
            let expected = match kind.report.kind {
                Kind::PostLikes => 0,
                Kind::PostComments => 3,
                Kind::Books | Kind::CompetitorPrices | Kind::SalesData => 2,
                _ => 1,
            };
            assert_eq!(kind.report.differing, expected, "{kind:?}");
            for one in &kind.differences {
                let DifferenceKind::UnreadableInTarget { fields } = &one.difference else {
                    panic!("{one}");
                };
                assert!(!fields.is_empty(), "{one}");
            }
        }
        let repaired = repair(source, &to, &[Kind::Books], &Silent).await.unwrap();
        assert_eq!(repaired.kinds[0].report.counts.written, 1);
        assert_eq!(repaired.kinds[0].report.differing, 1);

        // The way back rejects what cannot be read, and moves the rest.
        let memory = MemoryStore::new();
        let ledger = Arc::new(stage.store.return_ledger());
        let back = Destination::paired(Arc::new(memory), ledger);
        let from = Arc::new(stage.store.migration());
        let unknown = verify(from.clone(), &back, &[Kind::Users], &Silent)
            .await
            .unwrap();
        let named = unknown.kinds[0].differences.iter();
        let named =
            named.filter(|one| matches!(one.difference, DifferenceKind::UnreadableInSource { .. }));
        assert_eq!(named.count(), 1);
        let moved = run(from.clone(), &back, &RunOptions::default(), &Silent)
            .await
            .unwrap();
        assert_eq!(moved.status, Status::Incomplete);
        let verified = verify(from, &back, Kind::DATA, &Silent).await.unwrap();
        for kind in &verified.kinds {
            assert_eq!(kind.report.differing, 0, "{kind:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_post_that_breaks_a_rule_hinders_nobody() {
    on_database(async |database| {
        let store = database.migrated(Via::Direct).await;
        let mut authors = Vec::new();
        for name in ["ada", "bob", "eve"] {
            let author = store.users().create(new_author(name)).await.unwrap();
            authors.push(author.id);
        }
        let [ada, bob, eve] = authors[..] else {
            panic!("{authors:?}")
        };
        let community = store.community();
        let bad = community.create(eve, NewPost::new("Loud")).await.unwrap();
        let good = community.create(ada, NewPost::new("Calm")).await.unwrap();
        for post in [bad.id, good.id] {
            community.like(bob, post).await.unwrap();
        }
        // The rule came later than the post.
        let rule = "alter table public.community_posts \
                    add constraint community_posts_content_calm check (content <> 'Loud') not valid";
        database.execute(rule).await;

        assert_eq!(community.like(ada, bad.id).await.unwrap(), 1);
        let said = community.comment(ada, bad.id, "Hello".to_owned()).await;
        assert_eq!(said.unwrap().content, "Hello");
        // One statement counts all posts that somebody liked.
        store.users().delete(bob).await.unwrap();
        assert_eq!(community.get(ada, good.id).await.unwrap().like_count, 0);
        let view = community.get(ada, bad.id).await.unwrap();
        assert_eq!((view.like_count, view.comment_count), (1, 0));
        let likers = community.likers(ada, bad.id, PageRequest::first(5)).await;
        assert_eq!(likers.unwrap().items.len(), 1);
    })
    .await;
}
