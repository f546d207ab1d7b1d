//! The target of a migration: batches go in by COPY, each with its checkpoint in one transaction.

mod batch;
mod read;
mod rows;
mod statements;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use authorstack_core::{
    Error, ErrorKind, Id, Result,
    migrate::{
        Checkpoint, Counts, Digest, Key, Kind, Load, Loaded, Position, Problems, Record, Reject,
        RowTarget, RunLock, Settled, Step, Target, TargetState,
    },
};
use authorstack_sql::{Aborting, spawned};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, postgres::PgRow, query, raw_sql};
use tokio::time::{Instant, sleep, timeout};

use self::{
    batch::Batch,
    read::{position, read_record, read_settled, send_records, send_rejects, unsigned},
    statements::{bind_keys, statements},
};
use crate::{
    copy::Buffer,
    deferred::{self, PutOff},
    error::from_sqlx,
    row::get,
    schema,
    store::{Statement, SupabaseStore, again, within},
};

/// Of the transaction lock that a run holds.
const RUN_LOCK: i64 = 0x6175_7468_6f72_0002;
/// How long to try for the lock: the connection of a run that was killed may still be noticed.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// A sign of life on the lock's connection, for poolers and firewalls that drop silent ones.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// Connections kept for the next batch.
const KEPT_CONNECTIONS: usize = 2;

/// Loads records into Supabase, and keeps a migration's books in its schema `authorstack`.
///
/// A first load into an empty table puts off secondary indexes and foreign keys and copies
/// straight into the table; any other merges by id. Works through every pooler: all that a
/// batch needs of its session lives in its one transaction.
#[derive(Clone)]
pub struct SupabaseTarget {
    store: SupabaseStore,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    idle: Mutex<Vec<Worker>>,
    /// Records that are there, so that they are asked for once.
    known: Mutex<HashMap<Kind, HashSet<Id<Record>>>>,
}

/// A connection and the buffer of its COPY.
struct Worker {
    connection: PgConnection,
    buffer: Buffer,
}

impl std::fmt::Debug for SupabaseTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SupabaseTarget")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// What the transactions of a migration are like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// Committed when the server says so.
    Synchronous,
    /// A batch of a pass: a crash of the server may undo the last ones together with their
    /// checkpoints, and what ends the pass is synchronous again.
    Batch,
}

impl SupabaseTarget {
    pub(crate) fn new(store: SupabaseStore) -> Self {
        Self {
            store,
            shared: Arc::default(),
        }
    }

    /// A connection in a transaction. Dropping it, also by a call that is cancelled, closes the
    /// connection, and the server rolls back.
    async fn begin_work(&self, limit: Duration, durability: Durability) -> Result<Worker> {
        let mut worker = self.worker().await?;
        begin(&mut worker.connection, limit, durability)
            .await
            .map_err(from_sqlx)?;
        Ok(worker)
    }

    async fn commit(&self, mut worker: Worker) -> Result<()> {
        raw_sql("commit")
            .execute(&mut worker.connection)
            .await
            .map_err(from_sqlx)?;
        let mut idle = lock(&self.shared.idle);
        if idle.len() < KEPT_CONNECTIONS {
            idle.push(worker);
        }
        Ok(())
    }

    async fn worker(&self) -> Result<Worker> {
        loop {
            let kept = lock(&self.shared.idle).pop();
            let Some(mut worker) = kept else { break };
            let alive = timeout(self.store.timeouts().connect, worker.connection.ping()).await;
            if matches!(alive, Ok(Ok(()))) {
                return Ok(worker);
            }
        }
        Ok(Worker {
            connection: self.store.open().await?,
            buffer: Buffer::default(),
        })
    }

