//! Opening the stores. One setting chooses them; nothing else of the host knows which they are.

use std::{sync::Arc, time::Duration};

use authorstack_appwrite::{AppwriteAccounts, AppwriteConfig, Webhook};
use authorstack_core::{
    AuthorStack, AuthorStackBuilder, MemoryStore, Result,
    cache::{Cache, MemoryCache},
    health::Health,
    layers::{Cached, Limited, Metered, Traced},
    queue::{JobQueue, MemoryQueue, QueueName},
    rate_limit::{self, FailSafe, MemoryRateLimiter, OnFailure, RateLimit, RateLimiter},
};
use authorstack_mongo::{MongoConfig, MongoStore};
use authorstack_postgres::{PostgresConfig, PostgresStore};
use authorstack_redis::{RedisConfig, RedisStore};
use authorstack_supabase::{SupabaseAccounts, SupabaseAuthConfig, SupabaseConfig, SupabaseStore};

use crate::settings::{Backend, Settings};

/// Everything that the host works on.
#[derive(Debug)]
pub struct Stores {
    /// The repositories.
    pub stack: AuthorStack,
    /// The same without a limit of calls at once, for streams that never end.
    pub live: AuthorStack,
    /// The layer that caches, for the dashboard.
    pub cached: Cached,
    /// Whether the stores answer.
    pub health: Health,
    /// The queue of the host's jobs.
    pub queue: Arc<dyn JobQueue>,
    /// Where answers to repeated requests are kept.
    pub answers: Arc<dyn Cache>,
    /// How many requests a client may send.
    pub limiter: Arc<dyn RateLimiter>,
    /// The store that signs in; other backends do it at their own service.
    pub memory: Option<MemoryStore>,
    /// The webhook of the accounts' service.
    pub webhook: Option<Webhook>,
}

/// How long a store may take to say that it is there.
const HEALTH: Duration = Duration::from_secs(2);

/// How many calls go to the stores at once. More wait here, not in the pools of the drivers.
const CALLS: usize = 64;

/// Opens the stores that the settings name.
///
/// # Errors
/// Configuration, naming the setting that is wrong; Unavailable if a store does not answer.
pub async fn open(settings: &Settings) -> Result<Stores> {
    match settings.backend()? {
        Backend::Memory => memory(settings),
        Backend::Distributed => distributed(settings).await,
        Backend::Supabase => supabase(settings).await,
    }
}

fn memory(settings: &Settings) -> Result<Stores> {
    let store = MemoryStore::new();
    let stack = AuthorStack::builder().store(&store).accounts(&store);
    let health = Health::new(HEALTH).store("memory", store.clone());
    let mut stores = in_process(stack, health, limit(settings)?);
    stores.memory = Some(store);
    Ok(stores)
}

async fn distributed(settings: &Settings) -> Result<Stores> {
    let mongo = MongoConfig::new(settings.secret("mongodb_url")?);
    let mongo = with_file(
        mongo,
        settings,
        "mongodb_ca_file",
        MongoConfig::root_certificate,
    );
    let mongo = MongoStore::connect_and_prepare(mongo).await?;

    let postgres = PostgresConfig::new(settings.need("postgres_url")?);
    let postgres = with_file(
        postgres,
        settings,
        "postgres_ca_file",
        PostgresConfig::root_certificate,
    );
    let postgres = PostgresStore::connect_and_prepare(postgres).await?;

    let appwrite = AppwriteConfig::new(
        settings.need("appwrite_endpoint")?,
        settings.need("appwrite_project")?,
        settings.secret("appwrite_key")?,
    );
    let accounts = AppwriteAccounts::new(appwrite)?;
    accounts.prepare().await?;

    let redis = redis(settings).await?;
    let stack = AuthorStack::builder()
        .documents(&mongo)
        .analytics(&postgres)
        .accounts(&accounts);
    let health = Health::new(HEALTH)
        .store("MongoDB", mongo)
        .store("PostgreSQL", postgres)
        .store("Appwrite", accounts.clone());
    let mut stores = on_redis(stack, health, &redis, limit(settings)?);
    if let Some(url) = settings.get("appwrite_webhook_url") {
        let key = settings.secret("appwrite_webhook_key")?;
        stores.webhook = Some(accounts.webhook(url, &key)?);
    }
    Ok(stores)
}

