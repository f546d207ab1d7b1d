//! The fast lane: COPY writes rows of the analytics in the form that the source's server produced.
//! Each range, its rejects and its entry in the pass are one transaction.

use async_trait::async_trait;
use authorstack_core::{
    Error, ErrorKind, Id, Result,
    migrate::{
        Counts, Kind, Problems, Record, Reject, RowDigest, RowMode, RowPass, RowRange, RowSink,
        RowWriter, RowsWritten, Scanned, SetAside,
    },
    resilience::retry_on_conflict,
};
use authorstack_sql::{get, is_data_error, row_refusal, spawned, taken_by};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use sqlx::{AssertSqlSafe, PgConnection, query, raw_sql};
use uuid::Uuid;

use super::{
    SupabaseMigration,
    batch::{roll_back, savepoint},
    deferred::{self, PutOff},
    notes::{ROWS_MARK, unsigned},
    place::Place,
    scan::{BATCH, Scan, send_rows},
    statements::{RowStatements, statements},
    work::{Durability, Worker, run, signed},
};
use crate::error::from_sqlx;

fn row_statements(kind: Kind) -> Result<&'static RowStatements> {
    let rows = statements(kind)?.rows.as_ref();
    rows.ok_or_else(|| Error::internal(format!("{kind} have no numbers")))
}

impl SupabaseMigration {
    async fn begin_rows_pass(
        &self,
        kind: Kind,
        conversion: &str,
        may_collide: bool,
    ) -> Result<RowPass> {
        row_statements(kind)?;
        let mark = format!("{ROWS_MARK}{conversion}");
        let limit = self.work.store.timeouts().load;
        let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
        let connection = &mut worker.connection;
        let insert =
            query("insert into authorstack.checkpoints (kind) values ($1) on conflict do nothing");
        self.work
            .execute(connection, insert.bind(kind.as_str()))
            .await?;
        // This waits for writers of a killed run, which still hold the row's lock.
        let next = query(
            "update authorstack.checkpoints set run = run + 1 where kind = $1 \
             returning run, complete or position is distinct from $2, first_load",
        )
        .bind(kind.as_str())
        .bind(mark.as_bytes());
        let row = self.work.fetch_optional(connection, next).await?;
        let row = row.ok_or_else(|| Error::internal("a checkpoint is gone"))?;
        let (run, is_new): (i64, bool) = (get(&row, 0)?, get(&row, 1)?);
        let mut first_load: bool = get(&row, 2)?;
        if is_new {
            first_load = self
                .begin_anew(connection, kind, &mark, may_collide)
                .await?;
        }
        let done = query(
            "select after, until, read, written, unchanged, rejected \
             from authorstack.done_ranges where kind = $1 order by after",
        );
        let mut pass = RowPass {
            run,
            mode: if first_load && !may_collide {
                RowMode::Append
            } else {
                RowMode::Merge
            },
            done: Vec::new(),
            counts: Counts::default(),
        };
        for row in self
            .work
            .fetch_all(connection, done.bind(kind.as_str()))
            .await?
        {
            pass.done.push(RowRange {
                after: get(&row, 0)?,
                until: get(&row, 1)?,
            });
            pass.counts += Counts {
                read: unsigned(&row, 2)?,
                written: unsigned(&row, 3)?,
                unchanged: unsigned(&row, 4)?,
                rejected: unsigned(&row, 5)?,
            };
        }
        self.work.commit(worker).await?;
        Ok(pass)
    }

    /// Clears the state of an earlier pass. Returns whether the table is empty.
    async fn begin_anew(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        mark: &str,
        may_collide: bool,
    ) -> Result<bool> {
        for clear in [
            "delete from authorstack.done_ranges where kind = $1",
            "delete from authorstack.rejects where kind = $1 and replayed_as is null",
            "delete from authorstack.set_aside where kind = $1",
        ] {
            self.work
                .execute(connection, query(clear).bind(kind.as_str()))
                .await?;
        }
        let empty = self.work.is_empty(connection, kind).await?;
        if empty {
            let what = if may_collide {
                PutOff::Secondary
            } else {
                PutOff::Everything
            };
            deferred::put_off(&self.work.store, connection, kind, what)
                .await
                .map_err(from_sqlx)?;
        }
        let update = query(
            "update authorstack.checkpoints set position = $2, complete = false, first_load = $3, \
             read = 0, written = 0, unchanged = 0, rejected = 0, updated_at = now() where kind = $1",
        )
        .bind(kind.as_str())
        .bind(mark.as_bytes())
        .bind(empty);
        self.work.execute(connection, update).await?;
        Ok(empty)
    }

    async fn open_range(
        &self,
        kind: Kind,
        range: RowRange,
        pass: Option<&RowPass>,
    ) -> Result<RangeWriter> {
        let limit = self.work.store.timeouts().load;
        let durability = match pass {
            Some(_) => Durability::Batch,
            None => Durability::Synchronous,
        };
        let mut worker = self.work.begin_work(limit, durability).await?;
        if let Some(pass) = pass {
            // This lock is held until the range is committed: a run that begins meanwhile must
            // wait.
            let hold = query(
                "select run from authorstack.checkpoints where kind = $1 and not complete for share",
            );
            let row = self
                .work
                .fetch_optional(&mut worker.connection, hold.bind(kind.as_str()))
                .await?;
            let here = row.map(|row| get::<i64>(&row, 0)).transpose()?;
            if here != Some(pass.run) {
                return Err(Error::new(ErrorKind::Conflict {
                    reason: format!(
                        "another run has begun to move {kind}; let that run end, or stop it and \
                         run again"
                    )
                    .into(),
                }));
            }
        }
        Ok(RangeWriter {
            migration: self.clone(),
            worker,
            kind,
            range,
            in_pass: pass.is_some(),
            is_new: false,
        })
    }

