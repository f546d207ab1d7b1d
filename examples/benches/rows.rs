//! Sales from PostgreSQL to Supabase by the tool, against `pg_dump | pg_restore` of the same rows
//! and indexes on the same servers.

mod common;

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use authorstack_core::Id;
use authorstack_examples::{dataset, scratch::Scratch};
use clap::Parser;
use common::{
    Comparison,
    moving::{Taken, fresh_name, run, tool},
    setting,
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, query};
use url::Url;
use uuid::Uuid;

const SEED: u64 = 11;
const SALES: &[&str] = &["--kind", "sales_data"];
/// Books of a user; each is sold on three platforms every day.
const BOOKS: usize = 10;

#[derive(Debug, Parser)]
struct Options {
    /// About how many sales to move
    #[arg(long, default_value_t = 2_000_000)]
    sales: usize,
    /// The users whose sales they are
    #[arg(long, default_value_t = 1_000)]
    users: usize,
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
    let mongodb = setting("AUTHORSTACK_TEST_MONGODB_URL")?;
    let supabase = setting("AUTHORSTACK_TEST_SUPABASE_DB_URL")?;
    let postgres = setting("AUTHORSTACK_TEST_POSTGRES_URL")?;
    let source = Scratch::create(&fresh_name(), &mongodb, &supabase).await?;
    let source = source.with_postgres(&postgres).await?;
    let bench = Bench {
        source,
        mongodb,
        supabase,
    };
    let outcome = bench.measure(&options).await;
    bench.source.remove().await?;
    outcome
}

struct Bench {
    source: Scratch,
    mongodb: String,
    supabase: String,
}

impl Bench {
    async fn measure(&self, options: &Options) -> Result<()> {
        let rows = self.fill(options).await?;
        let (mut runs, mut both) = (Vec::new(), Vec::new());
        let mut peak_mb: f64 = 0.0;
        for round in 0..=options.rounds {
            let (ours, verify) = self.run_tool(rows).await?;
            let peer = self.dump_and_restore().await?;
            eprintln!(
                "round {round}: run {:.2} s, verify {:.2} s, {:.0} MB; pg_dump | pg_restore {peer:.2} s",
                ours.seconds, verify.seconds, ours.peak_mb
            );
            peak_mb = peak_mb.max(ours.peak_mb).max(verify.peak_mb);
            if round > 0 {
                runs.push((ours.seconds, peer));
                both.push((ours.seconds + verify.seconds, peer));
            }
        }
        ensure!(peak_mb <= 150.0, "the tool took {peak_mb:.0} MB");
        for (what, goal, pairs) in [("run", 0.9, runs), ("run and verify", 1.2, both)] {
            Comparison {
                bench: format!("rows, {what}"),
                peer_name: "pg_dump -Fc -Z0 | pg_restore",
                goal: Some(goal),
                unit: "s",
                pairs,
                peak_mb: Some(peak_mb),
            }
            .print(options.json);
        }
        Ok(())
    }

    /// Users in MongoDB, their sales in PostgreSQL; answers how many sales.
    async fn fill(&self, options: &Options) -> Result<i64> {
        let (users, documents) = dataset::sound_users(SEED, options.users);
        dataset::insert(&self.source.mongodb().await?, "users", &documents).await?;
        let users: Vec<Uuid> = users
            .iter()
            .map(|id| Id::<()>::from_bytes(id.bytes()).to_uuid())
            .collect();
        let books: Vec<Uuid> = (0..options.users * BOOKS)
            .map(|_| Id::<()>::new().to_uuid())
            .collect();
        let days = options.sales.div_ceil(options.users * BOOKS * 3);
        let mut database = self.source.postgres().await?;
        database.execute(WITHOUT_INDEXES).await?;
        let fill = query(
            "insert into sales_data (user_id, book_id, platform, date, revenue, units, page_reads) \
             select ($1::uuid[])[1 + (number - 1) / $3], book, platform, date '2024-01-01' + day, \
                    (random() * 90)::numeric(10,2), (random() * 9)::int, (random() * 900)::int \
             from generate_series(0, $4 - 1) as day, \
                  unnest($2::uuid[]) with ordinality as books (book, number), \
                  unnest(array['kdp', 'gumroad', 'apple_books']) as platform",
        );
        fill.bind(users)
            .bind(books)
            .bind(i64::try_from(BOOKS)?)
            .bind(i32::try_from(days)?)
            .execute(&mut database)
            .await?;
        database.execute(WITH_INDEXES).await?;
        database.execute("vacuum analyze sales_data").await?;
        let count: i64 = sqlx::query_scalar("select count(*) from sales_data")
            .fetch_one(&mut database)
            .await?;
        eprintln!("{count} sales");
        Ok(count)
    }

