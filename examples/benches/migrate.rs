//! Books from MongoDB to Supabase by the tool, against COPY of the same rows, encoded before the
//! clock starts: into the schema's tables, and into bare ones whose keys and indexes are built
//! afterwards. Where sling is installed, it moves the same collections. `verify` is timed, too.

mod common;

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use authorstack_examples::{
    dataset::{self, average_size},
    scratch::Scratch,
};
use authorstack_mongo::{MongoConfig, MongoStore};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use bson::oid::ObjectId;
use clap::Parser;
use common::{
    Comparison,
    moving::{Format, Taken, copy_in, copy_out, fresh_name, run, tool},
    setting,
};
use sqlx::Executor;

const SEED: u64 = 7;

#[derive(Debug, Parser)]
struct Options {
    /// Books to move
    #[arg(long, default_value_t = 200_000)]
    books: usize,
    /// The users whose books they are
    #[arg(long, default_value_t = 1_000)]
    users: usize,
    /// Pairs of runs, after one that does not count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Also measure the peak memory with ten times the books
    #[arg(long)]
    ten_times: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// What `cargo bench` passes on
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    bench(&Options::parse()).await
}

/// Whole tables, in the columns' own order.
const USERS: &str = "public.users";
const BOOKS: &str = "public.books";

async fn bench(options: &Options) -> Result<()> {
    let bench = Bench::prepare(options.users).await?;
    let outcome = bench.measure(options).await;
    bench.source.remove().await?;
    outcome
}

struct Bench {
    source: Scratch,
    mongodb: String,
    supabase: String,
    users: Vec<ObjectId>,
}

impl Bench {
    async fn prepare(users: usize) -> Result<Self> {
        let mongodb = setting("AUTHORSTACK_TEST_MONGODB_URL")?;
        let supabase = setting("AUTHORSTACK_TEST_SUPABASE_DB_URL")?;
        let source = Scratch::create(&fresh_name(), &mongodb, &supabase).await?;
        let store = MongoStore::connect(MongoConfig::new(source.mongodb_url().to_owned())).await?;
        store.ensure_indexes().await?;
        let (ids, documents) = dataset::sound_users(SEED, users);
        dataset::insert(&source.mongodb().await?, "users", &documents).await?;
        Ok(Self {
            source,
            mongodb,
            supabase,
            users: ids,
        })
    }

    async fn fill(&self, from: usize, to: usize) -> Result<()> {
        const PORTION: usize = 50_000;
        let database = self.source.mongodb().await?;
        let mut done = from;
        while done < to {
            let portion = PORTION.min(to - done);
            let from = 1_000_000 + u32::try_from(done)?;
            let books = dataset::sound_books(from, &self.users, portion);
            if done == 0 {
                eprintln!("books of {} bytes", average_size(&books));
            }
            dataset::insert(&database, "books", &books).await?;
            done += portion;
        }
        Ok(())
    }

    async fn measure(&self, options: &Options) -> Result<()> {
        self.fill(0, options.books).await?;
        let (rows, texts) = self.render().await?;
        eprintln!(
            "{} books, {} MB encoded",
            options.books,
            rows.books.len() >> 20
        );
        let mut found = Measured::default();
        let sling = on_path(SLING);
        if sling.is_none() {
            eprintln!("{SLING} is not installed: no comparison with it");
        }
        for round in 0..=options.rounds {
            let (ours, verify) = self.run_and_verify().await?;
            let floor = self.copy(&rows, Indexes::InPlace).await?;
            let later = self.copy(&rows, Indexes::Afterwards).await?;
            let binary = self.copy_bare(&rows, Format::Binary).await?;
            let text = self.copy_bare(&texts, Format::Text).await?;
            let theirs = match &sling {
                Some(sling) => Some(self.run_sling(sling, options.books).await?),
                None => None,
            };
            eprintln!(
                "round {round}: ours {:.2} s, {:.0} MB; verify {:.2} s, {:.0} MB; COPY {floor:.2} s, \
                 indexes later {later:.2} s, bare {binary:.2} s, as text {text:.2} s{}",
                ours.seconds,
                ours.peak_mb,
                verify.seconds,
                verify.peak_mb,
                theirs.map_or_else(String::new, |seconds| format!("; {SLING} {seconds:.2} s")),
            );
            found.peak_mb = found.peak_mb.max(ours.peak_mb);
            found.verify_mb = found.verify_mb.max(verify.peak_mb);
            if round > 0 {
                found.pairs.push((ours.seconds, floor));
                found.after.push((ours.seconds, later));
                found.bare_binary.push((ours.seconds, binary));
                found.bare_text.push((ours.seconds, text));
                found.verifies.push((verify.seconds, ours.seconds));
                found
                    .slings
                    .extend(theirs.map(|seconds| (ours.seconds, seconds)));
            }
        }
        let peak_mb = found.peak_mb;
        found.print(options.json);
        if options.ten_times {
            self.ten_times(options, peak_mb).await?;
        }
        Ok(())
    }

