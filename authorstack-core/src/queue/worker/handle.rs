//! Starting and stopping a worker.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle};

use super::{
    handler::Handler, options::WorkerOptions, report::ShutdownReport, run::Run, tasks::Tasks,
};
use crate::{
    Error, Result,
    queue::{feed::FeedOptions, jobs::JobQueue},
};

/// Takes jobs from a queue and runs them.
///
/// Errors of the store never end a worker: it logs them and tries again, with growing pauses.
pub struct Worker {
    queue: Arc<dyn JobQueue>,
    handler: Arc<dyn Handler>,
    options: WorkerOptions,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("queue", &self.queue)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Worker {
    /// A worker that runs one job at a time.
    pub fn new(queue: Arc<dyn JobQueue>, handler: impl Handler) -> Self {
        Self {
            queue,
            handler: Arc::new(handler),
            options: WorkerOptions::default(),
        }
    }

    /// How many jobs run at once.
    #[must_use]
    pub const fn concurrency(mut self, jobs: usize) -> Self {
        self.options.concurrency = jobs;
        self
    }

    /// A name for people, which the queue notes in the jobs.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// All options.
    #[must_use]
    pub fn options(mut self, options: WorkerOptions) -> Self {
        self.options = options;
        self
    }

    /// Connects, and begins to run jobs in the background.
    ///
    /// # Errors
    /// Invalid for options that would not work; errors of the store on connecting.
    pub async fn start(self) -> Result<WorkerHandle> {
        self.options.check()?;
        let feed = self.queue.feed(FeedOptions {
            lock: self.options.lock,
            max_stalled: self.options.max_stalled,
            worker: self.options.name.clone(),
        });
        let feed = feed.await?;
        let (close, closing) = watch::channel(false);
        let (deadline, deadlines) = watch::channel(None);
        let tasks = Tasks::new(
            Arc::clone(&self.queue),
            self.handler,
            self.options.propagation.clone(),
            closing.clone(),
        );
        let run = Run::new(self.queue, feed, self.options, tasks, closing, deadlines);
        Ok(WorkerHandle {
            close,
            deadline,
            task: Some(tokio::spawn(run.until_closed())),
        })
    }
}

/// A worker that runs. Dropping it stops the worker like [`WorkerHandle::shutdown`] without time: jobs
/// that run are given back.
#[derive(Debug)]
pub struct WorkerHandle {
    close: watch::Sender<bool>,
    deadline: watch::Sender<Option<tokio::time::Instant>>,
    task: Option<JoinHandle<ShutdownReport>>,
}

impl WorkerHandle {
    /// Stops taking jobs, waits at most so long until those that run have ended, ends the others at
    /// their next await, and puts them back in line.
    ///
    /// # Errors
    /// Internal if the worker itself has failed, which is a fault of AuthorStack.
    pub async fn shutdown(mut self, deadline: Duration) -> Result<ShutdownReport> {
        self.tell(deadline);
        let Some(task) = self.task.take() else {
            return Ok(ShutdownReport::default());
        };
        task.await
            .map_err(|error| Error::internal(format!("the worker has failed: {error}")))
    }

    fn tell(&self, deadline: Duration) {
        let at = tokio::time::Instant::now() + deadline;
        self.deadline.send_replace(Some(at));
        self.close.send_replace(true);
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.tell(Duration::ZERO);
    }
}
