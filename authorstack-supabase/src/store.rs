//! The store: its connections, and how a statement runs on them.

use async_trait::async_trait;
use authorstack_core::{
    ConnectionSecurity, Cursor, Error, Id, Listed, Order, Page, PageRequest, Result, Unreadable,
    health::HealthCheck, layers::Operation, migrate::Stored,
};
use authorstack_sql::{
    IdForm, Moment, Pool, Statement, Timeouts, Unit, first_moment, get, read, read_listed,
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool, Postgres, QueryBuilder, Row, postgres::PgRow};
use uuid::Uuid;

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

    /// Runs a statement that returns a page of records, one more than the page has. The first
    /// column is their id.
    pub(crate) async fn page<T: Stored>(
        &self,
        statement: Statement<'_>,
        page: &PageRequest,
    ) -> Result<Page<T>> {
        let rows = self.fetch_all(statement).await?;
        Ok(Page::from_rows(&rows, page.limit(), listed, behind_id))
    }

    /// Runs a statement that returns a list of records.
    pub(crate) async fn listed<T: Stored>(&self, statement: Statement<'_>) -> Result<Listed<T>> {
        let rows = self.fetch_all(statement).await?;
        Ok(rows.iter().map(listed).collect())
    }

    /// The first records of a list, up to a number. Rows that cannot be read do not count. `first`
    /// makes the statement for a number of rows, `more` for those after a number of rows.
    pub(crate) async fn first<'q, T: Stored>(
        &self,
        limit: u32,
        first: impl FnOnce(i64) -> Statement<'q>,
        more: impl Fn(i64, i64) -> Statement<'q>,
    ) -> Result<Listed<T>> {
        let mut found = Listed::default();
        let mut wanted = i64::from(limit);
        let mut rows = self.fetch_all(first(wanted)).await?;
        let mut seen = 0;
        loop {
            let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
            seen += count;
            for row in &rows {
                found.add(listed(row));
            }
            let left = i64::from(limit).saturating_sub(length(&found.items));
            if count < wanted || left <= 0 {
                return Ok(found);
            }
            wanted = left;
            rows = self.fetch_all(more(wanted, seen)).await?;
        }
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

#[async_trait]
impl HealthCheck for SupabaseStore {
    async fn check_health(&self) -> Result<()> {
        self.pool.ping().await
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

/// The ids as the database has them.
pub(crate) fn uuids<T>(ids: &[Id<T>]) -> Vec<Uuid> {
    ids.iter().map(|id| id.to_uuid()).collect()
}

/// Reads a row for a list.
pub(crate) fn listed<T: Stored>(row: &PgRow) -> Result<T, Unreadable> {
    read_listed(row, IdForm::Embedded)
}

/// The cursor behind a row whose first column is its id.
pub(crate) fn behind_id(row: &PgRow) -> Option<Cursor> {
    get(row, 0).ok().map(Cursor::behind_uuid)
}

/// The rows of a list that is joined to the record it belongs to: without the row that stands for
/// an empty list.
pub(crate) fn there(rows: Vec<PgRow>) -> Result<Vec<PgRow>> {
    let mut there = Vec::with_capacity(rows.len());
    for row in rows {
        if get::<Option<Uuid>>(&row, 0)?.is_some() {
            there.push(row);
        }
    }
    Ok(there)
}

/// The cursor behind a row of a list that is ordered by a moment, then by a key. A moment that
/// AuthorStack cannot read, such as infinity, is before or after all that it can read; rows with
/// such moments fill at most one page.
pub(crate) fn behind_moment(row: &PgRow, column: &str, key: &str, order: Order) -> Option<Cursor> {
    if let Ok(Moment(at)) = row.try_get(column) {
        return Some(Cursor::behind_moment(at, key));
    }
    let raw = row.try_get_raw(column).ok()?.as_bytes().ok()?;
    let is_late = i64::from_be_bytes(raw.try_into().ok()?) > 0;
    match (order, is_late) {
        (Order::NewestFirst, true) => Some(Cursor::behind_moment(DateTime::<Utc>::MAX_UTC, "")),
        (Order::OldestFirst, false) => Some(Cursor::behind_moment(first_moment(), "")),
        (Order::NewestFirst, false) | (Order::OldestFirst, true) => None,
    }
}

fn length<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

/// Adds a page's conditions to a statement that already has a condition: after the cursor, in the
/// order of the ids, and one row more than the page has.
pub(crate) fn push_page(select: &mut QueryBuilder<Postgres>, page: &PageRequest) -> Result<()> {
    let (beyond, order) = match page.sort_order() {
        Order::OldestFirst => (" and id > ", " order by id limit "),
        Order::NewestFirst => (" and id < ", " order by id desc limit "),
    };
    if let Some(after) = page.after_uuid()? {
        select.push(beyond).push_bind(after);
    }
    select.push(order).push_bind(i64::from(page.limit()) + 1);
    Ok(())
}
