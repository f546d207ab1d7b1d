//! Arrays without a bound move in bounded memory, and a run that is killed among them resumes.

use std::{fs, process::Stdio, time::Duration};

use authorstack_core::testing::servers;
use authorstack_examples::{
    dataset::{self, insert},
    scratch::Scratch,
    tool::Tool,
};
use bson::{DateTime, RawDocumentBuf, doc, oid::ObjectId};
use sqlx::Row;

const TOOL: &str = env!("CARGO_BIN_EXE_authorstack-migrate");
const LIKES: u32 = 200_000;
const COMMENTS: i64 = 20_000;
const PRICES: i64 = 100_000;
/// What the tool may take, in megabytes.
const MOST: u64 = 150;

/// A post that 200,000 users like, one with 20,000 comments, a competitor with 100,000 prices.
async fn filled() -> Scratch {
    let (mongodb, supabase) = (servers::mongodb_url(), servers::supabase_db_url());
    let scratch = Scratch::create(&servers::fresh_name(), &mongodb, &supabase).await;
    let scratch = scratch.unwrap();
    let database = scratch.mongodb().await.unwrap();
    let (users, documents) = dataset::sound_users(51, LIKES as usize);
    insert(&database, "users", &documents).await.unwrap();
    let liked = dataset::sound_posts(1_000_000, &users, 1, LIKES as usize);
    insert(&database, "community_posts", &liked).await.unwrap();
    let raw = |document| RawDocumentBuf::try_from(&document).unwrap();
    let comments: Vec<_> = (0..COMMENTS)
        .map(|n| doc! {"id": format!("c{n}"), "authorId": users[0], "content": "Bravo, once more"})
        .collect();
    let discussed = doc! {
        "_id": ObjectId::new(), "authorId": users[0], "content": "x", "comments": comments,
    };
    insert(&database, "community_posts", &[raw(discussed)])
        .await
        .unwrap();
    let prices: Vec<_> = (0..PRICES)
        .map(|n| doc! {"price": 4.99, "date": DateTime::from_millis(n * 60_000)})
        .collect();
    let rival = doc! {
        "_id": ObjectId::new(), "userId": users[0], "asin": "B08N5WRWNW", "priceHistory": prices,
    };
    insert(&database, "competitors", &[raw(rival)])
        .await
        .unwrap();
    scratch
}

/// The most memory that a process has had, in megabytes, as long as it lives.
fn peak(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1_024)
}

async fn likes(scratch: &Scratch) -> i64 {
    let mut database = scratch.supabase().await.unwrap();
    let count = sqlx::query("select count(*) from public.post_likes");
    match count.fetch_one(&mut database).await {
        Ok(row) => row.get(0),
        // The tables are still to be made.
        Err(_) => 0,
    }
}

#[tokio::test]
async fn unbounded_arrays_move_in_bounded_memory_and_resume_within() {
    let scratch = filled().await;
    let tool = Tool::new(TOOL, &scratch).unwrap();
    let start = || {
        let mut run = tool.command(&["run"]);
        run.stdout(Stdio::null()).stderr(Stdio::null());
        run.spawn().unwrap()
    };
    // Killed among the likes of the one post.
    let mut child = start();
    loop {
        let there = likes(&scratch).await;
        if there > 0 {
            child.kill().unwrap();
            child.wait().unwrap();
            break;
        }
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended too early"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = likes(&scratch).await;
    assert!(before < i64::from(LIKES), "{before}");

    let mut child = start();
    let mut most = 0;
    let status = loop {
        most = most.max(peak(child.id()).unwrap_or_default());
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert_eq!(status.code(), Some(0));
    assert!(most > 0 && most < MOST, "{most} MB");
    let verified = tool.ask(&["verify"]).unwrap();
    assert_eq!(verified.code, Some(0), "{}", verified.json);

    let mut database = scratch.supabase().await.unwrap();
    let sql = "select max(like_count), max(comment_count), \
        (select count(*) from public.competitor_prices) from public.community_posts";
    let row = sqlx::query(sql).fetch_one(&mut database).await.unwrap();
    let found: (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(found, (i64::from(LIKES), COMMENTS, PRICES));
    drop(database);
    scratch.remove().await.unwrap();
}
