//! Accounts with their hashes: in bulk by SQL, as a migration writes them, against one request to the
//! admin API for each. Both services are stand-ins, so the API's own time is that of its statements.

mod common;

use std::{sync::Arc, time::Instant};

use anyhow::{Context, Result, ensure};
use authorstack_appwrite::{AppwriteAccounts, AppwriteConfig};
use authorstack_core::{
    AccountRepository, AccountStore, Credential, MemoryStore, NewAccount,
    migrate::{AccountSource, BatchLimits, Destination, Kind, RunOptions, Silent, run},
};
use authorstack_examples::scratch::Scratch;
use authorstack_http::{HttpClient, HttpSettings, Method, Service};
use authorstack_supabase::{SupabaseConfig, SupabaseStore};
use clap::Parser;
use common::{
    Comparison,
    moving::{fresh_name, tool_with},
    setting,
};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use sqlx::Row;
use tests_standins::{
    appwrite::Appwrite,
    supabase_auth::{Gateway, Signing, SupabaseAuth},
};

const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const SERVICE_KEY: &str = "sb_secret_of_the_benchmark";
/// So many accounts in a second are enough.
const ENOUGH: f64 = 5_000.0;

static CLIENT: Service = Service {
    name: "Supabase Auth",
    setting: "supabase_auth_url",
    example: "https://<ref>.supabase.co/auth/v1",
};

#[derive(Debug, Parser)]
struct Options {
    /// Accounts that move in bulk
    #[arg(long, default_value_t = 20_000)]
    accounts: usize,
    /// Accounts that the admin API creates
    #[arg(long, default_value_t = 2_000)]
    by_api: usize,
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
    let memory = MemoryStore::new();
    fill(&memory.accounts().accounts, options.accounts).await?;
    let (mut pairs, mut goals) = (Vec::new(), Vec::new());
    for round in 0..=options.rounds {
        let bulk = in_bulk(&memory, options.accounts).await?;
        let one_by_one = by_api(options.by_api).await?;
        eprintln!("round {round}: {bulk:.0} accounts a second in bulk, {one_by_one:.0} by the API");
        if round > 0 {
            pairs.push((1_000.0 / bulk, 1_000.0 / one_by_one));
            goals.push((ENOUGH / bulk, 1.0));
        }
    }
    Comparison {
        bench: "accounts by SQL".to_owned(),
        peer_name: "a request to the admin API for each, eight at once",
        goal: None,
        unit: "s for 1,000",
        pairs,
        peak_mb: None,
    }
    .print(options.json);
    Comparison {
        bench: "accounts a second".to_owned(),
        peer_name: "the goal of 5,000 in a second",
        goal: Some(1.0),
        unit: "s for 5,000",
        pairs: goals,
        peak_mb: None,
    }
    .print(options.json);
    by_tool(&options).await
}

fn new_account(number: usize) -> Result<NewAccount> {
    let mut new = NewAccount::new(format!("user{number}@example.org").parse()?);
    new.id = Some(format!("{number:020x}").parse()?);
    new.name = format!("User {number}");
    new.email_verified = true;
    new.credential = Credential::Hash(BCRYPT.parse()?);
    Ok(new)
}

/// Makes the accounts at a service.
async fn fill(service: &Arc<dyn AccountRepository>, accounts: usize) -> Result<()> {
    let news: Vec<NewAccount> = (0..accounts).map(new_account).collect::<Result<_>>()?;
    let made = stream::iter(news).map(|new| service.create(new));
    made.buffer_unordered(8)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    Ok(())
}

async fn target() -> Result<Scratch> {
    let mongodb = setting("AUTHORSTACK_TEST_MONGODB_URL")?;
    let supabase = setting("AUTHORSTACK_TEST_SUPABASE_DB_URL")?;
    let target = Scratch::create(&fresh_name(), &mongodb, &supabase).await?;
    let store = SupabaseStore::connect(SupabaseConfig::new(target.supabase_db_url())).await?;
    store.migrate().await?;
    store.close().await;
    Ok(target)
}