    async fn load_batch(&self, load: &Load<'_>) -> Result<Loaded> {
        let limit = self.store.timeouts().load;
        let mut worker = match load.step {
            Step::Advance { .. } => self.begin_work(limit, Durability::Batch).await?,
            Step::Replay { .. } | Step::Aside => {
                self.begin_work(limit, Durability::Synchronous).await?
            }
        };
        let first_load = match load.step {
            Step::Advance { from, .. } => {
                self.fence(&mut worker.connection, load.kind, from).await?
            }
            Step::Replay { .. } | Step::Aside => false,
        };
        let mut batch = Batch::new(load)?;
        batch.screen(self, &mut worker.connection).await?;
        batch.write(self, &mut worker, first_load).await?;

        let mut refused = std::mem::take(&mut batch.refused);
        refused.sort_by_key(|(index, _)| *index);
        let refused_indexes: HashSet<usize> = refused.iter().map(|(index, _)| *index).collect();
        let made: Vec<Reject> = refused
            .into_iter()
            .map(|(index, problems)| (load.reject)(index, problems))
            .collect();
        let rejects: Vec<&Reject> = load.rejects.iter().chain(&made).collect();
        let rejected = self
            .store_rejects(&mut worker.connection, load.kind, &rejects)
            .await?;
        let counts = Counts {
            read: (load.records.len() + load.rejects.len()) as u64,
            written: batch.written,
            unchanged: batch.unchanged + (rejects.len() as u64 - rejected),
            rejected,
        };
        debug_assert!(counts.balance(), "{counts:?}");
        match &load.step {
            Step::Advance { to, .. } => {
                self.advance(&mut worker.connection, load.kind, to, counts)
                    .await?;
            }
            Step::Aside => {}
            Step::Replay { keys } => {
                let loaded = load.records.iter().enumerate();
                let loaded = loaded.filter(|(index, _)| !refused_indexes.contains(index));
                let settled: Vec<_> = loaded
                    .filter_map(|(index, record)| Some((keys.get(index)?, record.key())))
                    .collect();
                self.settle(&mut worker.connection, load.kind, &settled)
                    .await?;
            }
        }
        self.commit(worker).await?;
        Ok(Loaded { counts })
    }

    /// Holds the checkpoint and compares it; says whether the pass is a first load.
    async fn fence(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        from: Option<&Position>,
    ) -> Result<bool> {
        let select = query(
            "select position, first_load from authorstack.checkpoints \
             where kind = $1 and not complete for update",
        )
        .bind(kind.as_str());
        let row = self.fetch_optional(connection, select).await?;
        let here = match &row {
            Some(row) => position(row, 0)?.as_ref() == from,
            None => false,
        };
        match row {
            Some(row) if here => get(&row, 1),
            _ => Err(Error::new(ErrorKind::Conflict {
                reason: format!(
                    "another run has moved the checkpoint of {kind}; let that run end, or stop it \
                     and run again"
                )
                .into(),
            })),
        }
    }

    async fn advance(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        to: &Position,
        counts: Counts,
    ) -> Result<()> {
        let update = query(
            "update authorstack.checkpoints set position = $2, read = read + $3, \
             written = written + $4, unchanged = unchanged + $5, rejected = rejected + $6, \
             updated_at = now() where kind = $1",
        )
        .bind(kind.as_str())
        .bind(to.0.as_bytes())
        .bind(signed(counts.read))
        .bind(signed(counts.written))
        .bind(signed(counts.unchanged))
        .bind(signed(counts.rejected));
        self.execute(connection, update).await
    }

