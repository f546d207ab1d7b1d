//! Accounts with their hashes: in bulk by SQL, as a migration writes them, against one request to the
//! admin API for each. Both services are stand-ins, so the API's own time is that of its statements.

mod common;

use std::{sync::Arc, time::Instant};

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use authorstack_appwrite::{AppwriteAccounts, AppwriteConfig};
use authorstack_core::{
    Account, AccountPatch, AccountRepository, AccountStore, Accounts, AuthId, AuthProvider,
    Credential, Email, Error, ExportedAccount, MemoryStore, NewAccount, PasswordHash,
    StoredPassword,
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
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
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
    let old = OldService(options.accounts);
    let (mut pairs, mut goals) = (Vec::new(), Vec::new());
    for round in 0..=options.rounds {
        let bulk = in_bulk(&old).await?;
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

/// A service that has its accounts at hand, so that nothing but the writing takes time.
#[derive(Debug)]
struct OldService(usize);

impl AccountStore for OldService {
    fn name(&self) -> &'static str {
        "the old service"
    }

    fn accounts(&self) -> Accounts {
        let mut accounts = MemoryStore::new().accounts();
        accounts.accounts = Arc::new(OldAccounts(self.0));
        accounts
    }
}

#[derive(Debug)]
struct OldAccounts(usize);

impl OldAccounts {
    fn all(&self) -> impl Iterator<Item = authorstack_core::Result<ExportedAccount>> + use<> {
        let hash = BCRYPT.parse::<PasswordHash>();
        (0..self.0).map(move |number| {
            let new = new_account(number).map_err(|error| Error::internal(error.to_string()))?;
            let id = new.id.clone().ok_or_else(Error::not_found)?;
            let hash = hash
                .as_ref()
                .map_err(|error| Error::internal(error.to_string()))?;
            Ok(ExportedAccount {
                account: new.into_account(id, AuthProvider::APPWRITE),
                password: StoredPassword::Hash(hash.clone()),
            })
        })
    }
}

/// A move reads its source, and does nothing else with it.
#[async_trait]
impl AccountRepository for OldAccounts {
    fn stream(&self) -> BoxStream<'static, authorstack_core::Result<Account>> {
        stream::iter(self.all().map(|it| it.map(|it| it.account))).boxed()
    }

    fn export(&self) -> BoxStream<'static, authorstack_core::Result<ExportedAccount>> {
        stream::iter(self.all()).boxed()
    }

    async fn create(&self, _: NewAccount) -> authorstack_core::Result<Account> {
        Err(Error::not_found())
    }

    async fn get(&self, _: &AuthId) -> authorstack_core::Result<Account> {
        Err(Error::not_found())
    }

    async fn get_by_email(&self, _: &Email) -> authorstack_core::Result<Account> {
        Err(Error::not_found())
    }

    async fn update(&self, _: &AuthId, _: AccountPatch) -> authorstack_core::Result<Account> {
        Err(Error::not_found())
    }

    async fn set_credential(&self, _: &AuthId, _: Credential) -> authorstack_core::Result<()> {
        Err(Error::not_found())
    }

    async fn block(&self, _: &AuthId) -> authorstack_core::Result<Account> {
        Err(Error::not_found())
    }

    async fn unblock(&self, _: &AuthId) -> authorstack_core::Result<Account> {
        Err(Error::not_found())
    }

    async fn delete(&self, _: &AuthId) -> authorstack_core::Result<()> {
        Err(Error::not_found())
    }
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

/// The id of an account's profile.
fn profile_of(number: usize) -> String {
    format!("6b0379ca-0000-8000-8000-{number:06x}000000")
}

/// A project with the profiles of so many accounts: they move first, as in every move. Making one for
/// an account without is what the trigger on new accounts does, and takes longer than the account.
async fn target(accounts: usize) -> Result<Scratch> {
    let mongodb = setting("AUTHORSTACK_TEST_MONGODB_URL")?;
    let supabase = setting("AUTHORSTACK_TEST_SUPABASE_DB_URL")?;
    let target = Scratch::create(&fresh_name(), &mongodb, &supabase).await?;
    let store = SupabaseStore::connect(SupabaseConfig::new(target.supabase_db_url())).await?;
    store.migrate().await?;
    store.close().await;
    let fill = "insert into public.users (id, auth_id, auth_provider, email, name) \
                select ('6b0379ca-0000-8000-8000-' || lpad(to_hex(n), 6, '0') || '000000')::uuid, \
                  lpad(to_hex(n), 20, '0'), 'appwrite', 'user' || n || '@example.org', '' \
                from generate_series(0, $1 - 1) as n";
    let mut database = target.supabase().await?;
    let fill = sqlx::query(fill).bind(i32::try_from(accounts)?);
    fill.execute(&mut database).await?;
    Ok(target)
}

/// How many accounts in a second a migration writes.
async fn in_bulk(old: &OldService) -> Result<f64> {
    let accounts = old.0;
    let scratch = target(accounts).await?;
    let store = SupabaseStore::connect(SupabaseConfig::new(scratch.supabase_db_url())).await?;
    let to = Destination::transactional(Arc::new(store.migration().with_accounts()));
    let options = RunOptions {
        kinds: vec![Kind::Accounts],
        limits: BatchLimits::default(),
    };
    let source = Arc::new(AccountSource::new(old).for_supabase());
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
    let scratch = target(accounts).await?;
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
                "id": profile_of(number), "email": format!("user{number}@example.org"), "email_confirm": true,
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
        let scratch = target(accounts).await?;
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
