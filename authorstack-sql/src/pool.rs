//! The connections of a store, and how a statement is run on them.

use std::{fmt, net::ToSocketAddrs, sync::Arc, time::Duration};

use authorstack_core::{ConnectionSecurity, Result, resilience::with_deadline};
use futures::TryFutureExt;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Row,
    postgres::{PgArguments, PgPoolOptions, PgRow},
    query::Query,
};
use tokio::time::timeout;

use crate::{
    address::{Address, Server, Timeouts},
    error,
};

/// A connection that was idle for longer is tested before use.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// Begins a transaction in which unqualified names are those of `pg_catalog` alone. Otherwise a role
/// that may create functions in another schema of the path could have its own code run by ours: a
/// `public.btrim(varchar)` fits a column better than `pg_catalog.btrim(text)`.
///
/// Connections in session mode have this path from the beginning. A pooler in transaction mode
/// gives each transaction another session, so that only the transaction can set it.
///
/// A backslash in a statement is a backslash, whatever a database's settings say: patterns have some.
pub const BEGIN: &str =
    "begin; set local search_path = ''; set local standard_conforming_strings = on";

/// The same for a session.
const SESSION: &str = "set search_path = ''; set standard_conforming_strings = on";

/// For transactions that copy or compare whole tables, behind [`BEGIN`] or instead of its settings.
/// With row level security, the server would answer with the rows that the role may see, as if
/// there were no others; without it, it raises. Texts of binary values have one form.
pub const WHOLE_TABLES: &str = "set local search_path = ''; \
    set local standard_conforming_strings = on; set local row_security = off; \
    set local bytea_output = 'hex'; set local intervalstyle = 'iso_8601'";

