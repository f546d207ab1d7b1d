//! What runs a job.

use std::future::Future;

use async_trait::async_trait;
use serde_json::Value;

use super::{context::JobContext, failure::JobError};
use crate::queue::job::Job;

/// What runs a job. A function of a job and a context is one, and [`Handlers`](super::Handlers) is one
/// made of several.
///
/// A handler may be dropped at any await: when its worker stops and the deadline is over, or when
/// another worker has its job. It is run again then.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Runs the job, and answers what is stored as its result.
    ///
    /// # Errors
    /// Why it failed, and whether to try again.
    async fn handle(&self, job: Job, context: JobContext) -> Result<Value, JobError>;
}

#[async_trait]
impl<F, R> Handler for F
where
    F: Fn(Job, JobContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Value, JobError>> + Send + 'static,
{
    async fn handle(&self, job: Job, context: JobContext) -> Result<Value, JobError> {
        self(job, context).await
    }
}
