//! Traces that go on in a worker.

use std::{fmt, future::Future};

tokio::task_local! {
    static CURRENT: Option<String>;
}

/// The trace of the job whose handler runs now. Jobs that are added there continue it.
#[must_use]
pub fn current_trace() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Runs a handler as a part of its job's trace.
pub(super) async fn within<T>(trace: Option<String>, run: impl Future<Output = T>) -> T {
    CURRENT.scope(trace, run).await
}

/// Joins a worker's spans to the trace that the producer wrote into the job. With
/// `tracing-opentelemetry`, it extracts a context from `carried` and sets it as the span's parent.
///
/// `carried` comes from data: it may be anything.
pub trait TracePropagation: fmt::Debug + Send + Sync {
    /// Makes `span` a part of the trace.
    fn follow(&self, span: &tracing::Span, carried: &str);
}
