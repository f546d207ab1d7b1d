use authorstack_core::{Error, Result};
use tracing::Instrument;

/// Does work of several requests to its end, also if the caller goes away in between.
pub(crate) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let work = tokio::spawn(work.in_current_span());
    work.await
        .unwrap_or_else(|_| Err(Error::internal("work on an account broke off")))
}
