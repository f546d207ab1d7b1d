//! Documents that other clients wrote and that nobody can read: each list names them and returns
//! the others, and so does the comparison of a migration.

use crate::common;

use std::{fmt::Debug, sync::Arc};

use authorstack_core::{
    Book, BookFilter, ChecklistFilter, Competitor, Cursor, DateRange, ErrorKind, Feed, Id,
    MemoryStore, NewBook, NewBoost, NewChecklist, NewCompetitor, NewPost, Order, Page, PageRequest,
    Post, Result, Unreadable, User,
    migrate::{Destination, DifferenceKind, Kind, Silent, Status, verify},
    testing::author,
};
use bson::{Bson, DateTime as BsonDateTime, Document, doc, oid::ObjectId};
use chrono::Utc;
use common::{Fresh, documents, on_indexed};

struct Stage<'s> {
    store: &'s Fresh,
    ada: Id<User>,
    eve: Id<User>,
    post: Id<Post>,
    book: Id<Book>,
    rival: Id<Competitor>,
}

impl<'s> Stage<'s> {
    async fn new(store: &'s Fresh) -> Self {
        let ada = author(store, "ada").await.id;
        let eve = author(store, "eve").await.id;
        store.users().add_credits(ada, 100).await.unwrap();
        let mut new = NewBook::new("Tide");
        new.asin = Some("B08N5WRWNW".parse().unwrap());
        let book = store.books().create(ada, new).await.unwrap().id;
        let checklist = NewChecklist::empty(book, "Launch");
        store.checklists().create(ada, checklist).await.unwrap();
        store.follows().follow(ada, eve).await.unwrap();
        let post = store.community().create(ada, NewPost::new("Out now"));
        let post = post.await.unwrap().id;
        for content in ["One", "Two"] {
            let community = store.community();
            community.create(eve, NewPost::new(content)).await.unwrap();
            community
                .comment(eve, post, content.to_owned())
                .await
                .unwrap();
        }
        store.community().like(eve, post).await.unwrap();
        store.community().like(ada, post).await.unwrap();
        let boost = NewBoost::new(book, 7, 10);
        store.boosts().purchase(ada, boost).await.unwrap();
        let rival = NewCompetitor::new("B08N5WRWNW".parse().unwrap());
        let rival = store.competitors().create(ada, rival).await.unwrap().id;
        for price in ["1", "2"] {
            let noted =
                store
                    .competitors()
                    .record_price(ada, rival, price.parse().unwrap(), Utc::now());
            noted.await.unwrap();
        }
        Self {
            store,
            ada,
            eve,
            post,
            book,
            rival,
        }
    }

    async fn insert(&self, name: &str, document: Document) {
        let collection = documents(&self.store.mongo, name);
        collection.insert_one(document).await.unwrap();
    }

    async fn push(&self, name: &str, id: ObjectId, array: &str, values: Vec<Bson>) {
        let push = doc! {"$push": {array: {"$each": values}}};
        let collection = documents(&self.store.mongo, name);
        let updated = collection.update_one(doc! {"_id": id}, push).await;
        assert_eq!(updated.unwrap().matched_count, 1);
    }

