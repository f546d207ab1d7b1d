//! The cache in Redis.
//!
//! A hit is one GET, or one MGET of the value and its group's generation. A miss runs two scripts,
//! one for the lease and one to fill. A write is one DEL, whatever becomes stale.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use authorstack_core::{
    Error, Id, Result, User,
    cache::{Cache, Lease, Leased, Slot, Stale},
};
use redis::{FromRedisValue, Script, ScriptInvocation, Value, cmd};

use crate::store::RedisStore;

static LEASE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/cache_lease.lua")));
static FILL: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/cache_fill.lua")));
static RELEASE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/cache_release.lua")));

/// The length of a generation, which a value of a group begins with.
const GENERATION: usize = 24;

/// Keeps values in Redis, for all processes of an app. [`RedisStore::cache`] makes it.
///
/// Every key has a time to live. If the server evicts a key, that is a miss. Reads must come from the
/// primary: on Upstash, a database without read regions.
///
/// ```no_run
/// use authorstack_core::{AuthorStack, DocumentStore, layers::Cached};
///
/// # async fn example(redis: authorstack_redis::RedisStore, documents: &dyn DocumentStore) {
/// let stack = AuthorStack::builder()
///     .documents(documents)
///     .layer(Cached::new(redis.cache()))
///     .build();
/// # let _ = stack;
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RedisCache {
    store: RedisStore,
}

impl RedisStore {
    /// A cache whose values are here.
    #[must_use]
    pub fn cache(&self) -> RedisCache {
        RedisCache {
            store: self.clone(),
        }
    }
}

impl RedisCache {
    /// A call of a script with the keys of a slot: the value's, the lease's, and the group's.
    fn call<'s>(&self, script: &'s Script, slot: &Slot) -> (ScriptInvocation<'s>, String) {
        let key = self.store.key(&slot.key);
        let mut call = script.prepare_invoke();
        call.key(&key).key(Stale::lease_of(&key));
        if let Some(group) = &slot.group {
            call.key(self.store.key(group));
        }
        (call, key)
    }
}

/// Whole milliseconds, at least one.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The value behind its generation, if that is the group's.
fn of_generation(mut value: Vec<u8>, generation: &[u8]) -> Option<Vec<u8>> {
    if generation.len() != GENERATION || !value.starts_with(generation) {
        return None;
    }
    value.drain(..GENERATION);
    Some(value)
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, slot: &Slot) -> Result<Option<Vec<u8>>> {
        let key = self.store.key(&slot.key);
        let Some(group) = &slot.group else {
            return self.store.run(cmd("GET").arg(&key), &key).await;
        };
        let mut both = cmd("MGET");
        both.arg(&key).arg(self.store.key(group));
        let (value, generation): (Option<Vec<u8>>, Option<Vec<u8>>) =
            self.store.run(&both, &key).await?;
        Ok(value
            .zip(generation)
            .and_then(|(value, generation)| of_generation(value, &generation)))
    }

    async fn lease(&self, slot: &Slot, for_time: Duration) -> Result<Leased> {
        let token = Id::<User>::new().to_string();
        let (mut call, key) = self.call(&LEASE, slot);
        call.arg(&token)
            .arg(millis(for_time))
            .arg(millis(slot.ttl + for_time));
        let answer: Vec<Value> = self.store.run_script(&call, &key).await?;
        let mut answer = answer.into_iter();
        match (answer.next(), answer.next()) {
            (Some(Value::Int(0)), None) => Ok(Leased::Taken),
            (Some(Value::Int(1)), Some(Value::BulkString(value))) => Ok(Leased::Found(value)),
            (Some(Value::Int(2)), Some(generation)) => match String::from_redis_value(generation) {
                Ok(generation) => Ok(Leased::Yours(Lease { token, generation })),
                Err(_) => Err(Error::corrupt(format!("the generation of key {key}"))),
            },
            _ => Err(Error::internal(
                "the script of the cache gave another answer",
            )),
        }
    }

    async fn fill(&self, slot: &Slot, lease: &Lease, value: &[u8], ttl: Duration) -> Result<bool> {
        let (mut call, key) = self.call(&FILL, slot);
        call.arg(&lease.token)
            .arg(&lease.generation)
            .arg(value)
            .arg(millis(ttl));
        self.store.run_script(&call, &key).await
    }

    async fn release(&self, slot: &Slot, lease: &Lease) -> Result<()> {
        let key = Stale::lease_of(&self.store.key(&slot.key));
        let mut call = RELEASE.key(&key);
        call.arg(format!("{}{}", lease.token, lease.generation));
        self.store.run_script::<i64>(&call, &key).await.map(drop)
    }

    async fn invalidate(&self, stale: &[Stale]) -> Result<()> {
        let mut keys = stale
            .iter()
            .flat_map(Stale::keys)
            .map(|key| self.store.key(&key));
        let Some(first) = keys.next() else {
            return Ok(());
        };
        let mut delete = cmd("DEL");
        delete.arg(&first).arg(keys.collect::<Vec<_>>());
        self.store.run::<i64>(&delete, &first).await.map(drop)
    }
}
