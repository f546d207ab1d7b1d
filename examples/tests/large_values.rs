//! Values of 100 MB, far more than the target takes: each is a reject that is whole, and the tool's
//! memory does not grow with their number.

#![allow(clippy::unwrap_used, reason = "a failed check of a test panics")]

mod common;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    process::Stdio,
    thread::sleep,
    time::Duration,
};

use authorstack_core::{Id, User, testing::servers};
use authorstack_examples::{
    dataset,
    scratch::Scratch,
    tool::{Tool, resident_peak},
};
use sqlx::{Executor, query};

/// The bytes of a value.
const LARGE: i32 = 100 << 20;
/// The memory that may be needed for one value: its text, its form for the other side, what the
/// drivers hold of it, and the tool itself.
const MOST_MB: f64 = 800.0;
const VALUES: usize = 3;

/// Runs a command of the tool. Returns its exit code and its peak of memory in megabytes.
fn watched(tool: &Tool, arguments: &[&str]) -> (Option<i32>, f64) {
    let errors = File::create(tool.folder().join("stderr")).unwrap();
    let mut child = tool
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .unwrap();
    let mut peak: f64 = 0.0;
    loop {
        peak = peak.max(resident_peak(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code(), peak);
        }
        sleep(Duration::from_millis(5));
    }
}

/// Insights of 100 MB each, of one user.
async fn filled() -> (Scratch, Tool) {
    let (mongodb, supabase) = (servers::mongodb_url(), servers::supabase_db_url());
    let postgres = servers::setting("AUTHORSTACK_TEST_POSTGRES_URL");
    let scratch = Scratch::create(&servers::fresh_name(), &mongodb, &supabase)
        .await
        .unwrap();
    let scratch = scratch.with_postgres(&postgres).await.unwrap();
    let (users, documents) = dataset::sound_users(3, 1);
    let database = scratch.mongodb().await.unwrap();
    dataset::insert(&database, "users", &documents)
        .await
        .unwrap();
    let user: Id<User> = users[0].to_string().parse().unwrap();
    let mut analytics = scratch.postgres().await.unwrap();
    for number in 0..VALUES {
        let letter = char::from(b'a' + u8::try_from(number).unwrap()).to_string();
        let insert = "insert into ai_insights (user_id, insight_type, content, confidence) \
                      values ($1, 'trend', jsonb_build_object('text', repeat($2, $3)), 0.5)";
        let insert = query(insert).bind(user.to_uuid()).bind(letter).bind(LARGE);
        insert.execute(&mut analytics).await.unwrap();
    }
    let tool = Tool::new(common::TOOL, &scratch).unwrap();
    (scratch, tool)
}

/// Rows of the target from before there was a check of their size.
async fn grown(scratch: &Scratch) {
    let mut target = scratch.supabase().await.unwrap();
    let drop = "alter table public.ai_insights drop constraint ai_insights_content_check";
    target.execute(drop).await.unwrap();
    let insert = "insert into public.ai_insights (id, user_id, insight_type, content) \
                  select 1000 + number, (select id from public.users limit 1), 'trend', \
                    jsonb_build_object('text', repeat('z', $1)) \
                  from generate_series(1, $2) as number";
    let rows = i32::try_from(VALUES).unwrap();
    let insert = query(insert).bind(LARGE).bind(rows);
    insert.execute(&mut target).await.unwrap();
}

#[tokio::test]
async fn memory_does_not_grow_with_their_number() {
    let (scratch, tool) = filled().await;
    let mut peaks = Vec::new();
    let mut step = |arguments: &[&str]| {
        let (code, peak) = watched(&tool, arguments);
        let stderr = fs::read_to_string(tool.folder().join("stderr")).unwrap();
        assert_eq!(code, Some(1), "{arguments:?}: {stderr}");
        eprintln!("{arguments:?}: {peak:.0} MB");
        peaks.push((arguments.join(" "), peak));
    };
    step(&["run"]);
    grown(&scratch).await;
    step(&["verify"]);
    for (command, peak) in peaks {
        assert!(peak < MOST_MB, "{command}: {peak:.0} MB");
    }

    // Each is a reject that is whole: a line of its own size.
    let rejects = File::open(tool.folder().join("authorstack-rejects.jsonl")).unwrap();
    let mut lines = 0;
    for line in BufReader::new(rejects).lines() {
        let line = line.unwrap();
        assert!(
            line.len() > usize::try_from(LARGE).unwrap(),
            "{}",
            line.len()
        );
        assert!(line[..1_000].contains("ai_insights"));
        lines += 1;
    }
    assert_eq!(lines, VALUES);
    scratch.remove().await.unwrap();
}
