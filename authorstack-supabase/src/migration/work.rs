//! The connections and transactions of a migration.

use std::{fmt, sync::Arc, time::Duration};

use authorstack_core::{
    Result,
    migrate::{Digest, Kind},
    resilience::with_deadline,
};
use authorstack_sql::{KeptConnections, Statement, WHOLE_TABLES, get, name_deadline};
use sqlx::{AssertSqlSafe, PgConnection, postgres::PgRow, query, raw_sql};

use super::{copy::Buffer, deferred::table};
use crate::{error::from_sqlx, store::SupabaseStore};

/// The connections of a migration, kept from one transaction to the next. Clones share them.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) store: SupabaseStore,
    idle: Arc<KeptConnections<Buffer>>,
}

/// A connection and the buffer of its COPY.
pub(super) struct Worker {
    pub(super) connection: PgConnection,
    pub(super) buffer: Buffer,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.store, f)
    }
}

/// How a transaction of a migration is committed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// The server answers after the commit is on disk.
    Synchronous,
    /// A crash of the server may undo the last batches together with their checkpoints. The end of
    /// the pass is synchronous again.
    Batch,
}

impl Work {
    pub(super) fn new(store: SupabaseStore) -> Self {
        Self {
            store,
            idle: Arc::default(),
        }
    }

    /// A connection in a transaction. Dropping it, also by a call that is cancelled, closes the
    /// connection, and the server rolls back.
    pub(super) async fn begin_work(
        &self,
        limit: Duration,
        durability: Durability,
    ) -> Result<Worker> {
        let Worker {
            mut connection,
            buffer,
        } = self.connection().await?;
        // It waits for nothing: a server that says nothing now is not asked any longer.
        with_deadline(self.store.timeouts().operation, async {
            let begun = begin(&mut connection, limit, durability).await;
            begun.map_err(from_sqlx)
        })
        .await?;
        Ok(Worker { connection, buffer })
    }

    /// A connection, outside of any transaction.
    pub(super) async fn connection(&self) -> Result<Worker> {
        let kept = self.idle.take(self.store.timeouts().connect).await;
        let (connection, buffer) = match kept {
            Some(kept) => kept,
            None => (self.store.open().await?, Buffer::default()),
        };
        Ok(Worker { connection, buffer })
    }

    /// Commits, and keeps the connection.
    pub(super) async fn commit(&self, mut worker: Worker) -> Result<()> {
        raw_sql("commit")
            .execute(&mut worker.connection)
            .await
            .map_err(from_sqlx)?;
        self.idle.keep(worker.connection, worker.buffer);
        Ok(())
    }

    /// Whether a kind's table is empty. Keeps no lock of the table, which could be one part of a
    /// deadlock when its indexes are dropped next.
    pub(super) async fn is_empty(&self, connection: &mut PgConnection, kind: Kind) -> Result<bool> {
        let begin = raw_sql("savepoint look").execute(&mut *connection);
        begin.await.map_err(from_sqlx)?;
        let empty = format!("select not exists (select from {})", table(kind));
        let empty = query(AssertSqlSafe(empty));
        let row = self.fetch_optional(&mut *connection, empty).await?;
        let end = raw_sql("rollback to savepoint look; release savepoint look");
        end.execute(connection).await.map_err(from_sqlx)?;
        row.map_or(Ok(false), |row| get(&row, 0))
    }

    pub(super) async fn fetch_optional(
        &self,
        connection: &mut PgConnection,
        statement: Statement<'_>,
    ) -> Result<Option<PgRow>> {
        self.store
            .statement(statement)
            .fetch_optional(connection)
            .await
            .map_err(from_sqlx)
    }

    pub(super) async fn fetch_all(
        &self,
        connection: &mut PgConnection,
        statement: Statement<'_>,
    ) -> Result<Vec<PgRow>> {
        self.store
            .statement(statement)
            .fetch_all(connection)
            .await
            .map_err(from_sqlx)
    }

    pub(super) async fn execute(
        &self,
        connection: &mut PgConnection,
        statement: Statement<'_>,
    ) -> Result<()> {
        self.store
            .statement(statement)
            .execute(connection)
            .await
            .map_err(from_sqlx)?;
        Ok(())
    }
}

/// Begins a transaction whose settings end with it.
async fn begin(
    connection: &mut PgConnection,
    limit: Duration,
    durability: Durability,
) -> sqlx::Result<()> {
    let limit = limit.as_millis();
    let synchronous = match durability {
        Durability::Synchronous => "on",
        Durability::Batch => "off",
    };
    // The server checks the connection regularly, and stops if the client was killed.
    let begin = format!(
        "begin; {WHOLE_TABLES}; set local statement_timeout = {limit}; \
         set local idle_in_transaction_session_timeout = {limit}; \
         set local synchronous_commit = {synchronous}; \
         select set_config('client_connection_check_interval', '2000', true) \
         where current_setting('client_connection_check_interval', true) is not null"
    );
    raw_sql(AssertSqlSafe(begin)).execute(connection).await?;
    Ok(())
}

pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn digest(key: &str) -> [u8; 32] {
    Digest::of_bytes(key.as_bytes()).0
}

/// Runs a part of a migration with its deadline.
pub(super) async fn run<T>(limit: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
    with_deadline(limit, call)
        .await
        .map_err(|error| name_deadline(error, limit))
}
