//! One batch and its checkpoint in one transaction.

use std::{borrow::Cow, collections::HashSet};

use authorstack_core::{
    Id, Result,
    migrate::{
        Applied, Counts, Group, Key, Kind, Load, Loaded, Origin, Problems, Record, Reject,
        SinkBatch, Snapshot, Step,
    },
};
use sqlx::{PgConnection, query};

use super::{
    SupabaseMigration,
    batch::Batch,
    place::Place,
    screen::Dates,
    statements::statements,
    work::{Durability, Worker},
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
        let (written, mut refused) = self.write_batch(load, &mut worker, first_load).await?;
        let unchanged = (load.records.len() - refused.len()) as u64 - written;
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
            written,
            unchanged: unchanged + (rejects.len() as u64 - rejected),
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

    /// Writes the records of a batch. Returns how many it wrote, and those that are refused.
    ///
    /// A record may need a unique value that another one still has, and no longer has in the source.
    /// Then the other one is brought up to date in the same transaction: so values can be exchanged.
    async fn write_batch(
        &self,
        load: &Load<'_>,
        worker: &mut Worker,
        first_load: bool,
    ) -> Result<(u64, Vec<(usize, Problems)>)> {
        if load.kind.is_of(Group::Accounts) {
            return self.write_accounts(load.kind, load.records, worker).await;
        }
        let own = load.records.len();
        let origin = load.from.map(|from| from.name);
        let mut all = Cow::Borrowed(load.records);
        let mut along = Along::default();
        let mut dates = if first_load {
            Dates::Unchecked
        } else {
            Dates::Checked
        };
        let mut straight = first_load;
        loop {
            let mut batch = Batch::new(load.kind, &all, origin)?;
            batch.screen(self, &mut worker.connection, dates).await?;
            let more = along.of(&batch, load.from).await?;
            if !more.is_empty() {
                all.to_mut().extend(more);
                continue;
            }
            if dates == Dates::Unchecked {
                // One that is refused for its date must not be why another one is refused.
                let is_whole = batch.refused.is_empty();
                if !(is_whole && batch.copy_whole(self, worker).await?) {
                    dates = Dates::Checked;
                    // What was copied in vain is merged.
                    straight = !is_whole;
                    continue;
                }
            } else {
                batch.write(self, worker, straight).await?;
            }
            // Those of the source that came along differed from the target's, so they were written
            // unless they are refused. They are counted when their own batch comes.
            let refused = std::mem::take(&mut batch.refused);
            let (mine, others): (Vec<_>, Vec<_>) =
                refused.into_iter().partition(|(index, _)| *index < own);
            let along = (all.len() - own - others.len()) as u64;
            return Ok((batch.written.saturating_sub(along), mine));
        }
    }

    /// The records that a load would refuse because others of the target have their unique values.
    pub(super) async fn taken_of(
        &self,
        kind: Kind,
        records: &[Record],
        from: Option<Origin<'_>>,
    ) -> Result<Vec<(usize, Problems)>> {
        let limit = self.work.store.timeouts().load;
        let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
        if kind.is_of(Group::Accounts) {
            return self.taken_accounts(kind, records, worker).await;
        }
        let origin = from.map(|from| from.name);
        let mut all = Cow::Borrowed(records);
        let mut along = Along::default();
        let mut refused = loop {
            let mut batch = Batch::new(kind, &all, origin)?;
            batch.screen_alone(self, &mut worker.connection).await?;
            let more = along.of(&batch, from).await?;
            if more.is_empty() {
                break std::mem::take(&mut batch.refused);
            }
            all.to_mut().extend(more);
        };
        self.work.commit(worker).await?;
        refused.retain(|(index, _)| *index < records.len());
        Ok(refused)
    }

    /// Writes a batch whose ledger is in another store. What is noted there must already be on disk
    /// here.
    pub(super) async fn apply_batch(&self, batch: &SinkBatch<'_>) -> Result<Applied> {
        let limit = self.work.store.timeouts().load;
        let mut worker = self.work.begin_work(limit, Durability::Synchronous).await?;
        if batch.kind.is_of(Group::Accounts) {
            return self.apply_accounts(batch, worker).await;
        }
        let removed = self
            .remove(&mut worker.connection, batch.kind, batch.removals)
            .await?;
        let mut upserts = Batch::new(batch.kind, batch.upserts, None)?;
        upserts
            .screen(self, &mut worker.connection, Dates::Checked)
            .await?;
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

/// Records of the source that go along with a batch, because it needs their unique values.
#[derive(Default)]
struct Along {
    rounds: usize,
    /// The records that the source was asked for.
    seen: HashSet<Id<Record>>,
}

impl Along {
    /// The next ones. One that still has the values in the source is another record with the same
    /// values, and does not go along.
    async fn of(&mut self, batch: &Batch<'_>, from: Option<Origin<'_>>) -> Result<Vec<Record>> {
        /// How far a chain of values is followed.
        const ROUNDS: usize = 8;
        let Some(from) = from.filter(|_| self.rounds < ROUNDS) else {
            return Ok(Vec::new());
        };
        self.rounds += 1;
        let holders = batch.holders.keys().copied();
        let asked: Vec<Id<Record>> = holders.filter(|id| self.seen.insert(*id)).collect();
        let mut now = now_in_source(from.source, batch.kind, &asked).await?;
        now.retain(|record| {
            let held = record.key().id().and_then(|id| batch.holders.get(&id));
            held.is_some_and(|held| !held.is_of(record))
        });
        Ok(now)
    }
}

/// The records with these ids as the source has them now, if they can move.
async fn now_in_source(
    source: &dyn Snapshot,
    kind: Kind,
    ids: &[Id<Record>],
) -> Result<Vec<Record>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let found = source.fetch(kind, &keys).await?.into_iter();
    let records = found.filter_map(|item| item.outcome.ok());
    let records = records.filter(|record| record.check().is_ok());
    Ok(records
        .filter(|it| it.key().id().is_some_and(|id| ids.contains(&id)))
        .collect())
}
