//! What happens when workers are lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use super::{
    Queue, add, completed, drain, feed, feed_with, job, number, settle, settlement, take, take_one,
    until, until_state,
};
use crate::queue::{
    Held, Job, JobContext, JobFeed, JobState, Outcome, Refusal, Worker, WorkerOptions,
};

const SHORT: Duration = Duration::from_millis(150);
/// Between two looks for lost workers; the queue skips a look that comes sooner.
const EVERY: Duration = Duration::from_millis(20);

/// Looks for lost workers until some are found.
async fn recovered(feed: &dyn JobFeed) -> Vec<String> {
    let mut found = Vec::new();
    until(async || {
        let stalled = feed.recover(EVERY).await.unwrap().stalled;
        found.extend(stalled.into_iter().map(|id| id.as_str().to_owned()));
        !found.is_empty()
    })
    .await;
    found
}

fn held(taken: &crate::queue::Taken) -> Held {
    Held {
        id: taken.job.id.clone(),
        token: taken.token.clone(),
    }
}

pub async fn a_job_whose_worker_is_lost_is_run_again(queue: &Queue) {
    let id = add(queue, 1).await;
    add(queue, 2).await;
    let lost = feed_with(queue, SHORT, 1).await;
    take_one(&*lost).await;
    let other = feed(queue).await;
    let look = other.recover(EVERY).await.unwrap();
    assert!(look.active, "a job runs");
    assert_eq!(recovered(&*other).await, [id.as_str()]);
    let again = take_one(&*other).await;
    assert_eq!(again.job.id, id, "it runs next");
    assert_eq!((again.job.stalled, again.job.attempts_made), (1, 0));
    settle(&*other, completed(&again)).await;
    assert_eq!(queue.get(&id).await.unwrap().state, JobState::Completed);
}

pub async fn a_job_that_loses_its_worker_too_often_fails(queue: &Queue) {
    let id = queue.add(job(1).attempts(5)).await.unwrap();
    let lost = feed_with(queue, SHORT, 1).await;
    for _ in 0..2 {
        take_one(&*lost).await;
        recovered(&*lost).await;
    }
    let runs = Arc::new(AtomicUsize::new(0));
    let handler = {
        let runs = Arc::clone(&runs);
        move |_: Job, _: JobContext| {
            runs.fetch_add(1, Ordering::SeqCst);
            async { Ok(Value::Null) }
        }
    };
    let running = super::worker(queue, 1, handler).await;
    let job = until_state(queue, &id, JobState::Failed).await;
    let reason = job.failed_reason.unwrap();
    assert_eq!(reason, "job stalled more than allowable limit");
    assert_eq!(runs.load(Ordering::SeqCst), 0, "its handler is not called");
    super::stop(running).await;
}

pub async fn the_result_of_a_lost_job_is_refused(queue: &Queue) {
    let id = add(queue, 1).await;
    let slow = feed_with(queue, SHORT, 5).await;
    let late = take_one(&*slow).await;
    let other = feed(queue).await;
    recovered(&*other).await;
    let refused = slow.exchange(&[completed(&late)], 0).await.unwrap().refused;
    assert_eq!(refused, [(id.clone(), Refusal::LockLost)]);
    let again = take_one(&*other).await;
    let refused = slow.exchange(&[completed(&late)], 0).await.unwrap().refused;
    assert_eq!(refused, [(id.clone(), Refusal::LockLost)]);
    assert_eq!(queue.get(&id).await.unwrap().state, JobState::Active);
    settle(&*other, completed(&again)).await;
}

pub async fn settling_again_changes_nothing(queue: &Queue) {
    let feed = feed(queue).await;
    let kept = add(queue, 1).await;
    let gone = queue
        .add(job(2).keep_completed(crate::queue::Keep::NONE))
        .await
        .unwrap();
    let taken = take(&*feed, 2).await;
    let settled: Vec<_> = taken.iter().map(completed).collect();
    assert_eq!(feed.exchange(&settled, 0).await.unwrap().refused, []);
    let before = queue.get(&kept).await.unwrap();
    let refused = feed.exchange(&settled, 0).await.unwrap().refused;
    assert_eq!(
        refused,
        [
            (kept.clone(), Refusal::LockLost),
            (gone.clone(), Refusal::Gone)
        ]
    );
    assert_eq!(queue.get(&kept).await.unwrap(), before);
    assert!(queue.get(&gone).await.unwrap_err().is_not_found());
}