    async fn digest_range(&self, kind: Kind, range: RowRange) -> Result<RowDigest> {
        let limit = self.work.store.timeouts().load;
        let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
        raw_sql("set local jit = off")
            .execute(&mut worker.connection)
            .await
            .map_err(from_sqlx)?;
        let digest = query(row_statements(kind)?.digest.as_str())
            .bind(range.after)
            .bind(range.until);
        let row = self
            .work
            .fetch_optional(&mut worker.connection, digest)
            .await?;
        self.work.commit(worker).await?;
        let row = row.ok_or_else(|| Error::internal("a digest has no row"))?;
        Ok(RowDigest {
            rows: unsigned(&row, 0)?,
            sum: get(&row, 1)?,
        })
    }
}

#[async_trait]
impl RowSink for SupabaseMigration {
    async fn begin_rows(&self, kind: Kind, conversion: &str, may_collide: bool) -> Result<RowPass> {
        let begin = retry_on_conflict(|| self.begin_rows_pass(kind, conversion, may_collide));
        run(self.work.store.timeouts().load, begin).await
    }

    async fn absent(&self, kind: Kind, ids: &[Id<Record>]) -> Result<Vec<Id<Record>>> {
        let find = async {
            let sql = format!(
                "select id from unnest($1::uuid[]) as asked (id) where not exists \
                   (select from {} as held where held.id = asked.id)",
                deferred::table(kind)
            );
            let asked: Vec<Uuid> = ids.iter().map(|id| id.to_uuid()).collect();
            let select = query(AssertSqlSafe(sql)).bind(asked);
            let rows = self.work.store.fetch_all(select).await?;
            rows.iter()
                .map(|row| Id::from_uuid(get(row, 0)?))
                .collect::<Result<_>>()
        };
        run(self.work.store.timeouts().load, find).await
    }

    async fn open(
        &self,
        kind: Kind,
        range: RowRange,
        pass: Option<&RowPass>,
    ) -> Result<Box<dyn RowWriter>> {
        let open = self.open_range(kind, range, pass);
        let writer = run(self.work.store.timeouts().load, open).await?;
        Ok(Box::new(writer))
    }

    async fn digest(&self, kind: Kind, range: RowRange) -> Result<RowDigest> {
        let digest = self.digest_range(kind, range);
        run(self.work.store.timeouts().load, digest).await
    }

    fn records(&self, kind: Kind, range: RowRange) -> BoxStream<'_, Result<Vec<Scanned>>> {
        let scan = Scan {
            kind,
            after: Some(Place::Row(range.after)),
            until: Some(range.until),
            limits: BATCH,
        };
        let store = self.work.store.clone();
        let batches = spawned(move |sender| send_rows::<Vec<Scanned>>(store, scan, sender));
        batches.map_ok(|batch| batch.items).boxed()
    }
}

/// A range in its transaction.
struct RangeWriter {
    migration: SupabaseMigration,
    worker: Worker,
    kind: Kind,
    range: RowRange,
    in_pass: bool,
    /// Whether the table has none of the rows: they were refused when they were appended.
    is_new: bool,
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
        let written = copy(&mut self.worker.connection, &statements.direct, rows).await?;
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
        let (migration, connection) = (&self.migration, &mut self.worker.connection);
        let (statements, of_rows) = (statements(self.kind)?, row_statements(self.kind)?);
        raw_sql(statements.staging.as_str())
            .execute(&mut *connection)
            .await?;
        let copied = copy(connection, &statements.stage, rows).await?;
        raw_sql("analyze pg_temp.authorstack_batch")
            .execute(&mut *connection)
            .await?;
        let mut refused = Vec::new();
        if !self.is_new {
            let taken = query(of_rows.taken.as_str())
                .bind(self.range.after)
                .bind(self.range.until);
            let taken = migration.work.store.statement(taken);
            for row in taken.fetch_all(&mut *connection).await? {
                let (number, holder): (i64, i64) = (get(&row, 0)?, get(&row, 1)?);
                refused.push((number, taken_by(self.kind, number, holder)));
            }
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

    /// Brings the staged rows with these numbers into the table. If the server refuses one of them,
    /// nothing has changed.
    async fn bring(&mut self, sql: &'static str, first: i64, last: i64) -> Result<u64, Failure> {
        let connection = &mut self.worker.connection;
        raw_sql("savepoint part").execute(&mut *connection).await?;
        let bring = query(sql).bind(first).bind(last);
        let bring = self.migration.work.store.statement(bring);
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
        refused: &mut Vec<(i64, Problems)>,
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
                    refused.push((*first, row_refusal(self.kind, error)));
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
