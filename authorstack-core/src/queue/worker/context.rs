//! What a handler knows of its worker.

use std::{fmt, sync::Arc};

use serde_json::Value;
use tokio::sync::watch;

use crate::{
    Result,
    queue::{job_id::JobId, jobs::JobQueue},
};

/// What a handler knows beside its job.
#[derive(Clone)]
pub struct JobContext {
    queue: Arc<dyn JobQueue>,
    job: JobId,
    attempt: u32,
    closing: watch::Receiver<bool>,
}

impl fmt::Debug for JobContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobContext")
            .field("job", &self.job)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl JobContext {
    pub(super) const fn new(
        queue: Arc<dyn JobQueue>,
        job: JobId,
        attempt: u32,
        closing: watch::Receiver<bool>,
    ) -> Self {
        Self {
            queue,
            job,
            attempt,
            closing,
        }
    }

    /// The queue, to add further jobs.
    #[must_use]
    pub fn queue(&self) -> &Arc<dyn JobQueue> {
        &self.queue
    }

    /// Which attempt this is: 1 is the first.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Notes the job's progress: any JSON, usually a percentage.
    ///
    /// # Errors
    /// As of [`JobQueue::set_progress`].
    pub async fn progress(&self, progress: impl Into<Value> + Send) -> Result<()> {
        self.queue.set_progress(&self.job, progress.into()).await
    }

    /// Whether the worker is to stop: end soon, or at a point where the next attempt can go on.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Waits until the worker is to stop.
    pub async fn closing(&self) {
        let mut closing = self.closing.clone();
        // The sender is gone when the worker is.
        drop(closing.wait_for(|closing| *closing).await);
    }
}
