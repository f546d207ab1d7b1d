//! The store.

use std::sync::Arc;

use authorstack_core::{
    AggregateRepository, AnalyticsStore, ForecastRepository, InsightRepository, Result,
    SalesRepository, SyncLogRepository,
};
use authorstack_sql::{Dialect, IdForm, Pool, SqlAnalytics};

use crate::{
    config::PostgresConfig,
    schema,
    source::{IdMap, PostgresSource},
};

/// The analytics of an app on PostgreSQL. Clones share one pool of connections.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    pool: Pool,
    ids: IdForm,
    analytics: SqlAnalytics,
}

impl PostgresStore {
    /// Connects, and says what is wrong with the settings if anything is.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](authorstack_core::ErrorKind::Configuration) of `postgres_url`;
    /// Unavailable when the server does not answer.
    pub async fn connect(config: PostgresConfig) -> Result<Self> {
        let pool = Pool::new(config.address()?, config.timeouts, config.max_connections);
        let connection = pool.open().await?;
        pool.close_connection(connection).await;
        let dialect = Dialect {
            plain_timestamps: true,
            has_books: false,
            ids: config.ids,
        };
        let analytics = SqlAnalytics::new(pool.clone(), dialect);
        Ok(Self {
            pool,
            ids: config.ids,
            analytics,
        })
    }

    /// Makes what the database lacks of the five tables and their indexes. What an old app has
    /// made with the schema's own SQL stays as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Blocked`](authorstack_core::ErrorKind::Blocked) when a table of one of these
    /// names lacks a column or its unique key, or when the schema is newer than this crate knows.
    pub async fn migrate(&self) -> Result<()> {
        let migrated = schema::migrate(&self.pool).await;
        migrated.map_err(|error| error.in_operation("migrate"))
    }

    /// The source that a migration reads rows from, with the ids that this map knows; the others
    /// have the form that the settings name.
    #[must_use]
    pub fn source(&self, map: IdMap) -> PostgresSource {
        PostgresSource::new(self.pool.clone(), self.ids, map)
    }

    /// Closes all connections; calls that come later fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl AnalyticsStore for PostgresStore {
    fn sales(&self) -> Arc<dyn SalesRepository> {
        self.analytics.sales()
    }

    fn aggregates(&self) -> Arc<dyn AggregateRepository> {
        self.analytics.aggregates()
    }

    fn sync_logs(&self) -> Arc<dyn SyncLogRepository> {
        self.analytics.sync_logs()
    }

    fn insights(&self) -> Arc<dyn InsightRepository> {
        self.analytics.insights()
    }

    fn forecasts(&self) -> Arc<dyn ForecastRepository> {
        self.analytics.forecasts()
    }
}
