//! The suite of rate limiters on Redis, and what only Redis can do wrong.

use crate::common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use authorstack_core::{
    Id, User,
    rate_limit::{
        Decision, FailSafe, Limited, OnFailure, RateLimit, RateLimiter, RememberedDenials,
    },
    testing::FreshLimits,
};
use authorstack_redis::{RedisConfig, RedisStore};
use common::Server;
use redis::AsyncCommands;

const HOUR: Duration = Duration::from_hours(1);

/// Limiters on the Redis of the tests. Each has subjects of its own.
struct Fresh {
    store: RedisStore,
    prefix: String,
    limiters: AtomicU32,
    wrapped: bool,
}

/// A limiter whose subjects have a number in front.
#[derive(Debug)]
struct Numbered<L>(L, u32);

#[async_trait]
impl<L: RateLimiter> RateLimiter for Numbered<L> {
    fn limit(&self) -> RateLimit {
        self.0.limit()
    }

    async fn check(&self, subject: &str, cost: u32) -> authorstack_core::Result<Decision> {
        if subject.is_empty() {
            return self.0.check(subject, cost).await;
        }
        self.0.check(&format!("{}-{subject}", self.1), cost).await
    }
}

#[async_trait]
impl FreshLimits for Fresh {
    async fn limiter(&self, limit: RateLimit) -> Arc<dyn RateLimiter> {
        let number = self.limiters.fetch_add(1, Ordering::SeqCst);
        let limiter = self.store.rate_limiter(Limited::Api, limit);
        if self.wrapped {
            let limiter = FailSafe::new(limiter, OnFailure::Closed);
            let limiter = limiter.deadline(Duration::from_secs(30));
            return Arc::new(RememberedDenials::new(Numbered(limiter, number)));
        }
        Arc::new(Numbered(limiter, number))
    }

    async fn keys_without_end(&self) -> Vec<String> {
        let mut connection = self.store.connection();
        let keys = keys(&self.store, &self.prefix).await;
        assert!(!keys.is_empty());
        let mut endless = Vec::new();
        for key in keys {
            let left: i64 = connection.pttl(&key).await.unwrap();
            if left == -1 {
                endless.push(key);
            }
        }
        endless
    }
}

async fn keys(store: &RedisStore, prefix: &str) -> Vec<String> {
    let mut connection = store.connection();
    connection.keys(format!("{prefix}*")).await.unwrap()
}

async fn fresh() -> Fresh {
    let (store, prefix) = common::fresh().await;
    Fresh {
        store,
        prefix,
        limiters: AtomicU32::new(0),
        wrapped: false,
    }
}

authorstack_core::rate_limit_conformance!(fresh);

mod wrapped {
    use super::Fresh;

    async fn fresh() -> Fresh {
        Fresh {
            wrapped: true,
            ..super::fresh().await
        }
    }

    authorstack_core::rate_limit_conformance!(fresh);
}

#[tokio::test]
async fn keys_are_exactly_the_schemas() {
    let (store, prefix) = common::fresh().await;
    let user = Id::<User>::new();
    let limit = RateLimit::smooth(5, HOUR).unwrap();
    for limited in [Limited::Api, Limited::Ai] {
        let limiter = store.rate_limiter(limited, limit);
        assert!(limiter.check_user(user, 5).await.unwrap().allowed);
        assert!(!limiter.check_user(user, 1).await.unwrap().allowed);
    }
    let mut found = keys(&store, &prefix).await;
    found.sort();
    let expected =
        ["ai-ratelimit", "ratelimit"].map(|name| format!("{prefix}authorstack:{name}:{user}"));
    assert_eq!(found, expected);
}