pub async fn a_renewed_lock_keeps_the_job(queue: &Queue) {
    add(queue, 1).await;
    add(queue, 2).await;
    let feed = feed_with(queue, Duration::from_millis(600), 1).await;
    let taken = take(&*feed, 2).await;
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(120)).await;
        let lost = feed.extend(&[held(&taken[0])]).await.unwrap();
        assert_eq!(lost, []);
        let stalled = feed.recover(EVERY).await.unwrap().stalled;
        assert!(!stalled.contains(&taken[0].job.id));
    }
    // The other one's lock has run out.
    assert_eq!(
        feed.extend(&[held(&taken[1])]).await.unwrap(),
        [taken[1].job.id.clone()]
    );
    let foreign = Held {
        token: "another".to_owned(),
        ..held(&taken[0])
    };
    assert_eq!(
        feed.extend(&[foreign]).await.unwrap(),
        [taken[0].job.id.clone()]
    );
    settle(&*feed, completed(&taken[0])).await;
}

pub async fn an_answer_that_was_lost_is_reclaimed(queue: &Queue) {
    for number in 1..=4 {
        add(queue, number).await;
    }
    let others = feed(queue).await;
    let foreign = take_one(&*others).await;
    let mine = feed(queue).await;
    let known = take_one(&*mine).await;
    // Its answer never came.
    drop(take(&*mine, 2).await);
    assert_eq!(mine.reclaim(&[held(&known)]).await.unwrap(), 2);
    assert_eq!(mine.reclaim(&[held(&known)]).await.unwrap(), 0);
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.active, counts.waiting), (2, 2));
    settle(&*mine, completed(&known)).await;
    settle(&*others, completed(&foreign)).await;
    let mut numbers = drain(queue).await;
    numbers.sort_unstable();
    assert_eq!(numbers, [3, 4]);
}

pub async fn what_is_given_back_runs_next(queue: &Queue) {
    add(queue, 1).await;
    add(queue, 2).await;
    queue.add(job(3).priority(1)).await.unwrap();
    queue.add(job(4).priority(1)).await.unwrap();
    let feed = feed(queue).await;
    let taken = take_one(&*feed).await;
    settle(&*feed, settlement(&taken, Outcome::GivenBack)).await;
    let taken = take(&*feed, 3).await;
    let numbers: Vec<_> = taken.iter().map(|taken| number(&taken.job)).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(taken[0].job.attempts_made, 0);
    settle(&*feed, settlement(&taken[2], Outcome::GivenBack)).await;
    assert_eq!(drain(queue).await, [3, 4]);
}

pub async fn a_worker_whose_lock_is_lost_ends_its_handler(queue: &Queue) {
    struct Ended(Arc<AtomicUsize>);
    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let ended = Arc::new(AtomicUsize::new(0));
    let id = add(queue, 1).await;
    let handler = {
        let ended = Arc::clone(&ended);
        move |_: Job, _: JobContext| {
            let ended = Ended(Arc::clone(&ended));
            async move {
                let _ended = ended;
                std::future::pending().await
            }
        }
    };
    let options = WorkerOptions {
        lock: Duration::from_millis(400),
        ..WorkerOptions::default()
    };
    let running = Worker::new(Arc::clone(queue), handler)
        .options(options)
        .start()
        .await
        .unwrap();
    until_state(queue, &id, JobState::Active).await;
    // Node's `obliterate` or a person takes the job away.
    let other = feed(queue).await;
    until(async || {
        // A look marks the job, and the worker takes the mark away while it renews its lock.
        other.recover(EVERY).await.unwrap();
        queue.get(&id).await.unwrap().state == JobState::Active
    })
    .await;
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    let report = running.shutdown(Duration::ZERO).await.unwrap();
    assert_eq!(report.given_back, 1);
    assert_eq!(ended.load(Ordering::SeqCst), 1);
}
