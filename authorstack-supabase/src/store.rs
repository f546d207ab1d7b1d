//! The store: its pool, and how a statement is run on it.

use std::{fmt, net::ToSocketAddrs, sync::Arc, time::Duration};

use authorstack_core::{
    BookRepository, BoostRepository, ChecklistRepository, CommunityRepository,
    CompetitorRepository, DocumentStore, Error, ErrorKind, FollowRepository, Order, PageRequest,
    Result, UserRepository,
};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, QueryBuilder,
    postgres::{PgArguments, PgPoolOptions, PgRow},
    query::Query,
};
use tokio::time::timeout;

use crate::{
    books::SupabaseBooks,
    boosts::SupabaseBoosts,
    checklists::SupabaseChecklists,
    community::SupabaseCommunity,
    competitors::SupabaseCompetitors,
    config::{Address, SupabaseConfig, Timeouts},
    error,
    follows::SupabaseFollows,
    schema,
    target::SupabaseTarget,
    users::SupabaseUsers,
};

/// A connection that was idle this long is asked whether it still lives before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

pub(crate) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// The documents of an app on Supabase. Clones share one pool of connections.
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
    inner: Arc<Inner>,
}

struct Inner {
    address: Address,
    pool: PgPool,
    timeouts: Timeouts,
    /// `begin`, with the server's own deadline, for a pooler in transaction mode.
    begin: Arc<str>,
}

impl fmt::Debug for SupabaseStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupabaseStore")
            .field("address", &self.inner.address)
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
        let timeouts = config.timeouts;
        // The server gives up a little later than the client, so that no statement goes on
        // unnoticed for long.
        let server_side = (timeouts.operation + Duration::from_secs(5)).as_millis();
        let mut options = PgPoolOptions::new()
            .max_connections(config.max_connections)
            .acquire_timeout(timeouts.connect)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > TRUSTED_IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            });
        if !address.transaction {
            let limit: Arc<str> = format!("set statement_timeout = {server_side}").into();
            options = options.after_connect(move |connection, _| {
                let limit = Arc::clone(&limit);
                Box::pin(async move {
                    sqlx::raw_sql(AssertSqlSafe(limit))
                        .execute(connection)
                        .await?;
                    Ok(())
                })
            });
        }
        let pool = options.connect_lazy_with(address.options.clone());
        let begin = format!("begin; set local statement_timeout = {server_side}").into();
        Ok(Self {
            inner: Arc::new(Inner {
                address,
                pool,
                timeouts,
                begin,
            }),
        })
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
        // A connection that hangs is given up: closing is a courtesy to the server.
        let _ = timeout(self.timeouts().connect, self.inner.pool.close()).await;
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.inner.timeouts
    }

    /// Whether a pooler in transaction mode is before the server.
    pub(crate) fn transaction_mode(&self) -> bool {
        self.inner.address.transaction
    }

    /// A statement as the mode wants it: prepared once where the connection is our own.
    pub(crate) fn statement<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement.persistent(!self.transaction_mode())
    }

    /// Opens a connection of one's own, outside the pool.
    pub(crate) async fn open(&self) -> Result<PgConnection> {
        let address = &self.inner.address;
        let deadline = self.inner.timeouts.connect;
        match timeout(deadline, PgConnection::connect_with(&address.options)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(sqlx::Error::Io(error))) => {
                let host = address.options.get_host().to_owned();
                if address.options.get_socket().is_none() && !resolves(&host).await {
                    return Err(error::unknown_host(&host));
                }
                Err(error::from_connect(sqlx::Error::Io(error), address))
            }
            Ok(Err(error)) => Err(error::from_connect(error, address)),
            Err(_) => Err(error::connect_timeout(&address.place(), deadline)),
        }
    }

    pub(crate) async fn close_connection(&self, connection: PgConnection) {
        // A courtesy: the server notices a dropped connection, too.
        let _ = timeout(Duration::from_secs(1), connection.close()).await;
    }

    /// Runs one statement as a unit of work.
    pub(crate) async fn fetch_optional(&self, statement: Statement<'_>) -> Result<Option<PgRow>> {
        let statement = self.statement(statement);
        if !self.transaction_mode() {
            return self
                .within(statement.fetch_optional(&self.inner.pool))
                .await;
        }
        let run = async {
            let mut transaction = self.begin().await?;
            let row = statement.fetch_optional(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(row)
        };
        self.within(Box::pin(run)).await
    }

    /// Runs one statement as a unit of work.
    pub(crate) async fn fetch_all(&self, statement: Statement<'_>) -> Result<Vec<PgRow>> {
        let statement = self.statement(statement);
        if !self.transaction_mode() {
            return self.within(statement.fetch_all(&self.inner.pool)).await;
        }
        let run = async {
            let mut transaction = self.begin().await?;
            let rows = statement.fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(rows)
        };
        self.within(Box::pin(run)).await
    }

    /// Begins a unit of work of several statements.
    pub(crate) async fn unit(&self) -> Result<Unit<'_>> {
        let transaction = self.within(self.begin()).await?;
        Ok(Unit {
            store: self,
            transaction,
        })
    }

    async fn begin(&self) -> sqlx::Result<sqlx::Transaction<'static, Postgres>> {
        let begin = AssertSqlSafe(Arc::clone(&self.inner.begin));
        self.inner.pool.begin_with(begin).await
    }

    async fn within<T>(&self, run: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
        let deadline = self.inner.timeouts.operation;
        match timeout(deadline, run).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                let error = error::from_pool(error, &self.inner.address);
                Err(error::with_deadline(error, deadline))
            }
            Err(_) => Err(Error::timeout(deadline)),
        }
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

/// Several statements in one transaction, which ends without effect when this is dropped.
pub(crate) struct Unit<'s> {
    store: &'s SupabaseStore,
    transaction: sqlx::Transaction<'static, Postgres>,
}

impl Unit<'_> {
    pub(crate) async fn fetch_optional(
        &mut self,
        statement: Statement<'_>,
    ) -> Result<Option<PgRow>> {
        let run = self.store.statement(statement);
        let run = run.fetch_optional(&mut *self.transaction);
        self.store.within(run).await
    }

    pub(crate) async fn fetch_all(&mut self, statement: Statement<'_>) -> Result<Vec<PgRow>> {
        let run = self.store.statement(statement);
        let run = run.fetch_all(&mut *self.transaction);
        self.store.within(run).await
    }

    pub(crate) async fn commit(self) -> Result<()> {
        self.store.within(self.transaction.commit()).await
    }
}

/// Does a unit of work again when another transaction came between, a few times: nothing of it
/// was kept.
pub(crate) async fn again<T, F>(mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    const ATTEMPTS: u32 = 6;
    const PAUSE: Duration = Duration::from_millis(10);
    for round in 1..ATTEMPTS {
        match attempt().await {
            Err(error)
                if matches!(error.kind(), ErrorKind::Conflict { .. }) && error.is_retryable() =>
            {
                tokio::time::sleep(PAUSE * round * round).await;
            }
            other => return other,
        }
    }
    attempt().await
}

/// Whether the host has an address.
async fn resolves(host: &str) -> bool {
    let host = host.to_owned();
    let lookup =
        tokio::task::spawn_blocking(move || (host.as_str(), 0u16).to_socket_addrs().is_ok());
    // A lookup that takes long says nothing about the name.
    matches!(
        timeout(Duration::from_secs(5), lookup).await,
        Ok(Ok(true)) | Err(_)
    )
}
