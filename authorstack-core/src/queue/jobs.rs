//! The trait of queues.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use serde_json::Value;

use super::{
    event::{EventId, QueueEvent},
    feed::{FeedOptions, JobFeed},
    job::{Job, JobCounts},
    job_id::JobId,
    name::QueueName,
    new_job::NewJob,
    schedule::{Schedule, Scheduler},
    state::JobState,
};
use crate::{Error, Result};

/// A part of the jobs in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobRange {
    /// How many to leave out.
    pub skip: usize,
    /// How many to list at most, up to 1,000.
    pub take: usize,
}

impl JobRange {
    /// The first so many.
    #[must_use]
    pub const fn first(take: usize) -> Self {
        Self { skip: 0, take }
    }

    /// Refuses more than 1,000, or none.
    ///
    /// # Errors
    /// Invalid.
    pub fn check(&self) -> Result<()> {
        if (1..=1_000).contains(&self.take) {
            return Ok(());
        }
        let reason = format!("{} is not between 1 and 1,000; list in parts", self.take);
        Err(Error::invalid("take", reason))
    }
}

/// Jobs that wait to be run.
///
/// Every call may also fail with Timeout or Unavailable of the store. Dropping a future may leave
/// the call done: add with a [custom id](JobId::custom) where adding twice would matter.
///
/// ```
/// use authorstack_core::{queue::{JobQueue as _, MemoryQueue, NewJob, QueueName, payloads::SendEmail}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// let queue = MemoryQueue::new(QueueName::NOTIFICATIONS);
/// let mail = SendEmail::new("66f2a1b3c4d5e6f708192a3b".parse()?, "weekly-digest");
/// let id = queue.add(NewJob::of(&mail)?.attempts(5)).await?;
/// assert_eq!(queue.get(&id).await?.name, "send-email");
/// assert_eq!(queue.counts().await?.waiting, 1);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait JobQueue: fmt::Debug + Send + Sync {
    /// The queue's name.
    fn name(&self) -> &QueueName;

    /// Adds jobs, in this order, and answers their ids. Where a job of the same id or
    /// [deduplication](super::Deduplication) is there already, its id is the answer, and nothing is
    /// added. Up to 1,000 jobs, with up to 4 MB of data, are added as one; of more, those before an
    /// error stay.
    ///
    /// # Errors
    /// Invalid, naming the field and the number of the job: nothing is added then.
    async fn add_bulk(&self, jobs: Vec<NewJob>) -> Result<Vec<JobId>>;

    /// Adds a job. As [`JobQueue::add_bulk`].
    ///
    /// # Errors
    /// As of [`JobQueue::add_bulk`].
    async fn add(&self, job: NewJob) -> Result<JobId> {
        let added = self.add_bulk(vec![job]).await?;
        let id = added.into_iter().next();
        id.ok_or_else(|| Error::internal("the queue gave no id for the job"))
    }

    /// The job with this id.
    ///
    /// # Errors
    /// NotFound.
    async fn get(&self, id: &JobId) -> Result<Job>;

    /// Some of the jobs in a state. Completed and failed ones come newest first, the others in the
    /// order in which they will run.
    ///
    /// # Errors
    /// Invalid for a range of more than 1,000.
    async fn list(&self, state: JobState, range: JobRange) -> Result<Vec<Job>>;

    /// How many jobs are where.
    async fn counts(&self) -> Result<JobCounts>;

    /// Lets workers take no more jobs. Those that run end; adding goes on.
    async fn pause(&self) -> Result<()>;

    /// Lets workers take jobs again.
    async fn resume(&self) -> Result<()>;

    /// Whether the queue is paused.
    async fn is_paused(&self) -> Result<bool>;

    /// Removes a job. It is no error if it is gone already.
    ///
    /// # Errors
    /// Conflict while a worker runs it; Invalid for the next job of a [`Schedule`]: remove that.
    async fn remove(&self, id: &JobId) -> Result<()>;

    /// Puts a failed job back in line, with all its attempts.
    ///
    /// # Errors
    /// NotFound; Conflict if it has not failed.
    async fn retry(&self, id: &JobId) -> Result<()>;

    /// Puts all failed jobs back in line, the oldest first, and answers how many there were.
    async fn retry_failed(&self) -> Result<u64>;

    /// Notes the progress of a job: any JSON, usually a percentage.
    ///
    /// # Errors
    /// NotFound; Invalid if it is too large.
    async fn set_progress(&self, id: &JobId, progress: Value) -> Result<()>;

    /// Creates or changes a schedule, and answers when its next job runs.
    ///
    /// # Errors
    /// Invalid for a pattern, a time zone, an id or a job that no queue can keep, and if the schedule
    /// would never run.
    async fn schedule(&self, schedule: Schedule) -> Result<DateTime<Utc>>;

    /// Removes a schedule and its next job. It is no error if it is gone already.
    async fn unschedule(&self, id: &str) -> Result<()>;

    /// The schedules, the next one first.
    async fn schedulers(&self) -> Result<Vec<Scheduler>>;

    /// What happens in the queue, from now on or after an event. The queue keeps about the last
    /// 10,000; what is older is skipped. A connection that breaks is made again; the stream goes on
    /// where it was, and ends only with an error that repeating does not help.
    fn events(&self, after: Option<EventId>) -> BoxStream<'static, Result<QueueEvent>>;

    /// What a [`Worker`](super::Worker) takes jobs from.
    ///
    /// # Errors
    /// Of connecting.
    async fn feed(&self, options: FeedOptions) -> Result<Box<dyn JobFeed>>;
}