    /// Keeps rejects, and says how many of them are open. One that a replay has settled stays
    /// settled while its source is the same.
    async fn store_rejects(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        rejects: &[&Reject],
    ) -> Result<u64> {
        const MOST_BYTES: usize = 16 << 20;
        let mut by_key: HashMap<[u8; 32], (&Reject, u64)> = HashMap::new();
        for &reject in rejects {
            let kept = by_key.entry(digest(&reject.key)).or_insert((reject, 0));
            *kept = (reject, kept.1 + 1);
        }
        let mut left: Vec<_> = by_key
            .iter()
            .map(|(key, (reject, _))| (key, *reject))
            .collect();
        let mut open = 0;
        while !left.is_empty() {
            let mut bytes = 0;
            let fits = |(_, reject): &&(&[u8; 32], &Reject)| {
                bytes += reject.record.len() + reject.key.len();
                bytes <= MOST_BYTES
            };
            let chunk = left.iter().take_while(fits).count().max(1);
            let rest = left.split_off(chunk);
            let chunk = std::mem::replace(&mut left, rest);
            let problems: Vec<String> = chunk
                .iter()
                .map(|(_, reject)| serde_json::to_string(&reject.problems))
                .collect::<Result<_, _>>()
                .map_err(|error| Error::internal(format!("problems have no JSON: {error}")))?;
            let upsert = query(
                "insert into authorstack.rejects as held \
                   (kind, key_digest, key, problems, record, source_digest) \
                 select $1, * from unnest($2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::bytea[]) \
                 on conflict (kind, key_digest) do update set problems = excluded.problems, \
                   record = excluded.record, source_digest = excluded.source_digest, \
                   replayed_as = null, updated_at = now() \
                 where held.replayed_as is null or held.source_digest <> excluded.source_digest \
                 returning key_digest",
            )
            .bind(kind.as_str())
            .bind(chunk.iter().map(|(key, _)| key.as_slice()).collect::<Vec<_>>())
            .bind(chunk.iter().map(|(_, r)| r.key.as_bytes()).collect::<Vec<_>>())
            .bind(problems)
            .bind(chunk.iter().map(|(_, r)| r.record.as_str()).collect::<Vec<_>>())
            .bind(chunk.iter().map(|(_, r)| r.source_digest.as_slice()).collect::<Vec<_>>());
            for row in self.fetch_all(connection, upsert).await? {
                let key: Vec<u8> = get(&row, 0)?;
                let kept = <[u8; 32]>::try_from(key)
                    .ok()
                    .and_then(|key| by_key.get(&key));
                open += kept.map_or(0, |(_, times)| *times);
            }
        }
        Ok(open)
    }

    async fn settle(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        settled: &[(&String, Key)],
    ) -> Result<()> {
        let keys: Vec<Vec<u8>> = settled
            .iter()
            .map(|(key, _)| digest(key).to_vec())
            .collect();
        let ids: Vec<String> = settled.iter().map(|(_, key)| key.to_string()).collect();
        let update = query(
            "update authorstack.rejects as held set replayed_as = settled.record, updated_at = now() \
             from unnest($2::bytea[], $3::text[]) as settled (key_digest, record) \
             where held.kind = $1 and held.key_digest = settled.key_digest",
        )
        .bind(kind.as_str())
        .bind(keys)
        .bind(ids);
        self.execute(connection, update).await
    }

    async fn begin_pass(&self, kind: Kind) -> Result<Checkpoint> {
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
        // A pass that the fast lane has begun is none of this lane's.
        let other_lane = rows::is_mark(position(&row, 0)?.as_ref());
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

    async fn is_empty(&self, connection: &mut PgConnection, kind: Kind) -> Result<bool> {
        let empty = format!("select not exists (select from {})", deferred::table(kind));
        let empty = query(AssertSqlSafe(empty));
        let row = self.fetch_optional(connection, empty).await?;
        row.map_or(Ok(false), |row| get(&row, 0))
    }

    async fn finish_pass(&self, kind: Kind) -> Result<()> {
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
            // Rows keep their numbers; new ones are numbered behind them.
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
            // Until its first statistics the planner takes the table for a small one.
            let analyze = format!("analyze {}", deferred::table(kind));
            raw_sql(AssertSqlSafe(analyze))
                .execute(&mut worker.connection)
                .await
                .map_err(from_sqlx)?;
        }
        self.commit(worker).await
    }

    /// What a crash of the server undoes is still written down as put off; the commit that ends the
    /// pass waits for all before it.
    async fn restore(&self, kind: Kind, name: &str, is_index: bool) -> Result<()> {
        let limit = self.store.timeouts().index;
        let mut worker = self.begin_work(limit, Durability::Batch).await?;
        let what = (name, is_index);
        deferred::restore(&self.store, &mut worker.connection, kind, what).await?;
        self.commit(worker).await
    }

    async fn look(&self) -> Result<TargetState> {
        let limit = self.store.timeouts().load;
        let mut worker = self.begin_work(limit, Durability::Synchronous).await?;
        let connection = &mut worker.connection;
        let found = schema::find(&self.store, connection).await?;
        let mut state = TargetState {
            pending_migrations: found
                .pending
                .iter()
                .map(|file| (*file).to_owned())
                .collect(),
            blockers: found.blockers.clone(),
            ..TargetState::default()
        };
        for &kind in Kind::ALL {
            let version = schema::TABLES
                .iter()
                .find(|(table, _)| *table == kind.as_str());
            let missing = version.is_none_or(|(_, version)| found.is_pending(version));
            if !missing && !found.is_closed {
                self.look_at_table(connection, kind, &mut state).await?;
            }
        }
        self.commit(worker).await?;
        Ok(state)
    }

