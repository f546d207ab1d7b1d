use std::time::Instant;

use async_trait::async_trait;
use tracing::{Instrument, Span, field::Empty};

use super::{Call, Layer, Next, Reply};
use crate::Result;

/// Makes one `tracing` span for every call, at level debug: `authorstack.call` with the fields
/// `operation`, `store`, `outcome` (`ok`, the kind of the error, or `dropped` if the host dropped
/// the call) and `duration_ms`, and `unreadable` if the answer left out records that cannot be
/// read: how many. It never contains a value of a record.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traced;

#[async_trait]
impl Layer for Traced {
    async fn call(&self, call: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        let span = tracing::debug_span!(
            "authorstack.call",
            operation = call.operation().name(),
            store = call.store(),
            outcome = Empty,
            duration_ms = Empty,
            unreadable = Empty,
        );
        let end = End {
            span: span.clone(),
            started: Instant::now(),
            outcome: "dropped",
        };
        async move {
            let mut end = end;
            let reply = next.run().await;
            end.outcome = outcome(&reply);
            let unreadable = reply.as_ref().map_or(0, Reply::unreadable);
            if unreadable > 0 {
                end.span.record("unreadable", unreadable);
            }
            reply
        }
        .instrument(span)
        .await
    }
}

/// How a call ended: `ok`, or the kind of its error.
pub(super) fn outcome(reply: &Result<Reply>) -> &'static str {
    match reply {
        Ok(_) => "ok",
        Err(error) => error.kind().code(),
    }
}

/// Completes the span when the call ends or is dropped.
struct End {
    span: Span,
    started: Instant,
    outcome: &'static str,
}

impl Drop for End {
    fn drop(&mut self) {
        let millis = self.started.elapsed().as_secs_f64() * 1_000.0;
        self.span.record("outcome", self.outcome);
        self.span.record("duration_ms", millis);
    }
}
