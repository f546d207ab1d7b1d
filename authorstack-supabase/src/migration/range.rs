//! A range of rows that is being written.

use async_trait::async_trait;
use authorstack_core::{
    Error, Result,
    migrate::{
        Counts, Kind, RefusedRow, Reject, RowHolder, RowMode, RowRange, RowWriter, RowsWritten,
        SetAside,
    },
};
use authorstack_sql::{get, is_data_error, row_refusal, taken_by};
use futures::{TryStreamExt, stream::BoxStream};
use sqlx::{PgConnection, query, raw_sql};

use super::{
    SupabaseMigration,
    batch::{roll_back, savepoint},
    notes::unsigned,
    statements::{RowStatements, Statements, row_statements, statements},
    work::{Worker, run, signed},
};
use crate::error::from_sqlx;

/// A range in its transaction.
pub(super) struct RangeWriter {
    pub(super) migration: SupabaseMigration,
    pub(super) worker: Worker,
    pub(super) kind: Kind,
    pub(super) range: RowRange,
    /// Where the rows come from.
    pub(super) origin: Option<String>,
    pub(super) in_pass: bool,
    /// Whether the table has none of the rows: they were refused when they were appended.
    pub(super) is_new: bool,
    /// The rows that get another place.
    pub(super) renewed: Vec<i64>,
}

impl RangeWriter {
    async fn written(
        &mut self,
        mode: RowMode,
        rows: BoxStream<'_, Result<Vec<u8>>>,
    ) -> Result<RowsWritten> {
        savepoint(&mut self.worker.connection).await?;
        let written = match mode {
            RowMode::Append => self.append(rows).await,
            RowMode::Merge => self.merge(rows).await,
        };
        match written {
            Ok(written) => Ok(written),
            Err(Failure::Refused(_)) => {
                roll_back(&mut self.worker.connection).await?;
                self.is_new = mode == RowMode::Append;
                Ok(RowsWritten::Refused)
            }
            Err(Failure::Other(error)) => Err(error),
        }
    }

    async fn append(
        &mut self,
        rows: BoxStream<'_, Result<Vec<u8>>>,
    ) -> Result<RowsWritten, Failure> {
        let statements = statements(self.kind)?;
        let connection = &mut self.worker.connection;
        let written = copy(connection, &statements.direct, rows).await?;
        if let Some(origin) = &self.origin {
            let work = &self.migration.work;
            let from = (origin.as_str(), written);
            work.note_range(connection, self.kind, self.range, from)
                .await?;
        }
        Ok(RowsWritten::Taken {
            written,
            unchanged: 0,
            refused: Vec::new(),
        })
    }

    async fn merge(
        &mut self,
        rows: BoxStream<'_, Result<Vec<u8>>>,
    ) -> Result<RowsWritten, Failure> {
        let connection = &mut self.worker.connection;
        let (statements, of_rows) = (statements(self.kind)?, row_statements(self.kind)?);
        let copied = stage(connection, statements, rows).await?;
        let mut refused = Vec::new();
        self.renewed.clear();
        if !self.is_new {
            refused = self.taken(of_rows).await?;
        }
        let bring = if self.is_new {
            &of_rows.add
        } else {
            &statements.merge
        };
        let (first, last) = (self.range.after.saturating_add(1), self.range.until);
        let written = match self.bring(bring, first, last).await {
            Err(Failure::Refused(_)) => self.sift(bring, &mut refused).await?,
            other => other?,
        };
        Ok(RowsWritten::Taken {
            written,
            unchanged: copied - refused.len() as u64 - written,
            refused,
        })
    }