    async fn look_at_table(
        &self,
        connection: &mut PgConnection,
        kind: Kind,
        state: &mut TargetState,
    ) -> Result<()> {
        let table = deferred::table(kind);
        let privileges = query(
            "select has_table_privilege($1, 'SELECT') and has_table_privilege($1, 'INSERT') \
                and has_table_privilege($1, 'UPDATE'), \
              has_schema_privilege('authorstack', 'USAGE'), current_user::text",
        );
        let row = self
            .fetch_optional(connection, privileges.bind(&table))
            .await?;
        let row = row.ok_or_else(|| Error::internal("no answer about privileges"))?;
        let (may_write, may_keep_books): (bool, bool) = (get(&row, 0)?, get(&row, 1)?);
        if !may_write || !may_keep_books {
            let what = if may_write {
                "the schema authorstack"
            } else {
                table.as_str()
            };
            let role: String = get(&row, 2)?;
            state.blockers.push(format!(
                "the role {role} may not write to {what}; connect as the project's role postgres"
            ));
            return Ok(());
        }
        let count = query(AssertSqlSafe(format!("select count(*) from {table}")));
        let row = self.fetch_optional(connection, count).await?;
        let count = row.map_or(Ok(0), |row| unsigned(&row, 0))?;
        state.records.push((kind, count));
        if count > 0 {
            state.notes.push(format!(
                "{table} holds {count} records already; records with the same id are brought up to \
                 date, others stay"
            ));
        }
        let waiting = deferred::waiting(&self.store, connection, kind)
            .await
            .map_err(from_sqlx)?;
        if !waiting.is_empty() {
            let names: Vec<_> = waiting.iter().map(|(name, _)| name.as_str()).collect();
            state.notes.push(format!(
                "{} indexes or foreign keys of {table} wait to be made again at the end of the next \
                 run: {}",
                waiting.len(),
                names.join(", "),
            ));
        }
        Ok(())
    }

    async fn try_lock(&self) -> Result<Option<PgConnection>> {
        let mut connection = self.store.open().await?;
        let take = async {
            // The transaction must stay open for as long as the run takes.
            raw_sql(
                "begin; set local idle_in_transaction_session_timeout = 0; \
                 select set_config('transaction_timeout', '0', true) \
                 where current_setting('transaction_timeout', true) is not null",
            )
            .execute(&mut connection)
            .await?;
            let take = query("select pg_try_advisory_xact_lock($1)").bind(RUN_LOCK);
            let row = self
                .store
                .statement(take)
                .fetch_one(&mut connection)
                .await?;
            row.try_get::<bool, _>(0)
        };
        let taken = within(self.store.timeouts().operation, async {
            take.await.map_err(from_sqlx)
        })
        .await?;
        if taken {
            Ok(Some(connection))
        } else {
            self.store.close_connection(connection).await;
            Ok(None)
        }
    }

