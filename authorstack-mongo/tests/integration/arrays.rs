//! What the repositories make of arrays as an old app leaves them, and how long they let them grow.

use crate::common;

use authorstack_core::{
    ChecklistRepositoryExt, DateRange, Id, NewBook, NewChecklist, NewCompetitor, NewTask, Order,
    PageRequest, Post, TaskId, User,
    testing::{author, servers},
};
use authorstack_mongo::{MongoConfig, MongoStore};
use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use common::{Fresh, documents, on_indexed};

fn price(text: &str) -> authorstack_core::Price {
    text.parse().unwrap()
}

async fn stored(store: &Fresh, collection: &str, id: ObjectId) -> Document {
    let found = documents(&store.mongo, collection)
        .find_one(doc! {"_id": id})
        .await;
    found.unwrap().unwrap()
}

/// A post with these likes and comments.
async fn post(store: &Fresh, by: Id<User>, likes: Bson, comments: Bson) -> Id<Post> {
    let id = ObjectId::new();
    let post = doc! {
        "_id": id, "authorId": by.to_object_id(), "content": "x", "visibility": "public",
        "likes": likes, "comments": comments,
    };
    documents(&store.mongo, "community_posts")
        .insert_one(post)
        .await
        .unwrap();
    Id::from_object_id(id)
}

