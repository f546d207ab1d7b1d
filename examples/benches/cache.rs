//! A hit of the cache on Redis, against a raw GET and decoding; and many misses of one key.

mod common;

use std::{hint::black_box, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use async_trait::async_trait;
use authorstack_core::{
    AuthorStack, MemoryStore, NewUser, User,
    layers::{Access, Cached, Call, Layer, Next, Reply},
};
use authorstack_redis::{RedisConfig, RedisStore};
use clap::Parser;
use common::{Comparison, Pair, setting};
use redis::AsyncCommands;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Parser)]
struct Options {
    /// Pairs of rounds, after one that does not count
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Pairs of calls in a round
    #[arg(long, default_value_t = 4_000)]
    calls: usize,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// What `cargo bench` passes on
    #[arg(long, hide = true)]
    bench: bool,
}

/// A store whose reads take a while, and are counted.
#[derive(Debug, Clone, Default)]
struct Slow(Arc<AtomicUsize>);

#[async_trait]
impl Layer for Slow {
    async fn call(&self, call: &Call<'_>, next: Next<'_>) -> authorstack_core::Result<Reply> {
        if call.access() == Access::Read {
            self.0.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        next.run().await
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    bench(&Options::parse()).await
}

async fn bench(options: &Options) -> Result<()> {
    let url = setting("AUTHORSTACK_TEST_REDIS_URL")?;
    let prefix = format!("as_bench_{:08x}:", rand::random::<u32>());
    let config = RedisConfig::new(url).key_prefix(prefix.clone());
    let redis = RedisStore::connect(config).await?;
    let (store, slow) = (MemoryStore::new(), Slow::default());
    let stack = AuthorStack::builder().store(&store);
    let stack = stack
        .layer(Cached::new(redis.cache()))
        .layer(slow.clone())
        .build();
    let ada = NewUser::new("bench".parse()?, "bench@example.org".parse()?, "Bench");
    let ada = stack.users().create(ada).await?;
    stack.users().get(ada.id).await?;

    let key = format!("{prefix}authorstack:user:{}", ada.id);
    let raw = redis.connection();
    let mut pairs = Vec::new();
    for round in 0..=options.rounds {
        let mut pair = Pair::default();
        for call in 0..options.calls {
            let ours = async {
                black_box(stack.users().get(ada.id).await?);
                Ok(())
            };
            let theirs = async {
                let bytes: Vec<u8> = raw.clone().get(&key).await?;
                black_box(serde_json::from_slice::<User>(&bytes[2..])?);
                Ok(())
            };
            pair.time(call, ours, theirs).await?;
        }
        if round > 0 {
            pairs.push(pair.medians());
        }
    }
    ensure!(
        slow.0.load(Ordering::SeqCst) == 1,
        "not every call was a hit"
    );
    let hit = Comparison {
        bench: "cache hit".to_owned(),
        peer_name: "GET and decode",
        goal: Some(1.1),
        unit: "ms",
        pairs,
        peak_mb: None,
    };
    hit.print(options.json);

    stack.users().add_credits(ada.id, 1).await?;
    let before = slow.0.load(Ordering::SeqCst);
    let reads = (0..1_000).map(|_| {
        let (stack, id) = (stack.clone(), ada.id);
        tokio::spawn(async move { stack.users().get(id).await.map(|user| user.credits) })
    });
    for read in reads.collect::<Vec<_>>() {
        ensure!(read.await?? == 1, "a stale value");
    }
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let loads = (slow.0.load(Ordering::SeqCst) - before) as f64;
    let misses = Comparison {
        bench: "1,000 misses at once".to_owned(),
        peer_name: "one load",
        goal: Some(1.0),
        unit: "loads",
        pairs: vec![(loads, 1.0)],
        peak_mb: None,
    };
    misses.print(options.json);
    redis.flush_cache().await?;
    Ok(())
}
