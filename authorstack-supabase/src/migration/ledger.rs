use std::fmt;

use async_trait::async_trait;
use authorstack_core::{
    Result,
    migrate::{Checkpoint, Entry, Kind, Ledger, Reject, RunLock, SetAside, Settled},
};
use futures::stream::BoxStream;

use super::{
    SupabaseMigration, deferred,
    lock::{LOCK_PATIENCE, take_lock},
    notes::{Notes, RETURN},
    work::{Durability, Work, run},
};
use crate::{error::from_sqlx, store::SupabaseStore};

/// A ledger in the project's database, for a migration from Supabase to stores without a ledger.
/// [`SupabaseStore::return_ledger`] returns it.
///
/// It has its own tables, and the same lock as a migration into the project: only one run is
/// possible at a time.
#[derive(Clone)]
pub struct SupabaseLedger {
    notes: Notes,
}

impl fmt::Debug for SupabaseLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupabaseLedger")
            .field("store", &self.notes.work)
            .finish_non_exhaustive()
    }
}

impl SupabaseStore {
    /// The ledger of a migration from this project to other stores.
    #[must_use]
    pub fn return_ledger(&self) -> SupabaseLedger {
        SupabaseLedger {
            notes: Notes {
                work: Work::new(self.clone()),
                tables: &RETURN,
            },
        }
    }
}

#[async_trait]
impl Ledger for SupabaseLedger {
    async fn lock(&self) -> Result<Box<dyn RunLock>> {
        // On the first run, the project may be older than this ledger's tables.
        self.notes.work.store.migrate().await?;
        lock(&self.notes.work).await
    }

    async fn begin(&self, kind: Kind) -> Result<Checkpoint> {
        run(self.notes.limit(), self.notes.begin(kind)).await
    }

    async fn note(&self, entry: &Entry<'_>) -> Result<u64> {
        run(self.notes.limit(), self.notes.note(entry)).await
    }

    async fn finish(&self, kind: Kind) -> Result<()> {
        run(self.notes.limit(), self.notes.finish(kind)).await
    }

    fn rejects(&self) -> BoxStream<'_, Result<Vec<Reject>>> {
        self.notes.rejects()
    }

    fn set_aside(&self) -> BoxStream<'_, Result<Vec<SetAside>>> {
        self.notes.set_aside()
    }

    async fn set_aside_fields(&self, kind: Kind) -> Result<u64> {
        run(self.notes.limit(), self.notes.set_aside_fields(kind)).await
    }

    async fn replayed(&self, kind: Kind) -> Result<Vec<Settled>> {
        run(self.notes.limit(), self.notes.replayed(kind)).await
    }

    async fn settled(&self, kind: Kind, keys: &[String]) -> Result<Vec<Settled>> {
        run(self.notes.limit(), self.notes.settled(kind, keys)).await
    }

    /// Returns nothing: the other store does its own deferred work.
    async fn deferred(&self, _: Kind) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Ledger for SupabaseMigration {
    async fn lock(&self) -> Result<Box<dyn RunLock>> {
        lock(&self.work).await
    }

    async fn begin(&self, kind: Kind) -> Result<Checkpoint> {
        let notes = self.notes();
        run(notes.limit(), notes.begin(kind)).await
    }

    async fn note(&self, entry: &Entry<'_>) -> Result<u64> {
        let notes = self.notes();
        run(notes.limit(), notes.note(entry)).await
    }

    async fn finish(&self, kind: Kind) -> Result<()> {
        let notes = self.notes();
        run(notes.limit(), notes.finish(kind)).await
    }

    fn rejects(&self) -> BoxStream<'_, Result<Vec<Reject>>> {
        self.notes().rejects()
    }

    fn set_aside(&self) -> BoxStream<'_, Result<Vec<SetAside>>> {
        self.notes().set_aside()
    }

    async fn set_aside_fields(&self, kind: Kind) -> Result<u64> {
        let notes = self.notes();
        run(notes.limit(), notes.set_aside_fields(kind)).await
    }

    async fn replayed(&self, kind: Kind) -> Result<Vec<Settled>> {
        let notes = self.notes();
        run(notes.limit(), notes.replayed(kind)).await
    }

    async fn settled(&self, kind: Kind, keys: &[String]) -> Result<Vec<Settled>> {
        let notes = self.notes();
        run(notes.limit(), notes.settled(kind, keys)).await
    }

    async fn deferred(&self, kind: Kind) -> Result<Vec<String>> {
        let find = async {
            let limit = self.work.store.timeouts().load;
            let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
            let waiting = deferred::waiting(&self.work.store, &mut worker.connection, kind).await;
            let waiting = waiting.map_err(from_sqlx)?;
            self.work.commit(worker).await?;
            Ok(waiting.into_iter().map(|(name, _)| name).collect())
        };
        run(self.work.store.timeouts().load, find).await
    }
}

async fn lock(work: &Work) -> Result<Box<dyn RunLock>> {
    let limit = work.store.timeouts().operation + LOCK_PATIENCE;
    run(limit, take_lock(&work.store)).await
}
