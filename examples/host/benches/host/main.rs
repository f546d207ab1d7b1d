//! The host against the same routes written by hand with the raw drivers. Both have the same layers
//! around them, and answer the same bodies.

mod by_hand;
#[path = "../../../benches/common/mod.rs"]
mod common;
mod demo;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use authorstack_core::{
    AuthorStack, AuthorStackBuilder, MemoryStore,
    cache::MemoryCache,
    health::Health,
    layers::{Cached, Limited, Metered, Traced},
    queue::{MemoryQueue, QueueName},
    rate_limit::{MemoryRateLimiter, RateLimit},
};
use authorstack_examples::scratch::Scratch;
use authorstack_host::{app::App, backend::Stores, router, settings::Settings};
use authorstack_mongo::{MongoConfig, MongoStore};
use authorstack_postgres::{PostgresConfig, PostgresStore};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use axum::{Router, body::Body};
use clap::Parser;
use common::{Comparison, median, moving::fresh_name, setting};
use demo::Viewer;
use http::{Request, StatusCode};
use serde_json::Value;
use sqlx::{PgPool, postgres::PgPoolOptions};
use tower::ServiceExt;

#[derive(Debug, Parser)]
struct Options {
    /// Pairs of rounds, after one that does not count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Requests in a round
    #[arg(long, default_value_t = 2_000)]
    requests: usize,
    /// Requests at the same time
    #[arg(long, default_value_t = 16)]
    at_once: usize,
    /// Only this page
    #[arg(long, value_parser = ["book list", "feed", "dashboard"])]
    page: Option<String>,
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
    let (mongodb, supabase, postgres) = (
        setting("AUTHORSTACK_TEST_MONGODB_URL")?,
        setting("AUTHORSTACK_TEST_SUPABASE_DB_URL")?,
        setting("AUTHORSTACK_TEST_POSTGRES_URL")?,
    );
    let scratch = Scratch::create(&fresh_name(), &mongodb, &supabase).await?;
    let scratch = scratch.with_empty_postgres(&postgres).await?;
    let outcome = async {
        Box::pin(distributed(&scratch, &options)).await?;
        Box::pin(on_supabase(&scratch, &options)).await
    };
    let outcome = outcome.await;
    scratch.remove().await?;
    outcome
}

async fn distributed(scratch: &Scratch, options: &Options) -> Result<()> {
    let url = scratch.mongodb_url().to_owned();
    let mongo = MongoStore::connect_and_prepare(MongoConfig::new(url)).await?;
    let url = scratch.postgres_url().context("no PostgreSQL")?;
    let postgres = PostgresStore::connect_and_prepare(PostgresConfig::new(&url)).await?;
    let stack = AuthorStack::builder()
        .documents(&mongo)
        .analytics(&postgres);
    let pool = pool(&url).await?;
    let raw = by_hand::Distributed::new(scratch.mongodb().await?, pool.clone());
    let measured = measure("distributed", stack, raw, &pool, options).await;
    pool.close().await;
    postgres.close().await;
    measured
}

async fn on_supabase(scratch: &Scratch, options: &Options) -> Result<()> {
    let url = scratch.supabase_db_url();
    let store = SupabaseStore::connect(SupabaseConfig::new(&url)).await?;
    store.migrate().await?;
    let pool = pool(&url).await?;
    let raw = by_hand::Supabase::new(pool.clone());
    let stack = AuthorStack::builder().store(&store);
    let measured = measure("supabase", stack, raw, &pool, options).await;
    pool.close().await;
    store.close().await;
    measured
}

/// As in our stores: no round trip before each call to see whether the connection lives.
async fn pool(url: &str) -> Result<PgPool> {
    let pool = PgPoolOptions::new().test_before_acquire(false);
    Ok(pool.connect(url).await?)
}

/// An app of the host with accounts in memory: what signs in is the same for both sides.
fn app(stack: AuthorStackBuilder, accounts: &MemoryStore, is_cached: bool) -> Result<App> {
    let settings = settings();
    let stack = stack.accounts(accounts).layer(Traced).layer(Metered);
    let cached = Cached::new(MemoryCache::default());
    let live = stack.clone().build();
    let stack = if is_cached {
        stack.layer(cached.clone())
    } else {
        stack
    };
    let limit = RateLimit::smooth(10_000_000, Duration::from_mins(1))?;
    let stores = Stores {
        live,
        stack: stack.layer(Limited::new(64)).build(),
        cached,
        health: Health::new(Duration::from_secs(2)),
        queue: Arc::new(MemoryQueue::new(QueueName::ANALYTICS)),
        answers: Arc::new(MemoryCache::default()),
        limiter: Arc::new(MemoryRateLimiter::new(limit)),
        memory: Some(accounts.clone()),
        webhook: None,
    };
    Ok(App::new(stores, &settings)?)
}

fn settings() -> Settings {
    Settings::of([])
}

/// What the n-th request asks for.
type Path = fn(usize) -> String;

