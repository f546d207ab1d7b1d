//! What happens when handlers fail.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{
    Queue, add, failed, feed, job, number, settle, settlement, stop, take_one, until, until_state,
    worker,
};
use crate::{
    ErrorKind,
    queue::{
        Backoff, Handlers, Job, JobContext, JobError, JobRange, JobState, NewJob, Outcome, Payload,
        QueueName,
    },
};

pub async fn a_failed_attempt_is_tried_again(queue: &Queue) {
    let handler = |_: Job, context: JobContext| async move {
        if context.attempt() < 3 {
            return Err(JobError::retry(format!(
                "attempt {} failed",
                context.attempt()
            )));
        }
        Ok(json!(context.attempt()))
    };
    let id = queue.add(job(1).attempts(5)).await.unwrap();
    let running = worker(queue, 1, handler).await;
    let done = until_state(queue, &id, JobState::Completed).await;
    assert_eq!(done.returned, Some(json!(3)));
    assert_eq!((done.attempts_made, done.attempts_started), (3, 3));
    assert_eq!(done.stacktrace, ["attempt 1 failed", "attempt 2 failed"]);
    stop(running).await;
}

pub async fn a_backoff_delays_the_next_attempt(queue: &Queue) {
    let backoff = Backoff::exponential(Duration::from_millis(200));
    let id = queue
        .add(job(1).attempts(3).backoff(backoff))
        .await
        .unwrap();
    let started = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let started = Arc::clone(&started);
        move |_: Job, _: JobContext| {
            let started = Arc::clone(&started);
            async move {
                started.lock().await.push(tokio::time::Instant::now());
                Err(JobError::retry("no"))
            }
        }
    };
    let running = worker(queue, 1, handler).await;
    until_state(queue, &id, JobState::Failed).await;
    let started = started.lock().await.clone();
    assert_eq!(started.len(), 3);
    // Queues count whole milliseconds by the wall clock.
    assert!(started[1] - started[0] >= Duration::from_millis(195));
    assert!(started[2] - started[1] >= Duration::from_millis(395));
    stop(running).await;

    // What a handler asks for counts where it is longer.
    let feed = feed(queue).await;
    let id = queue.add(job(2).attempts(2)).await.unwrap();
    let taken = take_one(&*feed).await;
    let retry = Outcome::Retry {
        reason: "later".to_owned(),
        stacktrace: vec!["later".to_owned()],
        after: Duration::from_secs(3_600),
    };
    settle(&*feed, settlement(&taken, retry)).await;
    let delayed = queue.get(&id).await.unwrap();
    assert_eq!(delayed.state, JobState::Delayed);
    assert_eq!(delayed.options.delay, Duration::from_secs(3_600));
    assert_eq!(delayed.failed_reason.as_deref(), Some("later"));
    assert_eq!(delayed.attempts_made, 1);
}

pub async fn the_last_failure_is_kept(queue: &Queue) {
    let handler = |_: Job, context: JobContext| async move {
        Err(JobError::retry(format!(
            "attempt {} — ✗",
            context.attempt()
        )))
    };
    let id = queue.add(job(1).attempts(2)).await.unwrap();
    let running = worker(queue, 1, handler).await;
    let done = until_state(queue, &id, JobState::Failed).await;
    assert_eq!(done.failed_reason.as_deref(), Some("attempt 2 — ✗"));
    assert_eq!(done.stacktrace, ["attempt 1 — ✗", "attempt 2 — ✗"]);
    assert_eq!(done.attempts_made, 2);
    assert!(done.finished_at.is_some());
    stop(running).await;
}

pub async fn a_permanent_failure_is_not_tried_again(queue: &Queue) {
    let handler = |_: Job, _: JobContext| async { Err(JobError::permanent("never")) };
    let id = queue.add(job(1).attempts(10)).await.unwrap();
    let running = worker(queue, 1, handler).await;
    let done = until_state(queue, &id, JobState::Failed).await;
    assert_eq!((done.attempts_made, done.attempts_started), (1, 1));
    stop(running).await;
}

