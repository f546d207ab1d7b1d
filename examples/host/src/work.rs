//! The host's worker.

use std::sync::Arc;

use authorstack_core::{
    Days, RefreshReport, Result,
    queue::{Handlers, JobContext, JobError, Worker, WorkerHandle, payloads::RefreshRollups},
};
use serde_json::{Value, json};

use crate::app::App;

/// Starts the worker. It ends with the handle.
///
/// # Errors
/// Of connecting to the queue.
pub async fn start(app: &App) -> Result<WorkerHandle> {
    let queue = Arc::clone(&app.queue);
    let app = app.clone();
    let handlers = Handlers::new().on(move |refresh: RefreshRollups, context| {
        let app = app.clone();
        async move { refresh_rollups(&app, &refresh, &context).await }
    });
    Worker::new(queue, handlers)
        .concurrency(4)
        .named("host")
        .start()
        .await
}

/// Adds sales up month by month, and notes how far it is.
async fn refresh_rollups(
    app: &App,
    refresh: &RefreshRollups,
    context: &JobContext,
) -> Result<Value, JobError> {
    let all = Days::new(refresh.from, refresh.to)?;
    let mut done = RefreshReport::default();
    let mut first = all.first();
    while first <= all.last() {
        let last = Days::month(first).last().min(all.last());
        let days = Days::new(first, last)?;
        let aggregates = app.stack.aggregates();
        done += aggregates
            .refresh(refresh.user_id, days, &app.conversion)
            .await?;
        let percent = Days::new(all.first(), last)?.len() * 100 / all.len();
        context.progress(percent).await?;
        let Some(next) = last.succ_opt() else { break };
        first = next;
    }
    Ok(json!({ "written": done.written, "removed": done.removed, "gaps": done.gaps.len() }))
}
