//! The queues beside BullMQ on Node, 5 and 6: each adds what the other runs.

use crate::common;

use std::{
    collections::BTreeSet,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use authorstack_core::{
    queue::{
        Backoff, Deduplication, Job, JobContext, JobError, JobEvent, JobId, JobQueue, JobRange,
        JobState, Keep, NewJob, QueueName, Schedule, Timing, Worker, WorkerHandle, WorkerOptions,
    },
    serde_json::{Value, json},
};
use authorstack_redis::{RedisConfig, RedisQueue, RedisStore};
use common::node::Node;
use futures::StreamExt;
use tokio::io::{AsyncBufReadExt, BufReader};

/// A queue, and the two Nodes on it.
struct Shared {
    queue: Arc<RedisQueue>,
    prefix: String,
    nodes: [Node; 2],
}

async fn shared() -> Shared {
    let (store, prefix) = common::fresh().await;
    let queue = Arc::new(store.queue(QueueName::DATA_SYNC));
    let node = |version| Node::new(version, &common::url(), &prefix, &queue);
    Shared {
        nodes: [node("bullmq"), node("bullmq6")],
        queue,
        prefix,
    }
}

/// What the Node handler does, in Rust.
async fn handler(job: Job, context: JobContext) -> Result<Value, JobError> {
    let failures = job.data["failures"].as_u64().unwrap_or(0);
    if failures >= u64::from(context.attempt()) {
        return Err(JobError::retry(format!(
            "attempt {} failed",
            context.attempt()
        )));
    }
    if job.data["never"] == true {
        return Err(JobError::permanent("never"));
    }
    if let Some(progress) = job.data.get("progress") {
        context.progress(progress.clone()).await?;
    }
    Ok(json!({"seen": job.data, "by": "rust"}))
}

async fn worker(queue: &Arc<RedisQueue>, concurrency: usize) -> WorkerHandle {
    let options = WorkerOptions {
        concurrency,
        stalled_interval: Duration::from_millis(300),
        idle_interval: Duration::from_millis(300),
        ..WorkerOptions::default()
    };
    let queue: Arc<dyn JobQueue> = Arc::<RedisQueue>::clone(queue);
    Worker::new(queue, handler)
        .options(options)
        .start()
        .await
        .unwrap()
}

/// Runs all jobs in Rust until none is open.
async fn work(queue: &Arc<RedisQueue>) {
    let worker = worker(queue, 1).await;
    until(async || queue.counts().await.unwrap().open() == 0).await;
    worker.shutdown(Duration::from_secs(30)).await.unwrap();
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

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect()
}

/// One job of each kind, in the order in which they end where one runs at a time. The retried one comes
/// back behind the others, the delayed ones come last.
fn kinds() -> Vec<(&'static str, NewJob)> {
    let job = |name: &str, data: Value| NewJob::new(name, data).keep_completed(Keep::ALL);
    let second = Duration::from_secs(1);
    vec![
        (
            "plain",
            job(
                "plain",
                json!({"text": "ü✓\"\\", "list": [1, 2.5, null, {}], "empty": []}),
            ),
        ),
        (
            "custom",
            job("custom", json!({"progress": 40})).id(JobId::custom("custom-id").unwrap()),
        ),
        ("never", job("never", json!({"never": true})).attempts(5)),
        (
            "retried",
            job("retried", json!({"failures": 1})).attempts(3),
        ),
        ("second", job("second", json!({})).priority(2)),
        ("first", job("first", json!({})).priority(1)),
        (
            "backoff",
            job("backoff", json!({"failures": 2}))
                .attempts(3)
                .backoff(Backoff::exponential(Duration::from_millis(300))),
        ),
        (
            "fixed",
            job("fixed", json!({"failures": 5}))
                .attempts(2)
                .backoff(Backoff::fixed(Duration::from_millis(200)).jitter(0.5)),
        ),
        ("delayed", job("delayed", json!({})).delay(second)),
    ]
}

/// Looks at the jobs of `kinds` after they have run, as Node shows them.
fn check_kinds(names: &[&str], seen: &Value, by: &str) {
    for (name, job) in names.iter().zip(seen.as_array().unwrap()) {
        let (state, attempts) = match *name {
            "never" => ("failed", 1),
            "retried" => ("completed", 2),
            "backoff" => ("completed", 3),
            "fixed" => ("failed", 2),
            _ => ("completed", 1),
        };
        assert_eq!(
            (job["state"].as_str(), job["attemptsMade"].as_u64()),
            (Some(state), Some(attempts)),
            "{name}: {job}"
        );
        assert_eq!(job["attemptsStarted"], attempts, "{name}");
        assert!(
            job["finishedOn"].as_u64() >= job["processedOn"].as_u64(),
            "{job}"
        );
        if state == "completed" {
            assert_eq!(
                job["returnvalue"],
                json!({"seen": job["data"], "by": by}),
                "{name}"
            );
        }
        match *name {
            "never" => assert_eq!(job["failedReason"], "never"),
            "fixed" => {
                assert_eq!(job["failedReason"], "attempt 2 failed");
                let traces = texts(&job["stacktrace"]);
                assert_eq!(traces.len(), 2);
                assert!(traces[0].contains("attempt 1 failed"), "{traces:?}");
            }
            "custom" => assert_eq!(
                (&job["progress"], &job["id"]),
                (&json!(40), &json!("custom-id"))
            ),
            "delayed" => {
                let due = job["timestamp"].as_i64().unwrap() + 1_000;
                assert!(job["processedOn"].as_i64().unwrap() >= due, "{job}");
            }
            _ => {}
        }
    }
}

async fn node_runs_what_rust_adds(version: usize) {
    let shared = shared().await;
    let node = &shared.nodes[version];
    let (names, jobs): (Vec<_>, Vec<_>) = kinds().into_iter().unzip();
    let ids = shared.queue.add_bulk(jobs).await.unwrap();
    let ids: Vec<&str> = ids.iter().map(JobId::as_str).collect();

    let before = node.run("jobs", json!({"ids": ids})).await;
    for (name, job) in names.iter().zip(before.as_array().unwrap()) {
        let state = match *name {
            "first" | "second" => "prioritized",
            "delayed" => "delayed",
            _ => "waiting",
        };
        assert_eq!(job["state"], state, "{name}");
        assert_eq!(job["name"], *name);
    }
    assert_eq!(
        before[0]["data"],
        json!({"text": "ü✓\"\\", "list": [1, 2.5, null, {}], "empty": []})
    );
    assert_eq!(
        (&before[5]["priority"], &before[8]["delay"]),
        (&json!(1), &json!(1_000))
    );
    assert_eq!(
        before[6]["opts"]["backoff"],
        json!({"type": "exponential", "delay": 300})
    );

    let ended = node.run("work", json!({"count": ids.len()})).await;
    let order: Vec<_> = texts(&ended)
        .into_iter()
        .map(|id| names[ids.iter().position(|it| *it == id).unwrap()])
        .collect();
    let place = |name| order.iter().position(|it| *it == name).unwrap();
    for pair in ["plain", "custom", "never", "retried"].windows(2) {
        assert!(place(pair[0]) < place(pair[1]), "{order:?}");
    }
    assert!(place("first") < place("second"), "{order:?}");
    let seen = node.run("jobs", json!({"ids": ids})).await;
    check_kinds(&names, &seen, ["bullmq", "bullmq6"][version]);

    // Ours sees the same.
    let found = shared.queue.get(&ids[3].parse().unwrap()).await.unwrap();
    assert_eq!((found.state, found.attempts_made), (JobState::Completed, 2));
    assert_eq!(found.returned.unwrap()["seen"], json!({"failures": 1}));
    assert_eq!(shared.queue.counts().await.unwrap().failed, 2);
}

async fn rust_runs_what_node_adds(version: usize) {
    let shared = shared().await;
    let node = &shared.nodes[version];
    let (names, jobs): (Vec<_>, Vec<_>) = kinds().into_iter().unzip();
    let node_jobs: Vec<Value> = jobs
        .iter()
        .map(|job| {
            let options = &job.options;
            let mut opts = json!({"attempts": options.attempts});
            if !options.delay.is_zero() {
                opts["delay"] = json!(1_000);
            }
            if options.priority > 0 {
                opts["priority"] = options.priority.into();
            }
            if let Some(id) = &options.id {
                opts["jobId"] = id.as_str().into();
            }
            match job.name.as_str() {
                "backoff" => opts["backoff"] = json!({"type": "exponential", "delay": 300}),
                "fixed" => opts["backoff"] = json!({"type": "fixed", "delay": 200, "jitter": 0.5}),
                _ => {}
            }
            json!({"name": job.name, "data": job.data, "opts": opts})
        })
        .collect();
    let ids = node.run("add", json!({"jobs": node_jobs})).await;
    for (id, job) in texts(&ids).into_iter().zip(&jobs) {
        let found = shared.queue.get(&id.parse().unwrap()).await.unwrap();
        assert_eq!((&found.name, &found.data), (&job.name, &job.data));
        assert_eq!(found.options.backoff, job.options.backoff, "{}", job.name);
        assert_eq!(found.options.priority, job.options.priority);
        assert_eq!(found.options.delay, job.options.delay);
        assert_eq!(found.options.attempts, job.options.attempts);
    }
    work(&shared.queue).await;
    let seen = node.run("jobs", json!({"ids": ids})).await;
    check_kinds(&names, &seen, "rust");
    // What failed in Rust is retried by Node.
    node.run("retryAll", json!({})).await;
    until(async || shared.queue.counts().await.unwrap().failed == 0).await;
    work(&shared.queue).await;
    assert_eq!(shared.queue.counts().await.unwrap().failed, 2);
}

async fn schedules_go_both_ways(version: usize) {
    let shared = shared().await;
    let node = &shared.nodes[version];
    let queue = &shared.queue;
    // Rust's schedule, Node's worker.
    let every = Timing::every(Duration::from_millis(300));
    let mut ours = Schedule::new(
        "ours",
        every,
        NewJob::new("tick", json!({"n": 1})).attempts(2),
    );
    ours.limit = Some(3);
    queue.schedule(ours).await.unwrap();
    let zone = Timing::Cron {
        pattern: "0 6 * * 1".to_owned(),
        time_zone: Some("Europe/Vienna".to_owned()),
    };
    let weekly = Schedule::new("weekly", zone, NewJob::new("digest", json!({})));
    let first = queue.schedule(weekly).await.unwrap();
    let seen = node.run("schedulers", json!({})).await;
    assert_eq!(seen[0]["key"], "ours");
    assert_eq!(
        (&seen[0]["every"], &seen[0]["limit"]),
        (&json!(300), &json!(3))
    );
    assert_eq!(seen[0]["template"]["data"], json!({"n": 1}));
    assert_eq!(
        (&seen[1]["key"], &seen[1]["tz"]),
        (&json!("weekly"), &json!("Europe/Vienna"))
    );
    assert_eq!(
        (&seen[1]["pattern"], &seen[1]["next"]),
        (&json!("0 6 * * 1"), &json!(first.timestamp_millis()))
    );
    let ended = node.run("work", json!({"count": 3})).await;
    assert!(
        texts(&ended)
            .iter()
            .all(|id| id.starts_with("repeat:ours:")),
        "{ended}"
    );
    // The same moment by Node's own reckoning.
    let again = node
        .run("schedule", json!({"id": "weekly", "repeat": {"pattern": "0 6 * * 1", "tz": "Europe/Vienna"}, "template": {"name": "digest"}}))
        .await;
    assert_eq!(
        again["id"],
        format!("repeat:weekly:{}", first.timestamp_millis())
    );
    assert_eq!(queue.counts().await.unwrap().delayed, 1);

    // Node's schedules, Rust's worker.
    let limited = json!({"id": "theirs", "repeat": {"every": 300, "limit": 3}, "template": {"name": "tock", "data": {"n": 2}, "opts": {"attempts": 4}}});
    node.run("schedule", limited).await;
    let secondly = json!({"id": "secondly", "repeat": {"pattern": "* * * * * *"}, "template": {"name": "second", "data": {"n": 3}}});
    node.run("schedule", secondly).await;
    let running = worker(queue, 4).await;
    let done = async |id: &str| {
        let all = queue
            .list(JobState::Completed, JobRange::first(100))
            .await
            .unwrap();
        let mut of = all
            .into_iter()
            .filter(|job| job.scheduler.as_deref() == Some(id))
            .collect::<Vec<_>>();
        of.reverse();
        of
    };
    until(async || done("theirs").await.len() == 3 && done("secondly").await.len() >= 2).await;
    let theirs = done("theirs").await;
    assert!(
        theirs
            .iter()
            .all(|job| job.name == "tock" && job.options.attempts == 4),
        "{theirs:?}"
    );
    assert_eq!(theirs[2].data, json!({"n": 2}));
    node.run("unschedule", json!({"id": "secondly"})).await;
    running.shutdown(Duration::from_secs(10)).await.unwrap();
    let ids: Vec<_> = queue
        .schedulers()
        .await
        .unwrap()
        .into_iter()
        .map(|it| it.id)
        .collect();
    assert!(!ids.contains(&"secondly".to_owned()), "{ids:?}");
    queue.unschedule("weekly").await.unwrap();
    let left = node.run("schedulers", json!({})).await;
    assert!(
        left.as_array()
            .unwrap()
            .iter()
            .all(|one| one["key"] != "weekly"),
        "{left}"
    );
}

async fn rust_takes_over_from_a_killed_node(version: usize) {
    let shared = shared().await;
    let id = shared
        .queue
        .add(NewJob::new("hang", json!({})))
        .await
        .unwrap();
    let mut hanging = shared.nodes[version].start("hang", json!({})).await;
    assert_eq!(hanging.line().await, "taken");
    hanging.kill().await;
    work(&shared.queue).await;
    let job = shared.queue.get(&id).await.unwrap();
    assert_eq!(
        (job.state, job.stalled, job.attempts_made),
        (JobState::Completed, 1, 1)
    );
}

/// The setting by which the test below calls itself as the process to kill.
const KILLED: &str = "AUTHORSTACK_TEST_KILLED_WORKER";

/// A worker that takes jobs and never ends them.
async fn hang(prefix: &str) {
    let config = RedisConfig::new(common::url()).key_prefix(prefix);
    let store = RedisStore::connect(config).await.unwrap();
    let queue: Arc<dyn JobQueue> = Arc::new(store.queue(QueueName::DATA_SYNC));
    let handler = |_: Job, _: JobContext| async {
        println!("taken");
        std::future::pending::<Result<Value, JobError>>().await
    };
    let options = WorkerOptions {
        lock: Duration::from_secs(1),
        stalled_interval: Duration::from_millis(300),
        ..WorkerOptions::default()
    };
    let _running = Worker::new(queue, handler)
        .options(options)
        .start()
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_mins(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_and_rust_take_over_from_a_killed_rust() {
    if let Ok(prefix) = std::env::var(KILLED) {
        return hang(&prefix).await;
    }
    for version in 0..3 {
        let shared = shared().await;
        let id = shared
            .queue
            .add(NewJob::new("hang", json!({})))
            .await
            .unwrap();
        let mut hanging = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "interop::node_and_rust_take_over_from_a_killed_rust",
                "--nocapture",
            ])
            .env(KILLED, &shared.prefix)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(hanging.stdout.take().unwrap()).lines();
        while !lines.next_line().await.unwrap().unwrap().contains("taken") {}
        hanging.kill().await.unwrap();
        if let Some(node) = shared.nodes.get(version) {
            let settings = json!({"stalledInterval": 400});
            node.run("work", json!({"count": 1, "settings": settings}))
                .await;
        } else {
            work(&shared.queue).await;
        }
        let job = shared.queue.get(&id).await.unwrap();
        assert_eq!((job.state, job.stalled), (JobState::Completed, 1));
    }
}

/// Whoever pauses and whoever resumes: all jobs run, those that were added meanwhile too.
async fn pauses_lose_nothing(version: usize) {
    let shared = shared().await;
    let (queue, node) = (&shared.queue, &shared.nodes[version]);
    let mine = |n: u64| NewJob::new("mine", json!({ "n": n }));
    let theirs = json!({"jobs": [{"name": "theirs", "data": {}}, {"name": "late", "data": {}, "opts": {"delay": 50}},
        {"name": "important", "data": {}, "opts": {"priority": 1}}]});
    for round in 0..4 {
        let (we_pause, we_resume, we_work) = (round % 2 == 0, round < 2, round == 1 || round == 2);
        queue.add_bulk((0..3).map(mine).collect()).await.unwrap();
        if we_pause {
            queue.pause().await.unwrap();
        } else {
            node.run("pause", json!({})).await;
        }
        assert!(queue.is_paused().await.unwrap());
        let running = worker(queue, 2).await;
        queue.add_bulk((3..6).map(mine).collect()).await.unwrap();
        node.run("add", theirs.clone()).await;
        assert_eq!(
            queue.counts().await.unwrap().completed,
            round * 9,
            "nothing runs"
        );
        running.shutdown(Duration::from_secs(5)).await.unwrap();
        if we_resume {
            queue.resume().await.unwrap();
        } else {
            node.run("resume", json!({})).await;
        }
        assert!(!queue.is_paused().await.unwrap());
        if we_work {
            work(queue).await;
        } else {
            node.run("work", json!({"count": 9})).await;
        }
        let counts = queue.counts().await.unwrap();
        assert_eq!(
            (counts.completed, counts.open()),
            ((round + 1) * 9, 0),
            "round {round}"
        );
    }
}

async fn events_go_both_ways(version: usize) {
    let shared = shared().await;
    let (queue, node) = (&shared.queue, &shared.nodes[version]);
    let mut events = queue.events(Some("0-0".to_owned().into()));
    node.run(
        "add",
        json!({"jobs": [{"name": "one", "data": {"progress": 7}}]}),
    )
    .await;
    node.run("work", json!({"count": 1})).await;
    let mut seen = Vec::new();
    loop {
        let event = events.next().await.unwrap().unwrap().event;
        let is_last = matches!(event, JobEvent::Completed { .. });
        seen.push(event);
        if is_last {
            break;
        }
    }
    assert_eq!(
        seen[0],
        JobEvent::Added {
            name: "one".to_owned()
        }
    );
    for wanted in [
        JobEvent::Waiting,
        JobEvent::Active,
        JobEvent::Progress { progress: json!(7) },
    ] {
        assert!(seen.contains(&wanted), "{seen:?}");
    }

    let fails = NewJob::new("two", json!({"failures": 9, "progress": 1})).attempts(2);
    let kept = queue.add(fails).await.unwrap();
    let mut gone = NewJob::new("three", json!({}));
    gone.options.delay = Duration::from_hours(1);
    let gone = queue
        .add(gone.deduplicate(Deduplication::until_finished("k")))
        .await
        .unwrap();
    let again = NewJob::new("three", json!({})).deduplicate(Deduplication::until_finished("k"));
    assert_eq!(queue.add(again).await.unwrap(), gone);
    queue.remove(&gone).await.unwrap();
    work(queue).await;
    let seen = node
        .run("events", json!({"until": "failed", "count": 1}))
        .await;
    let of = |event: &str, id: &JobId| {
        seen.as_array()
            .unwrap()
            .iter()
            .find(|it| it["event"] == event && it["jobId"] == id.as_str())
    };
    assert_eq!(
        of("failed", &kept).unwrap()["failedReason"],
        "attempt 2 failed"
    );
    assert!(of("active", &kept).is_some() && of("waiting", &kept).is_some());
    assert!(of("delayed", &gone).unwrap()["delay"].as_i64().is_some());
    assert_eq!(of("removed", &gone).unwrap()["prev"], "delayed");
    assert_eq!(of("deduplicated", &gone).unwrap()["deduplicationId"], "k");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed_workers_run_ten_thousand_jobs_once_each() {
    let shared = shared().await;
    let (queue, seen) = (&shared.queue, Arc::new(Mutex::new(Vec::new())));
    let handler = {
        let seen = Arc::clone(&seen);
        move |job: Job, _: JobContext| {
            seen.lock().unwrap().push(job.id.as_str().to_owned());
            async { Ok(Value::Null) }
        }
    };
    let mut others = Vec::new();
    for node in &shared.nodes {
        let mut running = node
            .start("workUntilClosed", json!({"concurrency": 10}))
            .await;
        assert_eq!(running.line().await, "ready");
        others.push(running);
    }
    let as_dyn: Arc<dyn JobQueue> = Arc::<RedisQueue>::clone(queue);
    let ours = Worker::new(as_dyn, handler)
        .concurrency(5)
        .start()
        .await
        .unwrap();
    let adding = async {
        for part in 0..16 {
            let jobs = (0..500).map(|n| NewJob::new("one", json!({"n": part * 500 + n})));
            queue
                .add_bulk(jobs.map(|job| job.keep_completed(Keep::ALL)).collect())
                .await
                .unwrap();
        }
    };
    let theirs = async {
        for node in shared.nodes.iter().cycle().take(4) {
            let job = json!({"name": "one", "data": {}});
            node.run("add", json!({"jobs": vec![job; 500]})).await;
        }
    };
    tokio::join!(adding, theirs);
    until(async || queue.counts().await.unwrap().open() == 0).await;
    ours.shutdown(Duration::from_secs(30)).await.unwrap();
    let mut all = seen.lock().unwrap().clone();
    for running in others {
        let ended = running.close().await;
        let ended = texts(&ended);
        assert!(!ended.is_empty(), "a worker had nothing to do");
        all.extend(ended.into_iter().map(str::to_owned));
    }
    assert_eq!(all.len(), 10_000);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 10_000);
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.completed, counts.failed), (10_000, 0));
}

