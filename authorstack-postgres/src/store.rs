//! The store and its connections.

use async_trait::async_trait;
use authorstack_core::{ConnectionSecurity, Result, health::HealthCheck, layers::Operation};
use authorstack_sql::{IdForm, Pool};
use sqlx::PgPool;

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
    /// This does not look at the schema: calls on a database without it answer Unsupported, and
    /// [`PostgresStore::connect_and_prepare`] makes it.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](authorstack_core::ErrorKind::Configuration), naming
    /// `postgres_url`; Unavailable if the server does not answer.
    pub async fn connect(config: PostgresConfig) -> Result<Self> {
        let pool = connect(&config).await?;
        Ok(Self {
            pool,
            ids: config.ids,
        })
    }

    /// Connects, and brings the database's schema up to date: what an app does at its start.
    ///
    /// # Errors
    /// As of [`PostgresStore::connect`] and [`PostgresStore::prepare`].
    pub async fn connect_and_prepare(config: PostgresConfig) -> Result<Self> {
        let store = Self::connect(config).await?;
        store.prepare().await?;
        Ok(store)
    }

    /// Brings the database's schema up to date, as [`PostgresStore::migrate`] does. Every store has this
    /// method.
    ///
    /// # Errors
    /// As of [`PostgresStore::migrate`].
    pub async fn prepare(&self) -> Result<()> {
        self.migrate().await
    }

    /// The same store, with another form of ids in the `uuid` columns than the settings said.
    #[must_use]
    pub fn with_ids(mut self, form: IdForm) -> Self {
        self.ids = form;
        self
    }

    /// How the connections are secured.
    #[must_use]
    pub fn security(&self) -> ConnectionSecurity {
        self.pool.security()
    }

    /// The driver's pool, for a host's own statements. Its sessions have an empty search path, so name
    /// the schema of every table; a pooler in transaction mode keeps no prepared statement
    /// (`query.persistent(false)`). The driver has no deadlines of its own: give each call one.
    #[must_use]
    pub fn connections(&self) -> &PgPool {
        self.pool.connections()
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

#[async_trait]
impl HealthCheck for PostgresStore {
    async fn check_health(&self) -> Result<()> {
        self.pool.ping().await
    }
}

async fn connect(config: &PostgresConfig) -> Result<Pool> {
    let connected = config.settings.connect().await;
    connected.map_err(|error| error.in_operation(Operation::Connect))
}
