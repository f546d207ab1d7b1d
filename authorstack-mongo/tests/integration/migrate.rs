//! The engine with MongoDB as its source.

use crate::common;

use std::sync::Arc;

use authorstack_core::{
    Id, MemoryStore,
    migrate::{Destination, Kind, RunOptions, Silent, Status, Strict, replay, run, verify},
    testing::author,
};
use bson::{RawDocumentBuf, doc, oid::ObjectId};
use common::{documents, fetch, insert_raw, on_indexed};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

#[tokio::test]
async fn what_cannot_move_is_rejected_whole_corrected_and_replayed() {
    on_indexed(async |store| {
        let ada = author(store, "ada").await;
        let owner = ada.id.to_object_id();
        let good = doc! {"_id": ObjectId::new(), "userId": owner, "title": "Good", "rank": 1e300};
        let wrong = doc! {"_id": ObjectId::new(), "userId": owner, "title": "Wrong", "isbn": "1"};
        documents(&store.mongo, "books")
            .insert_many([&good, &wrong])
            .await
            .unwrap();
        let not_utf8 =
            doc! {"_id": ObjectId::new(), "userId": owner, "title": "caf??", "token": "hunter2"};
        let mut bytes = RawDocumentBuf::try_from(&not_utf8).unwrap().into_bytes();
        let at = bytes.windows(2).position(|two| two == b"??").unwrap();
        bytes[at..at + 2].copy_from_slice(&[0xe9, b'!']);
        insert_raw(
            &store.mongo,
            "books",
            RawDocumentBuf::from_bytes(bytes).unwrap(),
        )
        .await;

        let source = Arc::new(Strict::new(Arc::new(store.mongo.clone())));
        let memory = MemoryStore::new();
        let target = Destination::transactional(Arc::new(memory.clone()));
        let report = run(source.clone(), &target, &RunOptions::default(), &Silent)
            .await
            .unwrap();
        assert_eq!(report.status, Status::Incomplete);
        let books = report
            .kinds
            .iter()
            .find(|kind| kind.kind == Kind::Books)
            .unwrap();
        assert_eq!((books.counts.written, books.counts.rejected), (1, 2));
        let id = Id::from_object_id(good.get_object_id("_id").unwrap());
        let moved = memory.stack().books().get(ada.id, id).await.unwrap();
        assert_eq!(moved.extra["rank"], json!({"$numberDouble": "1e300"}));

        let rejects: Vec<Vec<_>> = target.rejects().try_collect().await.unwrap();
        let mut lines: Vec<_> = rejects
            .concat()
            .iter()
            .map(|reject| reject.to_line().unwrap())
            .collect();
        assert!(!format!("{lines:?}").contains("hunter2"));
        for line in &mut lines {
            match line.problems.0[0].field.as_str() {
                "isbn" => line.record["isbn"] = json!("9783161484100"),
                "title" => line.record["title"] = json!("café!"),
                other => panic!("{other}"),
            }
        }
        let lines = stream::iter(lines.into_iter().map(Ok)).boxed();
        let report = replay(source.clone(), &target, lines, &Silent)
            .await
            .unwrap();
        assert_eq!(report.status, Status::Complete, "{report:?}");
        let id = Id::from_object_id(not_utf8.get_object_id("_id").unwrap());
        let replayed = memory.stack().books().get(ada.id, id).await.unwrap();
        assert_eq!(
            (replayed.title.as_str(), &replayed.extra["token"]),
            ("café!", &json!("hunter2"))
        );

        let found = verify(source, &target, &[Kind::Users], &Silent)
            .await
            .unwrap();
        assert_eq!(found.status, Status::Complete);
    })
    .await;
}

#[tokio::test]
async fn a_key_reaches_the_server_as_a_value() {
    on_indexed(async |store| {
        let ada = author(store, "ada").await;
        let odd = doc! {"_id": {"a": 1}, "userId": ada.id.to_object_id(), "title": "Odd"};
        documents(&store.mongo, "books")
            .insert_one(odd)
            .await
            .unwrap();
        for key in [
            r#"{"$ne":null}"#,
            r#"{"$gt":{"$minKey":1}}"#,
            r#"{"$where":"sleep(10000)"}"#,
            r#"{"$in":[{"$minKey":1}]}"#,
            r#"{"$regularExpression":{"pattern":"","options":""}}"#,
            r#"{"$undefined":true}"#,
            r#"[{"$minKey":1}]"#,
            r#"{"$expr":true}"#,
        ] {
            for kind in [Kind::Users, Kind::Books, Kind::PostLikes] {
                assert!(
                    fetch(&store.mongo, kind, key).await.is_none(),
                    "{kind} {key}"
                );
            }
        }
        let key = r#"{"a":{"$numberInt":"1"}}"#;
        assert!(fetch(&store.mongo, Kind::Books, key).await.is_some());
    })
    .await;
}

