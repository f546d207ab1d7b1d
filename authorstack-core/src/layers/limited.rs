use std::time::Duration;

use async_trait::async_trait;
use tokio::{sync::Semaphore, time::timeout};

use super::{Call, Layer, Next, Reply};
use crate::{Error, Result};

/// Lets so many calls through at once; others wait for their turn, in order, and are refused as
/// Unavailable (retryable) when it does not come in time.
///
/// A stream holds its place until it ends or is dropped: a host that makes other calls while it
/// reads one needs room for both.
#[derive(Debug)]
pub struct Limited {
    places: Semaphore,
    patience: Duration,
}

impl Limited {
    /// Room for so many calls, at least one, with 30 seconds of patience.
    #[must_use]
    pub fn new(calls: usize) -> Self {
        Self {
            places: Semaphore::new(calls.clamp(1, Semaphore::MAX_PERMITS)),
            patience: Duration::from_secs(30),
        }
    }

    /// How long a call waits for its turn.
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
                    "all places for calls were taken for {:?}; repeat the call in a while",
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