/// A statement with its parameters.
pub type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// The connections of a store, and how a statement runs on them. Clones share them.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    address: Address,
    pool: PgPool,
    timeouts: Timeouts,
    /// `begin` with the server's own deadline, for a pooler in transaction mode.
    begin: Arc<str>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("address", &self.inner.address)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool that connects when it is first used.
    #[must_use]
    pub fn new(address: Address, timeouts: Timeouts, max_connections: u32) -> Self {
        // The server cancels a statement a little later than the client gives up, so no forgotten
        // statement runs for long.
        let server_side = (timeouts.operation + Duration::from_secs(5)).as_millis();
        let mut options = PgPoolOptions::new()
            .max_connections(max_connections.max(1))
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
            let first: Arc<str> =
                format!("{SESSION}; set statement_timeout = {server_side}").into();
            options = options.after_connect(move |connection, _| {
                let first = Arc::clone(&first);
                Box::pin(async move {
                    sqlx::raw_sql(AssertSqlSafe(first))
                        .execute(connection)
                        .await?;
                    Ok(())
                })
            });
        }
        let pool = options.connect_lazy_with(address.options.clone());
        let begin = format!("{BEGIN}; set local statement_timeout = {server_side}").into();
        Self {
            inner: Arc::new(Inner {
                address,
                pool,
                timeouts,
                begin,
            }),
        }
    }

    /// The service.
    #[must_use]
    pub fn server(&self) -> &'static Server {
        self.inner.address.server
    }

    /// Closes all connections. Later calls fail.
    pub async fn close(&self) {
        // If a connection hangs, it is dropped: closing it is only a courtesy to the server.
        let _ = timeout(self.timeouts().connect, self.inner.pool.close()).await;
    }

    /// The deadlines.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.inner.timeouts
    }

    /// Whether there is a pooler in transaction mode in front of the server.
    #[must_use]
    pub fn transaction_mode(&self) -> bool {
        self.inner.address.transaction
    }

    /// The statement. It stays prepared, unless there is a pooler in transaction mode.
    pub fn statement<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        statement.persistent(!self.transaction_mode())
    }

    /// How the connections are secured.
    #[must_use]
    pub fn security(&self) -> ConnectionSecurity {
        self.inner.address.security()
    }

    /// Opens a connection outside the pool. In session mode it has no search path; in transaction
    /// mode, transactions on it begin with [`BEGIN`].
    ///
    /// # Errors
    /// Configuration, naming what is wrong; Unavailable if the server does not answer.
    pub async fn open(&self) -> Result<PgConnection> {
        let address = &self.inner.address;
        let open = async {
            let mut connection = connect(address).await?;
            if !address.transaction {
                ask(&mut connection, SESSION, address).await?;
            }
            Ok(connection)
        };
        // The driver's future is large, and callers are part of larger ones.
        by_deadline(address, self.inner.timeouts.connect, Box::pin(open)).await
    }

    /// Closes a connection that is outside the pool.
    pub async fn close_connection(&self, connection: PgConnection) {
        close(connection).await;
    }

    /// The driver's pool.
    #[must_use]
    pub fn connections(&self) -> &PgPool {
        &self.inner.pool
    }

    /// Asks the server whether it answers.
    ///
    /// # Errors
    /// Timeout or Unavailable.
    pub async fn ping(&self) -> Result<()> {
        self.fetch_optional(sqlx::query("select")).await.map(drop)
    }

    /// Runs one statement as a unit of work.
    ///
    /// # Errors
    /// The server's error; Timeout or Unavailable.
    pub async fn fetch_optional(&self, statement: Statement<'_>) -> Result<Option<PgRow>> {
        let statement = self.statement(statement);
        if !self.transaction_mode() {
            return self.run(statement.fetch_optional(&self.inner.pool)).await;
        }
        let run = async {
            let mut transaction = self.begin().await?;
            let row = statement.fetch_optional(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(row)
        };
        self.run(Box::pin(run)).await
    }

    /// Runs one statement as a unit of work.
    ///
    /// # Errors
    /// The server's error; Timeout or Unavailable.
    pub async fn fetch_all(&self, statement: Statement<'_>) -> Result<Vec<PgRow>> {
        let statement = self.statement(statement);
        if !self.transaction_mode() {
            return self.run(statement.fetch_all(&self.inner.pool)).await;
        }
        let run = async {
            let mut transaction = self.begin().await?;
            let rows = statement.fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(rows)
        };
        self.run(Box::pin(run)).await
    }

    /// Begins a unit of work of several statements.
    ///
    /// # Errors
    /// The server's error; Timeout or Unavailable.
    pub async fn unit(&self) -> Result<Unit<'_>> {
        let transaction = self.run(self.begin()).await?;
        Ok(Unit {
            pool: self,
            transaction,
        })
    }

    async fn begin(&self) -> sqlx::Result<sqlx::Transaction<'static, Postgres>> {
        let begin = AssertSqlSafe(Arc::clone(&self.inner.begin));
        self.inner.pool.begin_with(begin).await
    }

    /// Runs a call of the driver with the deadline of an operation.
    async fn run<T>(&self, run: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
        let limit = self.inner.timeouts.operation;
        let run = run.map_err(|error| {
            let error = error::from_pool(error, &self.inner.address);
            error::name_deadline(error, limit)
        });
        with_deadline(limit, run).await
    }
}

/// Several statements in one transaction. Dropping it rolls the transaction back.
#[derive(Debug)]
pub struct Unit<'s> {
    pool: &'s Pool,
    transaction: sqlx::Transaction<'static, Postgres>,
}

impl Unit<'_> {
    /// Runs a statement and returns its first row.
    ///
    /// # Errors
    /// The server's error; Timeout or Unavailable.
    pub async fn fetch_optional(&mut self, statement: Statement<'_>) -> Result<Option<PgRow>> {
        let run = self.pool.statement(statement);
        let run = run.fetch_optional(&mut *self.transaction);
        self.pool.run(run).await
    }

    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    /// The server's error; Timeout or Unavailable.
    pub async fn fetch_all(&mut self, statement: Statement<'_>) -> Result<Vec<PgRow>> {
        let run = self.pool.statement(statement);
        let run = run.fetch_all(&mut *self.transaction);
        self.pool.run(run).await
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// The server's error; Timeout or Unavailable.
    pub async fn commit(self) -> Result<()> {
        self.pool.run(self.transaction.commit()).await
    }
}

