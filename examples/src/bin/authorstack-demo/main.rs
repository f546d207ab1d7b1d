//! The demo: the data of an app, dirty after years of use, moves to Supabase: documents from MongoDB,
//! analytics from PostgreSQL, accounts from Appwrite; then one of the users signs in. It runs on the
//! servers of `cargo xtask services` and on stand-ins, with the tool that everyone uses.

mod accounts;

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use authorstack_core::migrate::{Kind, RejectLine};
use authorstack_examples::{
    dataset::{self, Analytics, Dataset, SECRET, Size},
    scratch::Scratch,
    tool::Tool,
};
use clap::Parser;
use sqlx::Executor;

use accounts::{NewService, OldService};

#[derive(Debug, Parser)]
#[command(about, version)]
struct Options {
    /// Repeat the data of an earlier demo
    #[arg(long)]
    seed: Option<u64>,
    /// How many sound users
    #[arg(long, default_value_t = 300)]
    users: usize,
    /// How many sound books
    #[arg(long, default_value_t = 3_000)]
    books: usize,
    /// How many sound sales of each book
    #[arg(long, default_value_t = 30)]
    sales: usize,
    /// Keep the databases, to look at them afterwards
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    demo(&Options::parse()).await
}

async fn demo(options: &Options) -> Result<()> {
    let seed = options.seed.unwrap_or_else(|| rand::random::<u32>().into());
    println!("seed {seed}: repeat with `cargo xtask demo --seed {seed}`");
    let size = Size {
        users: options.users,
        books: options.books,
    };
    let data = dataset::generate(seed, size);
    let name = format!("as_demo_{:08x}_{:08x}", seed, rand::random::<u32>());
    let (mongodb, postgres, supabase) = (
        setting("AUTHORSTACK_TEST_MONGODB_URL")?,
        setting("AUTHORSTACK_TEST_POSTGRES_URL")?,
        setting("AUTHORSTACK_TEST_SUPABASE_DB_URL")?,
    );
    let scratch = Scratch::create(&name, &mongodb, &supabase).await?;
    let scratch = scratch.with_postgres(&postgres).await?;
    let outcome = async {
        data.insert(&scratch.mongodb().await?).await?;
        let analytics = data.analytics(seed, size, options.sales);
        analytics.insert(&mut scratch.postgres().await?).await?;
        for (place, records, dirty) in [
            ("MongoDB", &data.records, data.cases.len()),
            ("PostgreSQL", &analytics.records(), analytics.cases.len()),
        ] {
            let kinds = records.iter();
            let kinds = kinds.map(|(kind, records)| format!("{records} {kind}"));
            println!(
                "in {place}: {}; {dirty} of them dirty",
                kinds.collect::<Vec<_>>().join(", "),
            );
        }
        let old = OldService::fill(&data, options.users).await?;
        let new = NewService::start(&scratch.supabase_db_url()).await;
        let moved = migrate(&scratch, &data, &analytics, &old, &new).await;
        new.stop().await;
        old.remove().await?;
        moved
    }
    .await;
    if options.keep {
        println!("the databases are kept: {name} in MongoDB and on both PostgreSQL servers");
    } else {
        scratch.remove().await?;
    }
    outcome
}

fn setting(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("no {name}; start the demo with `cargo xtask demo`"))
}

/// Runs the tool and shows what it prints; answers its exit code.
fn show(tool: &Tool, arguments: &[&str]) -> Result<i32> {
    println!("\n$ authorstack-migrate {}", arguments.join(" "));
    let status = tool
        .command(arguments)
        .status()
        .context("starting the tool")?;
    status.code().context("the tool was killed")
}

/// The old app changes a record after the run: it is found and copied.
async fn correct_a_sale(scratch: &Scratch, tool: &Tool) -> Result<()> {
    println!("\nnow the old app corrects a sale");
    let correct =
        "update sales_data set revenue = revenue + 1 where id = (select min(id) from sales_data)";
    scratch.postgres().await?.execute(correct).await?;
    ensure!(
        show(tool, &["verify", "--kind", "sales_data"])? == 1,
        "a verification must end with exit code 1 when a sale differs"
    );
    let repaired = tool.ask(&["repair"])?;
    ensure!(
        (repaired.sum("written"), repaired.sum("differing")) == (1, 0),
        "not repaired: {repaired:?}"
    );
    Ok(())
}

