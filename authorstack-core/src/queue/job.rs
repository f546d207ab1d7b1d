//! A job as it is in a queue.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{job_id::JobId, options::JobOptions, state::JobState};

/// A job as it is in a queue.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What is to be done.
    pub name: String,
    /// With what.
    pub data: Value,
    /// How.
    pub options: JobOptions,
    /// Where it is.
    pub state: JobState,
    /// When it was added.
    pub added_at: DateTime<Utc>,
    /// When an attempt began last.
    pub started_at: Option<DateTime<Utc>>,
    /// When it completed or failed for the last time.
    pub finished_at: Option<DateTime<Utc>>,
    /// How many attempts have ended.
    pub attempts_made: u32,
    /// How many attempts have begun.
    pub attempts_started: u32,
    /// How often its worker was lost.
    pub stalled: u32,
    /// What the handler said of its progress.
    pub progress: Value,
    /// What the handler returned.
    pub returned: Option<Value>,
    /// Why the last attempt failed.
    pub failed_reason: Option<String>,
    /// More about the failed attempts, the last one last.
    pub stacktrace: Vec<String>,
    /// The worker that took it last, where it has a name.
    pub worker: Option<String>,
    /// The schedule that made it.
    pub scheduler: Option<String>,
    /// What about it cannot be read: a worker fails it with this reason.
    pub problem: Option<String>,
}

impl Job {
    /// A job that was added now.
    #[must_use]
    pub fn new(id: JobId, name: String, data: Value, options: JobOptions) -> Self {
        Self {
            id,
            name,
            data,
            options,
            state: JobState::Waiting,
            added_at: crate::time::now(),
            started_at: None,
            finished_at: None,
            attempts_made: 0,
            attempts_started: 0,
            stalled: 0,
            progress: Value::from(0),
            returned: None,
            failed_reason: None,
            stacktrace: Vec::new(),
            worker: None,
            scheduler: None,
            problem: None,
        }
    }
}

/// How many jobs are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobCounts {
    /// [`JobState::Waiting`].
    pub waiting: u64,
    /// [`JobState::Prioritized`].
    pub prioritized: u64,
    /// [`JobState::Delayed`].
    pub delayed: u64,
    /// [`JobState::Active`].
    pub active: u64,
    /// [`JobState::Completed`], as far as they are kept.
    pub completed: u64,
    /// [`JobState::Failed`], as far as they are kept.
    pub failed: u64,
    /// [`JobState::WaitingChildren`].
    pub waiting_children: u64,
}

impl JobCounts {
    /// The jobs that are still to be run: all but the finished ones.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.waiting + self.prioritized + self.delayed + self.active + self.waiting_children
    }
}
