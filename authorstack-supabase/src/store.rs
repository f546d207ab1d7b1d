//! The store: its pool, and how a statement is run on it.

use std::{fmt, sync::Arc};

use authorstack_core::{
    AggregateRepository, AnalyticsStore, BookRepository, BoostRepository, ChecklistRepository,
    CommunityRepository, CompetitorRepository, DocumentStore, FollowRepository, ForecastRepository,
    InsightRepository, Order, PageRequest, Result, SalesRepository, SyncLogRepository,
    UserRepository,
};
use authorstack_sql::{Dialect, IdForm, Pool, SqlAnalytics, Timeouts};
use sqlx::{PgConnection, Postgres, QueryBuilder, postgres::PgRow};

use crate::{
    books::SupabaseBooks, boosts::SupabaseBoosts, checklists::SupabaseChecklists,
    community::SupabaseCommunity, competitors::SupabaseCompetitors, config::SupabaseConfig,
    follows::SupabaseFollows, schema, target::SupabaseTarget, users::SupabaseUsers,
};

pub(crate) use authorstack_sql::{Statement, Unit, again, within};

/// How the analytics stand in a project's database.
pub(crate) const DIALECT: Dialect = Dialect {
    plain_timestamps: false,
    has_books: true,
    ids: IdForm::Embedded,
};

/// The documents and analytics of an app on Supabase. Clones share one pool of connections.
///
/// ```no_run
/// use authorstack_core::DocumentStore;
/// use authorstack_supabase::{SupabaseConfig, SupabaseStore};
///
/// # async fn run(url: String, id: authorstack_core::Id<authorstack_core::User>) -> authorstack_core::Result<()> {
/// let store = SupabaseStore::connect(SupabaseConfig::new(url)).await?;
/// let user = store.users().get(id).await?;
/// # let _ = user;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SupabaseStore {
    pool: Pool,
    analytics: SqlAnalytics,
}

impl fmt::Debug for SupabaseStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupabaseStore")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

impl SupabaseStore {
    /// Connects, and says what is wrong with the settings if anything is.
    ///
    /// The schema is not looked at: [`SupabaseStore::pending`] and [`SupabaseStore::migrate`] do.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](authorstack_core::ErrorKind::Configuration) of
    /// `supabase_db_url`; Unavailable when the server does not answer.
    pub async fn connect(config: SupabaseConfig) -> Result<Self> {
        let store = Self::new(&config)?;
        let connection = store.open().await?;
        store.close_connection(connection).await;
        Ok(store)
    }

    /// A store that connects when it is first used.
    pub(crate) fn new(config: &SupabaseConfig) -> Result<Self> {
        let address = config.address()?;
        let pool = Pool::new(address, config.timeouts, config.max_connections);
        let analytics = SqlAnalytics::new(pool.clone(), DIALECT);
        Ok(Self { pool, analytics })
    }

    /// Applies the schema's migrations that the database lacks, each in a transaction.
    ///
    /// The history is the Supabase CLI's: what this applies, `supabase migration up` does not
    /// apply again, and the other way round. Two calls at once wait for each other.
    ///
    /// # Errors
    /// [`ErrorKind::Blocked`](authorstack_core::ErrorKind::Blocked) when a table of this name
    /// exists that AuthorStack did not make, or when the schema is newer than this crate knows.
    pub async fn migrate(&self) -> Result<()> {
        schema::migrate(self).await
    }

    /// The migrations that the database lacks, by file name, in their order.
    ///
    /// # Errors
    /// [`ErrorKind::Blocked`](authorstack_core::ErrorKind::Blocked) when the role may not read
    /// the history.
    pub async fn pending(&self) -> Result<Vec<String>> {
        schema::pending(self).await
    }

    /// The target that a migration loads records into.
    #[must_use]
    pub fn target(&self) -> SupabaseTarget {
        SupabaseTarget::new(self.clone())
    }

    /// Closes all connections; calls that come later fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) fn analytics(&self) -> &SqlAnalytics {
        &self.analytics
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.pool.timeouts()
    }

    /// A statement as the mode wants it: prepared once where the connection is our own.
    pub(crate) fn statement<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        self.pool.statement(statement)
    }

    /// Opens a connection of one's own, outside the pool.
    pub(crate) async fn open(&self) -> Result<PgConnection> {
        self.pool.open().await
    }

    pub(crate) async fn close_connection(&self, connection: PgConnection) {
        self.pool.close_connection(connection).await;
    }

    /// Runs one statement as a unit of work.
    pub(crate) async fn fetch_optional(&self, statement: Statement<'_>) -> Result<Option<PgRow>> {
        self.pool.fetch_optional(statement).await
    }

    /// Runs one statement as a unit of work.
    pub(crate) async fn fetch_all(&self, statement: Statement<'_>) -> Result<Vec<PgRow>> {
        self.pool.fetch_all(statement).await
    }

    /// Begins a unit of work of several statements.
    pub(crate) async fn unit(&self) -> Result<Unit<'_>> {
        self.pool.unit().await
    }
}

impl DocumentStore for SupabaseStore {
    fn users(&self) -> Arc<dyn UserRepository> {
        Arc::new(SupabaseUsers(self.clone()))
    }

    fn books(&self) -> Arc<dyn BookRepository> {
        Arc::new(SupabaseBooks(self.clone()))
    }

    fn checklists(&self) -> Arc<dyn ChecklistRepository> {
        Arc::new(SupabaseChecklists(self.clone()))
    }

    fn follows(&self) -> Arc<dyn FollowRepository> {
        Arc::new(SupabaseFollows(self.clone()))
    }

    fn community(&self) -> Arc<dyn CommunityRepository> {
        Arc::new(SupabaseCommunity(self.clone()))
    }

    fn boosts(&self) -> Arc<dyn BoostRepository> {
        Arc::new(SupabaseBoosts(self.clone()))
    }

    fn competitors(&self) -> Arc<dyn CompetitorRepository> {
        Arc::new(SupabaseCompetitors(self.clone()))
    }
}

impl AnalyticsStore for SupabaseStore {
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

/// Ends a statement that has a condition already with the page's: behind its cursor, in the order
/// of the ids, and one row more than the page holds.
pub(crate) fn push_page<T>(select: &mut QueryBuilder<Postgres>, page: &PageRequest) -> Result<()> {
    let (beyond, order) = match page.sort_order() {
        Order::OldestFirst => (" and id > ", " order by id limit "),
        Order::NewestFirst => (" and id < ", " order by id desc limit "),
    };
    if let Some(after) = page.after_id::<T>()? {
        select.push(beyond).push_bind(after.to_uuid());
    }
    select.push(order).push_bind(i64::from(page.limit()) + 1);
    Ok(())
}