/// Parents of a Node app's flows run after their children, though Rust runs these.
async fn flows_end_in_rust(version: usize) {
    let shared = shared().await;
    let child = |n: u64| json!({"name": "child", "data": {"n": n}});
    let flow = json!({"name": "parent", "data": {}, "children": [child(1), child(2)]});
    let parent = shared.nodes[version]
        .run("addFlow", json!({"flow": flow}))
        .await;
    let parent: JobId = parent.as_str().unwrap().parse().unwrap();
    assert_eq!(shared.queue.counts().await.unwrap().waiting_children, 1);
    work(&shared.queue).await;
    let done = shared
        .queue
        .list(JobState::Completed, JobRange::first(10))
        .await
        .unwrap();
    assert_eq!(done.len(), 3);
    let ended = |job: &Job| (job.id == parent, job.started_at, job.finished_at);
    let (parents, children): (Vec<_>, Vec<_>) = done.iter().map(ended).partition(|it| it.0);
    assert!(
        children.iter().all(|child| child.2 <= parents[0].1),
        "the parent began last"
    );

    // A child that fails lets its parent fail, where it was told so.
    let failing =
        json!({"name": "child", "data": {"never": true}, "opts": {"failParentOnFailure": true}});
    let flow = json!({"name": "parent", "data": {}, "children": [failing]});
    let parent = shared.nodes[version]
        .run("addFlow", json!({"flow": flow}))
        .await;
    work(&shared.queue).await;
    let parent = shared
        .queue
        .get(&parent.as_str().unwrap().parse().unwrap())
        .await
        .unwrap();
    assert_eq!(parent.state, JobState::Failed);
    assert!(parent.failed_reason.unwrap().contains("failed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bull_board_shows_retries_and_removes_our_jobs() {
    let shared = shared().await;
    let queue = &shared.queue;
    let job = |name: &str, data| NewJob::new(name, data);
    let done = queue
        .add(job("done", json!({"progress": {"part": 1}})))
        .await
        .unwrap();
    let broken = queue
        .add(job("broken", json!({"never": true})))
        .await
        .unwrap();
    work(queue).await;
    let waiting = queue.add(job("waiting", json!({}))).await.unwrap();
    let important = queue
        .add(job("important", json!({})).priority(3))
        .await
        .unwrap();
    let delayed = queue
        .add(job("delayed", json!({})).delay(Duration::from_hours(1)))
        .await
        .unwrap();
    let ids = |jobs: &[&JobId]| json!(jobs.iter().map(|id| id.as_str()).collect::<Vec<_>>());
    let remove = ids(&[&done, &waiting, &important, &delayed]);
    let answer = shared.nodes[0]
        .run("board", json!({"retry": broken.as_str(), "remove": remove}))
        .await;
    let listed = &answer["listed"];
    assert_eq!(listed["completed"], ids(&[&done]));
    assert_eq!(listed["failed"], ids(&[&broken]));
    assert_eq!(listed["waiting"], ids(&[&waiting]));
    assert_eq!(listed["prioritized"], ids(&[&important]));
    assert_eq!(listed["delayed"], ids(&[&delayed]));
    assert_eq!(answer["shown"]["failedReason"], "never");
    let counts = queue.counts().await.unwrap();
    assert_eq!(
        (
            counts.waiting,
            counts.open(),
            counts.completed,
            counts.failed
        ),
        (1, 1, 0, 0)
    );
    assert_eq!(queue.get(&broken).await.unwrap().state, JobState::Waiting);
}

macro_rules! on_both_versions {
    ($($case:ident,)+) => {
        mod bullmq_5 {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(0).await })+
        }
        mod bullmq_6 {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(1).await })+
        }
    };
}

on_both_versions! {
    node_runs_what_rust_adds,
    rust_runs_what_node_adds,
    schedules_go_both_ways,
    rust_takes_over_from_a_killed_node,
    pauses_lose_nothing,
    events_go_both_ways,
    flows_end_in_rust,
}
