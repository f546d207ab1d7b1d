//! The beginning and the end of a pass over a kind.

use authorstack_core::{
    Error, ErrorKind, Result,
    migrate::{Checkpoint, Group, Kind},
};
use authorstack_sql::{KEPT_CONNECTIONS, get};
use futures::{StreamExt, TryStreamExt, stream};
use sqlx::{AssertSqlSafe, PgConnection, query, raw_sql};

use super::{
    SupabaseMigration,
    deferred::{self, PutOff},
    statements::statements,
    work::Durability,
};
use crate::error::from_sqlx;

impl SupabaseMigration {
    pub(super) async fn begin_load(&self, kind: Kind, total: u64) -> Result<Checkpoint> {
        let is_of_auth = kind.is_of(Group::Accounts);
        if !is_of_auth {
            statements(kind)?;
        }
        let limit = self.work.store.timeouts().load;
        let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
        let connection = &mut worker.connection;
        let checkpoint = self.notes().start(connection, kind).await?;
        if checkpoint.position.is_none() {
            // Nothing is put off in the tables of Supabase Auth: they are another role's.
            let empty = !is_of_auth && self.work.is_empty(connection, kind).await?;
            if empty && total > 0 {
                deferred::put_off(&self.work.store, connection, kind, PutOff::Secondary)
                    .await
                    .map_err(from_sqlx)?;
            }
            let forget = query("delete from authorstack.done_ranges where kind = $1");
            self.work
                .execute(connection, forget.bind(kind.as_str()))
                .await?;
            let update = query(
                "update authorstack.checkpoints set first_load = $2, read = 0, written = 0, \
                 unchanged = 0, rejected = 0, updated_at = now() where kind = $1",
            );
            self.work
                .execute(connection, update.bind(kind.as_str()).bind(empty))
                .await?;
        }
        self.work.commit(worker).await?;
        Ok(checkpoint)
    }

    pub(super) async fn finish_load(&self, kind: Kind) -> Result<()> {
        let limit = self.work.store.timeouts().index;
        let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
        let waiting = deferred::waiting(&self.work.store, &mut worker.connection, kind).await;
        let waiting = waiting.map_err(from_sqlx)?;
        self.work.commit(worker).await?;
        let (indexes, constraints): (Vec<_>, Vec<_>) =
            waiting.iter().partition(|(_, is_index)| *is_index);
        // Builds of one table's indexes do not block each other. The last of an odd number is alone.
        let mut builds = Vec::new();
        for (place, (name, is_index)) in indexes.iter().enumerate() {
            let is_alone = place % KEPT_CONNECTIONS == 0 && place + 1 == indexes.len();
            builds.push(self.restore(kind, name, *is_index, u8::from(is_alone)));
        }
        stream::iter(builds)
            .buffer_unordered(KEPT_CONNECTIONS)
            .try_collect::<()>()
            .await?;
        for (name, is_index) in &constraints {
            self.restore(kind, name, *is_index, 0).await?;
        }
        let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
        self.number_after(&mut worker.connection, kind).await?;
        self.work
            .look_up_ranges(&mut worker.connection, kind)
            .await?;
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
            .work
            .fetch_optional(&mut worker.connection, update.bind(kind.as_str()))
            .await?;
        if row.map_or(Ok(false), |row| get(&row, 0))? {
            self.analyze(&mut worker.connection, kind).await?;
        }
        self.work.commit(worker).await
    }

    /// Without statistics the planner assumes a small table. Those of the columns of its indexes,
    /// from a tenth of the usual sample, are a fraction of the work. The server still counts the
    /// table as one to analyze, and does the rest. Where it does not (the owner has switched
    /// autovacuum off, or the table is partitioned), the sample is the usual one.
    async fn analyze(&self, connection: &mut PgConnection, kind: Kind) -> Result<()> {
        let find = query(
            "select format('set local default_statistics_target = %s; analyze %s (%s)', \
               case when current_setting('autovacuum')::boolean and exists ( \
                   select from pg_catalog.pg_class where oid = attrelid and relkind = 'r' \
                     and not exists (select from pg_catalog.pg_options_to_table(reloptions) \
                       where option_name = 'autovacuum_enabled' and not option_value::boolean)) \
                 then 10 else current_setting('default_statistics_target')::integer end, \
               attrelid::regclass, string_agg(quote_ident(attname), ', ')) \
             from pg_catalog.pg_attribute \
             where attrelid = $1::regclass and attnum = any ( \
               select unnest(indkey) from pg_catalog.pg_index where indrelid = $1::regclass) \
             group by attrelid",
        );
        let found = self
            .work
            .fetch_optional(connection, find.bind(deferred::table(kind)))
            .await?;
        let Some(found) = found else { return Ok(()) };
        // These are names from the catalog, quoted by the server.
        raw_sql(AssertSqlSafe(get::<String>(&found, 0)?))
            .execute(connection)
            .await
            .map_err(from_sqlx)?;
        Ok(())
    }

    /// Ends a kind whose ledger is in another store.
    pub(super) async fn end(&self, kind: Kind) -> Result<()> {
        let limit = self.work.store.timeouts().index;
        let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
        self.number_after(&mut worker.connection, kind).await?;
        self.work.commit(worker).await
    }

    /// Rows keep their numbers, so the numbers of new rows must come after them.
    async fn number_after(&self, connection: &mut PgConnection, kind: Kind) -> Result<()> {
        if !kind.is_numbered() {
            return Ok(());
        }
        let table = deferred::table(kind);
        let set = format!(
            "select setval(number, last) from (select max(id), \
               pg_get_serial_sequence($1, 'id')::regclass from {table}) as rows (last, number) \
             where last > coalesce(pg_sequence_last_value(number), 0)"
        );
        let set = query(AssertSqlSafe(set)).bind(table);
        self.work.fetch_optional(connection, set).await?;
        Ok(())
    }

    /// If a crash of the server undoes this, the index is still recorded as dropped. The commit
    /// that ends the pass waits for all commits before it.
    async fn restore(&self, kind: Kind, name: &str, is_index: bool, workers: u8) -> Result<()> {
        let limit = self.work.store.timeouts().index;
        let mut worker = self.work.begin_work(limit, Durability::Batch).await?;
        let what = (name, is_index);
        let connection = &mut worker.connection;
        match deferred::restore(&self.work.store, connection, kind, what, workers).await {
            Ok(()) => self.work.commit(worker).await,
            Err(error) => Err(match error.kind() {
                ErrorKind::Blocked { reason } => self.with_rows(kind, is_index, reason).await?,
                _ => error,
            }),
        }
    }

    /// Why an index or a constraint cannot be restored, with the rows that stand in its way.
    async fn with_rows(&self, kind: Kind, is_index: bool, reason: &str) -> Result<Error> {
        let limit = self.work.store.timeouts().index;
        let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
        let (store, connection) = (&self.work.store, &mut worker.connection);
        let rows = if is_index {
            deferred::doubles(store, connection, kind).await?
        } else {
            deferred::orphans(store, connection, kind).await?
        };
        let mut said = vec![reason.to_owned()];
        said.extend(rows);
        self.work.commit(worker).await?;
        said.push("Then run again; until then the Data API can only read.".to_owned());
        Ok(Error::blocked(said.join(". ")))
    }
}
