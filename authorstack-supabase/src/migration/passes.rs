//! The beginning and the end of a pass over a kind.

use authorstack_core::{
    Error, Result,
    migrate::{Checkpoint, Counts, Kind},
};
use authorstack_sql::{KEPT_CONNECTIONS, get};
use futures::{StreamExt, TryStreamExt, stream};
use sqlx::{AssertSqlSafe, query, raw_sql};

use super::{
    deferred::{self, PutOff},
    ledger::{is_rows_position, position, unsigned},
    statements::statements,
    target::{Durability, SupabaseTarget},
};
use crate::error::from_sqlx;

impl SupabaseTarget {
    pub(super) async fn begin_pass(&self, kind: Kind) -> Result<Checkpoint> {
        statements(kind)?;
        let limit = self.store.timeouts().load;
        let mut worker = self.begin_work(limit, Durability::Synchronous).await?;
        let connection = &mut worker.connection;
        let insert =
            query("insert into authorstack.checkpoints (kind) values ($1) on conflict do nothing");
        self.execute(connection, insert.bind(kind.as_str())).await?;
        let select = query(
            "select position, complete, read, written, unchanged, rejected \
             from authorstack.checkpoints where kind = $1 for update",
        );
        let row = self
            .fetch_optional(connection, select.bind(kind.as_str()))
            .await?;
        let row = row.ok_or_else(|| Error::internal("a checkpoint is gone"))?;
        // A pass of the fast lane cannot be resumed here.
        let other_lane = is_rows_position(position(&row, 0)?.as_ref());
        let complete = other_lane || get(&row, 1)?;
        let mut checkpoint = Checkpoint {
            position: position(&row, 0)?,
            counts: Counts {
                read: unsigned(&row, 2)?,
                written: unsigned(&row, 3)?,
                unchanged: unsigned(&row, 4)?,
                rejected: unsigned(&row, 5)?,
            },
        };
        if complete {
            let clear =
                query("delete from authorstack.rejects where kind = $1 and replayed_as is null");
            self.execute(connection, clear.bind(kind.as_str())).await?;
            checkpoint = Checkpoint::default();
        }
        if checkpoint.position.is_none() {
            let empty = self.is_empty(connection, kind).await?;
            if empty {
                deferred::put_off(&self.store, connection, kind, PutOff::Secondary)
                    .await
                    .map_err(from_sqlx)?;
            }
            let forget = query("delete from authorstack.done_ranges where kind = $1");
            self.execute(connection, forget.bind(kind.as_str())).await?;
            let update = query(
                "update authorstack.checkpoints set position = null, complete = false, \
                 first_load = $2, read = 0, written = 0, unchanged = 0, rejected = 0, \
                 updated_at = now() where kind = $1",
            );
            self.execute(connection, update.bind(kind.as_str()).bind(empty))
                .await?;
        }
        self.commit(worker).await?;
        Ok(checkpoint)
    }

    pub(super) async fn finish_pass(&self, kind: Kind) -> Result<()> {
        let limit = self.store.timeouts().index;
        let mut worker = self.begin_work(limit, Durability::Synchronous).await?;
        let waiting = deferred::waiting(&self.store, &mut worker.connection, kind).await;
        let waiting = waiting.map_err(from_sqlx)?;
        self.commit(worker).await?;
        let (indexes, constraints): (Vec<_>, Vec<_>) =
            waiting.iter().partition(|(_, is_index)| *is_index);
        // Builds of one table's indexes do not block each other.
        let mut builds = Vec::new();
        for (name, is_index) in &indexes {
            builds.push(self.restore(kind, name, *is_index));
        }
        stream::iter(builds)
            .buffer_unordered(KEPT_CONNECTIONS)
            .try_collect::<()>()
            .await?;
        for (name, is_index) in &constraints {
            self.restore(kind, name, *is_index).await?;
        }
        let mut worker = self.begin_work(limit, Durability::Synchronous).await?;
        if Kind::ANALYTICS.contains(&kind) {
            // Rows keep their numbers, so new rows must be numbered after them.
            let table = deferred::table(kind);
            let set = format!(
                "select setval(number, last) from (select max(id), \
                   pg_get_serial_sequence($1, 'id')::regclass from {table}) as rows (last, number) \
                 where last > coalesce(pg_sequence_last_value(number), 0)"
            );
            let set = query(AssertSqlSafe(set)).bind(table);
            self.fetch_optional(&mut worker.connection, set).await?;
        }
        let update = query(
            "with done as (delete from authorstack.done_ranges where kind = $1 \
               returning read, written, unchanged, rejected), \
             sums as (select sum(read) as read, sum(written) as written, \
               sum(unchanged) as unchanged, sum(rejected) as rejected from done) \
             update authorstack.checkpoints as pass set complete = true, updated_at = now(), \
               read = pass.read + coalesce(sums.read, 0), \
               written = pass.written + coalesce(sums.written, 0), \
               unchanged = pass.unchanged + coalesce(sums.unchanged, 0), \
               rejected = pass.rejected + coalesce(sums.rejected, 0) \
             from sums where kind = $1 returning first_load",
        );
        let row = self
            .fetch_optional(&mut worker.connection, update.bind(kind.as_str()))
            .await?;
        if row.map_or(Ok(false), |row| get(&row, 0))? {
            // Without statistics the planner assumes a small table.
            let analyze = format!("analyze {}", deferred::table(kind));
            raw_sql(AssertSqlSafe(analyze))
                .execute(&mut worker.connection)
                .await
                .map_err(from_sqlx)?;
        }
        self.commit(worker).await
    }

    /// If a crash of the server undoes this, the index is still noted as dropped. The commit that
    /// ends the pass waits for all commits before it.
    async fn restore(&self, kind: Kind, name: &str, is_index: bool) -> Result<()> {
        let limit = self.store.timeouts().index;
        let mut worker = self.begin_work(limit, Durability::Batch).await?;
        let what = (name, is_index);
        deferred::restore(&self.store, &mut worker.connection, kind, what).await?;
        self.commit(worker).await
    }
}
