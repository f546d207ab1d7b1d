//! What workers do.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Queue, add, drain, job, number, stop, until, until_state, worker};
use crate::{
    Id, Platform,
    queue::{
        Handlers, Job, JobContext, JobError, JobState, NewJob, Worker, current_trace,
        payloads::{GenerateInsights, SendEmail, SyncPlatform},
    },
};

pub async fn a_worker_runs_jobs_and_keeps_their_results(queue: &Queue) {
    let handler = |job: Job, context: JobContext| async move {
        assert_eq!(context.attempt(), 1);
        Ok(json!({"twice": number(&job) * 2}))
    };
    let id = add(queue, 21).await;
    let running = Worker::new(Arc::clone(queue), handler)
        .named("w1")
        .start()
        .await
        .unwrap();
    let done = until_state(queue, &id, JobState::Completed).await;
    assert_eq!(done.returned, Some(json!({"twice": 42})));
    assert_eq!((done.attempts_made, done.attempts_started), (1, 1));
    assert_eq!(done.worker.as_deref(), Some("w1"));
    assert!(done.started_at.unwrap() <= done.finished_at.unwrap());
    stop(running).await;
}

pub async fn no_more_run_at_once_than_allowed(queue: &Queue) {
    queue.add_bulk((0..30).map(job).collect()).await.unwrap();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let handler = {
        let (now, most, gate) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate));
        move |_: Job, _: JobContext| {
            let (now, most, gate) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                gate.acquire().await?.forget();
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(Value::Null)
            }
        }
    };
    let running = worker(queue, 5, handler).await;
    until(async || now.load(Ordering::SeqCst) == 5).await;
    assert_eq!(queue.counts().await.unwrap().active, 5);
    gate.add_permits(30);
    until(async || queue.counts().await.unwrap().completed == 30).await;
    assert_eq!(most.load(Ordering::SeqCst), 5);
    stop(running).await;
}

pub async fn several_workers_run_each_job_once(queue: &Queue) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let seen = Arc::clone(&seen);
        move |job: Job, _: JobContext| {
            seen.lock().unwrap().push(number(&job));
            async { Ok(Value::Null) }
        }
    };
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(worker(queue, 20, handler.clone()).await);
    }
    for part in 0..10 {
        let jobs = (part * 100..(part + 1) * 100).map(job).collect();
        queue.add_bulk(jobs).await.unwrap();
    }
    until(async || queue.counts().await.unwrap().completed == 1_000).await;
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 1_000);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().len(), 1_000);
    for worker in workers {
        stop(worker).await;
    }
}

pub async fn an_idle_worker_starts_what_comes(queue: &Queue) {
    let running = worker(queue, 1, |_, _| async { Ok(Value::Null) }).await;
    for round in 0..5 {
        // Long enough for the worker to have gone to sleep.
        tokio::time::sleep(Duration::from_millis(60)).await;
        let id = add(queue, round).await;
        until_state(queue, &id, JobState::Completed).await;
    }
    let id = queue.add(job(9).priority(5)).await.unwrap();
    until_state(queue, &id, JobState::Completed).await;
    stop(running).await;
}

pub async fn delayed_jobs_run_by_themselves(queue: &Queue) {
    let running = worker(queue, 2, |_, _| async { Ok(Value::Null) }).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let late = queue
        .add(job(1).delay(Duration::from_millis(700)))
        .await
        .unwrap();
    let early = queue
        .add(job(2).delay(Duration::from_millis(300)))
        .await
        .unwrap();
    let late = until_state(queue, &late, JobState::Completed).await;
    let early = queue.get(&early).await.unwrap();
    for (job, delay) in [(&early, 300), (&late, 700)] {
        assert!(job.started_at.unwrap() >= job.added_at + Duration::from_millis(delay));
    }
    assert!(early.started_at < late.started_at);
    stop(running).await;
}

pub async fn progress_is_kept(queue: &Queue) {
    let handler = |_: Job, context: JobContext| async move {
        context.progress(40).await?;
        context
            .progress(json!({"part": "covers", "done": 0.5}))
            .await?;
        Ok(Value::Null)
    };
    let id = add(queue, 1).await;
    assert_eq!(queue.get(&id).await.unwrap().progress, 0);
    let running = worker(queue, 1, handler).await;
    let done = until_state(queue, &id, JobState::Completed).await;
    assert_eq!(done.progress, json!({"part": "covers", "done": 0.5}));
    queue.set_progress(&id, json!(100)).await.unwrap();
    assert_eq!(queue.get(&id).await.unwrap().progress, 100);
    let missing = "no-such-job".parse().unwrap();
    assert!(
        queue
            .set_progress(&missing, json!(1))
            .await
            .unwrap_err()
            .is_not_found()
    );
    stop(running).await;
}

