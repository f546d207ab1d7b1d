use std::time::Duration;

use async_trait::async_trait;
use tokio::{sync::Semaphore, time::timeout};

use super::{Call, Layer, Next, Reply};
use crate::{Error, Result};

/// Limits how many calls run at once. Further calls wait for their turn, in order. A call that
/// waits too long fails with Unavailable, which is retryable.
///
/// A stream counts as a running call until it ends or is dropped. A host that makes calls while it
/// reads a stream needs room for both.
#[derive(Debug)]
pub struct Limited {
    places: Semaphore,
    patience: Duration,
}

impl Limited {
    /// Allows this many calls at once, at least one. A call waits 30 seconds by default.
    #[must_use]
    pub fn new(calls: usize) -> Self {
        Self {
            places: Semaphore::new(calls.clamp(1, Semaphore::MAX_PERMITS)),
            patience: Duration::from_secs(30),
        }
    }

    /// Sets how long a call waits for its turn.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

#[async_trait]
impl Layer for Limited {
    async fn call(&self, _: &Call<'_>, next: Next<'_>) -> Result<Reply> {
        let place = match timeout(self.patience, self.places.acquire()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(Error::internal("the places for calls are closed")),
            Err(_) => {
                let reason = format!(
                    "too many calls at once for {:?}; repeat the call later",
                    self.patience
                );
                return Err(Error::unavailable(reason));
            }
        };
        let reply = next.run().await;
        drop(place);
        reply
    }
}
