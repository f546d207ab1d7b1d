//! Posts that many like, from MongoDB to Supabase by the tool, against COPY of the same rows.

mod common;

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use authorstack_examples::{dataset, scratch::Scratch, tool::Tool};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use bson::oid::ObjectId;
use clap::Parser;
use common::{
    Comparison,
    moving::{Format, copy_in, copy_out, fresh_name, run},
    setting,
};
use sqlx::{Executor, Row};

const SEED: u64 = 9;

#[derive(Debug, Parser)]
struct Options {
    /// Users, all of whom like the large posts
    #[arg(long, default_value_t = 200_000)]
    users: usize,
    /// Posts that every user likes
    #[arg(long, default_value_t = 5)]
    large: usize,
    /// Posts that fifty users like
    #[arg(long, default_value_t = 20_000)]
    small: usize,
    /// Pairs of runs, after one that does not count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// What `cargo bench` passes on
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let (mongodb, supabase) = (
        setting("AUTHORSTACK_TEST_MONGODB_URL")?,
        setting("AUTHORSTACK_TEST_SUPABASE_DB_URL")?,
    );
    let source = Scratch::create(&fresh_name(), &mongodb, &supabase).await?;
    let outcome = async {
        fill(&source, &options).await?;
        measure(&source, &mongodb, &supabase, &options).await
    }
    .await;
    source.remove().await?;
    outcome
}

async fn fill(source: &Scratch, options: &Options) -> Result<()> {
    let database = source.mongodb().await?;
    let (users, documents) = dataset::sound_users(SEED, options.users);
    dataset::insert(&database, "users", &documents).await?;
    let posts = |from: u32, posts, likes, users: &[ObjectId]| {
        dataset::sound_posts(from, users, posts, likes)
    };
    for large in 0..options.large {
        let from = 1_000_000 + u32::try_from(large)?;
        let post = posts(from, 1, options.users, &users);
        dataset::insert(&database, "community_posts", &post).await?;
    }
    let small = posts(2_000_000, options.small, 50, &users);
    dataset::insert(&database, "community_posts", &small).await?;
    Ok(())
}

/// The posts in COPY's columns, which leave the counts to the triggers.
const POSTS: &str = "public.community_posts (id, author_id, content, attachments, visibility, \
                     created_at, updated_at, extra)";
const LIKES: &str = "public.post_likes (post_id, user_id)";

async fn measure(source: &Scratch, mongodb: &str, supabase: &str, options: &Options) -> Result<()> {
    const KINDS: &[&str] = &["--kind", "community_posts", "--kind", "post_likes"];
    let target = || async { Scratch::create(&fresh_name(), mongodb, supabase).await };
    // The users are moved before; only their posts and likes are timed.
    let first = target().await?;
    run(source, &first, &[])?;
    let users = copy_out(&first, "public.users", Format::Binary).await?;
    let (posts, likes) = (
        copy_out(&first, POSTS, Format::Binary).await?,
        copy_out(&first, LIKES, Format::Binary).await?,
    );
    let program = setting("AUTHORSTACK_TEST_MIGRATE_BIN")?;
    let mut tool = Tool::new(program, &first)?;
    source.mongodb_url().clone_into(&mut tool.mongodb_url);
    let verified = tool.ask(&["verify"])?;
    ensure!(
        verified.code == Some(0),
        "both sides differ: {}",
        verified.json
    );
    let mut database = first.supabase().await?;
    let sql = "select max(like_count), sum(like_count)::bigint from public.community_posts";
    let row = sqlx::query(sql).fetch_one(&mut database).await?;
    let (most, all): (i64, i64) = (row.get(0), row.get(1));
    ensure!(
        u64::try_from(most)? == options.users as u64,
        "the counts are wrong: {most}"
    );
    eprintln!("{all} likes, {most} of the most liked post");
    drop(database);
    first.remove().await?;

    let (mut pairs, mut peak_mb) = (Vec::new(), 0.0_f64);
    for round in 0..=options.rounds {
        let ours = target().await?;
        with_users(&ours, &users).await?;
        let taken = run(source, &ours, KINDS)?;
        ours.remove().await?;

        let theirs = target().await?;
        with_users(&theirs, &users).await?;
        let mut connection = theirs.supabase().await?;
        let started = Instant::now();
        copy_in(&mut connection, POSTS, Format::Binary, &posts).await?;
        copy_in(&mut connection, LIKES, Format::Binary, &likes).await?;
        let floor = started.elapsed().as_secs_f64();
        drop(connection);
        theirs.remove().await?;
        eprintln!(
            "round {round}: ours {:.2} s, {:.0} MB; COPY {floor:.2} s",
            taken.seconds, taken.peak_mb
        );
        peak_mb = peak_mb.max(taken.peak_mb);
        if round > 0 {
            pairs.push((taken.seconds, floor));
        }
    }
    Comparison {
        bench: "likes".to_owned(),
        peer_name: "COPY of encoded rows, indexes, foreign keys and counts included",
        goal: Some(1.3),
        unit: "s",
        pairs,
        peak_mb: Some(peak_mb),
    }
    .print(options.json);
    ensure!(
        peak_mb < 150.0,
        "{peak_mb:.0} MB are more than the limit of 150 MB"
    );
    Ok(())
}

/// Brings the schema up to date, and moves the users.
async fn with_users(target: &Scratch, users: &[u8]) -> Result<()> {
    let store = SupabaseStore::connect(SupabaseConfig::new(target.supabase_db_url())).await?;
    store.migrate().await?;
    store.close().await;
    let mut connection = target.supabase().await?;
    copy_in(&mut connection, "public.users", Format::Binary, users).await?;
    connection
        .execute("analyze public.users")
        .await
        .context("statistics")?;
    Ok(())
}
