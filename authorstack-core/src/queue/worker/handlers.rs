//! A handler for each payload.

use std::{collections::BTreeMap, fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use super::{context::JobContext, failure::JobError, handler::Handler};
use crate::{
    queue::{job::Job, payload::Payload},
    shown,
};

type Run =
    Arc<dyn Fn(Job, JobContext) -> BoxFuture<'static, Result<Value, JobError>> + Send + Sync>;

/// A handler for each payload. Jobs of other names fail, as do those whose data does not fit their
/// payload: they can be retried once a worker knows them.
///
/// ```
/// use authorstack_core::queue::{Handlers, payloads::{GenerateInsights, RefreshRollups}};
///
/// let handlers = Handlers::new()
///     .on(|_: RefreshRollups, _| async { Ok(()) })
///     .on(|_: GenerateInsights, context| async move {
///         context.progress(50).await?;
///         Ok(3)
///     });
/// ```
#[derive(Clone, Default)]
pub struct Handlers {
    by_name: BTreeMap<&'static str, Run>,
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl Handlers {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs jobs with this payload by a function. What it returns is stored as the job's result.
    #[must_use]
    pub fn on<P, F, R, V>(mut self, run: F) -> Self
    where
        P: Payload,
        F: Fn(P, JobContext) -> R + Send + Sync + 'static,
        R: Future<Output = Result<V, JobError>> + Send + 'static,
        V: Serialize,
    {
        let run = Arc::new(run);
        let handler: Run = Arc::new(move |job, context| {
            let run = Arc::clone(&run);
            Box::pin(async move {
                let payload = job.payload::<P>()?;
                let returned = run(payload, context).await?;
                serde_json::to_value(returned).map_err(JobError::from)
            })
        });
        self.by_name.insert(P::NAME, handler);
        self
    }
}

#[async_trait]
impl Handler for Handlers {
    async fn handle(&self, job: Job, context: JobContext) -> Result<Value, JobError> {
        let Some(run) = self.by_name.get(job.name.as_str()) else {
            let known: Vec<_> = self.by_name.keys().copied().collect();
            return Err(JobError::permanent(format!(
                "job {}: this worker knows no job named {}, only {}; update it, then retry the job",
                job.id,
                shown(&job.name),
                known.join(", ")
            )));
        };
        run(job, context).await
    }
}
