//! The conformance suite of [queues](crate::queue).
//!
//! ```
//! use std::sync::Arc;
//! use authorstack_core::queue::{JobQueue, MemoryQueue, QueueName};
//!
//! async fn fresh() -> Arc<dyn JobQueue> {
//!     Arc::new(MemoryQueue::new(QueueName::DATA_SYNC))
//! }
//!
//! authorstack_core::queue_conformance!(fresh);
//! ```

mod adding;
mod events;
mod failing;
mod locks;
mod managing;
mod running;
mod schedules;

pub use adding::*;
pub use events::*;
pub use failing::*;
pub use locks::*;
pub use managing::*;
pub use running::*;
pub use schedules::*;

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::queue::{
    FeedOptions, Handler, Job, JobFeed, JobId, JobQueue, JobState, NewJob, Outcome, Settlement,
    Taken, Worker, WorkerHandle, WorkerOptions,
};

/// The queue of one case, empty.
pub type Queue = Arc<dyn JobQueue>;

fn job(number: u64) -> NewJob {
    NewJob::new("count", json!({ "number": number }))
}

fn number(job: &Job) -> u64 {
    job.data["number"].as_u64().unwrap()
}

async fn add(queue: &Queue, number: u64) -> JobId {
    queue.add(job(number)).await.unwrap()
}

/// A feed whose locks last for long.
async fn feed(queue: &Queue) -> Box<dyn JobFeed> {
    feed_with(queue, Duration::from_secs(60), 1).await
}

async fn feed_with(queue: &Queue, lock: Duration, max_stalled: u32) -> Box<dyn JobFeed> {
    let options = FeedOptions {
        lock,
        max_stalled,
        worker: Some("tester".to_owned()),
    };
    queue.feed(options).await.unwrap()
}

/// Takes up to so many jobs.
async fn take(feed: &dyn JobFeed, room: usize) -> Vec<Taken> {
    feed.exchange(&[], room).await.unwrap().taken
}

/// Takes one job, which must be there.
async fn take_one(feed: &dyn JobFeed) -> Taken {
    take(feed, 1).await.into_iter().next().unwrap()
}

fn settlement(taken: &Taken, outcome: Outcome) -> Settlement {
    let failed = matches!(outcome, Outcome::Failed { .. });
    let options = &taken.job.options;
    Settlement {
        held: crate::queue::Held {
            id: taken.job.id.clone(),
            token: taken.token.clone(),
        },
        outcome,
        keep: if failed {
            options.keep_failed
        } else {
            options.keep_completed
        },
        attempts: options.attempts,
    }
}

fn completed(taken: &Taken) -> Settlement {
    let returned = Value::from(number(&taken.job));
    settlement(taken, Outcome::Completed { returned })
}

fn failed(taken: &Taken) -> Settlement {
    settlement(
        taken,
        Outcome::Failed {
            reason: "it cannot be".to_owned(),
            stacktrace: vec!["it cannot be".to_owned()],
        },
    )
}

/// Settles, which must not be refused.
async fn settle(feed: &dyn JobFeed, settlement: Settlement) {
    let exchanged = feed.exchange(&[settlement], 0).await.unwrap();
    assert_eq!(exchanged.refused, []);
}

/// Runs all jobs that are there by a feed, and answers their numbers in the order of taking.
async fn drain(queue: &Queue) -> Vec<u64> {
    let feed = feed(queue).await;
    let mut numbers = Vec::new();
    while let Some(taken) = take(&*feed, 1).await.pop() {
        numbers.push(number(&taken.job));
        settle(&*feed, completed(&taken)).await;
    }
    numbers
}

/// A worker that looks for lost ones often.
async fn worker(queue: &Queue, concurrency: usize, handler: impl Handler) -> WorkerHandle {
    let options = WorkerOptions {
        concurrency,
        stalled_interval: Duration::from_millis(200),
        idle_interval: Duration::from_millis(200),
        ..WorkerOptions::default()
    };
    Worker::new(Arc::clone(queue), handler)
        .options(options)
        .start()
        .await
        .unwrap()
}

async fn stop(worker: WorkerHandle) {
    let report = worker.shutdown(Duration::from_secs(30)).await.unwrap();
    assert_eq!((report.given_back, report.left), (0, 0));
}

/// Looks until it is so. A test that waits in vain fails after a minute.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..6_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("what the test waits for did not happen within a minute");
}

async fn until_state(queue: &Queue, id: &JobId, state: JobState) -> Job {
    until(async || queue.get(id).await.unwrap().state == state).await;
    queue.get(id).await.unwrap()
}

/// Tests that a queue keeps what [`JobQueue`] and [`JobFeed`] promise. `fresh` is an async function
/// that answers an empty queue, as `Arc<dyn JobQueue>`.
#[macro_export]
macro_rules! queue_conformance {
    ($fresh:ident) => {
        $crate::__queue_cases! { $fresh:
            a_job_keeps_what_it_was_given,
            jobs_run_in_the_order_of_adding,
            an_id_is_added_once,
            bad_input_adds_nothing,
            a_delayed_job_waits_for_its_time,
            priorities_run_in_order,
            the_last_one_in_may_run_next,
            one_at_a_time_until_it_has_ended,
            one_in_a_time,
            the_last_one_takes_the_place,
            a_worker_runs_jobs_and_keeps_their_results,
            no_more_run_at_once_than_allowed,
            several_workers_run_each_job_once,
            an_idle_worker_starts_what_comes,
            delayed_jobs_run_by_themselves,
            progress_is_kept,
            a_worker_waits_for_its_jobs_when_it_stops,
            a_worker_that_must_stop_gives_its_jobs_back,
            a_trace_goes_on_in_the_jobs_of_a_handler,
            typed_jobs_reach_their_handlers,
            a_failed_attempt_is_tried_again,
            a_backoff_delays_the_next_attempt,
            the_last_failure_is_kept,
            a_permanent_failure_is_not_tried_again,
            a_panic_fails_its_job_alone,
            a_job_of_an_unknown_version_fails_alone,
            a_job_that_nobody_knows_fails_alone,
            failed_jobs_are_retried,
            a_job_whose_worker_is_lost_is_run_again,
            a_job_that_loses_its_worker_too_often_fails,
            the_result_of_a_lost_job_is_refused,
            settling_again_changes_nothing,
            a_renewed_lock_keeps_the_job,
            an_answer_that_was_lost_is_reclaimed,
            what_is_given_back_runs_next,
            a_worker_whose_lock_is_lost_ends_its_handler,
            a_paused_queue_gives_no_jobs,
            pausing_keeps_the_order,
            a_job_is_removed_unless_it_runs,
            jobs_are_counted_and_listed,
            finished_jobs_are_kept_as_told,
            nothing_is_found_by_a_wrong_id,
            a_schedule_makes_jobs_until_its_limit,
            a_schedule_is_changed_and_removed,
            a_cron_pattern_makes_the_next_job,
            a_schedule_that_makes_no_sense_is_refused,
            events_tell_what_happens,
            events_go_on_after_one,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __queue_cases {
    ($fresh:ident: $($case:ident,)+) => {
        mod queues {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::testing::queues::$case(&super::$fresh().await).await;
                }
            )+
        }
    };
}