async fn measure<S: by_hand::Raw>(
    name: &str,
    stack: AuthorStackBuilder,
    raw: S,
    pool: &PgPool,
    options: &Options,
) -> Result<()> {
    let accounts = MemoryStore::new();
    let plain = app(stack.clone(), &accounts, false)?;
    let viewer = demo::fill(&plain).await?;
    sqlx::raw_sql("vacuum analyze").execute(pool).await?;
    let settings = settings();
    let by_hand = Arm::new(by_hand::router(&plain, raw, &settings), &viewer);
    let arms = [
        ("", Arm::new(router(&plain, &settings), &viewer)),
        (
            ", cached",
            Arm::new(router(&app(stack, &accounts, true)?, &settings), &viewer),
        ),
    ];
    let pages: [(&str, Path); 3] = [
        ("book list", |_| "/api/books?limit=50".to_owned()),
        ("feed", |_| "/api/posts?limit=20".to_owned()),
        ("dashboard", demo::dashboard),
    ];
    let wanted = |page: &str| options.page.as_deref().is_none_or(|only| only == page);
    for (page, path) in pages.into_iter().filter(|(page, _)| wanted(page)) {
        for (with, host) in &arms {
            same(host, &by_hand, path).await?;
            let mut found = Found::default();
            for round in 0..=options.rounds {
                let first = round * options.requests;
                let (ours, theirs) = if round % 2 == 0 {
                    let ours = host.load(path, first, options).await?;
                    (ours, by_hand.load(path, first, options).await?)
                } else {
                    let theirs = by_hand.load(path, first, options).await?;
                    (host.load(path, first, options).await?, theirs)
                };
                if round > 0 {
                    found.times.push((ours.0, theirs.0));
                    found.slowest.push((ours.1, theirs.1));
                }
            }
            // A cache spares calls that the other side makes.
            found.print(
                &format!("host {name} {page}{with}"),
                with.is_empty(),
                options,
            );
        }
    }
    Ok(())
}

/// Both sides answer the same, but for the cursor of the next page.
async fn same(host: &Arm, by_hand: &Arm, path: Path) -> Result<()> {
    for n in 0..3 {
        let read = async |arm: &Arm| -> Result<Value> {
            let mut body: Value = serde_json::from_slice(&arm.ask(&path(n)).await?)?;
            let next = body.as_object_mut().and_then(|body| body.remove("next"));
            ensure!(next.is_none_or(|next| next.is_string()), "no next page");
            Ok(body)
        };
        let (ours, theirs) = (read(host).await?, read(by_hand).await?);
        ensure!(ours == theirs, "answers differ:\n{ours}\n{theirs}");
    }
    Ok(())
}

/// A side that is measured.
#[derive(Clone)]
struct Arm {
    router: Router,
    bearer: String,
}

impl Arm {
    fn new(router: Router, viewer: &Viewer) -> Self {
        let bearer = format!("Bearer {}", viewer.token);
        Self { router, bearer }
    }

    async fn ask(&self, path: &str) -> Result<Vec<u8>> {
        let request = Request::get(path).header("authorization", &self.bearer);
        let response = self.router.clone().oneshot(request.body(Body::empty())?);
        let (parts, body) = response.await?.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await?;
        ensure!(
            parts.status == StatusCode::OK,
            "{path}: {}, {}",
            parts.status,
            String::from_utf8_lossy(&body)
        );
        Ok(body.to_vec())
    }

    /// Milliseconds for a request, all together and for the slowest of a hundred.
    async fn load(&self, path: Path, first: usize, options: &Options) -> Result<(f64, f64)> {
        let next = Arc::new(AtomicUsize::new(0));
        let started = Instant::now();
        let clients = (0..options.at_once).map(|_| {
            let (arm, next, requests) = (self.clone(), Arc::clone(&next), options.requests);
            tokio::spawn(async move {
                let mut times = Vec::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= requests {
                        return anyhow::Ok(times);
                    }
                    let asked = Instant::now();
                    arm.ask(&path(first + n)).await?;
                    times.push(asked.elapsed().as_secs_f64() * 1_000.0);
                }
            })
        });
        let mut times = Vec::new();
        for client in clients.collect::<Vec<_>>() {
            times.extend(client.await??);
        }
        let all = started.elapsed().as_secs_f64() * 1_000.0;
        times.sort_by(f64::total_cmp);
        let slow = times.get(times.len() * 99 / 100).copied();
        let requests = u32::try_from(options.requests)?;
        Ok((all / f64::from(requests), slow.context("no requests")?))
    }
}

#[derive(Default)]
struct Found {
    times: Vec<(f64, f64)>,
    slowest: Vec<(f64, f64)>,
}

impl Found {
    fn print(self, bench: &str, has_goal: bool, options: &Options) {
        if !options.json {
            let rate = |pick: fn(&(f64, f64)) -> f64| 1_000.0 / median(self.times.iter().map(pick));
            let (ours, theirs) = (rate(|pair| pair.0), rate(|pair| pair.1));
            println!("{bench}: {ours:.0} requests a second, by hand {theirs:.0}");
        }
        let rows = [
            (bench.to_owned(), self.times, has_goal),
            (format!("{bench}, p99"), self.slowest, has_goal),
        ];
        for (bench, pairs, has_goal) in rows {
            Comparison {
                bench,
                peer_name: "the same by hand",
                goal: has_goal.then_some(1.1),
                unit: "ms",
                pairs,
                peak_mb: None,
            }
            .print(options.json);
        }
    }
}
