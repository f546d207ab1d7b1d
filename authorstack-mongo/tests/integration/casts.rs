//! What Mongoose casts in one way: references as digits, dates as texts and numbers, single items
//! for lists, truth as words. Calls find and change such documents as they find and change others.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a failed check of a test panics"
)]

use crate::common;

use authorstack_core::{
    Book, BookFilter, BookStatus, ChecklistFilter, ChecklistRepositoryExt, DateRange, Feed, Id,
    NewBoost, Order, PageRequest, Platform, TaskId, User,
    migrate::{BatchLimits, Kind, Record, ScannedBatch, Sink, SinkBatch, Snapshot},
    testing::author,
};
use bson::{Bson, Document, doc, oid::ObjectId};
use chrono::{DateTime, Utc};
use common::{Fresh, documents, on_indexed};
use futures::TryStreamExt;

async fn insert(store: &Fresh, collection: &str, document: Document) -> ObjectId {
    let mut document = document;
    let id = ObjectId::new();
    document.insert("_id", id);
    let collection = documents(&store.mongo, collection);
    collection.insert_one(document).await.unwrap();
    id
}

async fn held(store: &Fresh, collection: &str, id: ObjectId) -> Document {
    let collection = documents(&store.mongo, collection);
    let found = collection.find_one(doc! {"_id": id}).await;
    found.unwrap().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn pages() -> PageRequest {
    PageRequest::first(50)
}

#[tokio::test]
async fn a_user_is_found_and_changed() {
    on_indexed(async |store| {
        let users = store.users();
        let item =
            doc! {"_id": 1, "platform": " KDP", "connectedAt": "2020-03-01", "lastSync": "2019-05-01"};
        let user = doc! {
            "authId": "a", "email": " Ada@Example.org ", "credits": " 12 ",
            "connectedPlatforms": item, "createdAt": 5,
        };
        let id: Id<User> = Id::from_object_id(insert(store, "users", user).await);
        let found = users
            .get_by_email(&"ada@example.org".parse().unwrap())
            .await;
        assert_eq!(found.unwrap().id, id);
        assert_eq!(users.add_credits(id, 3).await.unwrap().credits, 15);
        let sync = at("2024-01-01T00:00:00Z");
        let user = users.mark_synced(id, &Platform::KDP, sync).await.unwrap();
        assert_eq!(user.connected_platforms.len(), 1);
        assert_eq!(user.connected_platforms[0].last_sync, Some(sync));
        assert_eq!(user.connected_platforms[0].extra["_id"], 1);
        let user = users
            .connect_platform(id, Platform::KDP, sync)
            .await
            .unwrap();
        assert_eq!(user.connected_platforms.len(), 1);
        let user = users
            .connect_platform(id, Platform::GUMROAD, sync)
            .await
            .unwrap();
        assert_eq!(user.connected_platforms.len(), 2);
        let user = users.disconnect_platform(id, &Platform::KDP).await.unwrap();
        assert_eq!(user.connected_platforms.len(), 1);

        for (credits, balance) in [
            (Bson::from(""), 0),
            (Bson::Undefined, 0),
            (" 1E1".into(), 10),
        ] {
            let name = ObjectId::new().to_hex();
            let user = doc! {"authId": &name, "email": format!("{name}@x.org"), "credits": credits};
            let id = Id::from_object_id(insert(store, "users", user).await);
            assert_eq!(users.get(id).await.unwrap().credits, balance);
            assert_eq!(users.add_credits(id, 5).await.unwrap().credits, balance + 5);
        }
        let later = doc! {
            "authId": "b", "email": "b@x.org",
            "connectedPlatforms": {"platform": "kdp", "lastSync": "2030-01-01T00:00:00Z"},
        };
        let id = Id::from_object_id(insert(store, "users", later).await);
        let user = users.mark_synced(id, &Platform::KDP, sync).await.unwrap();
        let last = user.connected_platforms[0].last_sync;
        assert_eq!(
            last,
            Some(at("2030-01-01T00:00:00Z")),
            "the later one stays"
        );
    })
    .await;
}

/// A book whose user is named by digits.
async fn book_of(store: &Fresh, user: Id<User>) -> Id<Book> {
    let book = doc! {
        "userId": user.to_string(), "title": "T", "status": "PUBLISHED ", "platforms": " KDP ",
        "createdAt": "2020-03-01T10:00:00Z",
    };
    Id::from_object_id(insert(store, "books", book).await)
}

#[tokio::test]
async fn a_book_of_a_user_named_by_digits_is_theirs() {
    on_indexed(async |store| {
        let (books, ada) = (store.books(), author(store, "ada").await.id);
        let id = book_of(store, ada).await;
        assert_eq!(books.get(ada, id).await.unwrap().user_id, ada);
        assert!(books.get(Id::new(), id).await.unwrap_err().is_not_found());
        for filter in [
            BookFilter::default(),
            BookFilter {
                status: Some(BookStatus::Published),
                ..BookFilter::default()
            },
            BookFilter {
                platform: Some(Platform::KDP),
                ..BookFilter::default()
            },
        ] {
            let page = books.list(ada, filter, pages()).await.unwrap();
            assert_eq!(page.items.len(), 1);
        }
        let boost = doc! {
            "userId": ada.to_string(), "bookId": id.to_string(), "duration": " 7 ",
            "position": "3", "credits_spent": 1, "active": "true",
            "startedAt": "2020-01-01", "expiresAt": 4_102_444_800_000_i64,
        };
        let boost = insert(store, "marketplace_boosts", boost).await;
        let now = at("2024-01-01T00:00:00Z");
        let leaders = store.boosts().leaderboard(now, 9).await.unwrap();
        assert_eq!(leaders.items.len(), 1);
        assert_eq!(leaders.items[0].position, 3);
        store.users().add_credits(ada, 100).await.unwrap();
        let mut new = NewBoost::new(id, 7, 30);
        new.position = Some(3);
        assert!(
            store.boosts().purchase(ada, new).await.is_err(),
            "the position is held"
        );
        let before = store.boosts().leaderboard(at("2019-01-01T00:00:00Z"), 9);
        assert!(before.await.unwrap().items.is_empty());
        store.boosts().expire_due(now).await.unwrap();
        let active = held(store, "marketplace_boosts", boost)
            .await
            .remove("active");
        assert_eq!(active, Some("true".into()));
        store
            .boosts()
            .expire_due(at("2101-01-01T00:00:00Z"))
            .await
            .unwrap();
        let active = held(store, "marketplace_boosts", boost)
            .await
            .remove("active");
        assert_eq!(active, Some(false.into()));
        books.delete(ada, id).await.unwrap();
        let boosts = documents(&store.mongo, "marketplace_boosts");
        assert_eq!(boosts.count_documents(doc! {}).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_single_task_is_a_list_of_one() {
    on_indexed(async |store| {
        let ada = author(store, "ada").await.id;
        let book = book_of(store, ada).await;
        let task = |more: Document| {
            let mut task = doc! {"_id": 1, "id": "a", "title": "Cover"};
            task.extend(more);
            task
        };
        let list = doc! {
            "userId": ada.to_string(), "bookId": book.to_string(), "name": "Launch",
            "tasks": task(doc! {"completed": "no", "dueDate": "2020-03-01T00:00:00Z"}),
        };
        let id = Id::from_object_id(insert(store, "checklists", list).await);
        let done = doc! {
            "userId": ada.to_object_id(), "bookId": book.to_object_id(), "name": "Done",
            "tasks": [
                task(doc! {"completed": "1", "dueDate": "2020-03-01"}),
                {"id": "b", "title": "Blurb", "dueDate": 1_583_020_800_000_i64},
            ],
        };
        let done = Id::from_object_id(insert(store, "checklists", done).await);
        let lists = store.checklists();
        let filter = ChecklistFilter {
            book_id: Some(book),
        };
        assert_eq!(
            lists.list(ada, filter, pages()).await.unwrap().items.len(),
            2
        );
        let now = at("2024-01-01T00:00:00Z");
        let mut found = Vec::new();
        let mut page = PageRequest::first(1).order(Order::OldestFirst);
        loop {
            let due = lists.due(ada, now, page.clone()).await.unwrap();
            assert!(due.unreadable.is_empty());
            found.extend(
                due.items
                    .into_iter()
                    .map(|it| (it.checklist_id, it.task.id.to_string())),
            );
            let Some(next) = due.next else { break };
            page = PageRequest::first(1).order(Order::OldestFirst).after(next);
        }
        assert_eq!(found, [(id, "a".to_owned()), (done, "b".to_owned())]);
        let task: TaskId = "a".parse().unwrap();
        let list = lists
            .complete_task(ada, done, task.clone(), now)
            .await
            .unwrap();
        assert_eq!(list.progress, 50, "it was done already");
        let list = lists.complete_task(ada, id, task, now).await.unwrap();
        assert_eq!((list.progress, list.tasks.len()), (100, 1));
        assert_eq!(list.tasks[0].extra["_id"], 1);
        lists.delete(ada, id).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_post_keeps_its_likes_and_comments_whatever_their_form() {
    on_indexed(async |store| {
        let (ada, bob) = (author(store, "ada").await.id, author(store, "bob").await.id);
        let comment = doc! {
            "_id": 1, "id": "c", "authorId": bob.to_string(), "content": "x",
            "createdAt": "2020-03-01T00:00:00+01:00",
        };
        let post = doc! {
            "authorId": ada.to_string(), "content": "x", "visibility": " Public",
            "likes": bob.to_string(), "comments": comment, "createdAt": "2020-01-01",
        };
        let id = Id::from_object_id(insert(store, "community_posts", post).await);
        let community = store.community();
        let view = community.get(bob, id).await.unwrap();
        assert_eq!(
            (view.like_count, view.comment_count, view.liked),
            (1, 1, true)
        );
        let feed = community
            .feed(bob, Feed::Author(ada), pages())
            .await
            .unwrap();
        assert_eq!(feed.items.len(), 1);
        assert_eq!(community.like(bob, id).await.unwrap(), 1);
        assert_eq!(community.like(ada, id).await.unwrap(), 2);
        let mut likers = community.likers(bob, id, pages()).await.unwrap().items;
        likers.sort();
        assert_eq!(likers, [ada, bob]);
        assert_eq!(community.unlike(bob, id).await.unwrap(), 1);
        let all = community.comments(bob, id, pages()).await.unwrap();
        assert!(all.unreadable.is_empty());
        assert_eq!(all.items[0].author_id, bob);
        assert_eq!(all.items[0].created_at, at("2020-02-29T23:00:00Z"));
        let said = community.comment(ada, id, "y".to_owned()).await.unwrap();
        community
            .delete_comment(ada, id, "c".parse().unwrap())
            .await
            .unwrap();
        let all = community.comments(bob, id, pages()).await.unwrap();
        assert_eq!(all.items, [said]);

        let single = doc! {
            "authorId": ada.to_object_id(), "visibility": "public",
            "comments": {"id": "c", "authorId": bob.to_string(), "content": "x"},
        };
        let id = Id::from_object_id(insert(store, "community_posts", single).await);
        let theirs = community.delete_comment(Id::new(), id, "c".parse().unwrap());
        assert!(theirs.await.unwrap_err().is_not_found());
        community
            .delete_comment(bob, id, "c".parse().unwrap())
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_follow_of_digits_is_one_follow() {
    on_indexed(async |store| {
        let (ada, bob) = (author(store, "ada").await.id, author(store, "bob").await.id);
        let pair = doc! {"followerId": ada.to_string(), "authorId": bob.to_string()};
        insert(store, "follows", pair).await;
        let follows = store.follows();
        assert!(follows.is_following(ada, bob).await.unwrap());
        follows.follow(ada, bob).await.unwrap();
        assert_eq!(follows.counts(bob).await.unwrap().followers, 1);
        assert_eq!(
            follows.following(ada, pages()).await.unwrap().items.len(),
            1
        );
        let private = doc! {"authorId": bob.to_object_id(), "content": "x"};
        let id = Id::from_object_id(insert(store, "community_posts", private).await);
        store.community().get(ada, id).await.unwrap();
        let feed = store.community().feed(ada, Feed::Following, pages()).await;
        assert_eq!(feed.unwrap().items.len(), 1);
        follows.unfollow(ada, bob).await.unwrap();
        assert!(!follows.is_following(ada, bob).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn prices_of_every_form_are_a_history() {
    on_indexed(async |store| {
        let ada = author(store, "ada").await.id;
        let rival = doc! {
            "userId": ada.to_string(), "asin": "B08N5WRWNW", "currentPrice": " 4.99 ",
            "lastChecked": "2020-03-01T00:00:00Z",
            "priceHistory": {"_id": 1, "price": "4.99", "date": "2020-03-01T00:00:00Z"},
        };
        let id = Id::from_object_id(insert(store, "competitors", rival).await);
        let rivals = store.competitors();
        let due = |before: &str| rivals.due_for_check(at(before), 9);
        assert_eq!(due("2020-03-02T00:00:00Z").await.unwrap().items.len(), 1);
        assert!(due("2020-02-01T00:00:00Z").await.unwrap().items.is_empty());
        let older = at("2020-01-01T00:00:00Z");
        let found = rivals
            .record_price(ada, id, "3.99".parse().unwrap(), older)
            .await
            .unwrap();
        assert_eq!(
            found.current_price,
            Some("4.99".parse().unwrap()),
            "an older price"
        );
        let same = at("2020-03-01T00:00:00Z");
        rivals
            .record_price(ada, id, "5.99".parse().unwrap(), same)
            .await
            .unwrap();
        let history = rivals
            .history(ada, id, DateRange::default(), pages())
            .await
            .unwrap();
        assert!(history.unreadable.is_empty());
        let prices: Vec<_> = history
            .items
            .iter()
            .map(|it| it.price.to_string())
            .collect();
        assert_eq!(prices.len(), 2, "{prices:?}");
        let of_moment = history
            .items
            .iter()
            .find(|point| point.date == same)
            .unwrap();
        assert_eq!(of_moment.price, "5.99".parse().unwrap());
        assert_eq!(of_moment.extra["_id"], 1);
    })
    .await;
}

#[tokio::test]
async fn a_user_takes_everything_with_them() {
    on_indexed(async |store| {
        let (ada, bob) = (author(store, "ada").await.id, author(store, "bob").await.id);
        let book = book_of(store, ada).await;
        let of_book = doc! {"userId": bob.to_string(), "bookId": book.to_string(), "name": "x"};
        insert(store, "checklists", of_book).await;
        insert(
            store,
            "competitors",
            doc! {"userId": ada.to_string(), "asin": "B08N5WRWNW"},
        )
        .await;
        insert(
            store,
            "follows",
            doc! {"followerId": bob.to_string(), "authorId": ada.to_string()},
        )
        .await;
        insert(store, "community_posts", doc! {"authorId": ada.to_string()}).await;
        let comment = doc! {"id": "c", "authorId": ada.to_string()};
        let post = doc! {
            "authorId": bob.to_object_id(), "likes": ada.to_string(), "comments": comment.clone(),
        };
        let single = insert(store, "community_posts", post).await;
        let likes: Vec<Bson> = vec![ada.to_string().into(), bob.to_object_id().into()];
        let post = doc! {"authorId": bob.to_object_id(), "likes": likes, "comments": [comment]};
        let list = insert(store, "community_posts", post).await;
        store.users().delete(ada).await.unwrap();
        for collection in ["books", "checklists", "competitors", "follows"] {
            let held = documents(&store.mongo, collection);
            let left = held.count_documents(doc! {}).await;
            assert_eq!(left.unwrap(), 0, "{collection}");
        }
        for (post, likes) in [(single, 0), (list, 1)] {
            let post = held(store, "community_posts", post).await;
            assert_eq!(post.get_array("likes").unwrap().len(), likes);
            assert!(post.get_array("comments").unwrap().is_empty());
        }
    })
    .await;
}

async fn scanned(store: &Fresh, kind: Kind) -> Vec<Record> {
    let scan = store.mongo.scan(kind, None, BatchLimits::default());
    let batches: Vec<ScannedBatch> = scan.try_collect().await.unwrap();
    let items = batches.into_iter().flat_map(|batch| batch.items);
    items.map(|item| item.outcome.unwrap()).collect()
}

#[tokio::test]
async fn parts_of_two_forms_are_one_record_on_both_ways() {
    on_indexed(async |store| {
        let (ada, bob) = (author(store, "ada").await.id, author(store, "bob").await.id);
        let likes: Vec<Bson> = vec![
            ada.to_string().into(),
            ada.to_object_id().into(),
            bob.to_string().into(),
        ];
        let post = doc! {"authorId": ada.to_object_id(), "likes": likes};
        let post = insert(store, "community_posts", post).await;
        let price = |date: Bson| doc! {"price": 4.99, "date": date};
        let moment = bson::DateTime::from_millis(1_583_020_800_000);
        let history = vec![price("2020-03-01".into()), price(moment.into())];
        let rival =
            doc! {"userId": ada.to_object_id(), "asin": "B08N5WRWNW", "priceHistory": history};
        let rival = insert(store, "competitors", rival).await;
        for (kind, collection, id, field, count) in [
            (Kind::PostLikes, "community_posts", post, "likes", 2),
            (
                Kind::CompetitorPrices,
                "competitors",
                rival,
                "priceHistory",
                1,
            ),
        ] {
            let records = scanned(store, kind).await;
            assert_eq!(records.len(), count, "{kind}");
            let batch = SinkBatch {
                kind,
                upserts: &records,
                removals: &[],
            };
            let applied = store.mongo.apply(&batch).await.unwrap();
            // What comes back takes the place of another form, and is unchanged beside it.
            assert_eq!(applied.unchanged, 1, "{kind}");
            let document = held(store, collection, id).await;
            let digits = Bson::from(bob.to_string());
            assert!(
                !document.get_array(field).unwrap().contains(&digits),
                "{document}"
            );
            assert_eq!(scanned(store, kind).await, records);
        }
    })
    .await;
}
