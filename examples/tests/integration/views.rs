//! Views and time series in the place of collections.

use crate::common;

use authorstack_core::migrate::Kind;
use authorstack_examples::dataset::Size;
use bson::{Document, doc};
use common::{filled, fresh, signal, wait_for_books};
use mongodb::Database;
use std::process::Stdio;

const SIZE: Size = Size {
    users: 20,
    books: 3_000,
};

/// Puts a view in the place of each collection.
async fn behind_views(database: &Database) {
    let name = database.name();
    let client = database.client();
    for kind in ["users", "books", "community_posts", "competitors"] {
        let (from, to) = (format!("{name}.{kind}"), format!("{name}.app_{kind}"));
        let rename = doc! {"renameCollection": from, "to": to};
        client.database("admin").run_command(rename).await.unwrap();
        let view = database.create_collection(kind);
        let view = view.view_on(format!("app_{kind}"));
        view.pipeline([doc! {"$match": {"deleted": null}}])
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn views_move_like_collections_also_after_a_kill() {
    let (scratch, tool) = filled(SIZE).await;
    let (copy, of_copy) = filled(SIZE).await;
    let expected = of_copy.ask(&["run"]).unwrap();
    let database = scratch.mongodb().await.unwrap();
    behind_views(&database).await;
    let plan = tool.ask(&["plan"]).unwrap();
    assert_eq!(
        plan.sum("rejected"),
        expected.sum("rejected"),
        "{}",
        plan.stderr
    );
    let mut child = tool
        .command(&["run", "--batch-records", "50"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_books(&scratch).await;
    signal(child.id(), "-KILL");
    child.wait().unwrap();
    let run = tool.ask(&["run", "--batch-records", "50"]).unwrap();
    assert_eq!(run.code, expected.code, "{}", run.stderr);
    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.sum("differing"), 0, "{}", verified.json);
    let lines = |tool: &authorstack_examples::tool::Tool| {
        let lines = tool.rejects().unwrap().into_iter();
        let mut lines: Vec<_> = lines
            .map(|line| (line.kind, line.key, line.reason))
            .collect();
        lines.sort_by(|a, b| (a.0.as_str(), &a.1).cmp(&(b.0.as_str(), &b.1)));
        lines
    };
    assert_eq!(lines(&tool), lines(&of_copy));
    scratch.remove().await.unwrap();
    copy.remove().await.unwrap();
}

#[tokio::test]
async fn a_time_series_is_refused_by_name() {
    let (scratch, tool) = fresh().await;
    let database = scratch.mongodb().await.unwrap();
    let series = doc! {"create": "competitors", "timeseries": {"timeField": "at"}};
    database.run_command(series).await.unwrap();
    let users = database.collection::<Document>(Kind::Users.as_str());
    users
        .insert_one(doc! {"authId": "a", "email": "a@example.org"})
        .await
        .unwrap();
    for command in ["plan", "run", "verify"] {
        let answer = tool.ask(&[command]).unwrap();
        assert_eq!(answer.code, Some(2), "{command}: {}", answer.stderr);
        let text = format!("{}{}", answer.json, answer.stderr);
        assert!(
            text.contains("competitors is a time series"),
            "{command}: {text}"
        );
    }
    scratch.remove().await.unwrap();
}