pub async fn a_worker_waits_for_its_jobs_when_it_stops(queue: &Queue) {
    let handler = |_: Job, context: JobContext| async move {
        context.closing().await;
        assert!(context.is_closing());
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(json!("in time"))
    };
    let ids = queue.add_bulk(vec![job(1), job(2), job(3)]).await.unwrap();
    let running = worker(queue, 2, handler).await;
    until(async || queue.counts().await.unwrap().active == 2).await;
    let report = running.shutdown(Duration::from_secs(30)).await.unwrap();
    assert_eq!((report.ended, report.given_back, report.left), (2, 0, 0));
    for id in &ids[..2] {
        let job = queue.get(id).await.unwrap();
        assert_eq!(
            (job.state, job.returned),
            (JobState::Completed, Some(json!("in time")))
        );
    }
    // It has taken no further one.
    assert_eq!(queue.get(&ids[2]).await.unwrap().state, JobState::Waiting);
}

pub async fn a_worker_that_must_stop_gives_its_jobs_back(queue: &Queue) {
    let handler = |_: Job, _: JobContext| std::future::pending::<Result<Value, JobError>>();
    let ids = queue.add_bulk(vec![job(1), job(2), job(3)]).await.unwrap();
    let running = worker(queue, 2, handler).await;
    until(async || queue.counts().await.unwrap().active == 2).await;
    let report = running.shutdown(Duration::from_millis(50)).await.unwrap();
    assert_eq!((report.ended, report.given_back, report.left), (0, 2, 0));
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.active, counts.waiting), (0, 3));
    for id in &ids {
        // The attempt does not count.
        assert_eq!(queue.get(id).await.unwrap().attempts_made, 0);
    }
    let mut numbers = drain(queue).await;
    assert_eq!(numbers.pop(), Some(3), "what was given back runs next");

    // Dropping the handle stops the worker, too.
    let id = add(queue, 4).await;
    let handler = |_: Job, _: JobContext| std::future::pending::<Result<Value, JobError>>();
    drop(worker(queue, 1, handler).await);
    until_state(queue, &id, JobState::Waiting).await;
}

pub async fn a_trace_goes_on_in_the_jobs_of_a_handler(queue: &Queue) {
    const TRACE: &str =
        r#"{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#;
    let handler = |parent: Job, context: JobContext| async move {
        if number(&parent) == 1 {
            assert_eq!(current_trace().as_deref(), Some(TRACE));
            context.queue().add(job(2)).await?;
        }
        Ok(Value::Null)
    };
    let mut first = job(1);
    first.options.trace = Some(TRACE.to_owned());
    queue.add(first).await.unwrap();
    assert_eq!(current_trace(), None);
    let running = worker(queue, 1, handler).await;
    until(async || queue.counts().await.unwrap().completed == 2).await;
    let done = queue
        .list(JobState::Completed, crate::queue::JobRange::first(10))
        .await
        .unwrap();
    for job in &done {
        assert_eq!(job.options.trace.as_deref(), Some(TRACE), "{}", job.data);
    }
    stop(running).await;
}

pub async fn typed_jobs_reach_their_handlers(queue: &Queue) {
    let user = Id::new();
    let handlers = Handlers::new()
        .on(|sync: SyncPlatform, _| async move { Ok(sync.platform.as_str().to_owned()) })
        .on(|mail: SendEmail, _| async move { Ok(mail.parameters.len()) })
        .on(|_: GenerateInsights, _| async move { Ok(()) });
    let mut mail = SendEmail::new(user, "welcome");
    mail.parameters.insert("name".to_owned(), json!("Ada"));
    let jobs = vec![
        NewJob::of(&SyncPlatform::new(user, Platform::KDP)).unwrap(),
        NewJob::of(&mail).unwrap(),
        NewJob::of(&GenerateInsights::new(user)).unwrap(),
        // As a Node app writes it: without a version, with members of its own.
        NewJob::new(
            "send-email",
            json!({"userId": user.to_string(), "template": "a", "more": 1}),
        ),
    ];
    let ids = queue.add_bulk(jobs).await.unwrap();
    let running = worker(queue, 4, handlers).await;
    for (id, expected) in ids
        .iter()
        .zip([json!("kdp"), json!(1), Value::Null, json!(0)])
    {
        let done = until_state(queue, id, JobState::Completed).await;
        assert_eq!(done.returned, Some(expected), "{}", done.name);
    }
    stop(running).await;
}
