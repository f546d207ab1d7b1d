//! What stands in data never reaches a terminal as it is.

use crate::common;

use std::{fs, process::Output};

use authorstack_core::is_unseen;
use authorstack_examples::{dataset, tool::Tool};
use bson::{Bson, Document, doc, oid::ObjectId};
use common::fresh;
use sqlx::Executor;

/// An escape sequence, C1 controls, a line break, a bidirectional control, no width.
const HOSTILE: &str =
    "\u{1b}]0;pwned\u{7}\u{9b}2J\r\nboth sides are equal\n\u{202e}\u{2066}\u{200b}\u{e0041}";

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

/// Runs a command for people. Answers what it said, which must be safe and bounded.
fn ask(tool: &Tool, arguments: &[&str]) -> String {
    let output = tool.command(arguments).output().unwrap();
    let said = said(&output);
    let is_safe = !said.chars().any(|c| c != '\n' && is_unseen(c));
    assert!(is_safe, "{arguments:?}: {said:?}");
    for line in said.lines() {
        assert!(line.chars().count() < 5_000, "{arguments:?}: {line}");
    }
    assert!(said.len() < 100_000, "{arguments:?}: {} bytes", said.len());
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_prints_data_as_it_is() {
    let (scratch, tool) = fresh().await;
    let database = scratch.mongodb().await.unwrap();
    let (ids, users) = dataset::sound_users(7, 2);
    dataset::insert(&database, "users", &users).await.unwrap();
    // An id and the name of a field, both far too long, of records that cannot move.
    let long = HOSTILE.repeat(20_000);
    let mut book = doc! {"_id": ObjectId::new(), "userId": ids[0], "title": "A"};
    book.insert(HOSTILE, "a\0b");
    let mut other = doc! {"_id": &long, "userId": ids[0], "title": "B"};
    other.insert(long.clone(), "a\0b");
    let books = database.collection::<Document>("books");
    books.insert_many([book, other]).await.unwrap();
    // A comment whose id is the sequence itself, as a client may write it.
    let comment = |id: &str| {
        doc! {
            "id": id, "authorId": ids[1], "text": "hello",
            "createdAt": bson::DateTime::from_millis(1_700_000_000_000),
        }
    };
    let post = doc! {
        "_id": ObjectId::new(), "authorId": ids[0], "content": "post", "visibility": "public",
        "likes": [ids[1], Bson::String(HOSTILE.into())],
        "comments": [comment(HOSTILE), comment("c2\u{9b}2J\u{202e}")],
        "createdAt": bson::DateTime::from_millis(1_700_000_000_000),
    };
    let posts = database.collection::<Document>("community_posts");
    posts.insert_one(post).await.unwrap();

    let plan = ask(&tool, &["plan", "--details"]);
    ask(&tool, &["plan"]);
    assert!(plan.contains(r"\u{1b}]0;pwned\u{7}\u{9b}2J"), "{plan}");
    assert!(plan.contains("characters)"), "{plan}");
    let run = ask(&tool, &["run"]);
    assert!(run.contains("rejects are in"), "{run}");
    let mut supabase = scratch.supabase().await.unwrap();
    let change = "delete from public.post_comments";
    supabase.execute(change).await.unwrap();
    ask(&tool, &["verify"]);
    ask(&tool, &["repair"]);

    // Lines of a file that is not the tool's own.
    let mut line = tool.rejects().unwrap().remove(0);
    line.key = long;
    let line = serde_json::to_string(&line).unwrap();
    fs::write(tool.folder().join("forged.jsonl"), line + "\n").unwrap();
    let refused = ask(&tool, &["replay", "forged.jsonl"]);
    assert!(refused.contains("were refused"), "{refused}");
    let open = tool.folder().join("authorstack-rejects.jsonl");
    ask(&tool, &["replay", open.to_str().unwrap()]);

    // Names of files and arguments.
    for arguments in [
        vec!["replay", "a\u{1b}[2J\u{9b}\nb.jsonl"],
        vec!["plan", "--config", "a\u{1b}[2J\u{202e}.toml"],
        vec!["plan", "--kind", "a\u{1b}[2J\u{9b}31m\nb"],
        vec!["plan", "--kind=a\u{1b}[2J"],
        vec!["\u{1b}[2J\u{202e}"],
        vec!["run", "--rejects-file", "no\u{1b}[2J/such/folder.jsonl"],
    ] {
        let said = ask(&tool, &arguments);
        assert!(said.contains(r"\u{1b}[2J"), "{arguments:?}: {said}");
    }
    fs::write(
        tool.folder().join("authorstack.toml"),
        "\"k\u{9b}\\u001b[2J\" = 1\n",
    )
    .unwrap();
    ask(&tool, &["plan"]);
    scratch.remove().await.unwrap();
}