async fn migrate(
    scratch: &Scratch,
    data: &Dataset,
    analytics: &Analytics,
    old: &OldService,
    new: &NewService,
) -> Result<()> {
    let cases: Vec<_> = data.cases.iter().chain(&analytics.cases).cloned().collect();
    let cases = cases.as_slice();
    let beside = env::current_exe()?.with_file_name("authorstack-migrate");
    let program = env::var_os("AUTHORSTACK_TEST_MIGRATE_BIN").map_or(beside, PathBuf::from);
    let mut tool = Tool::new(program, scratch)?;
    tool.more.extend(old.settings());
    tool.more.extend(new.settings());

    ensure!(
        show(&tool, &["plan"])? == 1,
        "a plan with rejects must end with exit code 1"
    );
    ensure!(
        show(&tool, &["run"])? == 1,
        "a run with rejects must end with exit code 1"
    );
    ensure!(
        show(&tool, &["verify"])? == 1,
        "a verification with rejects must end with exit code 1"
    );

    let leaked = tool.rejects_text()?.contains(SECRET);
    ensure!(!leaked, "a password hash is in the rejects file");
    accounts::ensure_no_hash(&tool.rejects_text()?)?;
    let lines = tool.rejects()?;
    let surprises = dataset::surprises(cases, &lines);
    ensure!(
        surprises.is_empty(),
        "not as expected: {}",
        surprises.join("; ")
    );
    let (carried, rejected) = (cases.len() - lines.len(), lines.len());

    println!(
        "\na book without a title and a sale without an amount are fixed in the rejects file, and \
         their lines replayed"
    );
    fs::write(tool.folder().join("fixed.jsonl"), fixed_lines(&lines)?)?;
    let replayed = show(&tool, &["replay", "fixed.jsonl"])?;
    ensure!(
        replayed == 0,
        "the fixed records were not accepted: exit code {replayed}"
    );

    let (again, verified) = (tool.ask(&["run"])?, tool.ask(&["verify"])?);
    let (read, written) = (again.sum("read"), again.sum("written"));
    let (unchanged, open) = (again.sum("unchanged"), again.sum("rejected"));
    ensure!(
        read == written + unchanged + open
            && read == data.total() + analytics.total() + old.records(),
        "rows are missing: {again:?}"
    );
    ensure!(written == 0, "a second run wrote {written} rows");
    ensure!(
        open + 2 == lines.len() as u64,
        "{open} rejects are open after the replay"
    );
    ensure!(
        verified.sum("differing") == 0,
        "both sides differ: {verified:?}"
    );
    ensure!(
        verified.sum("unchanged") == unchanged,
        "verify counts other records than run: {verified:?}"
    );

    correct_a_sale(scratch, &tool).await?;
    new.show_sign_in(old, &scratch.supabase_db_url()).await?;

    println!("\nWhat the demo has shown:");
    println!(
        "  {read} records of {} kinds in = {unchanged} rows out + {open} rejects; none is lost",
        data.records.len() + analytics.records().len() + Kind::ACCOUNTS.len()
    );
    println!(
        "  {} dirty records: {carried} moved, {rejected} rejected with a reason",
        cases.len()
    );
    println!("  two rejects were fixed and replayed; a second run wrote nothing");
    println!("  verify named the sale that differed, and repair copied it again");
    println!(
        "  {} accounts moved with the documents and the analytics; one of them signed in with its \
         old password, and was refused with another one",
        old.accounts()
    );
    println!("  verify found {unchanged} records equal on both sides, and none that differ");
    Ok(())
}

/// Two of the rejects, corrected as a person would do it.
fn fixed_lines(lines: &[RejectLine]) -> Result<String> {
    let mut fixed = String::new();
    for (kind, field, value) in [
        (Kind::Books, "title", "The Long Way Home"),
        (Kind::SalesData, "revenue", "12.50"),
    ] {
        let is_meant = |line: &&RejectLine| {
            line.kind == kind && line.problems.0.iter().any(|found| found.field == field)
        };
        let line = lines.iter().find(is_meant);
        let mut line = line
            .with_context(|| format!("no reject for {field}"))?
            .clone();
        line.record[field] = value.into();
        fixed += &serde_json::to_string(&line)?;
        fixed.push('\n');
    }
    Ok(fixed)
}