    /// Removes the staged rows whose places others have. What is removed may have been about to give
    /// its place to another one, so this goes on until nothing is removed.
    async fn taken(&mut self, of_rows: &'static RowStatements) -> Result<Vec<RefusedRow>, Failure> {
        let mut refused = Vec::new();
        loop {
            let taken = query(of_rows.taken.as_str())
                .bind(self.range.after)
                .bind(self.range.until)
                .bind(self.origin.clone());
            let taken = self.migration.work.store.statement(taken);
            let rows = taken.fetch_all(&mut self.worker.connection).await?;
            let before = refused.len();
            self.renewed.clear();
            for row in rows {
                let number: i64 = get(&row, 0)?;
                match get::<Option<i64>>(&row, 1)? {
                    Some(holder) => refused.push(RefusedRow {
                        number,
                        problems: taken_by(self.kind, number, holder),
                        holder: Some(RowHolder {
                            number: holder,
                            place: get(&row, 2)?,
                        }),
                    }),
                    None => self.renewed.push(number),
                }
            }
            if refused.len() == before || self.renewed.is_empty() {
                refused.sort_by_key(|row| row.number);
                return Ok(refused);
            }
        }
    }

    /// Brings the staged rows with these numbers into the table. If the server refuses one of them,
    /// nothing has changed.
    async fn bring(&mut self, sql: &'static str, first: i64, last: i64) -> Result<u64, Failure> {
        let store = &self.migration.work.store;
        let connection = &mut self.worker.connection;
        raw_sql("savepoint part").execute(&mut *connection).await?;
        if let (Some(renew), false) = (
            row_statements(self.kind)?.renew.as_deref(),
            self.renewed.is_empty(),
        ) {
            let renew = query(renew)
                .bind(self.renewed.clone())
                .bind(first)
                .bind(last);
            store.statement(renew).execute(&mut *connection).await?;
        }
        let bring = query(sql).bind(first).bind(last).bind(self.origin.clone());
        let bring = store.statement(bring);
        let end = match bring.fetch_one(&mut *connection).await {
            Ok(row) => {
                let written = unsigned(&row, 0)?;
                raw_sql("release savepoint part")
                    .execute(connection)
                    .await?;
                return Ok(written);
            }
            Err(error) => Failure::from(error),
        };
        if let Failure::Refused(_) = end {
            let back = "rollback to savepoint part; release savepoint part";
            raw_sql(back).execute(connection).await?;
        }
        Err(end)
    }

    /// Brings the staged rows into the table in halves, down to the rows that it refuses. Returns how
    /// many it wrote.
    async fn sift(
        &mut self,
        sql: &'static str,
        refused: &mut Vec<RefusedRow>,
    ) -> Result<u64, Failure> {
        let numbers = query("select id from pg_temp.authorstack_batch order by id");
        let numbers = self.migration.work.store.statement(numbers);
        let numbers = numbers.fetch_all(&mut self.worker.connection).await?;
        let numbers: Vec<i64> = numbers
            .iter()
            .map(|row| get(row, 0))
            .collect::<Result<_>>()?;
        // The whole was refused just now.
        let (low, high) = numbers.split_at(numbers.len() / 2);
        let mut parts = vec![high, low];
        if numbers.len() == 1 {
            parts = vec![numbers.as_slice()];
        }
        let mut written = 0;
        while let Some(part) = parts.pop() {
            let (Some(first), Some(last)) = (part.first(), part.last()) else {
                continue;
            };
            match self.bring(sql, *first, *last).await {
                Ok(more) => written += more,
                Err(Failure::Refused(error)) if part.len() == 1 => {
                    refused.push(RefusedRow {
                        number: *first,
                        holder: None,
                        problems: row_refusal(self.kind, error),
                    });
                }
                Err(Failure::Refused(_)) => {
                    let (low, high) = part.split_at(part.len() / 2);
                    parts.extend([high, low]);
                }
                Err(other) => return Err(other),
            }
        }
        Ok(written)
    }

