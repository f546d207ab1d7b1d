//! What happens in a queue.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::job_id::JobId;

/// The place of an event in its queue's stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventId(String);

impl EventId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for EventId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::shown(&self.0).fmt(f)
    }
}

/// Something that happened in a queue.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct QueueEvent {
    /// Its place in the stream: [`JobQueue::events`](super::JobQueue::events) goes on after it.
    pub id: EventId,
    /// The job that it happened to.
    pub job: Option<JobId>,
    /// What.
    pub event: JobEvent,
}

impl QueueEvent {
    /// An event.
    #[must_use]
    pub const fn new(id: EventId, job: Option<JobId>, event: JobEvent) -> Self {
        Self { id, job, event }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum JobEvent {
    /// A job was added.
    Added {
        /// Its name.
        name: String,
    },
    /// A job is in line.
    Waiting,
    /// A job waits for its time.
    Delayed {
        /// When that is, if it can be read.
        until: Option<DateTime<Utc>>,
    },
    /// A worker took a job.
    Active,
    /// A handler told its progress.
    Progress {
        /// How far it is.
        progress: Value,
    },
    /// A job has ended well.
    Completed {
        /// What the handler returned.
        returned: Value,
    },
    /// An attempt failed, and it was the last one.
    Failed {
        /// Why.
        reason: String,
    },
    /// All attempts of a job have failed.
    RetriesExhausted {
        /// How many there were.
        attempts: u32,
    },
    /// The worker of a job was lost.
    Stalled,
    /// A job was removed.
    Removed,
    /// A job with this id is there already.
    Duplicated,
    /// A job of this kind is there already.
    Deduplicated {
        /// The kind.
        id: String,
    },
    /// Nothing is left to do at the moment.
    Drained,
    /// The queue was paused.
    Paused,
    /// The queue goes on.
    Resumed,
    /// Another event, of a Node app.
    Other {
        /// Its name.
        name: String,
    },
}