/// A counter of an old app, or the state of another way to count, is no reason to deny for ever.
#[tokio::test]
async fn values_of_others_do_not_count() {
    let (store, prefix) = common::fresh().await;
    let mut connection = store.connection();
    let key = format!("{prefix}authorstack:ratelimit:ada");
    let far = format!("{}0", i64::MAX / 10);
    for value in [
        "17",
        "",
        "text",
        "-5",
        &far,
        "99999999999999999999:1",
        "nan",
        "1:",
    ] {
        for limit in [
            RateLimit::smooth(1, HOUR).unwrap(),
            RateLimit::window(1, HOUR).unwrap(),
        ] {
            let () = connection.set(&key, value).await.unwrap();
            let limiter = store.rate_limiter(Limited::Api, limit);
            assert!(limiter.check("ada", 1).await.unwrap().allowed, "{value:?}");
            assert!(!limiter.check("ada", 1).await.unwrap().allowed, "{value:?}");
            let left: i64 = connection.pttl(&key).await.unwrap();
            assert!(left > 0, "{left}");
        }
    }
}

#[tokio::test]
async fn a_key_of_another_type_is_named() {
    let (store, prefix) = common::fresh().await;
    let key = format!("{prefix}authorstack:ratelimit:ada");
    let () = store.connection().hset(&key, "a", 1).await.unwrap();
    for limit in [
        RateLimit::smooth(1, HOUR).unwrap(),
        RateLimit::window(1, HOUR).unwrap(),
    ] {
        let limiter = store.rate_limiter(Limited::Api, limit);
        let error = limiter.check("ada", 1).await.unwrap_err();
        assert_eq!(error.kind().code(), "corrupt");
        assert!(error.to_string().contains(&key), "{error}");
        // The host chose what happens then.
        let open = FailSafe::new(limiter.clone(), OnFailure::Open);
        assert!(open.check("ada", 1).await.unwrap().allowed);
        let closed = FailSafe::new(limiter, OnFailure::Closed);
        assert_eq!(
            closed.check("ada", 1).await.unwrap_err().kind().code(),
            "corrupt"
        );
    }
    let () = store.connection().del(&key).await.unwrap();
}

#[tokio::test]
async fn a_window_stays_small_and_exact() {
    let (store, prefix) = common::fresh().await;
    let limit = RateLimit::window(1_000, HOUR).unwrap();
    let limiter = store.rate_limiter(Limited::Api, limit);
    for left in (0..1_000).rev() {
        assert_eq!(limiter.check("ada", 1).await.unwrap().remaining, left);
    }
    assert!(!limiter.check("ada", 1).await.unwrap().allowed);
    let key = format!("{prefix}authorstack:ratelimit:ada");
    let length: usize = store.connection().strlen(&key).await.unwrap();
    assert!(length < 64 * 24, "{length}");
}

/// Killed, started again, paused, full: open passes, closed fails in time, both count afterwards.
#[tokio::test]
async fn failures_of_redis_open_or_close() {
    let mut server = Server::start(&[]).await;
    let config = RedisConfig::new(server.url()).operation_timeout(Duration::from_millis(500));
    let store = RedisStore::connect(config).await.unwrap();
    let limit = RateLimit::window(1, HOUR).unwrap();
    let limiter = store.rate_limiter(Limited::Ai, limit);
    let open = FailSafe::new(limiter.clone(), OnFailure::Open);
    let closed = FailSafe::new(limiter.clone(), OnFailure::Closed);
    let counts_again = async |name: &str| {
        // Reconnecting takes a moment, and the circuit a second.
        while open.check(name, 1).await.unwrap().remaining > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        loop {
            match closed.check(name, 1).await {
                Ok(decision) => break assert!(!decision.allowed),
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let fails = async |name: &str, kinds: &[&str]| {
        for _ in 0..10 {
            assert!(open.check(name, 1).await.unwrap().allowed);
            let error = closed.check(name, 1).await.unwrap_err();
            assert!(kinds.contains(&error.kind().code()), "{error:?}");
            assert!(error.is_retryable(), "{error:?}");
        }
    };

    server.kill();
    fails("killed", &["unavailable", "timeout"]).await;
    server.restart().await;
    counts_again("ada").await;

    server.pause();
    fails("paused", &["unavailable", "timeout"]).await;
    server.go_on();
    counts_again("bob").await;

    let mut connection = store.connection();
    let full = redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "1"])
        .to_owned();
    full.exec_async(&mut connection).await.unwrap();
    fails("full", &["unavailable"]).await;
    let roomy = redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "0"])
        .to_owned();
    roomy.exec_async(&mut connection).await.unwrap();
    counts_again("dan").await;
}
