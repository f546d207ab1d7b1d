//! The store and its connections.

use authorstack_core::Result;
use authorstack_sql::{IdForm, Pool};

use crate::config::PostgresConfig;

/// The analytics of an app on PostgreSQL. Clones share one pool of connections.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    pool: Pool,
    ids: IdForm,
}

impl PostgresStore {
    /// Connects, and reports wrong settings.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](authorstack_core::ErrorKind::Configuration), naming
    /// `postgres_url`; Unavailable if the server does not answer.
    pub async fn connect(config: PostgresConfig) -> Result<Self> {
        let pool = config.settings.pool()?;
        let connection = pool.open().await?;
        pool.close_connection(connection).await;
        Ok(Self {
            pool,
            ids: config.ids,
        })
    }

    /// Closes all connections. Later calls fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) const fn ids(&self) -> IdForm {
        self.ids
    }
}
