//! Queues while Redis is killed, paused and full: no job is lost, and workers recover by themselves.

use crate::common;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use authorstack_core::{
    ErrorKind,
    queue::{
        FeedOptions, Held, Job, JobContext, JobFeed, JobQueue, JobState, Keep, NewJob, QueueName,
        Settlement, Taken, Worker, WorkerHandle, WorkerOptions,
    },
    serde_json::{Value, json},
};
use authorstack_redis::{RedisConfig, RedisStore};
use common::Server;
use futures::StreamExt;
use redis::AsyncCommands;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A server that writes each command to its disk before it answers.
async fn durable() -> Server {
    Server::start(&["--appendonly", "yes", "--appendfsync", "always"]).await
}

async fn queue(server: &Server) -> Arc<dyn JobQueue> {
    let config = RedisConfig::new(server.url())
        .operation_timeout(Duration::from_millis(700))
        .connect_timeout(Duration::from_secs(5));
    let store = RedisStore::connect(config).await.unwrap();
    Arc::new(store.queue(QueueName::ANALYTICS))
}

/// How often each job has run to its end.
type Runs = Arc<Mutex<BTreeMap<u64, u32>>>;

async fn worker(queue: &Arc<dyn JobQueue>, runs: &Runs) -> WorkerHandle {
    let runs = Arc::clone(runs);
    let handler = move |job: Job, _: JobContext| {
        let runs = Arc::clone(&runs);
        async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let number = job.data["n"].as_u64().unwrap();
            *runs.lock().unwrap().entry(number).or_default() += 1;
            Ok(Value::Null)
        }
    };
    let options = WorkerOptions {
        concurrency: 10,
        lock: Duration::from_secs(20),
        stalled_interval: Duration::from_millis(500),
        idle_interval: Duration::from_millis(500),
        ..WorkerOptions::default()
    };
    Worker::new(Arc::clone(queue), handler)
        .options(options)
        .start()
        .await
        .unwrap()
}

fn job(number: u64) -> NewJob {
    NewJob::new("count", json!({ "n": number })).keep_completed(Keep::ALL)
}

async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..6_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("what the test waits for did not happen within a minute");
}

/// Waits until all jobs have ended, and checks that each has run once.
async fn all_ran_once(queue: &Arc<dyn JobQueue>, runs: &Runs, jobs: u64) {
    until(async || {
        let counts = queue.counts().await;
        counts.is_ok_and(|counts| counts.open() == 0 && counts.completed + counts.failed >= jobs)
    })
    .await;
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.completed, counts.failed), (jobs, 0));
    let runs = runs.lock().unwrap();
    assert_eq!(runs.len() as u64, jobs);
    let twice: Vec<_> = runs.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "these ran more than once: {twice:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_loses_no_job() {
    let mut server = durable().await;
    let queue = queue(&server).await;
    let runs = Runs::default();
    queue.add_bulk((0..600).map(job).collect()).await.unwrap();
    let running = worker(&queue, &runs).await;
    let mut events = queue.events(Some("0-0".to_owned().into()));
    let listening = tokio::spawn(async move {
        let mut completed = 0;
        while completed < 600 {
            let event = events.next().await.unwrap().unwrap();
            if matches!(
                event.event,
                authorstack_core::queue::JobEvent::Completed { .. }
            ) {
                completed += 1;
            }
        }
    });
    for _ in 0..2 {
        let before = runs.lock().unwrap().len();
        until(async || runs.lock().unwrap().len() > before + 40).await;
        server.kill();
        let error = queue.add(job(9_999)).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.restart().await;
    }
    all_ran_once(&queue, &runs, 600).await;
    // The stream of events has gone on, too.
    tokio::time::timeout(Duration::from_mins(1), listening)
        .await
        .unwrap()
        .unwrap();
    running.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_redis_loses_no_job() {
    let server = durable().await;
    let queue = queue(&server).await;
    let runs = Runs::default();
    queue.add_bulk((0..600).map(job).collect()).await.unwrap();
    let running = worker(&queue, &runs).await;
    for _ in 0..2 {
        let before = runs.lock().unwrap().len();
        until(async || runs.lock().unwrap().len() > before + 40).await;
        server.pause();
        let error = queue.counts().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.go_on();
    }
    all_ran_once(&queue, &runs, 600).await;
    // An idle worker whose server was silent is woken as before.
    server.pause();
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.go_on();
    until(async || queue.add(job(600)).await.is_ok()).await;
    all_ran_once(&queue, &runs, 601).await;
    running.shutdown(Duration::from_secs(10)).await.unwrap();
}