#[tokio::test]
async fn secrets_go_to_their_own_entry_or_nowhere() {
    on_indexed(async |store| {
        let (id, users) = (ObjectId::new(), documents(&store.mongo, "users"));
        let token = |of: &str| doc! {"platform": of, "refreshToken": format!("token of {of}")};
        let user = doc! {
            "_id": id, "authId": "auth-eve", "authProvider": "appwrite", "name": 7,
            "email": "eve@example.org", "passwordHash": "hunter2",
            "platforms": [token("kdp"), token("apple")],
        };
        users.insert_one(&user).await.unwrap();
        let source = Arc::new(Strict::new(Arc::new(store.mongo.clone())));
        let memory = MemoryStore::new();
        let target = Destination::transactional(Arc::new(memory.clone()));
        let options = RunOptions::default();
        run(source.clone(), &target, &options, &Silent)
            .await
            .unwrap();
        let lines = async || {
            let rejects: Vec<Vec<_>> = target.rejects().try_collect().await.unwrap();
            let lines = rejects.concat().into_iter();
            lines.map(|it| it.to_line().unwrap()).collect::<Vec<_>>()
        };
        let load = async |line| {
            let lines = stream::iter([Ok(line)]).boxed();
            replay(source.clone(), &target, lines, &Silent)
                .await
                .unwrap()
        };
        let mut line = lines().await.remove(0);
        let text = line.record.to_string();
        assert!(
            !text.contains("hunter2") && !text.contains("token of"),
            "{text}"
        );
        line.record["name"] = json!("Eve");
        line.record["platforms"].as_array_mut().unwrap().remove(0);

        // The source was put into another order meanwhile.
        let platforms = vec![token("apple"), token("kdp")];
        let other = doc! {"$set": {"platforms": platforms}};
        users.update_one(doc! {"_id": id}, other).await.unwrap();
        assert_eq!(load(line.clone()).await.status, Status::Incomplete);
        let open = lines().await;
        assert!(
            open[0].reason.contains("has changed in the source"),
            "{open:?}"
        );

        let before = doc! {"$set": {"platforms": user.get("platforms").unwrap()}};
        users.update_one(doc! {"_id": id}, before).await.unwrap();
        let report = load(line).await;
        assert_eq!(report.status, Status::Complete, "{:?}", lines().await);
        let moved = memory
            .stack()
            .users()
            .get(Id::from_object_id(id))
            .await
            .unwrap();
        assert_eq!(moved.extra["passwordHash"], "hunter2");
        let expected = json!([{"platform": "apple", "refreshToken": "token of apple"}]);
        assert_eq!(moved.extra["platforms"], expected);
    })
    .await;
}

#[tokio::test]
async fn a_replay_sets_aside_as_a_run_does() {
    on_indexed(async |store| {
        let ada = author(store, "ada").await;
        let id = ObjectId::new();
        let wrong = doc! {"_id": id, "userId": ada.id.to_object_id(), "title": 5, "isbn": "1"};
        let books = documents(&store.mongo, "books");
        books.insert_one(&wrong).await.unwrap();
        let (source, memory) = (Arc::new(store.mongo.clone()), MemoryStore::new());
        let target = Destination::transactional(Arc::new(memory.clone()));
        run(source.clone(), &target, &RunOptions::default(), &Silent)
            .await
            .unwrap();
        let rejects: Vec<Vec<_>> = target.rejects().try_collect().await.unwrap();
        let mut line = rejects.concat()[0].to_line().unwrap();
        let fields = line.problems.0.iter().map(|it| it.field.as_str());
        assert_eq!(fields.collect::<Vec<_>>(), ["title", "isbn"], "all at once");
        let set_aside: Vec<Vec<_>> = target.set_aside().try_collect().await.unwrap();
        assert!(set_aside.concat().is_empty(), "it did not move");

        line.record["title"] = json!("T");
        let lines = stream::iter([Ok(line)]).boxed();
        let report = replay(source, &target, lines, &Silent).await.unwrap();
        assert_eq!(report.status, Status::Complete, "{report:?}");
        let id = Id::from_object_id(id);
        let moved = memory.stack().books().get(ada.id, id).await.unwrap();
        assert_eq!(moved.extra["_setAside"], json!({"isbn": "1"}));
        let set_aside: Vec<Vec<_>> = target.set_aside().try_collect().await.unwrap();
        assert_eq!(set_aside.concat()[0].fields.0[0].field, "isbn");
    })
    .await;
}
