//! One batch and its checkpoint in one transaction.

use std::collections::HashSet;

use authorstack_core::{
    Result,
    migrate::{Applied, Counts, Key, Kind, Load, Loaded, Reject, SinkBatch, Step},
};
use sqlx::{PgConnection, query};

use super::{
    SupabaseMigration, batch::Batch, place::Place, statements::statements, work::Durability,
};
use crate::error::from_sqlx;

impl SupabaseMigration {
    pub(super) async fn load_batch(&self, load: &Load<'_>) -> Result<Loaded> {
        let limit = self.work.store.timeouts().load;
        let notes = self.notes();
        let mut worker = match load.step {
            Step::Advance { .. } => self.work.begin_work(limit, Durability::Batch).await?,
            Step::Replay { .. } | Step::Aside => {
                self.work.begin_work(limit, Durability::Synchronous).await?
            }
        };
        let first_load = match load.step {
            Step::Advance { from, .. } => {
                notes.fence(&mut worker.connection, load.kind, from).await?
            }
            Step::Replay { rejects } => {
                notes
                    .claim(&mut worker.connection, load.kind, rejects)
                    .await?;
                false
            }
            Step::Aside => false,
        };
        let mut batch = Batch::new(load.kind, load.records)?;
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
        let rejected = notes
            .store_rejects(&mut worker.connection, load.kind, &rejects)
            .await?;
        let set_aside = load.moved_aside(|index| refused_indexes.contains(&index));
        notes
            .store_set_aside(&mut worker.connection, load.kind, &set_aside)
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
                notes
                    .advance(&mut worker.connection, load.kind, to, counts)
                    .await?;
            }
            Step::Aside => {}
            Step::Replay { rejects } => {
                let loaded = load.records.iter().enumerate();
                let loaded = loaded.filter(|(index, _)| !refused_indexes.contains(index));
                let settled: Vec<_> = loaded
                    .filter_map(|(index, record)| Some((&rejects.get(index)?.key, record.key())))
                    .collect();
                notes
                    .settle(&mut worker.connection, load.kind, &settled)
                    .await?;
            }
        }
        self.work.commit(worker).await?;
        Ok(Loaded { counts })
    }

    /// Writes a batch whose ledger is in another store. What is noted there must already be on disk
    /// here.
    pub(super) async fn apply_batch(&self, batch: &SinkBatch<'_>) -> Result<Applied> {
        let limit = self.work.store.timeouts().load;
        let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
        let removed = self
            .remove(&mut worker.connection, batch.kind, batch.removals)
            .await?;
        let mut upserts = Batch::new(batch.kind, batch.upserts)?;
        upserts.screen(self, &mut worker.connection).await?;
        upserts.write(self, &mut worker, false).await?;
        self.work.commit(worker).await?;
        Ok(Applied {
            written: upserts.written,
            unchanged: upserts.unchanged,
            removed,
            refused: upserts.refused,
        })
    }

    /// Removes records, and what depends on them. Returns how many existed.
    async fn remove(&self, connection: &mut PgConnection, kind: Kind, keys: &[Key]) -> Result<u64> {
        if keys.is_empty() {
            return Ok(0);
        }
        let places: Vec<Place> = keys.iter().filter_map(Place::of).collect();
        let remove = Place::bind_all(query(statements(kind)?.remove.as_str()), kind, &places);
        let remove = self.work.store.statement(remove);
        let done = remove.execute(connection).await.map_err(from_sqlx)?;
        self.forget();
        Ok(done.rows_affected())
    }
}
