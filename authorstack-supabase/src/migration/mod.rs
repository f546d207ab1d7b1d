//! The target of a migration: batches go in by COPY, each with its checkpoint in one transaction.

mod batch;
mod copy;
mod dates;
mod deferred;
mod inspect;
mod ledger;
mod load;
mod lock;
mod passes;
mod rows;
mod scan;
mod statements;
mod target;

use async_trait::async_trait;
use authorstack_core::{
    Result,
    layers::Operation,
    migrate::{
        Checkpoint, Key, Kind, Load, Loaded, Problems, Record, Reject, RowTarget, RunLock, Settled,
        Target, TargetState,
    },
    resilience::retry_on_conflict,
};
use authorstack_sql::spawned;
use futures::stream::BoxStream;
use sqlx::query;

use self::{
    ledger::send_rejects,
    lock::LOCK_PATIENCE,
    scan::{read_record, send_records},
    statements::{bind_keys, statements},
    target::{digest, run},
};

pub use self::target::SupabaseTarget;

#[async_trait]
impl Target for SupabaseTarget {
    fn name(&self) -> &'static str {
        "Supabase"
    }

    async fn inspect(&self) -> Result<TargetState> {
        run(Operation::Inspect, self.store.timeouts().load, self.look()).await
    }

    fn screen(&self, record: &Record) -> Problems {
        dates::check_dates(record)
    }

    async fn lock(&self) -> Result<Box<dyn RunLock>> {
        let limit = self.store.timeouts().operation + LOCK_PATIENCE;
        run(Operation::Lock, limit, self.take_lock()).await
    }

    async fn prepare(&self) -> Result<()> {
        self.store.migrate().await
    }

    async fn begin(&self, kind: Kind) -> Result<Checkpoint> {
        run(
            Operation::Begin,
            self.store.timeouts().load,
            self.begin_pass(kind),
        )
        .await
    }

    async fn load(&self, load: &Load<'_>) -> Result<Loaded> {
        // Likes and comments that load side by side write the counts of the same posts.
        let load = retry_on_conflict(|| self.load_batch(load));
        run(Operation::Load, self.store.timeouts().load, load).await
    }

    async fn finish(&self, kind: Kind) -> Result<()> {
        run(
            Operation::Finish,
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
            rows.iter().map(|row| read_record(kind, row)).collect()
        };
        run(Operation::Fetch, self.store.timeouts().load, find).await
    }

    async fn replayed(&self, kind: Kind) -> Result<Vec<Settled>> {
        let select = query(
            "select key, source_digest, replayed_as from authorstack.rejects \
             where kind = $1 and replayed_as is not null order by key",
        )
        .bind(kind.as_str());
        let find = self.find_settled(kind, select);
        run(Operation::Rejects, self.store.timeouts().load, find).await
    }

    fn rows(&self, kind: Kind) -> Option<&dyn RowTarget> {
        Kind::ANALYTICS.contains(&kind).then_some(self)
    }

    async fn settled(&self, kind: Kind, keys: &[String]) -> Result<Vec<Settled>> {
        let digests: Vec<Vec<u8>> = keys.iter().map(|key| digest(key).to_vec()).collect();
        let select = query(
            "select key, source_digest, replayed_as from authorstack.rejects \
             where kind = $1 and key_digest = any ($2) order by key",
        )
        .bind(kind.as_str())
        .bind(digests);
        let find = self.find_settled(kind, select);
        run(Operation::Rejects, self.store.timeouts().load, find).await
    }
}
