//! What the tests of the tool share.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::{process::Command, time::Duration};

use authorstack_core::testing::servers;
use authorstack_examples::{
    dataset::{self, Size},
    scratch::Scratch,
    tool::Tool,
};
use sqlx::Row;

pub(crate) const TOOL: &str = env!("CARGO_BIN_EXE_authorstack-migrate");

/// A pair of databases, and the tool between them.
pub(crate) async fn fresh() -> (Scratch, Tool) {
    let (mongodb, supabase) = (servers::mongodb_url(), servers::supabase_db_url());
    let scratch = Scratch::create(&servers::fresh_name(), &mongodb, &supabase)
        .await
        .unwrap();
    let tool = Tool::new(TOOL, &scratch).unwrap();
    (scratch, tool)
}

/// The same, with the dirty data set in MongoDB.
pub(crate) async fn filled(size: Size) -> (Scratch, Tool) {
    let (scratch, tool) = fresh().await;
    let data = dataset::generate(31, size);
    let database = scratch.mongodb().await.unwrap();
    data.insert(&database).await.unwrap();
    (scratch, tool)
}

pub(crate) fn signal(process: u32, name: &str) {
    let kill = Command::new("kill")
        .args([name, &process.to_string()])
        .status();
    assert!(kill.unwrap().success());
}

/// Waits until the first batch of books has been committed.
pub(crate) async fn wait_for_books(scratch: &Scratch) {
    let mut database = scratch.supabase().await.unwrap();
    for _ in 0..2_000 {
        let sql = "select count(*) from public.books";
        if let Ok(row) = sqlx::query(sql).fetch_one(&mut database).await
            && row.get::<i64, _>(0) > 0
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    unreachable!("no book has come");
}
