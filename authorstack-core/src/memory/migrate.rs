//! The in-memory store as either side of a migration.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use serde_json::Value;

use super::{MemoryStore, Records};
use crate::{
    Error, ErrorKind, Id, Result,
    migrate::{
        BatchLimits, Checkpoint, Counts, Kind, Load, Loaded, Original, Position, Problem, Problems,
        Record, Reject, RunLock, Scanned, ScannedBatch, Settled, Source, Step, Target, TargetState,
    },
};

/// What a migration notes in the store that it loads into.
#[derive(Debug, Default)]
pub(super) struct Books {
    checkpoints: BTreeMap<Kind, Pass>,
    rejects: BTreeMap<(Kind, String), Noted>,
}

/// A reject, and the record that a replay made of it.
type Noted = (Reject, Option<Id<Record>>);

#[derive(Debug, Default)]
struct Pass {
    checkpoint: Checkpoint,
    finished: bool,
}

impl Records {
    fn of_kind(&self, kind: Kind) -> Vec<Record> {
        match kind {
            Kind::Users => self.users.values().cloned().map(Record::from).collect(),
            Kind::Books => self.books.values().cloned().map(Record::from).collect(),
        }
    }

    fn record(&self, kind: Kind, id: Id<Record>) -> Option<Record> {
        match kind {
            Kind::Users => self.users.get(&id.cast()).cloned().map(Record::from),
            Kind::Books => self.books.get(&id.cast()).cloned().map(Record::from),
        }
    }

    /// Stores a record; answers whether anything changed.
    fn put(&mut self, record: &Record) -> Result<bool, Problem> {
        match record {
            Record::User(user) => {
                super::users::check_unique(self, user)?;
                let before = self.users.insert(user.id, (**user).clone());
                Ok(before.as_ref() != Some(&**user))
            }
            Record::Book(book) => {
                if !self.users.contains_key(&book.user_id) {
                    let problem = format!("there is no user {} in the target", book.user_id);
                    return Err(Problem::new("userId", problem));
                }
                let before = self.books.insert(book.id, (**book).clone());
                Ok(before.as_ref() != Some(&**book))
            }
        }
    }
}

fn scanned(record: Record) -> Scanned {
    Scanned {
        key: record.id().to_string(),
        original: Original(record.to_json().to_string().into_bytes()),
        outcome: Ok(record),
    }
}

#[async_trait]
impl Source for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn kinds(&self) -> &[Kind] {
        Kind::ALL
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    async fn count(&self, kind: Kind) -> Result<u64> {
        Ok(self.lock().of_kind(kind).len() as u64)
    }

    fn scan(
        &self,
        kind: Kind,
        after: Option<Position>,
        limits: BatchLimits,
    ) -> BoxStream<'_, Result<ScannedBatch>> {
        let records = self.lock().of_kind(kind);
        let behind = |record: &Record| match &after {
            None => true,
            Some(Position(last)) => record.id().to_string() > *last,
        };
        let left: Vec<Record> = records.into_iter().filter(behind).collect();
        let batches: Vec<Result<ScannedBatch>> = left
            .chunks(limits.records.max(1))
            .filter_map(|chunk| {
                let position = Position(chunk.last()?.id().to_string());
                let items = chunk.iter().cloned().map(scanned).collect();
                Some(Ok(ScannedBatch { items, position }))
            })
            .collect();
        stream::iter(batches).boxed()
    }

    async fn fetch(&self, kind: Kind, key: &str) -> Result<Option<Scanned>> {
        let id = key.parse()?;
        Ok(self.lock().record(kind, id).map(scanned))
    }

    fn render(&self, _: Kind, original: &Original) -> Value {
        serde_json::from_slice(&original.0).unwrap_or_default()
    }

    fn parse(&self, kind: Kind, value: &Value) -> Result<Record, Problems> {
        let record = match kind {
            Kind::Users => serde_json::from_value(value.clone()).map(Record::User),
            Kind::Books => serde_json::from_value(value.clone()).map(Record::Book),
        };
        record.map_err(|error| Problem::new("record", error.to_string()).into())
    }
}

/// The lock of a run: gone when the run drops it.
#[derive(Debug)]
struct Lock {
    _held: Arc<()>,
}

impl RunLock for Lock {}

