//! Jobs added in bulk and run, against BullMQ on Node on the same Redis; and how soon an idle worker
//! starts a job.

mod common;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use authorstack_core::queue::{
    Job, JobContext, JobQueue, Keep, NewJob, QueueName, Worker, WorkerHandle,
};
use authorstack_redis::{RedisConfig, RedisStore};
use clap::Parser;
use common::{Comparison, setting};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

#[derive(Debug, Parser)]
struct Options {
    /// Pairs of rounds, after one that does not count
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Jobs in a round
    #[arg(long, default_value_t = 20_000)]
    jobs: usize,
    /// Jobs that are added together
    #[arg(long, default_value_t = 1_000)]
    bulk: usize,
    /// Jobs that run at once
    #[arg(long, default_value_t = 50)]
    concurrency: usize,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// What `cargo bench` passes on
    #[arg(long, hide = true)]
    bench: bool,
}

/// The seconds of one round.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Seconds {
    adding: f64,
    running: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    bench(&Options::parse()).await
}

async fn bench(options: &Options) -> Result<()> {
    ensure!(
        options.jobs.is_multiple_of(options.bulk),
        "--jobs must be a multiple of --bulk"
    );
    let url = setting("AUTHORSTACK_TEST_REDIS_URL")?;
    let (mut adding, mut running, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=options.rounds {
        let ours = ours(&url, options).await?;
        let theirs = theirs(&url, options).await?;
        if round > 0 {
            adding.push((ours.adding, theirs.adding));
            running.push((ours.running, theirs.running));
            both.push((ours.adding + ours.running, theirs.adding + theirs.running));
        }
    }
    for (bench, pairs) in [
        ("jobs added in bulk", adding),
        ("jobs run, 50 at once", running),
        ("jobs added and run", both),
    ] {
        let comparison = Comparison {
            bench: bench.to_owned(),
            peer_name: "BullMQ on Node",
            // Three times as fast.
            goal: Some(1.0 / 3.0),
            unit: "s",
            pairs,
            peak_mb: None,
        };
        comparison.print(options.json);
    }
    latency(&url, options.json).await
}

/// A queue under a prefix of its own, and that prefix.
async fn queue(url: &str) -> Result<(RedisStore, Arc<dyn JobQueue>, String)> {
    let prefix = format!("as_bench_{:08x}:", rand::random::<u32>());
    let redis = RedisStore::connect(RedisConfig::new(url).key_prefix(prefix.clone())).await?;
    let queue: Arc<dyn JobQueue> = Arc::new(redis.queue(QueueName::new("bench")?));
    Ok((redis, queue, prefix))
}

async fn ours(url: &str, options: &Options) -> Result<Seconds> {
    let (redis, queue, prefix) = queue(url).await?;
    let started = Instant::now();
    for first in (0..options.jobs).step_by(options.bulk) {
        let part = (first..first + options.bulk)
            .map(|n| NewJob::new("bench", json!({ "n": n })).keep_completed(Keep::ALL));
        queue.add_bulk(part.collect()).await?;
    }
    let adding = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let left = Arc::new(AtomicUsize::new(options.jobs));
    let handler = {
        let left = Arc::clone(&left);
        move |_: Job, _: JobContext| {
            left.fetch_sub(1, Ordering::Relaxed);
            async { Ok(Value::Null) }
        }
    };
    let worker = Worker::new(Arc::clone(&queue), handler).concurrency(options.concurrency);
    let worker = worker.start().await?;
    while left.load(Ordering::Relaxed) > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    worker.shutdown(Duration::from_secs(30)).await?;
    let running = started.elapsed().as_secs_f64();
    let counts = queue.counts().await?;
    ensure!(counts.completed == options.jobs as u64, "{counts:?}");
    forget(&redis, &prefix).await?;
    Ok(Seconds { adding, running })
}

async fn theirs(url: &str, options: &Options) -> Result<Seconds> {
    let (redis, _, prefix) = queue(url).await?;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR"));
    let node_path = std::env::var_os("AUTHORSTACK_TEST_NODE_PATH").map_or_else(
        || examples.join("../target/tools/node/node_modules"),
        PathBuf::from,
    );
    let output = Command::new("node")
        .arg(examples.join("benches/queue.js"))
        .args([url, &prefix])
        .args([options.jobs, options.bulk, options.concurrency].map(|it| it.to_string()))
        .env("NODE_PATH", node_path)
        .stderr(Stdio::inherit())
        .output()
        .context("node cannot be run; install Node.js 20")?;
    ensure!(output.status.success(), "BullMQ on Node failed");
    forget(&redis, &prefix).await?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Removes what a round has left.
async fn forget(redis: &RedisStore, prefix: &str) -> Result<()> {
    let mut raw = redis.connection();
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(format!("{prefix}*"))
            .arg("COUNT")
            .arg(1_000);
        let (next, keys): (u64, Vec<String>) = scan.query_async(&mut raw).await?;
        if !keys.is_empty() {
            redis::cmd("UNLINK").arg(keys).exec_async(&mut raw).await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

/// How soon an idle worker starts a job.
async fn latency(url: &str, as_json: bool) -> Result<()> {
    let (redis, queue, prefix) = queue(url).await?;
    let begun = Arc::new(Notify::new());
    let handler = {
        let begun = Arc::clone(&begun);
        move |_: Job, _: JobContext| {
            begun.notify_one();
            async { Ok(Value::Null) }
        }
    };
    let worker: WorkerHandle = Worker::new(Arc::clone(&queue), handler).start().await?;
    let mut pairs = Vec::new();
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let started = Instant::now();
        queue.add(NewJob::new("bench", Value::Null)).await?;
        begun.notified().await;
        pairs.push((started.elapsed().as_secs_f64() * 1_000.0, 50.0));
    }
    worker.shutdown(Duration::from_secs(5)).await?;
    forget(&redis, &prefix).await?;
    let comparison = Comparison {
        bench: "an idle worker starts".to_owned(),
        peer_name: "50 ms",
        goal: Some(1.0),
        unit: "ms",
        pairs,
        peak_mb: None,
    };
    comparison.print(as_json);
    Ok(())
}
