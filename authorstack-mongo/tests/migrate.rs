//! The engine with MongoDB as its source.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step of a test panics"
)]

mod common;

use std::sync::Arc;

use authorstack_core::{
    Id, MemoryStore,
    migrate::{Destination, Kind, RunOptions, Silent, Status, replay, run, verify},
    testing::author,
};
use bson::{RawDocumentBuf, doc, oid::ObjectId};
use common::{documents, insert_raw, on_indexed};
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

        let (source, memory) = (Arc::new(store.mongo.clone()), MemoryStore::new());
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
