//! The seam between a queue and the worker: what a store of jobs must do, and no more.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use serde_json::Value;

use super::{job::Job, job_id::JobId, options::Keep};
use crate::Result;

/// How a worker takes jobs.
#[derive(Debug, Clone)]
pub struct FeedOptions {
    /// How long a job is locked for its worker, who renews it in time.
    pub lock: Duration,
    /// How often a job may lose its worker before it fails.
    pub max_stalled: u32,
    /// A name for people, noted in the jobs.
    pub worker: Option<String>,
}

/// A job that a worker holds, and what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The job.
    pub id: JobId,
    /// The lock's value.
    pub token: String,
}

/// A job that was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The job.
    pub job: Job,
    /// The lock's value.
    pub token: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It completed.
    Completed {
        /// What the handler returned.
        returned: Value,
    },
    /// It failed, and is not tried again.
    Failed {
        /// Why.
        reason: String,
        /// More about all failed attempts.
        stacktrace: Vec<String>,
    },
    /// It failed, and is tried again.
    Retry {
        /// Why.
        reason: String,
        /// More about all failed attempts.
        stacktrace: Vec<String>,
        /// When.
        after: Duration,
    },
    /// It did not end: the worker stops. Another one begins it anew.
    GivenBack,
}

/// What a worker says of a job that it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// The job.
    pub held: Held,
    /// How it ended.
    pub outcome: Outcome,
    /// Which finished jobs to keep.
    pub keep: Keep,
    /// How many attempts the job has.
    pub attempts: u32,
}

/// Why a settlement was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The job is gone.
    Gone,
    /// The lock has run out: another worker may have the job, or will.
    LockLost,
}

/// What one exchange brought.
#[derive(Debug, Default)]
pub struct Exchanged {
    /// The settlements that were refused.
    pub refused: Vec<(JobId, Refusal)>,
    /// The jobs that were taken.
    pub taken: Vec<Taken>,
    /// Keys in line that hold no job, and were taken out of it.
    pub broken: Vec<JobId>,
    /// When the next delayed job is due, if none was left to take.
    pub next: Option<DateTime<Utc>>,
    /// How long the queue's own rate limit lets no job through.
    pub limited: Option<Duration>,
}

/// What a look for lost workers found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The jobs that were put back in line.
    pub stalled: Vec<JobId>,
    /// Whether jobs run at the moment, on any worker: look again soon.
    pub active: bool,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// There is something to take.
    Now,
    /// There will be.
    At(DateTime<Utc>),
    /// Nothing came.
    Nothing,
}

/// What a worker needs of a queue. Each start of a worker has a feed of its own, with tokens that no
/// other has.
#[async_trait]
pub trait JobFeed: fmt::Debug + Send + Sync {
    /// Settles jobs, and takes up to `room` new ones, as one. Settling again is refused and changes
    /// nothing. Where the answer was lost, [`JobFeed::reclaim`] finds the jobs that were taken.
    ///
    /// # Errors
    /// Of the store. Nothing, or all of it, was done.
    async fn exchange(&self, settled: &[Settlement], room: usize) -> Result<Exchanged>;

    /// Renews the locks, and answers the jobs whose lock is another's or gone.
    ///
    /// # Errors
    /// Of the store.
    async fn extend(&self, held: &[Held]) -> Result<Vec<JobId>>;

    /// Puts jobs without a lock back in line, if the last look was longer ago than `every`, on any
    /// worker. A job is found at the second look. Also wakes the workers where one died between
    /// waking and taking.
    ///
    /// # Errors
    /// Of the store.
    async fn recover(&self, every: Duration) -> Result<Recovered>;

    /// Puts jobs back in line that this feed took, but the worker does not hold: an answer was lost.
    ///
    /// # Errors
    /// Of the store.
    async fn reclaim(&self, held: &[Held]) -> Result<u64>;

    /// Waits until there may be a job, at most so long. Once it has begun it is kept until it ends:
    /// what woke it would be lost with it.
    fn wait(&self, longest: Duration) -> BoxFuture<'static, Result<Wake>>;

    /// Wakes another worker if there is work: this one was woken, but takes nothing.
    ///
    /// # Errors
    /// Of the store.
    async fn rearm(&self) -> Result<()>;
}
