//! MongoDB as a migration's source.

use std::time::Duration;

use crate::common;

use authorstack_core::{
    Id,
    migrate::{BatchLimits, Kind, Position, Record, Scanned, ScannedBatch, Sink, Snapshot},
};
use authorstack_mongo::MongoStore;
use bson::{Bson, Document, RawDocumentBuf, doc, oid::ObjectId};
use common::{documents, fetch, insert_raw, on_empty};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

fn at_once(records: usize) -> BatchLimits {
    BatchLimits {
        records,
        ..BatchLimits::default()
    }
}

async fn batches(
    store: &MongoStore,
    after: Option<Position>,
    limits: BatchLimits,
) -> Vec<ScannedBatch> {
    store
        .scan(Kind::Books, after, limits)
        .try_collect()
        .await
        .unwrap()
}

fn keys(batches: &[ScannedBatch]) -> Vec<String> {
    let items = batches.iter().flat_map(|batch| &batch.items);
    items.map(|item| item.key.clone()).collect()
}

fn book(id: impl Into<Bson>) -> Document {
    doc! {"_id": id.into(), "userId": ObjectId::new(), "title": "T"}
}

#[tokio::test]
async fn every_id_type_is_walked_once_from_every_place() {
    on_empty(async |fresh| {
        let store = &fresh.mongo;
        let collection = documents(store, "books");
        let ids: Vec<Bson> = vec![
            Bson::MinKey,
            Bson::Null,
            (-1).into(),
            5_i64.into(),
            5.5.into(),
            f64::NAN.into(),
            Bson::Decimal128("7.50".parse().unwrap()),
            "a".into(),
            "6b0379ca3f6979be1a457c2c".into(),
            doc! {"b": 1, "a": 2}.into(),
            doc! {"b": 1, "a": 2.5}.into(),
            bson::Binary {
                subtype: bson::spec::BinarySubtype::Uuid,
                bytes: vec![7; 16],
            }
            .into(),
            ObjectId::parse_str("6b0379ca3f6979be1a457c2c")
                .unwrap()
                .into(),
            ObjectId::parse_str("6b0379ca3f6979be1a457c2d")
                .unwrap()
                .into(),
            false.into(),
            bson::DateTime::from_millis(-5).into(),
            Bson::Timestamp(bson::Timestamp {
                time: 1,
                increment: 2,
            }),
            Bson::MaxKey,
        ];
        collection
            .insert_many(ids.iter().rev().cloned().map(book))
            .await
            .unwrap();
        let all = batches(store, None, at_once(1)).await;
        assert_eq!(all.len(), ids.len());
        let keys_of_all = keys(&all);
        let mut distinct = keys_of_all.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), ids.len());
        for (index, batch) in all.iter().enumerate() {
            for limits in [at_once(1), at_once(4), BatchLimits::default()] {
                let rest = batches(store, Some(batch.position.clone()), limits).await;
                assert_eq!(
                    keys(&rest),
                    keys_of_all[index + 1..],
                    "{:?}",
                    batch.position
                );
            }
            // The record is found by its key.
            let key = &batch.items[0].key;
            let found = fetch(store, Kind::Books, key).await.unwrap();
            assert_eq!(
                (&found.key, &found.original),
                (key, &batch.items[0].original)
            );
        }
        // Only ObjectIds are records of ours.
        let good = all
            .iter()
            .flat_map(|b| &b.items)
            .filter(|i| i.outcome.is_ok());
        assert_eq!(good.count(), 2);
        assert_eq!(store.count(Kind::Books).await.unwrap(), ids.len() as u64);
    })
    .await;
}