/// Takes up memory until the server refuses writes.
async fn fill(server: &Server) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    for number in 0.. {
        let block = "x".repeat(100_000);
        let refused: Result<(), _> = raw.set(format!("filler:{number}"), block).await;
        if refused.is_err() {
            break;
        }
    }
    for number in 0.. {
        // To the last byte.
        let refused: Result<(), _> = raw
            .set(format!("filler:small:{number}"), "x".repeat(100))
            .await;
        if refused.is_err() {
            break;
        }
    }
    // Buffers of connections that the server frees later must not make room.
    let mut limit = redis::cmd("CONFIG");
    limit.arg("SET").arg("maxmemory").arg("12mb");
    limit.exec_async(&mut raw).await.unwrap();
    raw
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_loses_no_job() {
    let server = Server::start(&["--maxmemory", "16mb", "--maxmemory-policy", "noeviction"]).await;
    let queue = queue(&server).await;
    let runs = Runs::default();
    queue.add_bulk((0..300).map(job).collect()).await.unwrap();
    let feed: Box<dyn JobFeed> = queue
        .feed(FeedOptions {
            lock: Duration::from_secs(30),
            max_stalled: 1,
            worker: None,
        })
        .await
        .unwrap();
    let held = feed.exchange(&[], 3).await.unwrap().taken;
    let mut raw = fill(&server).await;

    // Adding is refused as a whole, and says why.
    let error = queue.add_bulk(vec![job(300), job(301)]).await.unwrap_err();
    assert!(
        error.is_retryable() && error.to_string().contains("memory limit"),
        "{error}"
    );
    assert_eq!(queue.counts().await.unwrap().waiting, 297);
    // Taking changes nothing either.
    feed.exchange(&[], 5).await.unwrap_err();
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.active), (297, 3));
    // Locks are renewed, and what has run is settled.
    let lock = |taken: &Taken| Held {
        id: taken.job.id.clone(),
        token: taken.token.clone(),
    };
    let locks: Vec<Held> = held.iter().map(lock).collect();
    assert_eq!(feed.extend(&locks).await.unwrap(), []);
    let settled: Vec<Settlement> = locks
        .into_iter()
        .map(|held| Settlement {
            held,
            outcome: authorstack_core::queue::Outcome::Completed {
                returned: Value::Null,
            },
            keep: Keep::ALL,
            attempts: 1,
        })
        .collect();
    assert_eq!(feed.exchange(&settled, 0).await.unwrap().refused, []);
    assert_eq!(queue.counts().await.unwrap().completed, 3);
    for taken in &held {
        assert_eq!(
            queue.get(&taken.job.id).await.unwrap().state,
            JobState::Completed
        );
        *runs
            .lock()
            .unwrap()
            .entry(taken.job.data["n"].as_u64().unwrap())
            .or_default() += 1;
    }

    // A worker goes on once there is room.
    let running = worker(&queue, &runs).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    for number in 0..100 {
        raw.del::<_, ()>(format!("filler:{number}")).await.unwrap();
    }
    all_ran_once(&queue, &runs, 300).await;
    running.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_job_disturbs_no_other() {
    let (store, prefix) = common::fresh().await;
    let queue: Arc<dyn JobQueue> = Arc::new(store.queue(QueueName::ANALYTICS));
    let mut raw = store.connection();
    let base = format!("{prefix}authorstack:queue:analytics");
    let ids = queue.add_bulk((0..5).map(job).collect()).await.unwrap();
    let key = |index: usize| format!("{base}:{}", ids[index]);
    // Another kind of value, no value, no JSON, not even text.
    let _: () = raw.del(key(0)).await.unwrap();
    let _: () = raw.set(key(0), "a string").await.unwrap();
    let _: () = raw.del(key(1)).await.unwrap();
    let _: () = raw.hset(key(2), "data", "{broken").await.unwrap();
    let _: () = raw.hset(key(3), "data", &b"\xff\xfe"[..]).await.unwrap();
    let runs = Runs::default();
    let running = worker(&queue, &runs).await;
    until(async || queue.counts().await.unwrap().open() == 0).await;
    running.shutdown(Duration::from_secs(10)).await.unwrap();
    assert_eq!(*runs.lock().unwrap(), BTreeMap::from([(4, 1)]));
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.completed, counts.failed), (1, 2));
    for index in [2, 3] {
        let failed = queue.get(&ids[index]).await.unwrap();
        let reason = failed.failed_reason.unwrap();
        assert!(
            reason.contains("data is no JSON") && reason.contains(ids[index].as_str()),
            "{reason}"
        );
    }
    // A key of the queue itself that another app has taken.
    let _: () = raw.set(format!("{base}:wait"), "a string").await.unwrap();
    let error = queue.add(job(1)).await.unwrap_err();
    assert!(
        error.to_string().contains("authorstack:queue:analytics"),
        "{error}"
    );
    assert!(error.to_string().contains("another type"), "{error}");
}

