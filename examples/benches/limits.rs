//! A check of a rate limit on Redis, against the same script by a raw EVALSHA.

mod common;

use std::{hint::black_box, time::Duration};

use anyhow::Result;
use authorstack_core::rate_limit::{Algorithm, Limited, RateLimit, RateLimiter};
use authorstack_redis::{RedisConfig, RedisStore};
use clap::Parser;
use common::{Comparison, Pair, setting};
use redis::{AsyncCommands, Script};

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

#[tokio::main]
async fn main() -> Result<()> {
    bench(&Options::parse()).await
}

async fn bench(options: &Options) -> Result<()> {
    let url = setting("AUTHORSTACK_TEST_REDIS_URL")?;
    let prefix = format!("as_bench_{:08x}:", rand::random::<u32>());
    let redis = RedisStore::connect(RedisConfig::new(url).key_prefix(prefix.clone())).await?;
    let hour = Duration::from_hours(1);
    let raw = redis.connection();
    for (name, limit, text) in [
        (
            "limit check, GCRA",
            RateLimit::smooth(1_000_000, hour)?,
            include_str!("../../authorstack-redis/src/scripts/limit_smooth.lua"),
        ),
        (
            "limit check, window",
            RateLimit::window(1_000_000, hour)?,
            include_str!("../../authorstack-redis/src/scripts/limit_window.lua"),
        ),
    ] {
        let limiter = redis.rate_limiter(Limited::Api, limit);
        let script = Script::new(text);
        script.load_async(&mut raw.clone()).await?;
        let arguments: Vec<u64> = match limit.algorithm() {
            Algorithm::Smooth { interval } => vec![interval, 1_000_000, 1],
            Algorithm::Window { length, slice } => vec![length, slice, 1_000_000, 1],
        };
        let mut pairs = Vec::new();
        for round in 0..=options.rounds {
            let mut pair = Pair::default();
            for call in 0..options.calls {
                let ours = async {
                    black_box(limiter.check("ours", 1).await?);
                    Ok(())
                };
                let theirs = async {
                    let mut evalsha = redis::cmd("EVALSHA");
                    evalsha.arg(script.get_hash()).arg(1);
                    evalsha
                        .arg(format!("{prefix}authorstack:ratelimit:raw"))
                        .arg(&arguments);
                    let answer: (bool, u32, u64, u64) =
                        evalsha.query_async(&mut raw.clone()).await?;
                    black_box(answer);
                    Ok(())
                };
                pair.time(call, ours, theirs).await?;
            }
            if round > 0 {
                pairs.push(pair.medians());
            }
        }
        let comparison = Comparison {
            bench: name.to_owned(),
            peer_name: "EVALSHA",
            goal: Some(1.1),
            unit: "ms",
            pairs,
            peak_mb: None,
        };
        comparison.print(options.json);
        for subject in ["ours", "raw"] {
            let key = format!("{prefix}authorstack:ratelimit:{subject}");
            let () = raw.clone().del(key).await?;
        }
    }
    Ok(())
}
