//! What each operation costs in commands, those inside scripts included: the table in
//! `docs/redis.md` is what the server counts.

use crate::common;

use std::{collections::BTreeMap, fs, time::Duration};

use authorstack_core::{
    AuthorStack, Days, Id, MemoryStore, NewBook, NewSale, Platform, SaleKey, SalesFilter, TotalsBy,
    User,
    layers::Cached,
    queue::{
        FeedOptions, Held, JobQueue, Keep, NewJob, Outcome, QueueName, Settlement, Worker,
        WorkerOptions,
    },
    rate_limit::{FailSafe, Limited, OnFailure, RateLimit, RateLimiter, RememberedDenials},
    serde_json::Value,
    testing::{author, servers::workspace},
};
use authorstack_redis::{RedisConfig, RedisStore};
use common::Server;
use redis::aio::MultiplexedConnection;

/// A server that nobody else talks to, and who counts its commands.
struct Counter {
    admin: MultiplexedConnection,
    found: BTreeMap<String, u64>,
}

impl Counter {
    /// How many commands there were of each name since the last time. A script's own commands are
    /// among them.
    async fn commands(&mut self) -> BTreeMap<String, u64> {
        let mut info = redis::cmd("INFO");
        let text: String = info
            .arg("commandstats")
            .query_async(&mut self.admin)
            .await
            .unwrap();
        let mut counts = BTreeMap::new();
        for line in text.lines() {
            let Some((name, values)) = line
                .trim()
                .strip_prefix("cmdstat_")
                .and_then(|it| it.split_once(':'))
            else {
                continue;
            };
            let calls = values
                .split(',')
                .find_map(|value| value.strip_prefix("calls="));
            counts.insert(name.to_owned(), calls.unwrap().parse().unwrap());
        }
        let mut reset = redis::cmd("CONFIG");
        reset
            .arg("RESETSTAT")
            .exec_async(&mut self.admin)
            .await
            .unwrap();
        counts.retain(|name, _| name != "info" && name != "config|resetstat");
        counts
    }

    /// Runs an operation twice, the first time so that the scripts are known, and notes the second.
    async fn count(&mut self, name: &str, mut operation: impl AsyncFnMut()) {
        operation().await;
        self.commands().await;
        operation().await;
        let commands = self.commands().await;
        let total = commands.values().sum();
        assert!(
            !commands.contains_key("keys") && !commands.contains_key("flushdb"),
            "{commands:?}"
        );
        println!("{name}: {total} {commands:?}");
        self.found.insert(name.to_owned(), total);
    }
}

/// The rows of the table in the docs: the operation and its number.
fn documented() -> BTreeMap<String, u64> {
    let text = fs::read_to_string(workspace().join("docs/redis.md")).unwrap();
    let table = text.split("<!-- commands -->").nth(1).unwrap();
    let rows = table.lines().filter_map(|line| {
        let mut cells = line.trim().strip_prefix('|')?.split('|').map(str::trim);
        let (name, number) = (cells.next()?, cells.next()?);
        Some((name.to_owned(), number.parse().ok()?))
    });
    rows.collect()
}

#[tokio::test]
async fn the_table_in_the_docs_is_what_the_server_counts() {
    let server = Server::start(&[]).await;
    let store = RedisStore::connect(RedisConfig::new(server.url()))
        .await
        .unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let admin = client.get_multiplexed_async_connection().await.unwrap();
    let mut counter = Counter {
        admin,
        found: BTreeMap::new(),
    };
    let memory = MemoryStore::new();
    let cached = Cached::with_deadline(store.cache(), Duration::from_mins(1));
    let stack = AuthorStack::builder().store(&memory).layer(cached).build();
    let (users, plain) = (stack.users(), memory.stack());
    let ada = author(&plain, "ada").await.id;
    let book = plain
        .books()
        .create(ada, NewBook::new("The Tide House"))
        .await
        .unwrap()
        .id;
    let day = "2024-03-01".parse().unwrap();
    let filter = SalesFilter::of(Days::new(day, day).unwrap());

    let found = &mut counter;
    found
        .count("a user or a dashboard, hit", async || {
            users.get(ada).await.unwrap();
        })
        .await;
    found
        .count("a user or a dashboard, miss", async || {
            users.get(Id::<User>::new()).await.unwrap_err();
        })
        .await;
    found
        .count("a book or sums of sales, hit", async || {
            stack.books().get(ada, book).await.unwrap();
        })
        .await;
    let mut days = day;
    found
        .count("a book or sums of sales, miss", async || {
            days = days.succ_opt().unwrap();
            let filter = SalesFilter::of(Days::new(days, days).unwrap());
            stack
                .sales()
                .totals(ada, &filter, TotalsBy::Day)
                .await
                .unwrap();
        })
        .await;
    stack
        .sales()
        .totals(ada, &filter, TotalsBy::Day)
        .await
        .unwrap();
    found
        .count("a write that changes what is cached", async || {
            let sale = NewSale::new(
                SaleKey::new(book, Platform::KDP, day),
                "1.00".parse().unwrap(),
                "USD".parse().unwrap(),
            );
            stack.sales().upsert(ada, &[sale]).await.unwrap();
            users.add_credits(ada, 1).await.unwrap();
        })
        .await;
    // Two writes were made.
    let writes = found
        .found
        .get_mut("a write that changes what is cached")
        .unwrap();
    *writes /= 2;

    let hour = Duration::from_hours(1);
    let smooth = store.rate_limiter(Limited::Api, RateLimit::smooth(2, hour).unwrap());
    let window = store.rate_limiter(Limited::Ai, RateLimit::window(2, hour).unwrap());
    for (name, limiter) in [("GCRA", &smooth), ("window", &window)] {
        found
            .count(&format!("a limit check, {name}, allowed"), async || {
                assert!(limiter.check("ada", 1).await.unwrap().allowed);
            })
            .await;
        found
            .count(&format!("a limit check, {name}, denied"), async || {
                assert!(!limiter.check("ada", 1).await.unwrap().allowed);
            })
            .await;
    }
    let remembering = RememberedDenials::new(FailSafe::new(smooth.clone(), OnFailure::Closed));
    found
        .count("a limit check, denied and remembered", async || {
            assert!(!remembering.check("ada", 1).await.unwrap().allowed);
        })
        .await;
    count_queues(&mut counter, &store).await;
    assert_eq!(counter.found, documented());
}

