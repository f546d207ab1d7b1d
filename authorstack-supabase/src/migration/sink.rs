use async_trait::async_trait;
use authorstack_core::{
    Result,
    migrate::{
        Applied, Checkpoint, Group, Key, Kind, Load, Loaded, Origin, Problems, Record, RowSink,
        Sink, SinkBatch, SinkState, TransactionalSink,
    },
    resilience::retry_on_conflict,
};

use authorstack_sql::check_dates;

use super::{NAME, SupabaseMigration, accounts, statements::statements, work::run};

#[async_trait]
impl Sink for SupabaseMigration {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kinds(&self) -> &[Kind] {
        self.kinds
    }

    async fn inspect(&self) -> Result<SinkState> {
        run(self.work.store.timeouts().load, self.look()).await
    }

    fn screen(&self, record: &Record) -> Problems {
        let mut problems = check_dates(record);
        problems.0.extend(accounts::screen(record).0);
        problems
    }

    async fn prepare(&self) -> Result<()> {
        self.work.store.migrate().await
    }

    async fn begin(&self, kind: Kind) -> Result<()> {
        if kind.is_of(Group::Accounts) {
            return Ok(());
        }
        statements(kind).map(drop)
    }

    async fn apply(&self, batch: &SinkBatch<'_>) -> Result<Applied> {
        // Likes and comments that load in parallel write the counts of the same posts.
        let apply = retry_on_conflict(|| self.apply_batch(batch));
        run(self.work.store.timeouts().load, apply).await
    }

    async fn finish(&self, kind: Kind) -> Result<()> {
        let end = retry_on_conflict(|| self.end(kind));
        run(self.work.store.timeouts().index, end).await
    }

    fn rows(&self, kind: Kind) -> Option<&dyn RowSink> {
        kind.is_numbered().then_some(self)
    }
}

#[async_trait]
impl TransactionalSink for SupabaseMigration {
    async fn begin_pass(&self, kind: Kind, total: u64) -> Result<Checkpoint> {
        let begin = retry_on_conflict(|| self.begin_load(kind, total));
        run(self.work.store.timeouts().load, begin).await
    }

    async fn load(&self, load: &Load<'_>) -> Result<Loaded> {
        let load = retry_on_conflict(|| self.load_batch(load));
        run(self.work.store.timeouts().load, load).await
    }

    async fn finish_pass(&self, kind: Kind) -> Result<()> {
        // What was restored before a conflict stays, and is not restored again.
        let finish = retry_on_conflict(|| self.finish_load(kind));
        run(self.work.store.timeouts().index, finish).await
    }

    async fn taken(
        &self,
        kind: Kind,
        records: &[Record],
        from: Option<Origin<'_>>,
    ) -> Result<Vec<(usize, Problems)>> {
        let taken = self.taken_of(kind, records, from);
        run(self.work.store.timeouts().load, taken).await
    }

    async fn moved(&self, kind: Kind, origin: &str, keys: &[Key]) -> Result<Vec<Key>> {
        let moved = self.moved_keys(kind, origin, keys);
        run(self.work.store.timeouts().load, moved).await
    }

    async fn prune(&self, kind: Kind, origin: &str, keys: &[Key]) -> Result<Vec<Key>> {
        let prune = retry_on_conflict(|| self.prune_keys(kind, origin, keys));
        run(self.work.store.timeouts().load, prune).await
    }
}