#[tokio::test]
async fn likes_and_comments_that_are_no_arrays_are_none() {
    on_indexed(async |store| {
        let ada = author(store, "ada").await.id;
        let community = store.community();
        for nothing in [Bson::Null, Bson::Int32(7)] {
            let id = post(store, ada, nothing.clone(), nothing).await;
            let view = community.get(ada, id).await.unwrap();
            assert_eq!((view.like_count, view.comment_count), (0, 0));
            assert_eq!(community.unlike(ada, id).await.unwrap(), 0);
            assert_eq!(community.like(ada, id).await.unwrap(), 1);
            let said = community
                .comment(ada, id, "First".to_owned())
                .await
                .unwrap();
            let all = community
                .comments(ada, id, PageRequest::default())
                .await
                .unwrap();
            assert_eq!(all.items, [said]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_post_without_visibility_is_for_followers() {
    on_indexed(async |store| {
        let (ada, bob) = (author(store, "ada").await.id, author(store, "bob").await.id);
        let id = post(store, ada, Bson::Null, Bson::Null).await;
        let unset = doc! {"$unset": {"visibility": 1}};
        let posts = documents(&store.mongo, "community_posts");
        posts.update_one(doc! {}, unset).await.unwrap();
        assert!(
            store
                .community()
                .get(bob, id)
                .await
                .unwrap_err()
                .is_not_found()
        );
        store.follows().follow(bob, ada).await.unwrap();
        store.community().get(bob, id).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_user_noted_twice_takes_the_like_back_at_once() {
    on_indexed(async |store| {
        let ada = author(store, "ada").await.id;
        let twice = vec![Bson::from(ada.to_object_id()); 2];
        let id = post(store, ada, twice.into(), Bson::Null).await;
        let likers = store
            .community()
            .likers(ada, id, PageRequest::default())
            .await;
        assert_eq!(likers.unwrap().items, [ada]);
        assert_eq!(store.community().unlike(ada, id).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_wrong_progress_is_put_right_by_the_next_change() {
    on_indexed(async |store| {
        let ada = author(store, "ada").await.id;
        let book = store
            .books()
            .create(ada, NewBook::new("Tide"))
            .await
            .unwrap()
            .id;
        let mut new = NewChecklist::empty(book, "Launch");
        new.tasks = vec![NewTask::new("a"), NewTask::new("b")];
        let checklist = store.checklists().create(ada, new).await.unwrap();
        let id = checklist.id.to_object_id();
        let wrong = doc! {"$set": {"progress": "ninety", "tasks.1.effort": 3.0}};
        let checklists = documents(&store.mongo, "checklists");
        checklists
            .update_one(doc! {"_id": id}, wrong)
            .await
            .unwrap();
        let read = store.checklists().get(ada, checklist.id).await.unwrap();
        assert_eq!(read.progress, 0);
        let task = checklist.tasks[0].id.clone();
        let own = store.checklists();
        let done = own
            .complete_task(ada, checklist.id, task, read.created_at)
            .await;
        assert_eq!(done.unwrap().progress, 50);
        let document = stored(store, "checklists", id).await;
        assert_eq!(document.get("progress"), Some(&Bson::Int32(50)));
        let tasks = document.get_array("tasks").unwrap();
        let other = tasks[1].as_document().unwrap();
        assert_eq!(
            other.get("effort"),
            Some(&Bson::Double(3.0)),
            "unknown fields stay"
        );

        let none = doc! {"$set": {"tasks": null}};
        checklists.update_one(doc! {"_id": id}, none).await.unwrap();
        let missing = store
            .checklists()
            .remove_task(ada, checklist.id, TaskId::new())
            .await;
        assert!(missing.unwrap_err().is_not_found());
        let added = store
            .checklists()
            .add_task(ada, checklist.id, NewTask::new("c"))
            .await;
        assert_eq!(added.unwrap().tasks.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_history_keeps_the_newest_up_to_its_limit() {
    let config = MongoConfig::new(servers::mongodb_url())
        .database(servers::fresh_name())
        .price_history_limit(3);
    let store = Fresh::on(MongoStore::connect_and_prepare(config).await.unwrap());
    let ada = author(&store, "ada").await.id;
    let rival = NewCompetitor::new("B08N5WRWNW".parse().unwrap());
    let rival = store.competitors().create(ada, rival).await.unwrap();
    for day in [5, 1, 4, 2, 3] {
        let at = format!("2024-05-0{day}T00:00:00Z").parse().unwrap();
        let competitors = store.competitors();
        let noted = competitors
            .record_price(ada, rival.id, price(&day.to_string()), at)
            .await;
        assert_eq!(noted.unwrap().current_price, Some(price("5")));
    }
    let page = PageRequest::default().order(Order::OldestFirst);
    let seen = store
        .competitors()
        .history(ada, rival.id, DateRange::default(), page)
        .await;
    let seen: Vec<String> = seen
        .unwrap()
        .items
        .iter()
        .map(|point| point.price.to_string())
        .collect();
    assert_eq!(seen, ["3", "4", "5"]);
    store.mongo.database().drop().await.unwrap();
}

#[tokio::test]
async fn prices_of_any_shape_do_not_stand_in_the_way() {
    on_indexed(async |store| {
        let ada = author(store, "ada").await.id;
        for history in [
            Bson::Null,
            Bson::from(vec![Bson::from(
                doc! {"price": "2.50", "date": "yesterday"},
            )]),
        ] {
            let id = ObjectId::new();
            let rival = doc! {
                "_id": id, "userId": ada.to_object_id(), "asin": format!("B{:09}", id.bytes()[11]),
                "currentPrice": "1.99", "lastChecked": DateTime::from_millis(1_000),
                "priceHistory": history,
            };
            documents(&store.mongo, "competitors")
                .insert_one(rival)
                .await
                .unwrap();
            let competitors = store.competitors();
            let early = "1960-01-01T00:00:00Z".parse().unwrap();
            let noted = competitors.record_price(ada, Id::from_object_id(id), price("3"), early);
            let noted = noted.await.unwrap();
            assert_eq!(
                noted.current_price,
                Some(price("1.99")),
                "a later price was known"
            );
            let late = "2024-01-01T00:00:00Z".parse().unwrap();
            let noted = competitors.record_price(ada, Id::from_object_id(id), price("4"), late);
            assert_eq!(noted.await.unwrap().current_price, Some(price("4")));
        }
    })
    .await;
}

#[tokio::test]
async fn a_deletion_that_broke_off_is_repeated() {
    on_indexed(async |store| {
        let (ada, bob) = (author(store, "ada").await.id, author(store, "bob").await.id);
        let liked = vec![Bson::from(ada.to_object_id())];
        let bobs = post(store, bob, liked.into(), Bson::Null).await;
        let book = store
            .books()
            .create(ada, NewBook::new("Tide"))
            .await
            .unwrap();
        // As if the first call had come as far as the books.
        let posts = documents(&store.mongo, "community_posts");
        let pulled = doc! {"$pull": {"likes": ada.to_object_id()}};
        posts.update_many(doc! {}, pulled).await.unwrap();
        store.users().delete(ada).await.unwrap();
        assert!(
            store
                .books()
                .get(ada, book.id)
                .await
                .unwrap_err()
                .is_not_found()
        );
        assert_eq!(
            store.community().get(bob, bobs).await.unwrap().like_count,
            0
        );
    })
    .await;
}

/// A purchase whose caller goes away at any moment is done wholly or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_purchase_is_whole_or_nothing() {
    on_indexed(async |store| {
        let ada = author(store, "ada").await.id;
        store.users().add_credits(ada, 10_000).await.unwrap();
        let book = store
            .books()
            .create(ada, NewBook::new("Tide"))
            .await
            .unwrap()
            .id;
        for micros in (0..20_000).step_by(700) {
            let new = authorstack_core::NewBoost::new(book, 1, 10);
            let boosts = store.boosts();
            let purchase = boosts.purchase(ada, new);
            let patience = std::time::Duration::from_micros(micros);
            let _ = tokio::time::timeout(patience, purchase).await;
        }
        // The server ends what was left open.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let all = PageRequest::first(200);
        let bought = store.boosts().list(ada, all).await.unwrap().items.len();
        let left = store.users().get(ada).await.unwrap().credits;
        assert_eq!(left, 10_000 - 10 * i64::try_from(bought).unwrap());
    })
    .await;
}
