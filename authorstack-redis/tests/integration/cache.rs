//! The cache's suite on Redis, what only Redis can do wrong, and flushing.

use crate::common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use authorstack_core::{
    AuthorStack, Id, MemoryStore, User,
    cache::Cache,
    layers::Cached,
    rate_limit::{Limited, RateLimit, RateLimiter},
    testing::{FreshCache, author, caching::Slow},
};
use authorstack_redis::{RedisConfig, RedisStore};
use common::{Server, url};
use redis::AsyncCommands;

/// A part of the Redis of the tests. Each handle has a connection of its own, as each process.
struct Fresh {
    store: RedisStore,
    prefix: String,
}

impl Fresh {
    async fn all(&self) -> Vec<String> {
        let mut connection = self.store.connection();
        connection.keys(format!("{}*", self.prefix)).await.unwrap()
    }
}

#[async_trait]
impl FreshCache for Fresh {
    async fn cache(&self) -> Arc<dyn Cache> {
        let config = RedisConfig::new(url()).key_prefix(self.prefix.clone());
        // No test asserts a time.
        let config = config.operation_timeout(Duration::from_mins(1));
        Arc::new(RedisStore::connect(config).await.unwrap().cache())
    }

    async fn keys(&self) -> Vec<String> {
        let keys = self.all().await;
        let own = |key: &String| key.strip_prefix(&self.prefix).unwrap().to_owned();
        keys.iter().map(own).collect()
    }

    async fn keys_without_end(&self) -> Vec<String> {
        let mut connection = self.store.connection();
        let mut endless = Vec::new();
        for key in self.all().await {
            let left: i64 = connection.pttl(&key).await.unwrap();
            if left == -1 {
                endless.push(key);
            }
        }
        endless
    }
}

async fn fresh() -> Fresh {
    let (store, prefix) = common::fresh().await;
    Fresh { store, prefix }
}

authorstack_core::cache_conformance!(fresh);

/// A stack in memory with a cache there, and what counts the reads of the store.
fn on(store: &RedisStore) -> (AuthorStack, Slow) {
    let slow = Slow::default();
    let stack = AuthorStack::builder().store(&MemoryStore::new());
    let stack = stack.layer(Cached::new(store.cache())).layer(slow.clone());
    (stack.build(), slow)
}

async fn alone() -> (Server, RedisStore) {
    let server = Server::start(&[]).await;
    let config = RedisConfig::new(server.url()).operation_timeout(Duration::from_millis(500));
    let store = RedisStore::connect(config).await.unwrap();
    (server, store)
}

#[tokio::test]
async fn times_to_live_are_the_schemas() {
    let (store, prefix) = common::fresh().await;
    let (stack, _) = on(&store);
    let ada = author(&stack, "ada").await;
    for _ in 0..20 {
        stack.users().get(ada.id).await.unwrap();
        let key = format!("{prefix}authorstack:user:{}", ada.id);
        let left: i64 = store.connection().pttl(&key).await.unwrap();
        assert!((265_000..=300_000).contains(&left), "{left}");
        stack.users().add_credits(ada.id, 1).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_of_another_type_is_a_miss() {
    let (store, prefix) = common::fresh().await;
    let (stack, slow) = on(&store);
    let ada = author(&stack, "ada").await;
    let key = format!("{prefix}authorstack:user:{}", ada.id);
    let () = store.connection().hset(&key, "name", "Ada").await.unwrap();
    assert_eq!(stack.users().get(ada.id).await.unwrap(), ada);
    assert_eq!(slow.reads(), 1);
    // The next write makes room for a value.
    stack.users().add_credits(ada.id, 1).await.unwrap();
    for _ in 0..3 {
        assert_eq!(stack.users().get(ada.id).await.unwrap().credits, 1);
    }
    assert_eq!(slow.reads(), 2);
}

/// Killed and started again, paused, full: reads and writes go on, and no read is stale.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_redis_are_misses_and_nothing_is_stale() {
    let (mut server, store) = alone().await;
    let (stack, slow) = on(&store);
    let ada = author(&stack, "ada").await.id;
    let written = Arc::new(AtomicI64::new(0));
    let goes_on = Arc::new(AtomicBool::new(true));
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let (stack, written, goes_on) = (stack.clone(), written.clone(), goes_on.clone());
        tasks.push(tokio::spawn(async move {
            while goes_on.load(Ordering::SeqCst) {
                let before = written.load(Ordering::SeqCst);
                let found = stack.users().get(ada).await.unwrap().credits;
                assert!(found >= before, "{found} after {before} was written");
                tokio::task::yield_now().await;
            }
        }));
    }
    let write = async |times: u32| {
        for _ in 0..times {
            let now = stack.users().add_credits(ada, 1).await.unwrap().credits;
            written.store(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let is_used_again = async || {
        // Until reads are hits again.
        loop {
            let before = slow.reads();
            stack.users().get(ada).await.unwrap();
            stack.users().get(ada).await.unwrap();
            if slow.reads() == before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    write(20).await;
    server.kill();
    write(20).await;
    server.restart().await;
    write(20).await;
    is_used_again().await;

    server.pause();
    write(10).await;
    server.go_on();
    write(20).await;
    is_used_again().await;

    let mut admin = store.connection();
    let mut limit = async |bytes: &str| {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("maxmemory").arg(bytes);
        set.exec_async(&mut admin).await.unwrap();
    };
    limit("1").await;
    write(20).await;
    limit("0").await;
    is_used_again().await;

    goes_on.store(false, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(
        stack.users().get(ada).await.unwrap().credits,
        written.load(Ordering::SeqCst)
    );
}

#[tokio::test]
async fn flushing_leaves_queues_limits_and_others_alone() {
    let (store, prefix) = common::fresh().await;
    let (other, _) = common::fresh().await;
    let (stack, _) = on(&store);
    let mut connection = store.connection();
    let limiter = store.rate_limiter(
        Limited::Ai,
        RateLimit::smooth(5, Duration::from_mins(1)).unwrap(),
    );
    limiter.check("ada", 1).await.unwrap();
    for name in [
        "authorstack:queue:data-sync:wait",
        "authorstack:queue:data-sync:user:1",
        "authorstack:users",
        "other:authorstack:user:1",
    ] {
        let () = connection
            .lpush(format!("{prefix}{name}"), "job")
            .await
            .unwrap();
    }
    let stays: Vec<String> = connection.keys(format!("{prefix}*")).await.unwrap();
    assert_eq!(stays.len(), 5);
    let (elsewhere, _) = on(&other);
    let bob = author(&elsewhere, "bob").await.id;
    elsewhere.users().get(bob).await.unwrap();

    for _ in 0..2_500 {
        assert!(stack.users().get(Id::<User>::new()).await.is_err());
    }
    let ada = author(&stack, "ada").await.id;
    stack.users().get(ada).await.unwrap();
    let odd = format!("{prefix}authorstack:book:\n*?\u{e9}");
    let () = connection.set(&odd, "old").await.unwrap();
    assert_eq!(store.flush_cache().await.unwrap(), 2_502);
    let mut left: Vec<String> = connection.keys(format!("{prefix}*")).await.unwrap();
    left.sort();
    let mut stays = stays;
    stays.sort();
    assert_eq!(left, stays);
    assert_eq!(store.flush_cache().await.unwrap(), 0);
    assert_eq!(other.flush_cache().await.unwrap(), 1);
    let () = connection.del(left).await.unwrap();
}
