//! The store: its connections, and how a statement runs on them.

use authorstack_core::{
    ConnectionSecurity, Error, Order, PageRequest, Result, layers::Operation, migrate::Stored,
};
use authorstack_sql::{IdForm, Pool, Statement, Timeouts, Unit, read};
use sqlx::{PgConnection, Postgres, QueryBuilder, postgres::PgRow};

use crate::config::SupabaseConfig;

/// The documents and analytics of an app on Supabase. Clones share one pool of connections.
///
/// ```no_run
/// use authorstack_core::AuthorStack;
/// use authorstack_supabase::{SupabaseConfig, SupabaseStore};
///
/// # async fn run(url: String, id: authorstack_core::Id<authorstack_core::User>) -> authorstack_core::Result<()> {
/// let store = SupabaseStore::connect_and_prepare(SupabaseConfig::new(url)).await?;
/// let stack = AuthorStack::supabase(&store);
/// let user = stack.users().get(id).await?;
/// # let _ = user;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SupabaseStore {
    pool: Pool,
}

impl SupabaseStore {
    /// Connects, and reports wrong settings.
    ///
    /// This does not look at the schema: calls on a database without it answer Unsupported, and
    /// [`SupabaseStore::connect_and_prepare`] makes it.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](authorstack_core::ErrorKind::Configuration), naming
    /// `supabase_db_url`; Unavailable if the server does not answer.
    pub async fn connect(config: SupabaseConfig) -> Result<Self> {
        let pool = connect(&config).await?;
        Ok(Self { pool })
    }

    /// Connects, and brings the database's schema up to date: what an app does at its start.
    ///
    /// # Errors
    /// As of [`SupabaseStore::connect`] and [`SupabaseStore::prepare`].
    pub async fn connect_and_prepare(config: SupabaseConfig) -> Result<Self> {
        let store = Self::connect(config).await?;
        store.prepare().await?;
        Ok(store)
    }

    /// Brings the database's schema up to date, as [`SupabaseStore::migrate`] does. Every store has this
    /// method.
    ///
    /// # Errors
    /// As of [`SupabaseStore::migrate`].
    pub async fn prepare(&self) -> Result<()> {
        self.migrate().await
    }

    /// How the connections are secured.
    #[must_use]
    pub fn security(&self) -> ConnectionSecurity {
        self.pool.security()
    }

    /// Closes all connections. Later calls fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.pool.timeouts()
    }

    /// The statement. It stays prepared, unless there is a pooler in transaction mode.
    pub(crate) fn statement<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        self.pool.statement(statement)
    }

    /// Opens a connection outside the pool.
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

    /// Runs a statement that returns one record.
    ///
    /// # Errors
    /// NotFound if it returns none.
    pub(crate) async fn one<T: Stored>(&self, statement: Statement<'_>) -> Result<T> {
        let row = self.fetch_optional(statement).await?;
        record(&row.ok_or_else(Error::not_found)?)
    }

    /// Runs a statement that returns records.
    pub(crate) async fn all<T: Stored>(&self, statement: Statement<'_>) -> Result<Vec<T>> {
        records(&self.fetch_all(statement).await?)
    }

    /// Runs a statement that returns a row if it deleted something.
    ///
    /// # Errors
    /// NotFound if it deleted nothing.
    pub(crate) async fn delete(&self, statement: Statement<'_>) -> Result<()> {
        let row = self.fetch_optional(statement).await?;
        row.map(drop).ok_or_else(Error::not_found)
    }
}

async fn connect(config: &SupabaseConfig) -> Result<Pool> {
    let connected = config.settings.connect().await;
    connected.map_err(|error| error.in_operation(Operation::Connect))
}

/// Reads a row that begins with the columns of a record.
pub(crate) fn record<T: Stored>(row: &PgRow) -> Result<T> {
    read(row, IdForm::Embedded)
}

pub(crate) fn records<T: Stored>(rows: &[PgRow]) -> Result<Vec<T>> {
    rows.iter().map(record).collect()
}

/// Adds a page's conditions to a statement that already has a condition: after the cursor, in the
/// order of the ids, and one row more than the page has.
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