async fn supabase(settings: &Settings) -> Result<Stores> {
    let database = SupabaseConfig::new(settings.need("supabase_db_url")?);
    let database = with_file(
        database,
        settings,
        "supabase_ca_file",
        SupabaseConfig::root_certificate,
    );
    let store = SupabaseStore::connect_and_prepare(database).await?;
    let auth = SupabaseAuthConfig::new(
        settings.need("supabase_auth_url")?,
        settings.secret("supabase_service_key")?,
    );
    let accounts = SupabaseAccounts::new(&store, auth)?;
    let stack = AuthorStack::builder().store(&store).accounts(&accounts);
    let health = Health::new(HEALTH)
        .store("Supabase", store)
        .store("Supabase Auth", accounts);
    let limit = limit(settings)?;
    Ok(match settings.get("redis_url") {
        Some(_) => on_redis(stack, health, &redis(settings).await?, limit),
        None => in_process(stack, health, limit),
    })
}

async fn redis(settings: &Settings) -> Result<RedisStore> {
    let config = RedisConfig::new(settings.secret("redis_url")?);
    let config = with_file(
        config,
        settings,
        "redis_ca_file",
        RedisConfig::root_certificate,
    );
    let config = match settings.get("redis_prefix") {
        Some(prefix) => config.key_prefix(prefix),
        None => config,
    };
    RedisStore::connect(config).await
}

/// `requests_per_minute` of one client; 600 without it.
fn limit(settings: &Settings) -> Result<RateLimit> {
    let calls = settings.get("requests_per_minute").unwrap_or("600");
    let calls = calls.parse().map_err(|_| {
        authorstack_core::Error::configuration("requests_per_minute", "is no whole number")
    })?;
    RateLimit::smooth(calls, Duration::from_mins(1))
}

/// Cache, limits and queue in this process: for one process alone.
fn in_process(stack: AuthorStackBuilder, health: Health, limit: RateLimit) -> Stores {
    let cached = Cached::new(MemoryCache::default());
    Stores {
        live: observed(stack.clone()).build(),
        stack: layered(stack, &cached),
        cached,
        health,
        queue: Arc::new(MemoryQueue::new(QueueName::ANALYTICS)),
        answers: Arc::new(MemoryCache::default()),
        limiter: Arc::new(MemoryRateLimiter::new(limit)),
        memory: None,
        webhook: None,
    }
}

/// Cache, limits and queue on Redis: for as many processes as you like.
fn on_redis(
    stack: AuthorStackBuilder,
    health: Health,
    redis: &RedisStore,
    limit: RateLimit,
) -> Stores {
    let cached = Cached::new(redis.cache());
    let limiter = redis.rate_limiter(rate_limit::Limited::Api, limit);
    Stores {
        live: observed(stack.clone()).build(),
        stack: layered(stack, &cached),
        cached,
        health: health.store("Redis", redis.clone()),
        queue: Arc::new(redis.queue(QueueName::ANALYTICS)),
        answers: Arc::new(redis.cache()),
        // Without Redis, requests pass: the service matters more than the limit.
        limiter: Arc::new(FailSafe::new(limiter, OnFailure::Open)),
        memory: None,
        webhook: None,
    }
}

fn observed(stack: AuthorStackBuilder) -> AuthorStackBuilder {
    stack.layer(Traced).layer(Metered)
}

fn layered(stack: AuthorStackBuilder, cached: &Cached) -> AuthorStack {
    let stack = observed(stack).layer(cached.clone());
    stack.layer(Limited::new(CALLS)).build()
}

fn with_file<C>(
    config: C,
    settings: &Settings,
    key: &str,
    set: impl FnOnce(C, std::path::PathBuf) -> C,
) -> C {
    match settings.file(key) {
        Some(file) => set(config, file),
        None => config,
    }
}
