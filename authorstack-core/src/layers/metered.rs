use std::time::Instant;

use async_trait::async_trait;

use super::{Call, Layer, Next, Reply, traced::outcome};
use crate::Result;

/// Counts calls and measures their latency, with the `metrics` facade:
///
/// - `authorstack_calls_total`, a counter with the labels `operation`, `store` and `outcome` (`ok`,
///   the kind of the error, or `dropped` if the host dropped the call);
/// - `authorstack_unreadable_records_total`, a counter with the labels `operation` and `store`: the
///   records that answers left out because they cannot be read;
/// - `authorstack_call_duration_seconds`, a histogram with the labels `operation` and `store`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Metered;

#[async_trait]
impl Layer for Metered {
    async fn call(&self, call: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        let mut end = End {
            operation: call.operation().name(),
            store: call.store(),
            started: Instant::now(),
            outcome: "dropped",
            unreadable: 0,
        };
        let reply = next.run().await;
        end.outcome = outcome(&reply);
        end.unreadable = reply.as_ref().map_or(0, Reply::unreadable);
        reply
    }
}

/// Counts the call when it ends or is dropped.
struct End {
    operation: &'static str,
    store: &'static str,
    started: Instant,
    outcome: &'static str,
    unreadable: u64,
}

impl Drop for End {
    fn drop(&mut self) {
        let labels = [("operation", self.operation), ("store", self.store)];
        metrics::histogram!("authorstack_call_duration_seconds", &labels)
            .record(self.started.elapsed().as_secs_f64());
        if self.unreadable > 0 {
            metrics::counter!("authorstack_unreadable_records_total", &labels)
                .increment(self.unreadable);
        }
        let labels = [
            ("operation", self.operation),
            ("store", self.store),
            ("outcome", self.outcome),
        ];
        metrics::counter!("authorstack_calls_total", &labels).increment(1);
    }
}