/// Connects, and closes the connections again: settings that are wrong are found before the first
/// call. Returns whether a pooler in transaction mode was found, if that is not known already.
///
/// # Errors
/// Configuration, naming what is wrong; Unavailable if the server does not answer by the deadline.
pub(crate) async fn look_at(address: &Address, limit: Duration) -> Result<bool> {
    let look = async {
        let mut first = connect(address).await?;
        let shared = if address.transaction {
            // A server may let us in and then say nothing.
            ask(&mut first, "select", address).await?;
            false
        } else {
            // A role with a single connection has no pooler in front of it.
            if let Ok(mut second) = connect(address).await {
                let shared = share_a_process(&mut first, &mut second).await;
                close(second).await;
                shared.map_err(|error| error::from_connect(error, address))?
            } else {
                ask(&mut first, "select", address).await?;
                false
            }
        };
        close(first).await;
        Ok(shared)
    };
    by_deadline(address, limit, Box::pin(look)).await
}

/// Whether one process of the server answers both connections, or several one of them: then there
/// is a pooler in transaction mode.
async fn share_a_process(one: &mut PgConnection, other: &mut PgConnection) -> sqlx::Result<bool> {
    /// In a busy pooler, other clients may take the process in between.
    const ATTEMPTS: usize = 3;
    // Processes of two servers may have one number.
    const PROCESS: &str = "select pg_catalog.concat(pg_catalog.pg_backend_pid(), ' ', \
                           pg_catalog.pg_postmaster_start_time())";
    const HELD: &str = "begin; select pg_catalog.concat(pg_catalog.pg_backend_pid(), ' ', \
                        pg_catalog.pg_postmaster_start_time())";
    async fn process(connection: &mut PgConnection, sql: &'static str) -> sqlx::Result<String> {
        let row = sqlx::raw_sql(sql).fetch_one(connection).await?;
        row.try_get(0)
    }
    let first = process(one, PROCESS).await?;
    for _ in 0..ATTEMPTS {
        // If the pooler has a single process, the first connection would wait for it in vain.
        let is_shared =
            process(other, HELD).await? == first || process(one, PROCESS).await? != first;
        sqlx::raw_sql("commit").execute(&mut *other).await?;
        if is_shared {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn connect(address: &Address) -> Result<PgConnection> {
    match PgConnection::connect_with(&address.options).await {
        Ok(connection) => Ok(connection),
        Err(sqlx::Error::Io(error)) => {
            let host = address.options.get_host().to_owned();
            if address.options.get_socket().is_none() && !resolves(&host).await {
                return Err(error::unknown_host(&host, address.server));
            }
            Err(error::from_connect(sqlx::Error::Io(error), address))
        }
        Err(error) => Err(error::from_connect(error, address)),
    }
}

/// Runs the first statement of a connection.
async fn ask(connection: &mut PgConnection, sql: &'static str, address: &Address) -> Result<()> {
    let done = sqlx::raw_sql(sql).execute(connection).await;
    done.map(drop)
        .map_err(|error| error::from_connect(error, address))
}

async fn by_deadline<T>(
    address: &Address,
    limit: Duration,
    run: impl Future<Output = Result<T>>,
) -> Result<T> {
    match timeout(limit, run).await {
        Ok(result) => result,
        Err(_) => Err(error::connect_timeout(&address.place(), limit)),
    }
}

async fn close(connection: PgConnection) {
    // This is a courtesy: the server also notices a dropped connection.
    let _ = timeout(Duration::from_secs(1), connection.close()).await;
}

/// Whether the host has an address.
async fn resolves(host: &str) -> bool {
    let host = host.to_owned();
    let lookup =
        tokio::task::spawn_blocking(move || (host.as_str(), 0u16).to_socket_addrs().is_ok());
    // A slow lookup does not mean that the name is wrong.
    matches!(
        timeout(Duration::from_secs(5), lookup).await,
        Ok(Ok(true)) | Err(_)
    )
}