pub async fn a_panic_fails_its_job_alone(queue: &Queue) {
    let handler = |job: Job, _: JobContext| async move {
        assert_ne!(number(&job), 2, "two is too many");
        Ok(Value::Null)
    };
    let ids = queue.add_bulk((1..=5).map(job).collect()).await.unwrap();
    let running = worker(queue, 2, handler).await;
    until(async || queue.counts().await.unwrap().open() == 0).await;
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.completed, counts.failed), (4, 1));
    let broken = queue.get(&ids[1]).await.unwrap();
    let reason = broken.failed_reason.unwrap();
    assert!(reason.starts_with("the handler panicked: ") && reason.contains("two is too many"));
    assert!(broken.stacktrace[0].contains("two is too many"));
    stop(running).await;
}

/// A payload as the worker knows it.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    count: u64,
}

impl Payload for Known {
    const QUEUE: QueueName = QueueName::DATA_SYNC;
    const NAME: &'static str = "known";
    const VERSION: u32 = 2;

    fn upgrade(_version: u32, mut data: Value) -> crate::Result<Value> {
        data["count"] = data["number"].take();
        Ok(data)
    }
}

pub async fn a_job_of_an_unknown_version_fails_alone(queue: &Queue) {
    let jobs = [
        json!({"version": 3, "count": 1}),
        json!({"version": "two", "count": 1}),
        json!({"version": 2, "count": "one"}),
        json!({"version": 2, "count": 7}),
        json!({"number": 8}),
    ];
    let jobs = jobs
        .into_iter()
        .map(|data| NewJob::new("known", data).attempts(3))
        .collect();
    let ids = queue.add_bulk(jobs).await.unwrap();
    let handlers = Handlers::new().on(|known: Known, _| async move { Ok(known.count) });
    let running = worker(queue, 1, handlers).await;
    until(async || queue.counts().await.unwrap().open() == 0).await;
    for (id, part) in ids.iter().zip(["version 3", "\"two\"", "does not fit"]) {
        let job = queue.get(id).await.unwrap();
        assert_eq!((job.state, job.attempts_made), (JobState::Failed, 1));
        let reason = job.failed_reason.unwrap();
        assert!(
            reason.contains(part) && reason.contains(id.as_str()),
            "{reason}"
        );
    }
    for (id, count) in ids[3..].iter().zip([7, 8]) {
        assert_eq!(queue.get(id).await.unwrap().returned, Some(json!(count)));
    }
    stop(running).await;
}

pub async fn a_job_that_nobody_knows_fails_alone(queue: &Queue) {
    let id = queue
        .add(NewJob::new("mystery", json!([1])).attempts(3))
        .await
        .unwrap();
    let handlers = Handlers::new().on(|known: Known, _| async move { Ok(known.count) });
    let running = worker(queue, 1, handlers).await;
    let job = until_state(queue, &id, JobState::Failed).await;
    let reason = job.failed_reason.unwrap();
    assert!(
        reason.contains("mystery") && reason.contains("known"),
        "{reason}"
    );
    stop(running).await;
}

pub async fn failed_jobs_are_retried(queue: &Queue) {
    let feed = feed(queue).await;
    let mut ids = Vec::new();
    for number in 1..=4 {
        ids.push(add(queue, number).await);
        let taken = take_one(&*feed).await;
        settle(&*feed, failed(&taken)).await;
    }
    let listed = queue
        .list(JobState::Failed, JobRange::first(10))
        .await
        .unwrap();
    let numbers: Vec<_> = listed.iter().map(number).collect();
    assert_eq!(numbers, [4, 3, 2, 1], "the newest first");
    assert_eq!(listed[0].failed_reason.as_deref(), Some("it cannot be"));

    queue.retry(&ids[1]).await.unwrap();
    let error = queue.retry(&ids[1]).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Conflict { .. }),
        "{error}"
    );
    assert_eq!(queue.retry_failed().await.unwrap(), 3);
    assert_eq!(queue.retry_failed().await.unwrap(), 0);
    let again = take_one(&*feed).await;
    assert_eq!(number(&again.job), 2);
    assert_eq!(
        (again.job.attempts_made, again.job.failed_reason.as_deref()),
        (0, None)
    );
    assert_eq!(super::drain(queue).await, [1, 3, 4]);
}