/// A worker's own rate limit is the queue's: BullMQ keeps it among the queue's settings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limits_that_node_sets_for_a_queue_hold() {
    let (store, prefix) = common::fresh().await;
    let queue: Arc<dyn JobQueue> = Arc::new(store.queue(QueueName::ANALYTICS));
    let mut raw = store.connection();
    let meta = format!("{prefix}authorstack:queue:analytics:meta");
    let _: () = raw
        .hset_multiple(&meta, &[("max", 3), ("duration", 60_000)])
        .await
        .unwrap();
    queue.add_bulk((0..10).map(job).collect()).await.unwrap();
    let options = || FeedOptions {
        lock: Duration::from_secs(30),
        max_stalled: 1,
        worker: None,
    };
    let feed = queue.feed(options()).await.unwrap();
    assert_eq!(feed.exchange(&[], 10).await.unwrap().taken.len(), 3);
    let limited = feed.exchange(&[], 10).await.unwrap();
    assert!(limited.taken.is_empty());
    let wait = limited.limited.unwrap();
    assert!(wait <= Duration::from_mins(1), "{wait:?}");

    let _: () = raw.hdel(&meta, "max").await.unwrap();
    let _: () = raw.hset(&meta, "concurrency", 5).await.unwrap();
    // Three run already.
    assert_eq!(feed.exchange(&[], 10).await.unwrap().taken.len(), 2);
    assert_eq!(feed.exchange(&[], 10).await.unwrap().taken.len(), 0);
}

/// Passes connections on to a server, until one of them is to fall silent for ever.
async fn silent_proxy(server: &Server, silent: usize) -> (u16, watch::Sender<bool>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (hush, hushed) = watch::channel(false);
    let target = server.port();
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((mut near, _)) = listener.accept().await {
            number += 1;
            let (mut hushed, is_silent) = (hushed.clone(), number == silent);
            tokio::spawn(async move {
                let mut far = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                let passing = tokio::io::copy_bidirectional(&mut near, &mut far);
                tokio::select! {
                    _ = passing => {}
                    () = async { drop(hushed.wait_for(|hushed| *hushed && is_silent).await) } => {
                        // Both ends stay open, and nothing passes.
                        std::future::pending::<()>().await;
                    }
                }
            });
        }
    });
    (port, hush)
}

/// A command that blocks can be answered into a void: the answer was the wake-up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wake_up_that_is_lost_on_the_way_is_made_up_for() {
    let server = Server::start(&[]).await;
    // The first connection is the shared one, the second the one that blocks.
    let (port, hush) = silent_proxy(&server, 2).await;
    let through = RedisConfig::new(format!("redis://127.0.0.1:{port}"));
    let through = RedisStore::connect(through).await.unwrap();
    let behind: Arc<dyn JobQueue> = Arc::new(through.queue(QueueName::ANALYTICS));
    let runs = Runs::default();
    let handler = {
        let runs = Arc::clone(&runs);
        move |job: Job, _: JobContext| {
            let number = job.data["n"].as_u64().unwrap();
            *runs.lock().unwrap().entry(number).or_default() += 1;
            async { Ok(Value::Null) }
        }
    };
    let options = WorkerOptions {
        block: Duration::from_secs(2),
        // Not by the look for lost workers.
        stalled_interval: Duration::from_hours(1),
        idle_interval: Duration::from_hours(1),
        ..WorkerOptions::default()
    };
    let running = Worker::new(behind, handler)
        .options(options)
        .start()
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    hush.send_replace(true);
    let direct = queue(&server).await;
    for number in 0..2 {
        direct.add(job(number)).await.unwrap();
        all_ran_once(&direct, &runs, number + 1).await;
    }
    running.shutdown(Duration::from_secs(5)).await.unwrap();
}