    /// Moves the sales into a fresh database that has their users, and verifies them.
    async fn run_tool(&self, rows: i64) -> Result<(Taken, Taken)> {
        let target = Scratch::create(&fresh_name(), &self.mongodb, &self.supabase).await?;
        run(&self.source, &target, &["--kind", "users"])?;
        settle(&mut target.supabase().await?).await?;
        let ours = run(&self.source, &target, SALES)?;
        let verify = tool(&self.source, &target, "verify", SALES)?;
        let moved: i64 = sqlx::query_scalar("select count(*) from public.sales_data")
            .fetch_one(&mut target.supabase().await?)
            .await?;
        ensure!(moved == rows, "{moved} of {rows} sales have arrived");
        target.remove().await?;
        Ok((ours, verify))
    }

    /// PostgreSQL's own programs, into another fresh database.
    async fn dump_and_restore(&self) -> Result<f64> {
        let name = fresh_name();
        let mut admin = PgConnection::connect(&self.supabase).await?;
        let create = format!("create database {name} template template0");
        admin.execute(AssertSqlSafe(create)).await?;
        let mut url: Url = self.supabase.parse()?;
        url.set_path(&name);
        settle(&mut PgConnection::connect(url.as_str()).await?).await?;
        let bin = PathBuf::from(setting("AUTHORSTACK_TEST_POSTGRES_BIN")?);
        let from = self.source.postgres_url().context("no source")?;

        let started = Instant::now();
        let mut dump = clean(Command::new(bin.join("pg_dump")))
            .args(["-Fc", "-Z0", "-t", "sales_data", "-d", &from])
            .stdout(Stdio::piped())
            .spawn()
            .context("starting pg_dump")?;
        let archive = dump.stdout.take().context("pg_dump has no output")?;
        let restored = clean(Command::new(bin.join("pg_restore")))
            .args([
                "--no-owner",
                "--no-privileges",
                "--exit-on-error",
                "-d",
                url.as_str(),
            ])
            .stdin(archive)
            .status()
            .context("starting pg_restore")?;
        let dumped = dump.wait()?;
        let seconds = started.elapsed().as_secs_f64();
        ensure!(
            dumped.success() && restored.success(),
            "pg_dump: {dumped}, pg_restore: {restored}"
        );
        let drop = format!("drop database {name} with (force)");
        admin.execute(AssertSqlSafe(drop)).await?;
        Ok(seconds)
    }
}

/// Writes out what earlier work has left, before the clock starts.
async fn settle(database: &mut PgConnection) -> Result<()> {
    // Only members of pg_checkpoint may do this. Without it, the comparison is still fair.
    let _ = database.execute("checkpoint").await;
    Ok(())
}

/// A program that reads no settings of the caller's.
fn clean(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    command
}

const WITHOUT_INDEXES: &str = "\
    alter table sales_data drop constraint sales_data_pkey, \
      drop constraint sales_data_user_id_book_id_platform_date_key; \
    drop index idx_sales_user_date, idx_sales_platform, idx_sales_book";
const WITH_INDEXES: &str = "\
    alter table sales_data add primary key (id), add unique (user_id, book_id, platform, date); \
    create index idx_sales_user_date on sales_data (user_id, date desc); \
    create index idx_sales_platform on sales_data (platform); \
    create index idx_sales_book on sales_data (book_id)";