async fn count_queues(found: &mut Counter, store: &RedisStore) {
    let queue = store.queue(QueueName::DATA_SYNC);
    let job = || NewJob::new("count", Value::Null).keep_completed(Keep::ALL);
    let feed = queue.feed(FeedOptions {
        lock: Duration::from_mins(1),
        max_stalled: 1,
        worker: None,
    });
    let feed = feed.await.unwrap();
    found
        .count("a job, added", async || {
            queue.add(job()).await.unwrap();
        })
        .await;
    found
        .count("100 jobs, added in bulk", async || {
            queue
                .add_bulk((0..100).map(|_| job()).collect())
                .await
                .unwrap();
        })
        .await;
    let mut held = Vec::new();
    let settlement = |held: Held| Settlement {
        held,
        outcome: Outcome::Completed {
            returned: Value::Null,
        },
        keep: Keep::ALL,
        attempts: 1,
    };
    let mut exchange = async |settled: usize, room: usize| {
        let settled: Vec<_> = held.drain(..settled).map(settlement).collect();
        let exchanged = feed.exchange(&settled, room).await.unwrap();
        held.extend(exchanged.taken.into_iter().map(|taken| Held {
            id: taken.job.id,
            token: taken.token,
        }));
    };
    exchange(0, 20).await;
    found
        .count("a job, settled, and the next one taken", async || {
            exchange(1, 1).await;
        })
        .await;
    found
        .count("10 jobs, settled, and the next ones taken", async || {
            exchange(10, 10).await;
        })
        .await;
    exchange(20, 0).await;
    found
        .count("counts of a queue", async || {
            queue.counts().await.unwrap();
        })
        .await;
}

/// What a worker costs that has nothing to do. Its times are a hundredth of the defaults, so that a
/// minute of it takes 600 ms here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_worker_costs_at_most_six_commands_a_minute() {
    let server = Server::start(&[]).await;
    let store = RedisStore::connect(RedisConfig::new(server.url()))
        .await
        .unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let admin = client.get_multiplexed_async_connection().await.unwrap();
    let mut counter = Counter {
        admin,
        found: BTreeMap::new(),
    };
    let queue: std::sync::Arc<dyn JobQueue> =
        std::sync::Arc::new(store.queue(QueueName::NOTIFICATIONS));
    let usual = WorkerOptions::default();
    let options = WorkerOptions {
        block: usual.block / 100,
        stalled_interval: usual.stalled_interval / 100,
        idle_interval: usual.idle_interval / 100,
        ..usual
    };
    let handler = |_, _| async { Ok(Value::Null) };
    let worker = Worker::new(std::sync::Arc::clone(&queue), handler).options(options);
    let worker = worker.start().await.unwrap();
    // It has looked around, and sleeps.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    counter.commands().await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let commands = counter.commands().await;
    let (total, minutes) = (commands.values().sum::<u64>(), 10);
    assert!(
        total <= 6 * minutes,
        "{total} in {minutes} minutes: {commands:?}"
    );
    assert!(commands.contains_key("bzpopmin"), "it waits: {commands:?}");
    // It was not asleep for good.
    let id = queue.add(NewJob::new("count", Value::Null)).await.unwrap();
    for _ in 0..1_000 {
        let job = queue.get(&id).await.unwrap();
        if job.state == authorstack_core::queue::JobState::Completed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(queue.counts().await.unwrap().completed, 1);
    worker.shutdown(Duration::from_secs(5)).await.unwrap();
}

/// Connecting is a handshake and one look.
#[tokio::test]
async fn connecting_asks_once() {
    let server = Server::start(&[]).await;
    let client = redis::Client::open(server.url()).unwrap();
    let admin = client.get_multiplexed_async_connection().await.unwrap();
    let mut counter = Counter {
        admin,
        found: BTreeMap::new(),
    };
    counter.commands().await;
    RedisStore::connect(RedisConfig::new(server.url()))
        .await
        .unwrap();
    let commands = counter.commands().await;
    // The driver tells its name and version; INFO is not counted here, since it asks the counts.
    assert!(commands.values().sum::<u64>() <= 2, "{commands:?}");
}
