use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};

use super::super::MemoryStore;
use crate::{
    Error, ErrorKind, Result,
    migrate::{Checkpoint, Entry, Key, Kind, Ledger, Reject, RunLock, Settled, Step},
};

/// The ledger's data.
#[derive(Debug, Default)]
pub(in crate::memory) struct MemoryLedger {
    passes: BTreeMap<Kind, Pass>,
    rejects: BTreeMap<(Kind, String), Kept>,
    run: Weak<()>,
}

/// A reject, and the record that a replay made of it.
#[derive(Debug)]
struct Kept {
    reject: Reject,
    replayed_as: Option<Key>,
}

#[derive(Debug, Default)]
struct Pass {
    checkpoint: Checkpoint,
    finished: bool,
}

/// The lock of a run; released when dropped.
#[derive(Debug)]
struct Lock {
    _held: Arc<()>,
}

impl RunLock for Lock {}

impl MemoryLedger {
    pub(super) fn begin(&mut self, kind: Kind) -> Checkpoint {
        let pass = self.passes.entry(kind).or_default();
        if pass.finished {
            *pass = Pass::default();
            self.rejects
                .retain(|(of, _), kept| *of != kind || kept.replayed_as.is_some());
            return Checkpoint::default();
        }
        pass.checkpoint.clone()
    }

    /// Refuses a batch that does not begin at the checkpoint.
    pub(super) fn check(&self, kind: Kind, step: &Step<'_>) -> Result<()> {
        let pass = self.passes.get(&kind);
        let position = pass.and_then(|pass| pass.checkpoint.position.as_ref());
        match step {
            Step::Advance { from, .. } if *from != position => {
                Err(Error::new(ErrorKind::Conflict {
                    reason: "another writer has moved the checkpoint; run again to resume".into(),
                }))
            }
            Step::Advance { .. } | Step::Aside | Step::Replay { .. } => Ok(()),
        }
    }

    pub(super) fn note(&mut self, entry: &Entry<'_>) -> Result<u64> {
        self.check(entry.kind, &entry.step)?;
        for (key, record) in entry.settled {
            if let Some(kept) = self.rejects.get_mut(&(entry.kind, key.clone())) {
                kept.replayed_as = Some(record.clone());
            }
        }
        let mut open = 0;
        for reject in entry.rejects {
            let key = (reject.kind, reject.key.clone());
            let settled = self.rejects.get(&key).is_some_and(|kept| {
                kept.replayed_as.is_some() && kept.reject.source_digest == reject.source_digest
            });
            if !settled {
                open += 1;
                let kept = Kept {
                    reject: reject.clone(),
                    replayed_as: None,
                };
                self.rejects.insert(key, kept);
            }
        }
        if let Step::Advance { to, .. } = entry.step {
            let pass = self.passes.entry(entry.kind).or_default();
            pass.checkpoint.position = Some(to.clone());
            pass.checkpoint.counts += entry.counts(open);
        }
        Ok(open)
    }

    pub(super) fn finish(&mut self, kind: Kind) {
        self.passes.entry(kind).or_default().finished = true;
    }

    fn settled_where(&self, matches: impl Fn(Kind, &str) -> bool) -> Vec<Settled> {
        let found = self.rejects.iter();
        let found = found.filter(|((kind, key), _)| matches(*kind, key));
        let settled = found.map(|((_, key), kept)| Settled {
            key: key.clone(),
            source_digest: kept.reject.source_digest,
            replayed_as: kept.replayed_as.clone(),
        });
        settled.collect()
    }
}

#[async_trait]
impl Ledger for MemoryStore {
    async fn lock(&self) -> Result<Box<dyn RunLock>> {
        let mut records = MemoryStore::lock(self);
        if records.ledger.run.upgrade().is_some() {
            return Err(Error::new(ErrorKind::Locked));
        }
        let held = Arc::new(());
        records.ledger.run = Arc::downgrade(&held);
        Ok(Box::new(Lock { _held: held }))
    }

    async fn begin(&self, kind: Kind) -> Result<Checkpoint> {
        Ok(MemoryStore::lock(self).ledger.begin(kind))
    }

    async fn note(&self, entry: &Entry<'_>) -> Result<u64> {
        MemoryStore::lock(self).ledger.note(entry)
    }

    async fn finish(&self, kind: Kind) -> Result<()> {
        MemoryStore::lock(self).ledger.finish(kind);
        Ok(())
    }

    fn rejects(&self) -> BoxStream<'_, Result<Vec<Reject>>> {
        let records = MemoryStore::lock(self);
        let kept = records.ledger.rejects.values();
        let open = kept.filter(|kept| kept.replayed_as.is_none());
        let open = open.map(|kept| kept.reject.clone()).collect();
        stream::iter([Ok(open)]).boxed()
    }

    async fn replayed(&self, kind: Kind) -> Result<Vec<Settled>> {
        let records = MemoryStore::lock(self);
        let mut settled = records.ledger.settled_where(|of, _| of == kind);
        settled.retain(|settled| settled.replayed_as.is_some());
        Ok(settled)
    }

    async fn settled(&self, kind: Kind, keys: &[String]) -> Result<Vec<Settled>> {
        let keys: HashSet<&str> = keys.iter().map(String::as_str).collect();
        let records = MemoryStore::lock(self);
        let matches = |of: Kind, key: &str| of == kind && keys.contains(key);
        Ok(records.ledger.settled_where(matches))
    }

    async fn deferred(&self, _: Kind) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