    async fn plant(&self) {
        let (ada, eve) = (self.ada.to_object_id(), self.eve.to_object_id());
        let (book, post) = (self.book.to_object_id(), self.post.to_object_id());
        let early = BsonDateTime::from_millis(1_704_067_200_000);
        let future = BsonDateTime::from_millis(4_102_444_800_000);
        let never = BsonDateTime::from_millis(i64::MAX);
        self.insert("users", doc! {"authId": "evil", "email": 5})
            .await;
        self.insert(
            "users",
            doc! {"_id": "evil", "authId": "e", "email": "e@example.org"},
        )
        .await;
        self.insert(
            "books",
            doc! {"userId": ada, "title": 5, "asin": "B08N5WRWNW"},
        )
        .await;
        let tasks = vec![
            doc! {"id": "a", "title": "Good", "dueDate": early},
            doc! {"id": 5, "title": "Bad", "dueDate": early},
        ];
        let checklist = doc! {"userId": ada, "bookId": book, "name": "Bad", "tasks": tasks};
        self.insert("checklists", checklist).await;
        self.insert("follows", doc! {"followerId": ada, "authorId": "eve"})
            .await;
        self.insert("follows", doc! {"followerId": "ada", "authorId": eve})
            .await;
        let attachment = doc! {"type": "image", "url": "https://example.org:99999/"};
        let greatest = ObjectId::from_bytes([0xff; 12]);
        let new = doc! {
            "_id": greatest,
            "authorId": eve,
            "content": "",
            "visibility": "public",
            "attachments": [attachment],
        };
        self.insert("community_posts", new).await;
        let comments = vec![
            doc! {"id": "\u{a0}", "authorId": eve, "content": "x", "createdAt": early}.into(),
            doc! {"id": "never", "authorId": eve, "content": "x", "createdAt": never}.into(),
            doc! {"authorId": eve, "content": "x", "createdAt": early}.into(),
            "text".into(),
        ];
        self.push("community_posts", post, "comments", comments)
            .await;
        let likes = vec![5.into(), "eve".into(), true.into()];
        self.push("community_posts", post, "likes", likes).await;
        let boost = doc! {
            "userId": ada, "bookId": book, "duration": 7, "position": -5, "creditsSpent": 1,
            "active": true, "startedAt": early, "expiresAt": future,
        };
        self.insert("marketplace_boosts", boost).await;
        let rival = doc! {"userId": ada, "asin": "B000000001", "currentPrice": {"a": 1}};
        self.insert("competitors", rival).await;
        let prices = vec![
            doc! {"price": "much", "date": early}.into(),
            doc! {"price": 1.0}.into(),
            doc! {"price": 1.0, "date": never}.into(),
        ];
        let rival = self.rival.to_object_id();
        self.push("competitors", rival, "priceHistory", prices)
            .await;
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

/// Walks each list before and after the documents are planted: the same records, and those named
/// whose keys can stand anywhere in the list.
macro_rules! lists {
    ($stage:ident, $($name:literal: |$page:ident| $call:expr => $kind:literal, $field:literal;)+) => {{
        let before = [$(walk(async |$page| $call).await),+];
        $stage.plant().await;
        let after = [$(walk(async |$page| $call).await),+];
        let expected = [$(($name, $kind, $field)),+];
        for ((before, after), (name, kind, field)) in before.into_iter().zip(after).zip(expected) {
            for ((sound, none), (found, unreadable)) in before.into_iter().zip(after) {
                assert_eq!(none, [], "{name}");
                assert_eq!(found, sound, "{name}");
                assert!(
                    unreadable
                        .iter()
                        .any(|one| one.kind == kind && one.fields.iter().any(|it| it == field)),
                    "{name}: {unreadable:?}"
                );
            }
        }
    }};
}

#[tokio::test]
async fn every_page_returns_what_can_be_read_and_names_the_rest() {
    on_indexed(async |store| {
        let stage = Stage::new(store).await;
        let (ada, eve, post, rival) = (stage.ada, stage.eve, stage.post, stage.rival);
        lists!(stage,
            "users": |page| store.users().list(page).await => "users", "email";
            "books": |page| store.books().list(ada, BookFilter::default(), page).await
                => "books", "title";
            "checklists": |page| store.checklists().list(ada, ChecklistFilter::default(), page).await
                => "checklists", "tasks.1.id";
            "following": |page| store.follows().following(ada, page).await => "follows", "authorId";
            "followers": |page| store.follows().followers(eve, page).await
                => "follows", "followerId";
            "everyone": |page| store.community().feed(ada, Feed::Everyone, page).await.map(|page| page.map(|view| view.post.id))
                => "community_posts", "attachments.0.url";
            "circle": |page| store.community().feed(ada, Feed::Following, page).await.map(|page| page.map(|view| view.post.id))
                => "follows", "authorId";
            "author": |page| store.community().feed(ada, Feed::Author(eve), page).await.map(|page| page.map(|view| view.post.id))
                => "community_posts", "attachments.0.url";
            "comments": |page| store.community().comments(ada, post, page).await
                => "post_comments", "comments.id";
            "boosts": |page| store.boosts().list(ada, page).await
                => "marketplace_boosts", "position";
            "competitors": |page| store.competitors().list(ada, page).await
                => "competitors", "currentPrice";
            "prices": |page| store.competitors().history(ada, rival, DateRange::default(), page).await
                => "competitor_prices", "priceHistory.price";
        );
        let likers = store.community().likers(ada, post, PageRequest::first(50)).await.unwrap();
        assert_eq!((likers.items.len(), likers.unreadable.len()), (2, 3), "{likers:?}");
        let [first, last] = walk(async |page| store.community().likers(ada, post, page).await).await;
        assert_eq!((first.0.len(), last.0.len()), (2, 2));

        // In one page all are named, whatever their keys.
        let page = PageRequest::first(50);
        let comments = store.community().comments(ada, post, page.clone()).await.unwrap();
        assert_eq!((comments.items.len(), comments.unreadable.len()), (2, 4), "{comments:?}");
        let prices = store.competitors().history(ada, rival, DateRange::default(), page.clone());
        let prices = prices.await.unwrap();
        assert_eq!((prices.items.len(), prices.unreadable.len()), (2, 3), "{prices:?}");
        let users = store.users().list(page.clone()).await.unwrap();
        assert_eq!((users.items.len(), users.unreadable.len()), (2, 2), "{users:?}");

        // The task that can be read is due all the same.
        let due = store.checklists().due(ada, Utc::now(), page).await.unwrap();
        assert_eq!((due.items.len(), due.unreadable.len()), (1, 1), "{due:?}");

        let error = store.community().get(ada, "ffffffffffffffffffffffff".parse().unwrap()).await;
        let error = error.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("ffffffffffffffffffffffff"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn lists_and_jobs_go_past_what_cannot_be_read() {
    on_indexed(async |store| {
        let stage = Stage::new(store).await;
        stage.plant().await;
        let asin = "B08N5WRWNW".parse().unwrap();
        let found = store.books().list_by_asin(stage.ada, &asin).await.unwrap();
        assert_eq!((found.len(), found.unreadable.len()), (1, 1), "{found:?}");
        // The first of the board and of the job is the one that cannot be read.
        let first = store.boosts().leaderboard(Utc::now(), 1).await.unwrap();
        assert_eq!((first.len(), first.unreadable.len()), (1, 1), "{first:?}");
        let late = "2100-01-01T00:00:00Z".parse().unwrap();
        let first = store.competitors().due_for_check(late, 1).await.unwrap();
        assert_eq!((first.len(), first.unreadable.len()), (1, 1), "{first:?}");
        let done = store.boosts().expire_due(late).await.unwrap();
        assert_eq!(done.count, 2);
    })
    .await;
}

#[tokio::test]
async fn a_comparison_counts_what_the_target_cannot_read() {
    on_indexed(async |store| {
        let stage = Stage::new(store).await;
        stage.plant().await;
        let empty = Arc::new(MemoryStore::new());
        let to = Destination::paired(Arc::new(store.mongo.clone()), Arc::new(MemoryStore::new()));
        let found = verify(empty, &to, &[Kind::Users, Kind::PostComments], &Silent).await;
        let found = found.unwrap();
        assert_eq!(found.status, Status::Incomplete);
        // A date that cannot be read is set aside from a comment, so that comment is one.
        for (kind, sound, unreadable) in [(0, 2, 2), (1, 3, 3)] {
            let kind = &found.kinds[kind];
            assert_eq!(kind.report.differing, sound + unreadable, "{kind:?}");
            let named = kind
                .differences
                .iter()
                .filter(|one| matches!(one.difference, DifferenceKind::UnreadableInTarget { .. }));
            assert_eq!(named.count() as u64, unreadable, "{kind:?}");
        }
    })
    .await;
}