    async fn committed(mut self, counts: Counts) -> Result<()> {
        if self.in_pass {
            let note = query(
                "insert into authorstack.done_ranges \
                   (kind, after, until, read, written, unchanged, rejected) \
                 values ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(self.kind.as_str())
            .bind(self.range.after)
            .bind(self.range.until)
            .bind(signed(counts.read))
            .bind(signed(counts.written))
            .bind(signed(counts.unchanged))
            .bind(signed(counts.rejected));
            self.migration
                .work
                .execute(&mut self.worker.connection, note)
                .await?;
        }
        self.migration.work.commit(self.worker).await
    }
}

#[async_trait]
impl RowWriter for RangeWriter {
    async fn write(
        &mut self,
        mode: RowMode,
        rows: BoxStream<'_, Result<Vec<u8>>>,
    ) -> Result<RowsWritten> {
        let limit = self.migration.work.store.timeouts().load;
        run(limit, self.written(mode, rows)).await
    }

    async fn screen(&mut self, rows: BoxStream<'_, Result<Vec<u8>>>) -> Result<Vec<RefusedRow>> {
        let limit = self.migration.work.store.timeouts().load;
        let screen = async {
            let statements = statements(self.kind)?;
            stage(&mut self.worker.connection, statements, rows).await?;
            self.taken(row_statements(self.kind)?).await
        };
        run(limit, async {
            screen.await.map_err(|failure| match failure {
                Failure::Refused(error) | Failure::Other(error) => error,
            })
        })
        .await
    }

    async fn give_way(&mut self, holders: &[RowHolder]) -> Result<u64> {
        let limit = self.migration.work.store.timeouts().load;
        let give_way = async {
            let Some(origin) = &self.origin else {
                return Ok(0);
            };
            let connection = &mut self.worker.connection;
            roll_back(connection).await?;
            let removed = self
                .migration
                .remove_moved(connection, self.kind, origin, holders);
            removed.await
        };
        run(limit, give_way).await
    }

    async fn reject(&mut self, rejects: &[Reject]) -> Result<u64> {
        let limit = self.migration.work.store.timeouts().load;
        let rejects: Vec<&Reject> = rejects.iter().collect();
        let notes = self.migration.notes();
        let keep = notes.store_rejects(&mut self.worker.connection, self.kind, &rejects);
        run(limit, keep).await
    }

    async fn set_aside(&mut self, set_aside: &[SetAside]) -> Result<()> {
        let limit = self.migration.work.store.timeouts().load;
        let notes = self.migration.notes();
        let keep = notes.store_set_aside(&mut self.worker.connection, self.kind, set_aside);
        run(limit, keep).await
    }

    async fn commit(self: Box<Self>, counts: Counts) -> Result<()> {
        let limit = self.migration.work.store.timeouts().load;
        run(limit, self.committed(counts)).await
    }
}

/// Copies rows into the staging table. Returns how many there are.
async fn stage(
    connection: &mut PgConnection,
    statements: &'static Statements,
    rows: BoxStream<'_, Result<Vec<u8>>>,
) -> Result<u64, Failure> {
    raw_sql(statements.staging.as_str())
        .execute(&mut *connection)
        .await?;
    let copied = copy(connection, &statements.stage, rows).await?;
    raw_sql("analyze pg_temp.authorstack_batch")
        .execute(connection)
        .await?;
    Ok(copied)
}

/// Why rows were not written.
enum Failure {
    /// The server refused a row.
    Refused(Error),
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        if is_data_error(&error) {
            Self::Refused(from_sqlx(error))
        } else {
            Self::Other(from_sqlx(error))
        }
    }
}

/// Copies rows that are already in COPY's binary form. Returns how many the server accepted.
async fn copy(
    connection: &mut PgConnection,
    statement: &'static str,
    mut rows: BoxStream<'_, Result<Vec<u8>>>,
) -> Result<u64, Failure> {
    let mut copy = connection.copy_in_raw(statement).await?;
    loop {
        match rows.try_next().await {
            Ok(Some(piece)) => {
                copy.send(piece).await?;
            }
            Ok(None) => return Ok(copy.finish().await?),
            Err(error) => {
                // The transaction is rolled back in any case.
                let _ = copy.abort("the source broke off").await;
                return Err(Failure::Other(error));
            }
        }
    }
}
