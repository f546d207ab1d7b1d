//! Where a job is.

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// Next in line, or in line while the queue is paused.
    Waiting,
    /// In line behind those without a priority.
    Prioritized,
    /// Not before its time.
    Delayed,
    /// Run by a worker.
    Active,
    /// Done.
    Completed,
    /// Failed for the last time.
    Failed,
    /// Waits for other jobs: a flow of a Node app.
    WaitingChildren,
}

impl JobState {
    /// The name that BullMQ's tools show.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Prioritized => "prioritized",
            Self::Delayed => "delayed",
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::WaitingChildren => "waiting-children",
        }
    }
}