    /// The peak memory with ten times the books, against that of the run before.
    async fn ten_times(&self, options: &Options, peak_mb: f64) -> Result<()> {
        self.fill(options.books, options.books * 10).await?;
        let ours = self.run_tool().await?;
        Comparison {
            bench: "migrate, ten times".to_owned(),
            peer_name: "peak memory (MB) of the run above",
            goal: Some(1.1),
            unit: "MB",
            pairs: vec![(ours.peak_mb, peak_mb)],
            peak_mb: Some(ours.peak_mb),
        }
        .print(options.json);
        Ok(())
    }

    /// Moves everything once and takes the rows out again, as COPY reads them: binary and text.
    async fn render(&self) -> Result<(Rows, Rows)> {
        let target = self.target().await?;
        run(&self.source, &target, &[])?;
        let rows = Rows::of(&target, Format::Binary).await?;
        let texts = Rows::of(&target, Format::Text).await?;
        target.remove().await?;
        Ok((rows, texts))
    }

    /// A fresh database, without the schema.
    async fn target(&self) -> Result<Scratch> {
        Scratch::create(&fresh_name(), &self.mongodb, &self.supabase).await
    }

    async fn run_and_verify(&self) -> Result<(Taken, Taken)> {
        let target = self.target().await?;
        let taken = run(&self.source, &target, &[])?;
        let verify = tool(&self.source, &target, "verify", &[])?;
        target.remove().await?;
        Ok((taken, verify))
    }

    /// The same rows into tables that have nothing but columns; then their keys and indexes.
    async fn copy_bare(&self, rows: &Rows, format: Format) -> Result<f64> {
        let target = self.target().await?;
        let store = SupabaseStore::connect(SupabaseConfig::new(target.supabase_db_url())).await?;
        store.migrate().await?;
        let mut connection = target.supabase().await?;
        connection.execute(BARE_TABLES).await?;
        let started = Instant::now();
        copy_in(&mut connection, "bare.users", format, &rows.users).await?;
        copy_in(&mut connection, "bare.books", format, &rows.books).await?;
        connection.execute(BARE_INDEXES).await?;
        let seconds = started.elapsed().as_secs_f64();
        drop((connection, store));
        target.remove().await?;
        Ok(seconds)
    }

    /// Moves the same collections by sling into a fresh database.
    async fn run_sling(&self, sling: &Path, books: usize) -> Result<f64> {
        let target = self.target().await?;
        let folder = tempfile::tempdir()?;
        let (source, database) = (self.source.mongodb_url(), self.source.mongodb().await?);
        let started = Instant::now();
        for collection in ["users", "books"] {
            let output = Command::new(sling)
                .args([
                    "run",
                    "--src-conn",
                    "BENCH_SOURCE",
                    "--tgt-conn",
                    "BENCH_TARGET",
                ])
                .args(["--src-stream", &format!("{}.{collection}", database.name())])
                .args(["--tgt-object", &format!("public.{collection}")])
                .args(["--mode", "full-refresh"])
                .env("BENCH_SOURCE", source)
                .env("BENCH_TARGET", target.supabase_db_url())
                // It keeps its files there.
                .env("SLING_HOME_DIR", folder.path())
                .env("SLING_DISABLE_TELEMETRY", "true")
                .stdin(Stdio::null())
                .output()
                .context("starting sling")?;
            ensure!(
                output.status.success(),
                "sling ended with {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr),
            );
        }
        let seconds = started.elapsed().as_secs_f64();
        let moved: i64 = sqlx::query_scalar("select count(*) from public.books")
            .fetch_one(&mut target.supabase().await?)
            .await?;
        ensure!(
            usize::try_from(moved)? == books,
            "sling moved {moved} books"
        );
        target.remove().await?;
        Ok(seconds)
    }

