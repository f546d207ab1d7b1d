//! Likes, comments and prices are scanned one by one, however their arrays look.

use crate::common;

use std::collections::HashSet;

use authorstack_core::migrate::{
    BatchLimits, Kind, Position, Record, Scanned, ScannedBatch, Snapshot,
};
use authorstack_mongo::MongoStore;
use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use common::{documents, fetch, on_empty};
use futures::TryStreamExt;

fn id(n: u32) -> ObjectId {
    let mut bytes = [7; 12];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

async fn scan(
    store: &MongoStore,
    kind: Kind,
    after: Option<Position>,
    records: usize,
) -> Vec<ScannedBatch> {
    let limits = BatchLimits {
        records,
        bytes: 1 << 20,
    };
    let batches = Snapshot::scan(store, kind, after, limits).try_collect();
    batches.await.unwrap()
}

fn keys(batches: &[ScannedBatch]) -> Vec<String> {
    let items = batches.iter().flat_map(|batch| &batch.items);
    items.map(|item| item.key.clone()).collect()
}

async fn insert(store: &MongoStore, collection: &str, all: Vec<Document>) {
    documents(store, collection).insert_many(all).await.unwrap();
}

/// The problem of what is no record, or nothing.
fn problem(item: &Scanned) -> String {
    match &item.outcome {
        Ok(_) => String::new(),
        Err(problems) => problems.0[0].field.clone(),
    }
}

#[tokio::test]
async fn every_way_to_cut_a_scan_gives_all_of_it() {
    on_empty(async |fresh| {
        let store = &fresh.mongo;
        let likes = |n: u32| {
            (0..n)
                .rev()
                .map(|user| Bson::from(id(100 + user)))
                .collect()
        };
        let post =
            |n: u32, likes: Vec<Bson>| doc! {"_id": id(n), "authorId": id(1), "likes": likes};
        let mut dirty: Vec<Bson> = likes(3);
        dirty.insert(0, "someone".into());
        dirty.push(Bson::Null);
        dirty.push(id(100).into());
        insert(
            store,
            "community_posts",
            vec![
                post(1, likes(5)),
                post(2, vec![]),
                doc! {"_id": id(3), "authorId": id(1)},
                post(4, dirty),
                doc! {"_id": id(5), "likes": 7},
                doc! {"_id": "odd", "likes": [id(100)]},
                post(6, likes(1)),
            ],
        )
        .await;
        let whole = scan(store, Kind::PostLikes, None, 100).await;
        let expected = keys(&whole);
        assert_eq!(expected.len(), 13, "{expected:?}");
        assert_eq!(expected.iter().collect::<HashSet<_>>().len(), 13);
        assert_eq!(
            store.count(Kind::PostLikes).await.unwrap(),
            14,
            "one like stands twice"
        );
        for most in 1..=13 {
            let batches = scan(store, Kind::PostLikes, None, most).await;
            assert_eq!(keys(&batches), expected, "{most}");
            let mut given = 0;
            for batch in batches {
                assert!(batch.items.len() <= most);
                given += batch.items.len();
                let rest = scan(store, Kind::PostLikes, Some(batch.position), 4).await;
                assert_eq!(keys(&rest), expected[given..], "{most} {given}");
            }
        }
        for item in whole.iter().flat_map(|batch| &batch.items) {
            let fetched = fetch(store, Kind::PostLikes, &item.key).await;
            let fetched = fetched.unwrap();
            assert_eq!(fetched.key, item.key);
            assert_eq!(fetched.outcome, item.outcome);
            assert_eq!(fetched.original, item.original);
            // What the rejects show is read back as it was.
            let shown = store.encode(Kind::PostLikes, &item.original);
            assert_eq!(store.decode(Kind::PostLikes, &shown), item.outcome);
        }
        let nothing = fetch(store, Kind::PostLikes, "nothing").await;
        assert!(nothing.is_none());
    })
    .await;
}

#[tokio::test]
async fn comments_and_prices_have_their_keys_and_problems() {
    on_empty(async |fresh| {
        let store = &fresh.mongo;
        let comment = |name: &str| doc! {"id": name, "authorId": id(1), "content": "x"};
        let written = DateTime::from_millis(1_700_000_000_000);
        insert(
            store,
            "community_posts",
            vec![doc! {
                "_id": id(1),
                "authorId": id(1),
                "createdAt": written,
                "comments": [
                    comment("b"),
                    comment("a.1"),
                    comment("b"),
                    {"id": "b", "authorId": id(2), "content": "another"},
                    {"authorId": id(1)},
                    "nice",
                    {"id": "c", "authorId": "someone"},
                ],
            }],
        )
        .await;
        let batches = scan(store, Kind::PostComments, None, 100).await;
        let found: Vec<(&str, String)> = batches[0]
            .items
            .iter()
            .map(|item| (item.key.split_once('.').unwrap().1, problem(item)))
            .collect();
        let expected = [
            ("a.1", ""),
            ("b", ""),
            ("comments.3", "comments.id"),
            ("comments.4", "comments.id"),
            ("comments.5", "comments"),
            ("comments.6", "comments.authorId"),
        ];
        assert_eq!(found, expected.map(|(key, field)| (key, field.to_owned())));
        let Ok(Record::Comment(first)) = &batches[0].items[0].outcome else {
            unreachable!("a comment");
        };
        assert_eq!(
            first.created_at.timestamp_millis(),
            1_700_000_000_000,
            "the post's date"
        );

        let at = |millis: i64| DateTime::from_millis(millis);
        insert(
            store,
            "competitors",
            vec![doc! {
                "_id": id(9),
                "userId": id(1),
                "priceHistory": [
                    {"price": 2.5, "date": at(20)},
                    {"price": 1, "date": at(10), "shop": {"a": 1}},
                    {"price": 3.5, "date": at(20)},
                    {"price": f64::NAN, "date": at(30)},
                    {"price": 1},
                    {"price": 2.5, "date": at(20)},
                    9.99,
                ],
            }],
        )
        .await;
        let batches = scan(store, Kind::CompetitorPrices, None, 100).await;
        let found: Vec<(&str, String)> = batches[0]
            .items
            .iter()
            .map(|item| (item.key.split_once('.').unwrap().1, problem(item)))
            .collect();
        let expected = [
            ("10", ""),
            ("20", ""),
            ("priceHistory.2", "priceHistory.date"),
            ("priceHistory.3", "priceHistory.price"),
            ("priceHistory.4", "priceHistory.date"),
            ("priceHistory.6", "priceHistory"),
        ];
        assert_eq!(found, expected.map(|(key, field)| (key, field.to_owned())));
        for item in &batches[0].items {
            let fetched = fetch(store, Kind::CompetitorPrices, &item.key).await;
            assert_eq!(fetched.unwrap().original, item.original);
        }
    })
    .await;
}

#[tokio::test]
async fn a_post_that_very_many_like_comes_in_batches() {
    const LIKES: u32 = 200_000;
    on_empty(async |fresh| {
        let store = &fresh.mongo;
        let likes: Vec<Bson> = (0..LIKES).rev().map(|user| id(user).into()).collect();
        insert(
            store,
            "community_posts",
            vec![doc! {"_id": id(1), "likes": likes}],
        )
        .await;
        let batches = scan(store, Kind::PostLikes, None, 10_000).await;
        assert_eq!(batches.len(), 20);
        let all = keys(&batches);
        assert!(all.is_sorted());
        assert_eq!(all.len(), LIKES as usize);
        let middle = batches.into_iter().nth(9).unwrap().position;
        let rest = scan(store, Kind::PostLikes, Some(middle), 10_000).await;
        assert_eq!(keys(&rest), all[100_000..]);
        // The post itself is small without them.
        let posts = scan(store, Kind::CommunityPosts, None, 10).await;
        assert!(posts[0].items[0].original.len() < 100);
    })
    .await;
}

#[tokio::test]
async fn likes_that_come_and_go_between_two_runs_lose_no_other() {
    on_empty(async |fresh| {
        let store = &fresh.mongo;
        let likes: Vec<Bson> = (0..10).map(|user| id(user * 10).into()).collect();
        insert(
            store,
            "community_posts",
            vec![doc! {"_id": id(1), "likes": likes}],
        )
        .await;
        let first = scan(store, Kind::PostLikes, None, 4).await.remove(0);
        let change = doc! {"$pull": {"likes": id(30)}};
        let posts = documents(store, "community_posts");
        posts.update_one(doc! {}, change).await.unwrap();
        posts
            .update_one(doc! {}, doc! {"$push": {"likes": id(55)}})
            .await
            .unwrap();
        let rest = keys(&scan(store, Kind::PostLikes, Some(first.position), 100).await);
        let expected = [40, 50, 55, 60, 70, 80, 90].map(|user| format!("{}.{}", id(1), id(user)));
        assert_eq!(rest, expected);
    })
    .await;
}