/// How many accounts in a second a migration writes.
async fn in_bulk(memory: &MemoryStore, accounts: usize) -> Result<f64> {
    let scratch = target().await?;
    let store = SupabaseStore::connect(SupabaseConfig::new(scratch.supabase_db_url())).await?;
    let to = Destination::transactional(Arc::new(store.migration().with_accounts()));
    let options = RunOptions {
        kinds: vec![Kind::Accounts],
        limits: BatchLimits::default(),
    };
    let source = Arc::new(AccountSource::new(memory).for_supabase());
    let started = Instant::now();
    let report = run(source, &to, &options, &Silent).await?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(
        report.kinds[0].counts.written == accounts as u64,
        "not all accounts moved: {report:?}"
    );
    store.close().await;
    scratch.remove().await?;
    rate(accounts, seconds)
}

/// How many accounts in a second the admin API creates with a hash.
async fn by_api(accounts: usize) -> Result<f64> {
    let scratch = target().await?;
    let gateway = Gateway {
        service_keys: vec![SERVICE_KEY.to_owned()],
        public_keys: Vec::new(),
    };
    let database = scratch.supabase_db_url();
    let server = SupabaseAuth::start(&database, Signing::es256("bench"), gateway).await;
    let client = HttpClient::new(HttpSettings::new(&CLIENT, server.address())?)?;
    let create = |number: usize| {
        let client = &client;
        async move {
            let body = json!({
                "email": format!("user{number}@example.org"), "email_confirm": true,
                "password_hash": BCRYPT, "user_metadata": { "name": format!("User {number}") },
                "app_metadata": { "old_id": format!("{number:020x}") },
            });
            let request = client.request(Method::POST, &["admin", "users"])?;
            let request = request.header("apikey", SERVICE_KEY)?.json(&body)?;
            let status = request.send().await?.status();
            ensure!(status.is_success(), "an account was refused: {status}");
            Ok(())
        }
    };
    let started = Instant::now();
    let created = stream::iter(0..accounts).map(create).buffer_unordered(8);
    created.try_for_each(|()| async { Ok(()) }).await?;
    let seconds = started.elapsed().as_secs_f64();
    server.stop().await;
    scratch.remove().await?;
    rate(accounts, seconds)
}

fn rate(accounts: usize, seconds: f64) -> Result<f64> {
    Ok(f64::from(u32::try_from(accounts)?) / seconds)
}

/// The tool moves a quarter of the accounts, and then all, from Appwrite's stand-in: its memory.
async fn by_tool(options: &Options) -> Result<()> {
    let mut peaks = Vec::new();
    for accounts in [options.accounts / 4, options.accounts] {
        let appwrite = Appwrite::start().await;
        let key = Appwrite::KEY.into();
        let config = AppwriteConfig::new(appwrite.address(), Appwrite::PROJECT, key);
        fill(
            &AppwriteAccounts::new(config)?.accounts().accounts,
            accounts,
        )
        .await?;
        let scratch = target().await?;
        let settings = [
            ("AUTHORSTACK_APPWRITE_ENDPOINT", appwrite.address()),
            ("AUTHORSTACK_APPWRITE_PROJECT", Appwrite::PROJECT),
            ("AUTHORSTACK_APPWRITE_KEY", Appwrite::KEY),
        ];
        let kinds = ["--kind", "accounts"];
        // The stand-in answers while the tool runs.
        let moving = scratch.clone();
        let settings = settings.map(|(name, value)| (name, value.to_owned()));
        let run = move || tool_with(&moving, &moving, "run", &kinds, &settings);
        let taken = tokio::task::spawn_blocking(run).await??;
        let mut database = scratch.supabase().await?;
        let count = sqlx::query("select count(*) from auth.users");
        let moved: i64 = count.fetch_one(&mut database).await?.get(0);
        ensure!(
            usize::try_from(moved)? == accounts,
            "{moved} accounts moved"
        );
        drop(database);
        scratch.remove().await?;
        eprintln!(
            "the tool: {accounts} accounts from Appwrite's stand-in in {:.1} s, {:.0} MB",
            taken.seconds, taken.peak_mb
        );
        peaks.push(taken.peak_mb);
    }
    let (small, large) = (peaks.first(), peaks.last());
    let (small, large) = small.zip(large).context("nothing was moved")?;
    Comparison {
        bench: "accounts, memory".to_owned(),
        peer_name: "the tool with a quarter of the accounts",
        goal: None,
        unit: "MB",
        pairs: vec![(*large, *small)],
        peak_mb: Some(*large),
    }
    .print(options.json);
    ensure!(
        *large < 150.0,
        "{large:.0} MB are more than the limit of 150 MB"
    );
    Ok(())
}