#[tokio::test]
async fn batches_keep_their_limits() {
    on_empty(async |fresh| {
        let store = &fresh.mongo;
        let ids: Vec<_> = (0..12_000).map(|_| ObjectId::new()).collect();
        documents(store, "books")
            .insert_many(ids.iter().copied().map(book))
            .await
            .unwrap();
        let expected: Vec<_> = ids.iter().map(|id| id.to_hex()).collect();
        for (limits, most) in [
            (at_once(7_000), 7_000),
            (at_once(999), 999),
            (
                BatchLimits {
                    records: 10_000,
                    bytes: 10_000,
                },
                200,
            ),
        ] {
            let all = batches(store, None, limits).await;
            assert_eq!(keys(&all), expected);
            assert!(all.iter().all(|batch| batch.items.len() <= most));
            let full = all.iter().filter(|batch| batch.items.len() < most.min(100));
            assert!(full.count() <= 1, "only the last batch is small");
        }
        let record = batches(store, None, at_once(1))
            .await
            .remove(0)
            .items
            .remove(0);
        assert!(matches!(record.outcome, Ok(Record::Book(_))));
        assert_eq!(record.key, Id::<()>::from_object_id(ids[0]).to_string());
    })
    .await;
}

#[tokio::test]
async fn a_missing_collection_is_empty() {
    on_empty(async |fresh| {
        let store = &fresh.mongo;
        assert!(batches(store, None, at_once(5)).await.is_empty());
        let place = Position(r#"{"$oid":"6b0379ca3f6979be1a457c2c"}"#.to_owned());
        assert!(batches(store, Some(place), at_once(5)).await.is_empty());
        assert_eq!(store.count(Kind::Books).await.unwrap(), 0);
        assert!(
            fetch(store, Kind::Books, "6b0379ca3f6979be1a457c2c")
                .await
                .is_none()
        );
        assert!(fetch(store, Kind::Books, "nonsense").await.is_none());
        let mut nonsense = store.scan(Kind::Books, Some(Position("{".into())), at_once(5));
        assert!(nonsense.next().await.unwrap().is_err());
        assert!(nonsense.next().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn large_documents_are_batches_of_their_own() {
    on_empty(async |fresh| {
        let store = &fresh.mongo;
        let collection = documents(store, "books");
        for size in [12, 1, 15] {
            let mut large = book(ObjectId::new());
            large.insert("description", "x".repeat(size << 20));
            collection.insert_one(large).await.unwrap();
        }
        let all = batches(store, None, BatchLimits::default()).await;
        assert_eq!(all.len(), 3);
        let Ok(Record::Book(book)) = &all[0].items[0].outcome else {
            panic!("{:?}", all[0].items[0].outcome)
        };
        // It is too long for a description, so it is set aside.
        assert_eq!(book.description, None);
        let text = book.extra["_setAside"]["description"].as_str().unwrap();
        assert_eq!(text.len(), 12 << 20);
        let rest = batches(store, Some(all[0].position.clone()), BatchLimits::default()).await;
        assert_eq!(rest.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_cursor_that_the_server_closed_is_opened_again() {
    on_empty(async |fresh| {
        let store = &fresh.mongo;
        let ids: Vec<_> = (0..11_000).map(|_| ObjectId::new()).collect();
        documents(store, "books")
            .insert_many(ids.iter().copied().map(book))
            .await
            .unwrap();
        let mut scan = store.scan(Kind::Books, None, at_once(5_000));
        let mut found = vec![scan.next().await.unwrap().unwrap()];
        kill_cursors(store).await;
        while let Some(batch) = scan.next().await {
            found.push(batch.unwrap());
        }
        assert_eq!(
            keys(&found),
            ids.iter().map(|id| id.to_hex()).collect::<Vec<_>>()
        );
    })
    .await;
}

async fn kill_cursors(store: &MongoStore) {
    let namespace = format!("{}.books", store.database().name());
    let idle = vec![
        doc! {"$currentOp": {"idleCursors": true, "allUsers": true}},
        doc! {"$match": {"type": "idleCursor", "ns": namespace}},
    ];
    let admin = store.database().client().database("admin");
    // It is idle when the answer that was asked for in advance is made.
    let mut cursors: Vec<Document> = Vec::new();
    for _ in 0..100 {
        let found = admin.aggregate(idle.clone()).await.unwrap();
        cursors = found.try_collect().await.unwrap();
        if !cursors.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!cursors.is_empty(), "the scan should have a cursor");
    for cursor in cursors {
        let id = cursor
            .get_document("cursor")
            .unwrap()
            .get_i64("cursorId")
            .unwrap();
        let kill = doc! {"killCursors": "books", "cursors": [id]};
        store.database().run_command(kill).await.unwrap();
    }
}

async fn only(store: &MongoStore) -> Scanned {
    let mut all = batches(store, None, BatchLimits::default()).await;
    assert_eq!(all.len(), 1);
    all.remove(0).items.remove(0)
}

#[tokio::test]
async fn a_record_is_shown_with_its_types_and_read_back() {
    on_empty(async |fresh| {
        let store = &fresh.mongo;
        let mut document = book(ObjectId::parse_str("6b0379ca3f6979be1a457c2c").unwrap());
        document.extend(doc! {
            "isbn": "9783161484101",
            "rank": 5_i64,
            "price": 4.0,
            "old": {"when": bson::DateTime::from_millis(0), "n": [1, 2_i64]},
        });
        documents(store, "books")
            .insert_one(document)
            .await
            .unwrap();
        let scanned = only(store).await;
        assert!(scanned.outcome.is_ok(), "the ISBN is set aside");
        let problems = scanned.set_aside;
        assert_eq!(problems.0[0].field, "isbn");
        let mut shown = store.encode(Kind::Books, &scanned.original);
        assert_eq!(shown["_id"], json!({"$oid": "6b0379ca3f6979be1a457c2c"}));
        assert_eq!(shown["rank"], json!({"$numberLong": "5"}));
        assert_eq!(shown["price"], json!({"$numberDouble": "4.0"}));
        assert_eq!(shown["old"]["when"], json!({"$date": {"$numberLong": "0"}}));
        assert!(shown.get("$bson").is_none());
        assert_eq!(store.decode(Kind::Books, &shown).unwrap_err(), problems);
        shown["isbn"] = json!("9783161484100");
        let Record::Book(book) = store.decode(Kind::Books, &shown).unwrap() else {
            panic!("a book")
        };
        assert_eq!(book.extra["price"], json!(4.0));
        assert_eq!(
            book.extra["old"]["when"],
            json!({"$date": "1970-01-01T00:00:00Z"})
        );
    })
    .await;
}

/// A book whose description is not UTF-8.
fn not_utf8() -> RawDocumentBuf {
    let id = ObjectId::parse_str("6b0379ca3f6979be1a457c2c").unwrap();
    let document = doc! {"_id": id, "userId": id, "title": "T", "description": "caf??"};
    let mut bytes = RawDocumentBuf::try_from(&document).unwrap().into_bytes();
    let at = bytes.windows(2).position(|two| two == b"??").unwrap();
    bytes[at..at + 2].copy_from_slice(&[0xe9, b'!']);
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

#[tokio::test]
async fn a_record_that_is_not_utf8_loses_nothing() {
    on_empty(async |fresh| {
        let store = &fresh.mongo;
        insert_raw(store, "books", not_utf8()).await;
        let scanned = only(store).await;
        assert_eq!(scanned.original.bytes(None), not_utf8().into_bytes());
        let problems = scanned.outcome.unwrap_err();
        assert_eq!(problems.0[0].field, "description");
        let mut shown = store.encode(Kind::Books, &scanned.original);
        assert_eq!(shown["description"], "caf\u{fffd}!");
        assert!(shown["$bson"].is_string());
        assert_eq!(store.decode(Kind::Books, &shown).unwrap_err(), problems);
        shown["description"] = json!("café!");
        let Record::Book(book) = store.decode(Kind::Books, &shown).unwrap() else {
            panic!("a book")
        };
        assert_eq!(book.description.as_deref(), Some("café!"));
        assert!(book.extra.is_empty());
        shown["$bson"] = json!("?");
        assert_eq!(
            store.decode(Kind::Books, &shown).unwrap_err().0[0].field,
            "$bson"
        );
        assert!(store.decode(Kind::Books, &Value::Null).is_err());
    })
    .await;
}

#[tokio::test]
async fn an_id_that_is_not_utf8_holds_nothing_up() {
    on_empty(async |fresh| {
        let store = &fresh.mongo;
        let mut bytes = RawDocumentBuf::try_from(&book("??")).unwrap().into_bytes();
        let at = bytes.windows(2).position(|two| two == b"??").unwrap();
        bytes[at..at + 2].copy_from_slice(&[0xe9, 0xe9]);
        insert_raw(store, "books", RawDocumentBuf::from_bytes(bytes).unwrap()).await;
        documents(store, "books")
            .insert_many([book("a"), book(ObjectId::new())])
            .await
            .unwrap();
        let all = batches(store, None, at_once(1)).await;
        assert_eq!(all.len(), 3);
        // The one whose `_id` cannot be sent comes twice, the others once.
        for (index, rest) in [(0, 2), (1, 2), (2, 0)] {
            let found = batches(store, Some(all[index].position.clone()), at_once(10)).await;
            assert_eq!(keys(&found).len(), rest, "{index}");
        }
    })
    .await;
}

/// A position after each of the batches leads to the rest.
async fn resumes_everywhere(store: &MongoStore, expected: &[String]) {
    let all = batches(store, None, at_once(1)).await;
    assert_eq!(keys(&all), expected);
    for (index, batch) in all.iter().enumerate() {
        for limits in [at_once(1), at_once(3), BatchLimits::default()] {
            let rest = batches(store, Some(batch.position.clone()), limits).await;
            assert_eq!(keys(&rest), expected[index + 1..], "{:?}", batch.position);
        }
    }
}

/// Ids of several types, in the server's order.
fn mixed_ids() -> Vec<Bson> {
    let ids = [
        Bson::MinKey,
        5.into(),
        "B".into(),
        "a".into(),
        doc! {"x": "$gt"}.into(),
        "$title".into(),
        ObjectId::parse_str("6b0379ca3f6979be1a457c2c")
            .unwrap()
            .into(),
        ObjectId::parse_str("6b0379ca3f6979be1a457c2d")
            .unwrap()
            .into(),
        true.into(),
        bson::DateTime::from_millis(5).into(),
        Bson::MaxKey,
    ];
    ids.to_vec()
}

async fn keys_of(store: &MongoStore) -> Vec<String> {
    keys(&batches(store, None, BatchLimits::default()).await)
}

#[tokio::test]
async fn a_view_is_walked_once_from_every_place() {
    on_empty(async |fresh| {
        let store = &fresh.mongo;
        let database = store.database();
        let held = documents(store, "app_books");
        held.insert_many(mixed_ids().into_iter().rev().map(book))
            .await
            .unwrap();
        held.insert_one(doc! {"_id": ObjectId::new(), "deleted": true})
            .await
            .unwrap();
        for stages in [
            vec![doc! {"$match": {"deleted": null}}],
            // No index helps to sort these.
            vec![
                doc! {"$match": {"deleted": null}},
                doc! {"$replaceWith": {"$mergeObjects": ["$$ROOT", {"seen": true}]}},
            ],
        ] {
            let create = database.create_collection("books").view_on("app_books");
            create.pipeline(stages).await.unwrap();
            let expected = keys_of(store).await;
            assert_eq!(expected.len(), mixed_ids().len());
            resumes_everywhere(store, &expected).await;
            assert_eq!(store.count(Kind::Books).await.unwrap(), 11);
            let found = fetch(store, Kind::Books, &expected[6]).await.unwrap();
            assert_eq!(found.key, expected[6]);
            documents(store, "books").drop().await.unwrap();
        }
        // Parts of a view, too.
        let posts = documents(store, "app_posts");
        for _ in 0..3 {
            let likes: Vec<ObjectId> = (0..3).map(|_| ObjectId::new()).collect();
            posts
                .insert_one(doc! {"authorId": ObjectId::new(), "likes": likes})
                .await
                .unwrap();
        }
        let create = database.create_collection("community_posts");
        create.view_on("app_posts").await.unwrap();
        let scan = |after| {
            let scan = store.scan(Kind::PostLikes, after, at_once(1));
            async { scan.try_collect::<Vec<_>>().await.unwrap() }
        };
        let all = scan(None).await;
        assert_eq!(all.len(), 9);
        for (index, batch) in all.iter().enumerate() {
            let rest = scan(Some(batch.position.clone())).await;
            assert_eq!(keys(&rest), keys(&all)[index + 1..]);
        }
    })
    .await;
}

#[tokio::test]
async fn what_has_no_keys_is_refused_by_name() {
    on_empty(async |fresh| {
        let store = &fresh.mongo;
        let series = doc! {"create": "books", "timeseries": {"timeField": "at"}};
        store.database().run_command(series).await.unwrap();
        let refusals = [
            store.count(Kind::Books).await.unwrap_err(),
            store
                .scan(Kind::Books, None, at_once(1))
                .try_collect::<Vec<_>>()
                .await
                .unwrap_err(),
        ];
        for error in refusals {
            let text = error.to_string();
            assert!(text.contains("books is a time series"), "{text}");
        }
        // Neither is written to.
        let view = store.database().create_collection("follows");
        view.view_on("app_follows").await.unwrap();
        let state = Sink::inspect(store).await.unwrap();
        let blockers = state.blockers.join("\n");
        assert!(blockers.contains("books is a time series"), "{blockers}");
        assert!(blockers.contains("follows is a view"), "{blockers}");
        // A view that gives one key to several documents.
        let id = ObjectId::new();
        documents(store, "app_users")
            .insert_one(doc! {"_id": id, "of": [1, 2]})
            .await
            .unwrap();
        let create = store.database().create_collection("users");
        let create = create.view_on("app_users");
        create.pipeline([doc! {"$unwind": "$of"}]).await.unwrap();
        let scan = store.scan(Kind::Users, None, at_once(1));
        let text = scan.try_collect::<Vec<_>>().await.unwrap_err().to_string();
        assert!(
            text.contains("users") && text.contains(&id.to_hex()),
            "{text}"
        );
    })
    .await;
}

#[tokio::test]
async fn collections_with_settings_are_walked_once_from_every_place() {
    on_empty(async |fresh| {
        let store = &fresh.mongo;
        for settings in [
            doc! {"collation": {"locale": "en", "strength": 2}},
            doc! {"collation": {"locale": "en", "numericOrdering": true}},
            doc! {"capped": true, "size": 1_000_000},
            doc! {"clusteredIndex": {"key": {"_id": 1}, "unique": true}},
            doc! {"validator": {"no": {"$exists": true}}, "validationAction": "warn"},
        ] {
            let mut create = doc! {"create": "books"};
            create.extend(settings.clone());
            store.database().run_command(create).await.unwrap();
            let mut ids = mixed_ids();
            if settings.contains_key("clusteredIndex") {
                // The server's own rule: no such key in a clustered collection.
                ids.retain(|id| !matches!(id, Bson::MinKey | Bson::MaxKey));
            }
            let count = ids.len();
            documents(store, "books")
                .insert_many(ids.into_iter().rev().map(book))
                .await
                .unwrap();
            let expected = keys_of(store).await;
            assert_eq!(expected.len(), count, "{settings}");
            resumes_everywhere(store, &expected).await;
            for key in &expected {
                let found = fetch(store, Kind::Books, key).await.unwrap();
                assert_eq!(found.key, *key, "{settings}");
            }
            documents(store, "books").drop().await.unwrap();
        }
    })
    .await;
}