    async fn take_lock(&self) -> Result<Box<dyn RunLock>> {
        let until = Instant::now() + LOCK_PATIENCE;
        loop {
            if let Some(mut connection) = self.try_lock().await? {
                let answer = self.store.timeouts().connect;
                let task = tokio::spawn(async move {
                    loop {
                        sleep(HEARTBEAT).await;
                        if !matches!(timeout(answer, connection.ping()).await, Ok(Ok(()))) {
                            // The checkpoints still keep two runs from mixing.
                            tracing::warn!("the connection that holds the run's lock is gone");
                            return;
                        }
                    }
                });
                return Ok(Box::new(Held(Aborting::of(task))));
            }
            if Instant::now() >= until {
                return Err(Error::new(ErrorKind::Locked));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn fetch_optional(
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

    async fn fetch_all(
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

    async fn execute(&self, connection: &mut PgConnection, statement: Statement<'_>) -> Result<()> {
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
    // The server looks after the client now and then, and stops when that was killed.
    let begin = format!(
        "begin; set local statement_timeout = {limit}; \
         set local idle_in_transaction_session_timeout = {limit}; \
         set local synchronous_commit = {synchronous}; \
         select set_config('client_connection_check_interval', '2000', true) \
         where current_setting('client_connection_check_interval', true) is not null"
    );
    raw_sql(AssertSqlSafe(begin)).execute(connection).await?;
    Ok(())
}

/// The lock, held by the transaction of a connection that the task keeps.
#[derive(Debug)]
struct Held(#[expect(dead_code, reason = "held for its drop")] Aborting<()>);

impl RunLock for Held {}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn digest(key: &str) -> [u8; 32] {
    Digest::of_bytes(key.as_bytes()).0
}

/// No call panics while it holds a lock, so what a poisoned lock guards is sound.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn named<T>(
    operation: &'static str,
    limit: Duration,
    run: impl Future<Output = Result<T>>,
) -> Result<T> {
    within(limit, run)
        .await
        .map_err(|error| error.in_operation(operation))
}

#[async_trait]
impl Target for SupabaseTarget {
    fn name(&self) -> &'static str {
        "Supabase"
    }

    async fn inspect(&self) -> Result<TargetState> {
        named("inspect", self.store.timeouts().load, self.look()).await
    }

    fn screen(&self, record: &Record) -> Problems {
        batch::check_dates(record)
    }

    async fn lock(&self) -> Result<Box<dyn RunLock>> {
        let limit = self.store.timeouts().operation + LOCK_PATIENCE;
        named("lock", limit, self.take_lock()).await
    }

    async fn prepare(&self) -> Result<()> {
        self.store.migrate().await
    }

    async fn begin(&self, kind: Kind) -> Result<Checkpoint> {
        named("begin", self.store.timeouts().load, self.begin_pass(kind)).await
    }

    async fn load(&self, load: &Load<'_>) -> Result<Loaded> {
        // Likes and comments that load side by side write the counts of the same posts.
        let load = again(|| self.load_batch(load));
        named("load", self.store.timeouts().load, load).await
    }

    async fn finish(&self, kind: Kind) -> Result<()> {
        named(
            "finish",
            self.store.timeouts().index,
            self.finish_pass(kind),
        )
        .await
    }

    fn scan(&self, kind: Kind) -> BoxStream<'_, Result<Vec<Record>>> {
        let store = self.store.clone();
        spawned(move |sender| send_records(store, kind, None, sender))
    }

    fn rejects(&self) -> BoxStream<'_, Result<Vec<Reject>>> {
        let store = self.store.clone();
        spawned(move |sender| send_rejects(store, sender))
    }

    async fn fetch(&self, kind: Kind, keys: &[Key]) -> Result<Vec<Record>> {
        let find = async {
            let select = bind_keys(query(statements(kind)?.some.as_str()), kind, keys);
            let rows = self.store.fetch_all(select).await?;
            rows.iter()
                .map(|row| read_record(&self.store, kind, row))
                .collect()
        };
        named("fetch", self.store.timeouts().load, find).await
    }

    async fn replayed(&self, kind: Kind) -> Result<Vec<Settled>> {
        let find = async {
            let select = query(
                "select key, source_digest, replayed_as from authorstack.rejects \
                 where kind = $1 and replayed_as is not null order by key",
            )
            .bind(kind.as_str());
            let rows = self.store.fetch_all(select).await?;
            rows.iter().map(|row| read_settled(kind, row)).collect()
        };
        named("replayed", self.store.timeouts().load, find).await
    }

    fn rows(&self, kind: Kind) -> Option<&dyn RowTarget> {
        Kind::ANALYTICS.contains(&kind).then_some(self)
    }

    async fn settled(&self, kind: Kind, keys: &[String]) -> Result<Vec<Settled>> {
        let find = async {
            let digests: Vec<Vec<u8>> = keys.iter().map(|key| digest(key).to_vec()).collect();
            let select = query(
                "select key, source_digest, replayed_as from authorstack.rejects \
                 where kind = $1 and key_digest = any ($2) order by key",
            )
            .bind(kind.as_str())
            .bind(digests);
            let rows = self.store.fetch_all(select).await?;
            rows.iter().map(|row| read_settled(kind, row)).collect()
        };
        named("settled", self.store.timeouts().load, find).await
    }
}
