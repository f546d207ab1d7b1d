//! Connections outside the pool that are kept for the next unit of work.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

/// How many connections are kept.
pub const KEPT_CONNECTIONS: usize = 2;

/// A few idle connections outside the pool, each with a value that is reused with it.
pub struct KeptConnections<T = ()> {
    idle: Mutex<Vec<(PgConnection, T)>>,
}

impl<T> Default for KeptConnections<T> {
    fn default() -> Self {
        Self {
            idle: Mutex::default(),
        }
    }
}

impl<T> fmt::Debug for KeptConnections<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptConnections").finish_non_exhaustive()
    }
}

impl<T> KeptConnections<T> {
    /// No call panics while it holds the lock, so the value in a poisoned lock is valid.
    fn lock(&self) -> MutexGuard<'_, Vec<(PgConnection, T)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A kept connection that still answers within this time, if there is one.
    pub async fn take(&self, patience: Duration) -> Option<(PgConnection, T)> {
        loop {
            let (mut connection, beside) = self.lock().pop()?;
            if matches!(timeout(patience, connection.ping()).await, Ok(Ok(()))) {
                return Some((connection, beside));
            }
        }
    }

    /// Keeps a connection, unless enough are kept already.
    pub fn keep(&self, connection: PgConnection, beside: T) {
        let mut idle = self.lock();
        if idle.len() < KEPT_CONNECTIONS {
            idle.push((connection, beside));
        }
    }
}