    async fn run_tool(&self) -> Result<Taken> {
        let target = self.target().await?;
        let taken = run(&self.source, &target, &[])?;
        target.remove().await?;
        Ok(taken)
    }

    /// What PostgreSQL itself needs for rows that are already encoded, by one connection.
    async fn copy(&self, rows: &Rows, indexes: Indexes) -> Result<f64> {
        let target = self.target().await?;
        let store = SupabaseStore::connect(SupabaseConfig::new(target.supabase_db_url())).await?;
        store.migrate().await?;
        let mut connection = target.supabase().await?;
        let started = Instant::now();
        copy_in(&mut connection, USERS, Format::Binary, &rows.users).await?;
        if indexes == Indexes::Afterwards {
            connection.execute(WITHOUT_INDEXES).await?;
        }
        copy_in(&mut connection, BOOKS, Format::Binary, &rows.books).await?;
        if indexes == Indexes::Afterwards {
            connection.execute(WITH_INDEXES).await?;
        }
        let seconds = started.elapsed().as_secs_f64();
        drop((connection, store));
        target.remove().await?;
        Ok(seconds)
    }
}

/// The seconds of all rounds: ours, and what they are compared with.
#[derive(Default)]
struct Measured {
    pairs: Vec<(f64, f64)>,
    after: Vec<(f64, f64)>,
    bare_binary: Vec<(f64, f64)>,
    bare_text: Vec<(f64, f64)>,
    verifies: Vec<(f64, f64)>,
    slings: Vec<(f64, f64)>,
    peak_mb: f64,
    verify_mb: f64,
}

impl Measured {
    fn print(self, json: bool) {
        let print = |bench: &str, peer_name, goal, pairs, peak_mb| {
            let bench = bench.to_owned();
            Comparison {
                bench,
                peer_name,
                goal,
                unit: "s",
                pairs,
                peak_mb,
            }
            .print(json);
        };
        print(
            "migrate",
            "COPY of encoded rows, indexes included",
            Some(1.3),
            self.pairs,
            Some(self.peak_mb),
        );
        print(
            "migrate, indexes later",
            "COPY of encoded rows, indexes made afterwards",
            None,
            self.after,
            None,
        );
        print(
            "migrate, bare tables",
            "COPY of encoded rows into bare tables, keys and indexes made afterwards",
            None,
            self.bare_binary,
            None,
        );
        print(
            "migrate, bare tables, text",
            "COPY of rows rendered as text into bare tables, keys and indexes made afterwards",
            Some(1.4),
            self.bare_text,
            None,
        );
        print(
            "migrate, verify",
            "the run",
            Some(0.5),
            self.verifies,
            Some(self.verify_mb),
        );
        if !self.slings.is_empty() {
            print(
                "migrate, sling",
                "sling, without keys and indexes",
                None,
                self.slings,
                None,
            );
        }
    }
}

/// When the secondary indexes and the foreign key are made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Indexes {
    InPlace,
    Afterwards,
}

const WITHOUT_INDEXES: &str = "\
    drop index public.books_user_id_id_idx, public.books_user_id_status_idx, public.books_asin_idx; \
    alter table public.books drop constraint books_user_id_fkey";
const WITH_INDEXES: &str = "\
    set maintenance_work_mem = '128MB'; \
    create index books_user_id_id_idx on public.books (user_id, id); \
    create index books_user_id_status_idx on public.books (user_id, status, id); \
    create index books_asin_idx on public.books (asin) where asin is not null; \
    alter table public.books add constraint books_user_id_fkey \
      foreign key (user_id) references public.users (id) on delete cascade";

const BARE_TABLES: &str = "\
    create schema bare; \
    create table bare.users (like public.users); \
    create table bare.books (like public.books)";
const BARE_INDEXES: &str = "\
    set maintenance_work_mem = '128MB'; \
    alter table bare.users add primary key (id), add unique (auth_id), add unique (email); \
    alter table bare.books add primary key (id); \
    create index on bare.books (user_id, id); \
    create index on bare.books (user_id, status, id); \
    create index on bare.books (asin) where asin is not null";

const SLING: &str = "sling";

/// Where a program is, if it is installed.
fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

struct Rows {
    users: Vec<u8>,
    books: Vec<u8>,
}

impl Rows {
    async fn of(target: &Scratch, format: Format) -> Result<Self> {
        Ok(Self {
            users: copy_out(target, USERS, format).await?,
            books: copy_out(target, BOOKS, format).await?,
        })
    }
}
