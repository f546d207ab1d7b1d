//! Whether the stores of a host answer: for `/readyz` and for monitoring.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::future::join_all;

use crate::{Error, MemoryStore, Result, layers::Operation, resilience::with_deadline};

/// A store or service that can be asked whether it answers. Every store of AuthorStack can.
///
/// ```
/// use authorstack_core::{MemoryStore, health::HealthCheck as _};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> authorstack_core::Result<()> {
/// // `Health` asks all stores of a host at once.
/// assert!(MemoryStore::new().check_health().await.is_ok());
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait HealthCheck: fmt::Debug + Send + Sync {
    /// Asks for as little as possible: one round trip that reads no records, where the service has
    /// one. It has the store's deadline.
    ///
    /// # Errors
    /// Timeout or Unavailable; what the store says of the settings.
    async fn check_health(&self) -> Result<()>;
}

#[async_trait]
impl HealthCheck for MemoryStore {
    async fn check_health(&self) -> Result<()> {
        Ok(())
    }
}

/// The stores that a host needs, asked together.
///
/// ```
/// use std::time::Duration;
///
/// use authorstack_core::{MemoryStore, health::Health};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let health = Health::new(Duration::from_secs(2)).store("memory", MemoryStore::new());
/// assert!(health.check().await.iter().all(|store| store.is_healthy()));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Health {
    stores: Vec<(&'static str, Arc<dyn HealthCheck>)>,
    deadline: Duration,
}

impl Health {
    /// No stores yet. Each may take this long to answer, however long its own deadline is.
    #[must_use]
    pub const fn new(deadline: Duration) -> Self {
        Self {
            stores: Vec::new(),
            deadline,
        }
    }

    /// Adds a store, with the name that it has in the answer.
    #[must_use]
    pub fn store(mut self, name: &'static str, store: impl HealthCheck + 'static) -> Self {
        self.stores.push((name, Arc::new(store)));
        self
    }

    /// Asks all stores at once, and answers in the order in which they were added.
    pub async fn check(&self) -> Vec<StoreHealth> {
        let asked = self.stores.iter().map(|(name, store)| async move {
            let start = Instant::now();
            let answer = with_deadline(self.deadline, store.check_health()).await;
            StoreHealth {
                name,
                took: start.elapsed(),
                error: answer.err().map(|e| e.in_operation(Operation::Check)),
            }
        });
        join_all(asked).await
    }
}

/// Whether a store answered.
#[derive(Debug)]
pub struct StoreHealth {
    /// The name that the host gave it.
    pub name: &'static str,
    /// How long the answer took.
    pub took: Duration,
    /// Why it did not answer; for the host's log, not for the world.
    pub error: Option<Error>,
}

impl StoreHealth {
    /// Whether it answered, and found nothing wrong.
    #[must_use]
    pub const fn is_healthy(&self) -> bool {
        self.error.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[derive(Debug)]
    struct Silent;

    #[async_trait]
    impl HealthCheck for Silent {
        async fn check_health(&self) -> Result<()> {
            std::future::pending().await
        }
    }

    #[derive(Debug)]
    struct Down;

    #[async_trait]
    impl HealthCheck for Down {
        async fn check_health(&self) -> Result<()> {
            Err(Error::unavailable("failing over"))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_store_is_named_at_the_deadline_and_the_others_answer() {
        let health = Health::new(Duration::from_secs(2))
            .store("silent", Silent)
            .store("memory", MemoryStore::new())
            .store("down", Down);
        let start = tokio::time::Instant::now();
        let found = health.check().await;
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        let names: Vec<_> = found.iter().map(|store| store.name).collect();
        assert_eq!(names, ["silent", "memory", "down"]);
        let healthy: Vec<_> = found.iter().map(StoreHealth::is_healthy).collect();
        assert_eq!(healthy, [false, true, false]);
        let kind = |index: usize| found[index].error.as_ref().map(Error::kind);
        assert!(matches!(kind(0), Some(ErrorKind::Timeout { .. })));
        assert!(matches!(kind(2), Some(ErrorKind::Unavailable { .. })));
    }
}
