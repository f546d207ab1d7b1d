//! One batch and its checkpoint in one transaction.

use std::collections::HashSet;

use authorstack_core::{
    Result,
    migrate::{Counts, Load, Loaded, Reject, Step},
};

use super::{
    batch::Batch,
    target::{Durability, SupabaseTarget},
};

impl SupabaseTarget {
    pub(super) async fn load_batch(&self, load: &Load<'_>) -> Result<Loaded> {
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
}
