//! The ledger of a migration in memory.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Weak,
};

use crate::{
    Error, ErrorKind, Result,
    migrate::{Checkpoint, Entry, Key, Kind, Reject, Rejected, SetAside, Settled, Step},
};

/// The ledger's data.
#[derive(Debug, Default)]
pub(super) struct MemoryLedger {
    passes: BTreeMap<Kind, Pass>,
    pub(super) rejects: BTreeMap<(Kind, String), Kept>,
    pub(super) set_aside: BTreeMap<(Kind, String), SetAside>,
    /// The records that came from elsewhere, with their origins.
    pub(super) moved: HashSet<(Kind, String, Key)>,
    pub(super) run: Weak<()>,
}

/// A reject, and the record that a replay made of it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) reject: Reject,
    pub(super) replayed_as: Option<Key>,
}

#[derive(Debug, Default)]
struct Pass {
    checkpoint: Checkpoint,
    finished: bool,
}

impl MemoryLedger {
    pub(super) fn begin(&mut self, kind: Kind) -> Checkpoint {
        let pass = self.passes.entry(kind).or_default();
        if pass.finished {
            *pass = Pass::default();
            self.rejects
                .retain(|(of, _), kept| *of != kind || kept.replayed_as.is_some());
            self.set_aside.retain(|(of, _), _| *of != kind);
            return Checkpoint::default();
        }
        pass.checkpoint.clone()
    }

    /// Refuses a batch that does not begin at the checkpoint, and a replay of what is not open.
    pub(super) fn check(&self, kind: Kind, step: &Step<'_>) -> Result<()> {
        let pass = self.passes.get(&kind);
        let position = pass.and_then(|pass| pass.checkpoint.position.as_ref());
        match step {
            Step::Advance { from, .. } if *from != position => {
                Err(Error::new(ErrorKind::Conflict {
                    reason: "another writer has moved the checkpoint; run again to resume".into(),
                }))
            }
            Step::Replay { rejects } if !rejects.iter().all(|it| self.is_open(kind, it)) => {
                Err(Error::new(ErrorKind::Conflict {
                    reason: "a reject was settled meanwhile; repeat the replay".into(),
                }))
            }
            Step::Advance { .. } | Step::Aside | Step::Replay { .. } => Ok(()),
        }
    }

    fn is_open(&self, kind: Kind, rejected: &Rejected) -> bool {
        let kept = self.rejects.get(&(kind, rejected.key.clone()));
        kept.is_some_and(|kept| {
            kept.replayed_as.is_none() && kept.reject.source_digest == rejected.source_digest
        })
    }

    pub(super) fn note(&mut self, entry: &Entry<'_>) -> Result<u64> {
        self.check(entry.kind, &entry.step)?;
        for (rejected, record) in entry.settled {
            if let Some(kept) = self.rejects.get_mut(&(entry.kind, rejected.key.clone())) {
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
        for set_aside in entry.set_aside {
            let key = (set_aside.kind, set_aside.key.clone());
            self.set_aside.insert(key, set_aside.clone());
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

    pub(super) fn settled_where(&self, matches: impl Fn(Kind, &str) -> bool) -> Vec<Settled> {
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
