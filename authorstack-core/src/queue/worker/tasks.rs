//! The jobs that run at the moment.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;
use tokio::{
    sync::watch,
    task::{AbortHandle, Id, JoinError, JoinSet},
};
use tracing::Instrument;

use super::{context::JobContext, failure::JobError, handler::Handler};
use crate::queue::{
    feed::{Held, Outcome, Settlement, Taken},
    job::Job,
    job_id::JobId,
    jobs::JobQueue,
    options::JobOptions,
    trace::{TracePropagation, within},
};

/// What is known of a running job.
#[derive(Debug)]
struct Running {
    held: Held,
    options: JobOptions,
    attempts_made: u32,
    stacktrace: Vec<String>,
    task: AbortHandle,
}

/// The jobs that run at the moment, each as a task.
pub(super) struct Tasks {
    queue: Arc<dyn JobQueue>,
    handler: Arc<dyn Handler>,
    propagation: Option<Arc<dyn TracePropagation>>,
    closing: watch::Receiver<bool>,
    set: JoinSet<Result<Value, JobError>>,
    running: HashMap<Id, Running>,
}

impl Tasks {
    pub(super) fn new(
        queue: Arc<dyn JobQueue>,
        handler: Arc<dyn Handler>,
        propagation: Option<Arc<dyn TracePropagation>>,
        closing: watch::Receiver<bool>,
    ) -> Self {
        Self {
            queue,
            handler,
            propagation,
            closing,
            set: JoinSet::new(),
            running: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// The jobs and their locks.
    pub(super) fn held(&self) -> Vec<Held> {
        self.running.values().map(|it| it.held.clone()).collect()
    }

    /// Begins to run a job.
    pub(super) fn start(&mut self, taken: Taken) {
        let Taken { job, token } = taken;
        let held = Held {
            id: job.id.clone(),
            token,
        };
        let (options, stacktrace) = (job.options.clone(), job.stacktrace.clone());
        let attempts_made = job.attempts_made;
        let context = JobContext::new(
            Arc::clone(&self.queue),
            job.id.clone(),
            attempts_made.saturating_add(1),
            self.closing.clone(),
        );
        let (handler, span) = (Arc::clone(&self.handler), self.span(&job));
        let task = self.set.spawn(Self::run(handler, span, job, context));
        let running = Running {
            held,
            options,
            attempts_made,
            stacktrace,
            task: task.clone(),
        };
        self.running.insert(task.id(), running);
    }

    async fn run(
        handler: Arc<dyn Handler>,
        span: tracing::Span,
        job: Job,
        context: JobContext,
    ) -> Result<Value, JobError> {
        // What a lost worker leaves behind, or what cannot be read at all.
        if let Some(problem) = job.problem {
            return Err(JobError::permanent(problem));
        }
        let trace = job.options.trace.clone();
        let outcome = within(trace, handler.handle(job, context)).instrument(span.clone());
        let outcome = outcome.await;
        let name = match &outcome {
            Ok(_) => "completed",
            Err(_) => "failed",
        };
        span.record("outcome", name);
        outcome
    }

    fn span(&self, job: &Job) -> tracing::Span {
        let span = tracing::info_span!(
            "authorstack.job",
            queue = %self.queue.name(),
            job = %job.id,
            name = %crate::shown(&job.name),
            attempt = job.attempts_made.saturating_add(1),
            trace = tracing::field::Empty,
            outcome = tracing::field::Empty,
        );
        if let Some(carried) = &job.options.trace {
            span.record("trace", tracing::field::display(crate::shown(carried)));
            if let Some(propagation) = &self.propagation {
                propagation.follow(&span, carried);
            }
        }
        span
    }

    /// A job that has ended already.
    pub(super) fn try_next(&mut self) -> Option<Settlement> {
        while let Some(joined) = self.set.try_join_next_with_id() {
            if let Some(settlement) = self.settle(joined) {
                return Some(settlement);
            }
        }
        None
    }

    /// The next job that ends. Never, if none runs. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Settlement {
        loop {
            match self.set.join_next_with_id().await {
                Some(joined) => {
                    if let Some(settlement) = self.settle(joined) {
                        return settlement;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Ends a job whose lock is lost: another worker has it, or will. It is not settled.
    pub(super) fn forget(&mut self, id: &JobId) {
        self.running.retain(|_, running| {
            let lost = running.held.id == *id;
            if lost {
                running.task.abort();
            }
            !lost
        });
    }

    /// Ends all jobs at their next await.
    pub(super) fn abort(&mut self) {
        self.set.abort_all();
    }

    fn settle(
        &mut self,
        joined: Result<(Id, Result<Value, JobError>), JoinError>,
    ) -> Option<Settlement> {
        let (id, ended) = match joined {
            Ok((id, ended)) => (id, Some(ended)),
            Err(error) => (error.id(), Self::broken(error).map(Err)),
        };
        let running = self.running.remove(&id)?;
        Some(running.settlement(ended))
    }

    /// What a panic says; nothing for a task that was aborted.
    fn broken(error: JoinError) -> Option<JobError> {
        let payload = error.try_into_panic().ok()?;
        Some(JobError::panicked(payload.as_ref()))
    }
}

impl Running {
    /// `ended` is none where the worker stopped it.
    fn settlement(self, ended: Option<Result<Value, JobError>>) -> Settlement {
        let mut keep = self.options.keep_failed;
        let outcome = match ended {
            None => Outcome::GivenBack,
            Some(Ok(returned)) => {
                keep = self.options.keep_completed;
                Outcome::Completed { returned }
            }
            Some(Err(error)) => {
                let made = self.attempts_made.saturating_add(1);
                let next = self.options.retry_after(made, random());
                let reason = error.reason().to_owned();
                let stacktrace = error.added_to(self.stacktrace);
                match next.filter(|_| error.is_tried_again()) {
                    None => Outcome::Failed { reason, stacktrace },
                    Some(after) => Outcome::Retry {
                        reason,
                        stacktrace,
                        after: after.max(error.wait().unwrap_or_default()),
                    },
                }
            }
        };
        Settlement {
            held: self.held,
            outcome,
            keep,
            attempts: self.options.attempts,
        }
    }
}

/// A number between 0 and 1.
fn random() -> f64 {
    let bytes = uuid::Uuid::new_v4().into_bytes();
    f64::from(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])) / f64::from(u32::MAX)
}
