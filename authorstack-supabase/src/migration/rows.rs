//! The fast lane: COPY writes rows of the analytics in the form that the source's server produced.
//! Each range, its rejects and its entry in the pass are one transaction.

use async_trait::async_trait;
use authorstack_core::{
    Error, ErrorKind, Id, Result,
    migrate::{
        Counts, Kind, Record, RowDigest, RowMode, RowPass, RowRange, RowSink, RowWriter, Scanned,
    },
    resilience::retry_on_conflict,
};
use authorstack_sql::{get, spawned};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use sqlx::{AssertSqlSafe, PgConnection, query, raw_sql};
use uuid::Uuid;

use super::{
    SupabaseMigration,
    deferred::{self, PutOff},
    notes::{ROWS_MARK, unsigned},
    place::Place,
    range::RangeWriter,
    scan::{BATCH, Scan, send_rows},
    statements::row_statements,
    work::{Durability, run},
};
use crate::error::from_sqlx;

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
        origin: Option<&str>,
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
            origin: origin.map(str::to_owned),
            in_pass: pass.is_some(),
            is_new: false,
            renewed: Vec::new(),
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
        origin: Option<&str>,
    ) -> Result<Box<dyn RowWriter>> {
        let open = self.open_range(kind, range, pass, origin);
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
        let work = self.work.clone();
        let batches = spawned(move |sender| send_rows::<Vec<Scanned>>(work, scan, sender));
        batches.map_ok(|batch| batch.items).boxed()
    }
}
