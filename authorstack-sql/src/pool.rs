//! The connections of a store, and how a statement is run on them.

use std::{fmt, net::ToSocketAddrs, sync::Arc, time::Duration};

use authorstack_core::{Result, resilience::with_deadline};
use futures::TryFutureExt;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool, Postgres,
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

    /// Opens a connection outside the pool.
    ///
    /// # Errors
    /// Configuration, naming what is wrong; Unavailable if the server does not answer.
    pub async fn open(&self) -> Result<PgConnection> {
        let address = &self.inner.address;
        let deadline = self.inner.timeouts.connect;
        match timeout(deadline, PgConnection::connect_with(&address.options)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(sqlx::Error::Io(error))) => {
                let host = address.options.get_host().to_owned();
                if address.options.get_socket().is_none() && !resolves(&host).await {
                    return Err(error::unknown_host(&host, address.server));
                }
                Err(error::from_connect(sqlx::Error::Io(error), address))
            }
            Ok(Err(error)) => Err(error::from_connect(error, address)),
            Err(_) => Err(error::connect_timeout(&address.place(), deadline)),
        }
    }

    /// Closes a connection that is outside the pool.
    pub async fn close_connection(&self, connection: PgConnection) {
        // This is a courtesy: the server also notices a dropped connection.
        let _ = timeout(Duration::from_secs(1), connection.close()).await;
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