#[async_trait]
impl Target for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn inspect(&self) -> Result<TargetState> {
        let records = self.lock();
        let count = |kind: &Kind| (*kind, records.of_kind(*kind).len() as u64);
        Ok(TargetState {
            records: Kind::ALL.iter().map(count).collect(),
            ..TargetState::default()
        })
    }

    async fn lock(&self) -> Result<Box<dyn RunLock>> {
        let mut records = MemoryStore::lock(self);
        if records.run.upgrade().is_some() {
            return Err(Error::new(ErrorKind::Locked));
        }
        let held = Arc::new(());
        records.run = Arc::downgrade(&held);
        Ok(Box::new(Lock { _held: held }))
    }

    async fn prepare(&self) -> Result<()> {
        Ok(())
    }

    async fn begin(&self, kind: Kind) -> Result<Checkpoint> {
        let mut records = MemoryStore::lock(self);
        let pass = records.migration.checkpoints.entry(kind).or_default();
        if pass.finished {
            *pass = Pass::default();
            let rejects = &mut records.migration.rejects;
            rejects.retain(|(of, _), (_, replayed_as)| *of != kind || replayed_as.is_some());
            return Ok(Checkpoint::default());
        }
        Ok(pass.checkpoint.clone())
    }

    async fn load(&self, load: &Load<'_>) -> Result<Loaded> {
        let mut guard = MemoryStore::lock(self);
        let records = &mut *guard;
        let position = records.migration.checkpoints.get(&load.kind);
        let position = position.and_then(|pass| pass.checkpoint.position.as_ref());
        if let Step::Advance { from, .. } = load.step
            && from != position
        {
            return Err(Error::new(ErrorKind::Conflict {
                reason: "another writer has moved the checkpoint; run again to resume".into(),
            }));
        }

        let mut counts = Counts::default();
        let mut rejects: Vec<Reject> = load.rejects.to_vec();
        for (index, record) in load.records.iter().enumerate() {
            match records.put(record) {
                Ok(changed) => {
                    counts.written += u64::from(changed);
                    counts.unchanged += u64::from(!changed);
                    if let Step::Replay { keys } = load.step
                        && let Some(entry) = records
                            .migration
                            .rejects
                            .get_mut(&(load.kind, keys[index].clone()))
                    {
                        entry.1 = Some(record.id());
                    }
                }
                Err(problem) => rejects.push((load.reject)(index, problem.into())),
            }
        }
        for reject in rejects {
            let key = (reject.kind, reject.key.clone());
            match records.migration.rejects.get(&key) {
                Some((known, Some(_))) if known.source_digest == reject.source_digest => {
                    counts.unchanged += 1;
                }
                _ => {
                    counts.rejected += 1;
                    records.migration.rejects.insert(key, (reject, None));
                }
            }
        }
        counts.read = (load.records.len() + load.rejects.len()) as u64;
        if let Step::Advance { to, .. } = load.step {
            let pass = records.migration.checkpoints.entry(load.kind).or_default();
            pass.checkpoint.position = Some(to.clone());
            pass.checkpoint.counts += counts;
        }
        Ok(Loaded { counts })
    }

    async fn finish(&self, kind: Kind) -> Result<()> {
        let mut records = MemoryStore::lock(self);
        records
            .migration
            .checkpoints
            .entry(kind)
            .or_default()
            .finished = true;
        Ok(())
    }

    fn scan(&self, kind: Kind) -> BoxStream<'_, Result<Vec<Record>>> {
        let records = self.lock().of_kind(kind);
        stream::iter([Ok(records)]).boxed()
    }

    fn rejects(&self) -> BoxStream<'_, Result<Vec<Reject>>> {
        let records = self.lock();
        let rejects = records.migration.rejects.values();
        let open = rejects.filter(|(_, replayed_as)| replayed_as.is_none());
        let open = open.map(|(reject, _)| reject.clone()).collect();
        stream::iter([Ok(open)]).boxed()
    }

    async fn fetch(&self, kind: Kind, ids: &[Id<Record>]) -> Result<Vec<Record>> {
        let records = MemoryStore::lock(self);
        Ok(ids
            .iter()
            .filter_map(|id| records.record(kind, *id))
            .collect())
    }

    async fn replayed(&self, kind: Kind) -> Result<Vec<Settled>> {
        let mut settled = self.settled_where(|of, _| of == kind);
        settled.retain(|settled| settled.replayed_as.is_some());
        Ok(settled)
    }

    async fn settled(&self, kind: Kind, keys: &[String]) -> Result<Vec<Settled>> {
        let keys: HashSet<&str> = keys.iter().map(String::as_str).collect();
        Ok(self.settled_where(|of, key| of == kind && keys.contains(key)))
    }
}

impl MemoryStore {
    fn settled_where(&self, matches: impl Fn(Kind, &str) -> bool) -> Vec<Settled> {
        let records = self.lock();
        let found = records.migration.rejects.iter();
        let found = found.filter(|((kind, key), _)| matches(*kind, key));
        let settled = found.map(|((_, key), (reject, replayed_as))| Settled {
            key: key.clone(),
            source_digest: reject.source_digest,
            replayed_as: *replayed_as,
        });
        settled.collect()
    }
}
